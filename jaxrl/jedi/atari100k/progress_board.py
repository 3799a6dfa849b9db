"""Progress of the suite: a grid of games and seeds, redrawn in place on a terminal, a line now and
then elsewhere.
"""

import re
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from jaxrl.app.html import link, table, write_page
from jaxrl.app.progress import duration
from jaxrl.jedi.atari100k.run_log import noted
from jaxrl.jedi.atari100k.runs import Run, State, state, states

REDRAW = 5.0
"""Seconds between two checks of the runs that are under way."""
HEARTBEAT = 120.0
"""Seconds between two lines where the output is not a terminal."""


def cell(now: State, running: bool = False) -> str:
    """Cell of the grid for one run, in rich's markup."""
    if now.kind == "done":
        return "[green]done[/green]" + ("" if now.score is None else f" {now.score:,.1f}")
    if now.kind == "failed" and not running:
        return "[red]failed[/red]"
    if now.kind == "waiting" and not running:
        return "[dim]waiting[/dim]"
    text = f"{now.epoch}/{now.epochs or '?'}"
    return f"[bold]{text}[/bold]" if running else text


def grid(known: Mapping[Run, State], running: Collection[Run] = ()):
    """For rich: a sentence, and one row per game with one column per seed."""
    from rich.console import Group
    from rich.table import Table

    seeds = sorted({run.seed for run in known})
    table = Table("game", *(f"seed {seed}" for seed in seeds), box=None)
    for game in sorted({run.game for run in known}):
        runs = [Run(game, seed) for seed in seeds]
        table.add_row(
            game, *(cell(known[run], run in running) if run in known else "" for run in runs)
        )
    return Group(summary(known, running), table)


def summary(known: Mapping[Run, State], running: Collection[Run] = ()) -> str:
    """Numbers of runs by state; progress counts epochs."""
    kinds = [now.kind for run, now in known.items() if run not in running or now.kind == "done"]
    waiting = f", {kinds.count('begun')} begun" if kinds.count("begun") else ""
    failed = f", {kinds.count('failed')} failed" if kinds.count("failed") else ""
    going = f", {len(running)} running" if running else ""
    return (
        f"{kinds.count('done')} of {len(known)} runs done{going}{waiting}, "
        f"{kinds.count('waiting')} waiting{failed} (epochs done/in all)"
    )


def failures(known: Mapping[Run, State], out: Path) -> list[str]:
    """A line for every failed run: what it said last, and where all of it is."""
    return [
        f"{run} failed: {now.sentence}  ({run.log(out)})"
        for run, now in known.items()
        if now.kind == "failed"
    ]


def print_board(known: Mapping[Run, State], out: Path) -> None:
    """The grid and the failures, once."""
    from rich.console import Console

    console = Console(soft_wrap=True)
    console.print(grid(known))
    for line in failures(known, out):
        console.print(line, markup=False, highlight=False)


def write_board(known: Mapping[Run, State], out: Path) -> Path:
    """The same as a page, `progress.html` in the suite's folder, with links to the reports."""
    seeds, games = (sorted({getattr(run, name) for run in known}) for name in ("seed", "game"))

    def shown(run: Run):
        if run not in known:
            return ""
        now, text = known[run], re.sub(r"\[/?[a-z]+\]", "", cell(known[run]))
        report = run.folder(out) / "report" / "index.html"
        there = now.kind in ("done", "begun") and report.is_file()
        return link(text, report.relative_to(out).as_posix()) if there else text

    rows = [(game, *(shown(Run(game, seed)) for seed in seeds)) for game in games]
    heads = ("game", *(f"seed {seed}" for seed in seeds))
    return write_page(
        out / "progress.html",
        f"Progress of {out.name}",
        table(heads, rows, "runs by game and seed", row_heads=True),
        lead=summary(known),
        warnings=failures(known, out),
    )


class Board:
    """The same while runs are under way: `with Board(runs, out) as board: board.show(running)`."""

    def __init__(self, runs: list[Run], out: Path, stream=None):
        self.out, self.stream = out, stream or sys.stdout
        self.known = states(runs, out)
        self.began = self.looked = self.spoke = time.monotonic()
        self._live = None

    def __enter__(self):
        if self.stream.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                grid(self.known), console=Console(file=self.stream), auto_refresh=False
            )
            self._live.start()
        return self

    def __exit__(self, *_):
        if self._live is not None:
            self._live.update(grid(self.known), refresh=True)
            self._live.stop()

    def say(self, line: str) -> None:
        """A line that stays."""
        if self._live is not None:
            self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=self.stream, flush=True)

    def update(self, run: Run) -> State:
        """Read one run anew."""
        self.known[run] = state(run, self.out, noted(self.out).get(str(run), [None])[-1])
        return self.known[run]

    def show(self, running: Collection[Run]) -> None:
        """Read the states and draw them, or print a line, when it is time; may be called often."""
        now = time.monotonic()
        if now - self.looked < REDRAW:
            return
        self.looked = now
        for run in running:
            self.update(run)
        if self._live is not None:
            self._live.update(grid(self.known, running), refresh=True)
        elif now - self.spoke > HEARTBEAT:
            self.spoke = now
            where = ", ".join(
                f"{run} {self.known[run].epoch}/{self.known[run].epochs or '?'}" for run in running
            )
            self.say(
                f"  after {duration(now - self.began)}: {summary(self.known, running)}: {where}"
            )
