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

from jaxrl.app.errors import UserError, is_remote, reaching, writing
from jaxrl.app.files import write_atomic
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
        """
        self._also = also
        self.path, self.remote = folder / "metrics.jsonl", is_remote(folder)
        with writing(self.path):
            kept = _complete_lines(self.path)[:lines]
            if self.remote:
                self._all, self._unwritten, self._wrote = kept, True, time.monotonic()
            else:
                if self.path.is_file():
                    write_atomic(self.path, "".join(kept))
                self._file = open(self.path, "a", encoding="utf-8")
        self.lines = len(kept)
        self._board = None if self.remote else _tensorboard(folder / "tensorboard", kept)

    def write(self, step: int, values: dict[str, Any]) -> None:
        """One line; `step` is the horizontal axis of TensorBoard (environment steps)."""
        line = json.dumps({"step": step, **{k: _plain(v) for k, v in values.items()}}) + "\n"
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
            write_atomic(self.path, "".join(self._all))
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
    """All complete lines of a run's metrics.jsonl; [] if there is none.

    Raises:
      UserError: a line is not JSON.
    """
    path, rows = folder / "metrics.jsonl", []
    for number, line in enumerate(_complete_lines(path), 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise UserError(
                f"{path}, line {number}, is not JSON ({error.msg}): remove that line"
            ) from None
    return rows


def _complete_lines(path: Path) -> list[str]:
    """Lines with their ends; what a dying process left without one does not count."""
    if not is_remote(path) and not path.is_file():
        return []
    try:
        with reaching(path):
            text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _plain(value):
    """JSON has no NaN or infinity; they become null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _tensorboard(folder: Path, kept: list[str]) -> EventFile | None:
    """An event file that continues after the last line kept: TensorBoard hides what an earlier one
    wrote beyond it.
    """
    forget_from = None
    with contextlib.suppress(
        IndexError, ValueError, KeyError
    ):  # nothing kept, or a line that `read_metrics` will refuse
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
