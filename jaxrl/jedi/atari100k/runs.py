"""The runs of a suite and where they stand, read from the suite's folder without touching what
trains there.

OUT/<game>/seed<k>/      the run, as `train` writes it
OUT/<game>/seed<k>.log   what it printed
OUT/launches.jsonl       starts and ends, one line each, with date and commit
OUT/scores.json          the final scores, once they were collected
"""

import difflib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jaxrl.app.errors import UserError
from jaxrl.envs.atari100k import GAMES
from jaxrl.jedi.atari100k.run_log import noted
from jaxrl.train.metrics import first_and_last
from jaxrl.train.rundir import read_config


@dataclass(frozen=True)
class Run:
    """One game with one seed."""

    game: str
    """A key of `jaxrl.envs.atari100k.SCORES`."""
    seed: int
    """`--seed` of its training."""

    def folder(self, out: Path) -> Path:
        """Its run folder."""
        return out / self.game / f"seed{self.seed}"

    def log(self, out: Path) -> Path:
        """The file with what it printed."""
        return out / self.game / f"seed{self.seed}.log"

    def __str__(self):
        return f"{self.game}/seed{self.seed}"


@dataclass(frozen=True)
class State:
    """State of a run."""

    kind: Literal["waiting", "begun", "done", "failed"]
    """Nothing there; some epochs made; the schedule is done; the last start ended badly."""
    epoch: int = 0
    """Finished epochs."""
    epochs: int | None = None
    """Epochs of the whole run, if known."""
    env_steps: int = 0
    score: float | None = None
    """Mean return of the final evaluation; None before, and where the run's configuration asks for
    none.
    """
    sentence: str = ""
    """Last line of the log of a failed run; empty otherwise."""


def games_named(names: Iterable[str], where: str) -> tuple[str, ...]:
    """The proper names of games, each once; capitals and underscores do not matter. None given: all
    26.

    Raises:
      UserError: a name that is not one of the 26 games; `where` says where it was found.
    """
    known, found = {game.lower(): game for game in GAMES}, []
    for name in names:
        plain = name.replace("_", "").lower()
        if plain not in known:
            near = [
                known[match] for match in difflib.get_close_matches(plain, known, n=3, cutoff=0.5)
            ]
            hint = (
                f"did you mean {' or '.join(near)}?"
                if near
                else f"the games are {', '.join(GAMES)}"
            )
            raise UserError(
                f"{where} names {name!r}, which is not one of the 26 games of Atari 100k: {hint}"
            )
        found.append(known[plain])
    return tuple(dict.fromkeys(found)) or GAMES


def runs_of(games: Iterable[str], seeds: int, first_seed: int = 0) -> list[Run]:
    """All games with the first seed, then all with the next: a picture of the whole benchmark comes
    early. Our choice.

    Raises:
      UserError: fewer than one seed, or a negative one.
    """
    if seeds < 1 or first_seed < 0:
        raise UserError(
            f"--seeds is {seeds} and --first-seed {first_seed}: there must be at least one seed, "
            "counted from 0"
        )
    games = list(games)
    return [Run(game, seed) for seed in range(first_seed, first_seed + seeds) for game in games]


def runs_in(out: Path) -> list[Run]:
    """The runs that a suite's folder knows of: begun, or waiting for their turn.

    Raises:
      UserError: the folder holds none.
    """
    there = [f"{game}/{path.stem}" for game in GAMES for path in (out / game).glob("seed*")]
    parts = [name.partition("/seed") for name in (*there, *noted(out))]
    named = {Run(game, int(seed)) for game, _, seed in parts if game in GAMES and seed.isdigit()}
    if not named:
        raise UserError(
            f"{out} holds no runs of a suite: begin with suite launch --out {out}, or name another "
            "folder with --out"
        )
    return sorted(named, key=lambda run: (run.seed, run.game))


def on_this_machine(path: Path) -> None:
    """Refuse a path in a bucket: the logs that lie next to the runs are appended to and locked,
    which no bucket can do.
    """
    if path.parts and re.fullmatch(r"[a-z][a-z0-9+.-]+:", path.parts[0]):
        raise UserError(
            f"{path.parts[0]}//{'/'.join(path.parts[1:])} is no folder of this machine, where a "
            "suite must lie: choose one on its disk "
            "(single runs may lie in a bucket: train --run-dir)"
        )


# ---- where a run stands
# ------------------------------------------------------------


def state(run: Run, out: Path, ending: dict[str, Any] | None = None) -> State:
    """State of one run.

    Args:
      run, out: the run and the suite's folder.
      ending: the run's last line of launches.jsonl, which says whether it failed.
    """
    sentence = ending.get("sentence", "?") if ending and ending.get("event") == "failed" else ""
    folder = run.folder(out)
    if not (folder / "config.json").exists():
        started = bool(ending) and ending.get("event") == "started"
        return State("failed" if sentence else "begun" if started else "waiting", sentence=sentence)
    first, last = first_and_last(folder / "metrics.jsonl")
    try:
        epochs, done = epochs_of(read_config(folder)["schedule"], first, last)
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{folder} holds no run that this version of train wrote ({error} is missing): move it "
            "elsewhere"
        ) from None
    begun = 0 if last is None else last["epoch"] + 1
    kind = "done" if done else "failed" if sentence else "begun"
    return State(
        kind,
        begun,
        epochs,
        last["env_steps"] if last else 0,
        last.get("evaluate/return") if done else None,
        "" if done else sentence,
    )


def epochs_of(schedule: dict[str, Any], first: dict | None, last: dict | None) -> tuple[int, bool]:
    """Number of epochs of a run in all, and True if they are done, from its schedule and the ends
    of its metrics.

    The first epoch may play more than `initial_steps`, every other one plays `steps_per_epoch`
    until there are `env_steps`, and then come `final_epochs` without play. A finished run that was
    made longer has some of these in its middle.
    """
    if first is None:
        left = max(schedule["env_steps"] - schedule["initial_steps"], 0)
        return 1 + math.ceil(left / schedule["steps_per_epoch"]) + schedule["final_epochs"], False
    playing = math.ceil(
        (max(schedule["env_steps"], last["env_steps"]) - first["env_steps"])
        / schedule["steps_per_epoch"]
    )
    epochs = 1 + playing + schedule["final_epochs"]
    idle = last["epoch"] - (last["env_steps"] - first["env_steps"]) // schedule["steps_per_epoch"]
    done = last["env_steps"] >= schedule["env_steps"] and idle >= schedule["final_epochs"]
    return (last["epoch"] + 1 if done else max(epochs, last["epoch"] + 2)), done


def states(runs: Iterable[Run], out: Path) -> dict[Run, State]:
    """States of all runs."""
    lines = noted(out)
    return {run: state(run, out, lines.get(str(run), [None])[-1]) for run in runs}
