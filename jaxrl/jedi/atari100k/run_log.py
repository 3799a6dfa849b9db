"""Starts and ends of the runs of a suite, and what a run said last."""

import datetime
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any, Literal

from jaxrl.app.errors import writing

LAUNCHES = "launches.jsonl"
"""In the suite's folder: one line for every start and end."""


def note(
    out: Path,
    run: object,
    event: Literal["waiting", "started", "finished", "stopped", "failed"],
    **facts: Any,
) -> None:
    """Append one line to launches.jsonl; several launches may write to the same file. `run` counts
    as its string.

    Args:
      out: folder of the suite.
      run: the run, noted as `str(run)`.
      event: what happened to it.
      **facts: further entries of the line, JSON values.
    """
    date = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    line = json.dumps({"run": str(run), "event": event, "date": date, **facts}) + "\n"
    with writing(out / LAUNCHES):
        file = os.open(out / LAUNCHES, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)


def noted(out: Path) -> dict[str, list[dict[str, Any]]]:
    """All lines of launches.jsonl by run; a damaged line is passed over, for nothing but remarks
    depends on it.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    path = out / LAUNCHES
    for line in (
        path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    ):
        try:
            entry = json.loads(line)
            found.setdefault(entry["run"], []).append(entry)
        except (ValueError, KeyError, TypeError):
            continue
    return found


def last_sentence(log: Path, start: int, status: int) -> str:
    """Last words of a failed process: its refusal or exception if there is one, else its last
    line.
    """
    with open(log, "rb") as file:
        file.seek(start)
        lines = [
            line.strip()
            for line in file.read().decode(errors="replace").splitlines()
            if line.strip()
        ]
    if status < 0:
        number = signal.Signals(-status).name
        return f"killed by {number}" + (
            ", as happens when memory is used up" if number == "SIGKILL" else ""
        )
    telling = [
        line
        for line in lines
        if re.match(r"error: |[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit)\b", line)
    ]
    return (telling or lines or [f"nothing, and exit status {status}"])[-1][:500]


def commit() -> str | None:
    """The commit of the code that runs, with "+changes" if files differ from it; None where this
    file is in no git checkout.
    """
    here = Path(__file__).resolve()
    git = ["git", "-C", str(here.parent)]
    try:

        def text(*words):
            return subprocess.run(
                [*git, *words], capture_output=True, text=True, timeout=10, check=True
            ).stdout.strip()

        text(
            "ls-files", "--error-unmatch", here.name
        )  # an installed copy may lie inside somebody else's checkout
        changed = text("status", "--porcelain", "--untracked-files=no")
        return text("rev-parse", "--short=12", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None
