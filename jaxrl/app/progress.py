"""Progress of long work: a bar with rate and time left on a terminal, heartbeat lines elsewhere."""

import functools
import sys
import time
from typing import Any, TextIO


class Progress:
    """`with Progress("world model", 600) as bar: bar.advance(50, loss=0.3)`."""

    def __init__(
        self,
        what: str,
        total: int,
        start: int = 0,
        heartbeat: float = 15.0,
        stream: TextIO | None = None,
    ):
        """Describe the work.

        Args:
          what: name of the work.
          total: number of units in all.
          start: number of units already done.
          heartbeat: seconds between lines when `stream` is not a terminal.
          stream: where to write; standard output if absent.
        """
        self.what, self.total, self.done = what, total, start
        self.heartbeat, self.stream = heartbeat, stream or sys.stdout
        self.last_line = time.monotonic()
        self._pace: tuple[float, int] | None = None
        self._rich: Any = None
        self._task: Any = None

    def __enter__(self) -> "Progress":
        if self.stream.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            columns = (
                TextColumn("{task.description:<14}"),
                BarColumn(24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[info]}"),
            )
            self._rich = Progress(*columns, transient=True, console=Console(file=self.stream))
            self._rich.start()
            self._task = self._rich.add_task(
                self.what, total=self.total, completed=self.done, rate="", info=""
            )
        return self

    def __exit__(self, *_) -> None:
        if self._rich is not None:
            self._rich.stop()

    def advance(self, units: int, **info: float) -> None:
        """Report `units` more done, with numbers to show."""
        self.done += units
        rate = self._rate()
        shown = " ".join(f"{name} {value:.3g}" for name, value in info.items())
        if self._rich is not None:
            self._rich.update(
                self._task, completed=self.done, rate=f"{rate:.1f}/s" if rate else "", info=shown
            )
        elif time.monotonic() - self.last_line > self.heartbeat:
            self.last_line = time.monotonic()
            left = duration((self.total - self.done) / rate) if rate else ""
            pace = f", {rate:.1f}/s, {left} left" if rate else ""
            line = f"  {self.what}: {self.done}/{self.total}{pace} {shown}"
            print(line.rstrip(), file=self.stream, flush=True)

    def _rate(self) -> float | None:
        """Units per second since the first report; the first one may include compilation."""
        now = time.monotonic()
        if self._pace is None:
            self._pace = (now, self.done)
        since, done = self._pace
        return (self.done - done) / (now - since) if self.done > done and now > since else None


def log(line: str) -> None:
    """Print a line at once, also into a file or a pipe."""
    print(line, flush=True)


@functools.cache
def warn(sentence: str) -> None:
    """Print a warning to standard error; each sentence once in a process."""
    print(f"warning: {sentence}", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Format seconds for reading: "45 s", "3 min 20 s", "2 h 10 min", "3 d 4 h"."""
    seconds = round(seconds)
    units = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
    for large, unit, small, sub in units:
        if seconds >= large:
            rest = seconds % large // small
            whole = f"{seconds // large} {unit}"
            return f"{whole} {rest} {sub}" if rest else whole
    return f"{seconds} s"
