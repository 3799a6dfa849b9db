"""Showing that work goes on: a bar with rate and time left on a terminal, a heartbeat line
elsewhere.
"""

import sys
import time


class Progress:
    """`with Progress("world model", 600) as bar: bar.advance(50, loss=0.3)`."""

    def __init__(self, what: str, total: int, start: int = 0, heartbeat: float = 15.0, stream=None):
        """Args: what is done, how many units in all, how many already done, seconds between lines
        when not on a terminal.
        """
        self.what, self.total, self.done = what, total, start
        self.heartbeat, self.stream = heartbeat, stream or sys.stdout
        self.spoke = time.monotonic()
        self._pace: tuple[float, int] | None = None
        self._rich = None

    def __enter__(self):
        if self.stream.isatty():
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
            self._rich = Progress(*columns, transient=True)
            self._rich.start()
            self._task = self._rich.add_task(
                self.what, total=self.total, completed=self.done, rate="", info=""
            )
        return self

    def __exit__(self, *_):
        if self._rich is not None:
            self._rich.stop()

    def advance(self, units: int, **info: float) -> None:
        """Report `units` more done, with numbers worth seeing."""
        self.done += units
        rate = self._rate()
        shown = " ".join(f"{name} {value:.3g}" for name, value in info.items())
        if self._rich is not None:
            self._rich.update(
                self._task, completed=self.done, rate=f"{rate:.1f}/s" if rate else "", info=shown
            )
        elif time.monotonic() - self.spoke > self.heartbeat:
            self.spoke = time.monotonic()
            pace = (
                f", {rate:.1f}/s, {duration((self.total - self.done) / rate)} left" if rate else ""
            )
            print(
                f"  {self.what}: {self.done}/{self.total}{pace} {shown}".rstrip(),
                file=self.stream,
                flush=True,
            )

    def _rate(self) -> float | None:
        """Units per second since the first report; that one's time often went into compiling, so it
        does not count.
        """
        now = time.monotonic()
        if self._pace is None:
            self._pace = (now, self.done)
        since, done = self._pace
        return (self.done - done) / (now - since) if self.done > done and now > since else None


def aloud(line: str) -> None:
    """Print a line at once, also into a file or a pipe."""
    print(line, flush=True)


def duration(seconds: float) -> str:
    """Seconds for people: "45 s", "3 min 20 s", "2 h 10 min", "3 d 4 h"."""
    seconds = round(seconds)
    for large, unit, small, sub in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= large:
            rest = seconds % large // small
            return (
                f"{seconds // large} {unit} {rest} {sub}" if rest else f"{seconds // large} {unit}"
            )
    return f"{seconds} s"
