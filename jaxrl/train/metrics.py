"""Metrics: one JSON line per epoch, the same numbers for TensorBoard, and a count of
compilations.
"""

import contextlib
import json
import math
import time
from pathlib import Path
from typing import Any

import jax

from jaxrl.app.errors import first_line, is_remote, reaching, writing
from jaxrl.app.files import write_atomic
from jaxrl.app.progress import warn
from jaxrl.train.tensorboard import EventFile
from jaxrl.train.wandb_log import WandbLog


class MetricsLog:
    """`metrics.jsonl` of a run folder, and TensorBoard event files next to it if tensorboardX is
    installed.

    On this machine a line is in the file when `write` returns. An object of a bucket cannot be
    appended to: it is written anew, with all lines, by `flush` and at most every `PATIENCE`
    seconds; and there are no TensorBoard files.
    """

    PATIENCE = 30.0

    def __init__(self, folder: Path, lines: int | None = None, also: WandbLog | None = None):
        """Open for appending; with `lines` given, what a resumed run had written beyond that line
        is cut off first. Every line also goes to `also`.

        A damaged line before that stays where it is, since a checkpoint counts lines; a warning
        names it.
        """
        self._also = also
        self.path, self.remote = folder / "metrics.jsonl", is_remote(folder)
        with writing(self.path):
            kept = _kept_lines(self.path, lines)
            if self.remote:
                self._all, self._unwritten, self._wrote = kept, True, time.monotonic()
            else:
                if self.path.is_file():
                    write_atomic(self.path, b"".join(kept))
                self._file = open(self.path, "ab")
        self.lines = len(kept)
        self._board = None if self.remote else _tensorboard(folder / "tensorboard", kept)

    def write(self, step: int, values: dict[str, Any]) -> None:
        """One line; `step` is the horizontal axis of TensorBoard (environment steps)."""
        row = {"step": step, **{k: _plain(v) for k, v in values.items()}}
        line = json.dumps(row).encode() + b"\n"
        if self.remote:
            self._all.append(line)
            self._unwritten = True
            if time.monotonic() - self._wrote > self.PATIENCE:
                self.flush()
        else:
            with writing(self.path):
                self._file.write(line)
                self._file.flush()
        self.lines += 1
        for other in (self._board, self._also):
            if other is not None:
                other.add(step, values)

    def flush(self) -> None:
        """Until every line is in the file."""
        if self.remote and self._unwritten:
            write_atomic(self.path, b"".join(self._all))
            self._unwritten, self._wrote = False, time.monotonic()

    def close(self) -> None:
        """Flush and close."""
        if self._also is not None:
            self._also.close()
        if self.remote:
            self.flush()
            return
        with contextlib.suppress(OSError):  # every line was flushed when it was written
            self._file.close()
        if self._board is not None:
            self._board.close()


class NoLog:
    """For the processes that write nothing."""

    def __init__(self, lines: int):
        self.lines = lines

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Count."""
        self.lines += 1

    def flush(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to close."""


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """All whole lines of a run's metrics.jsonl; [] if there is none. A warning names a line that is
    cut or damaged.
    """
    return [row for row in _rows(folder / "metrics.jsonl") if row is not None]


def first_and_last(path: Path) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The first and the last whole line of a metrics file; (None, None) if there is none. Warnings
    name those that are damaged before or after them.
    """
    numbered = list(enumerate(_lines(path), 1))

    def first_whole(lines):
        rows = (_row(path, number, line) for number, line in lines)
        return next((row for row in rows if row is not None), None)

    return first_whole(numbered), first_whole(reversed(numbered))


def lines_until(folder: Path, step: int) -> int:
    """Number of lines of a run's metrics.jsonl up to the last one of at most `step`, damaged lines
    among them included.
    """
    rows = _rows(folder / "metrics.jsonl")
    return max((n for n, row in enumerate(rows, 1) if row and row["step"] <= step), default=0)


def _rows(path: Path) -> list[dict[str, Any] | None]:
    """Lines of a metrics file as dictionaries; None, and a warning, for a damaged one."""
    return [_row(path, number, line) for number, line in enumerate(_lines(path), 1)]


def _row(path: Path, number: int, line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
        trouble = "" if isinstance(row, dict) else "holds no metrics"
    except (ValueError, RecursionError) as error:
        whole = line.endswith(b"\n")
        reason = error.msg if isinstance(error, json.JSONDecodeError) else first_line(error)
        trouble = f"is not JSON ({reason})" if whole else "is cut"
    if trouble:
        warn(f"{path}, line {number}, {trouble}: its numbers are left out")
    return None if trouble else row


def _kept_lines(path: Path, lines: int | None) -> list[bytes]:
    """The lines after which a run continues; warnings name those that are cut, damaged or lost."""
    found = _lines(path)
    if found and not found[-1].endswith(b"\n"):
        found[-1] += b"\n"
        if (lines is None or len(found) > lines) and not _is_json(found[-1]):
            warn(
                f"{path}, line {len(found)}, is cut: it is removed, and what came after the last "
                "checkpoint is done again"
            )
            found.pop()
    for number, line in enumerate(found[:lines], 1):
        _row(path, number, line)
    if lines is not None and len(found) < lines:
        warn(f"{path} holds {len(found)} of the {lines} lines written so far: the rest is lost")
    return found[:lines]


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _lines(path: Path) -> list[bytes]:
    """Lines with their ends; the last has none if its writer died."""
    if not is_remote(path) and not path.is_file():
        return []
    try:
        with reaching(path):
            data = path.read_bytes()
    except FileNotFoundError:
        return []
    return data.splitlines(keepends=True)


def _plain(value):
    """JSON has no NaN or infinity; they become null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _tensorboard(folder: Path, kept: list[bytes]) -> EventFile | None:
    """An event file that continues after the last line kept: TensorBoard hides what an earlier one
    wrote beyond it.
    """
    forget_from = None
    with contextlib.suppress(
        IndexError, ValueError, KeyError, TypeError
    ):  # nothing kept, or a line that is damaged
        forget_from = json.loads(kept[-1])["step"] + 1
    try:
        return EventFile(folder, forget_from)
    except ImportError:
        return None


class CompileCounter:
    """Counts the programs made in this process since the counter was made, and the seconds it took.

    `cached` of them were not compiled but read from disk (see compiled.py).
    """

    def __init__(self):
        self.count, self.cached, self.seconds = 0, 0, 0.0
        jax.monitoring.register_event_duration_secs_listener(self._listen)
        jax.monitoring.register_event_listener(self._listen_for_hits)

    def _listen(self, event: str, duration: float, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            self.count += 1
            self.seconds += duration

    def _listen_for_hits(self, event: str, **_):
        if event == "/jax/compilation_cache/cache_hits":
            self.cached += 1
