"""Raw scores by game and seed: collected from a suite's runs, written, and read again from our file
or anybody's.
"""

import datetime
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.app.errors import UserError, writing
from jaxrl.app.files import write_atomic
from jaxrl.envs.atari100k import GAMES, PROTOCOL, human_normalized
from jaxrl.jedi.atari100k.run_log import noted
from jaxrl.jedi.atari100k.runs import Run, State, games_named, on_this_machine, runs_of, states
from jaxrl.jedi.offline.config import completed
from jaxrl.train.config import differences, flatten
from jaxrl.train.metrics import first_and_last
from jaxrl.train.rundir import read_config


@dataclass(frozen=True)
class Scores:
    """Mean raw returns of final evaluations."""

    by_game: dict[str, list[float]]
    """One number per seed, games in the order of `GAMES`; as many seeds in each."""
    remarks: tuple[str, ...] = ()
    """Sentences that belong to whatever is made of the scores."""
    about: dict[str, Any] = field(default_factory=dict)
    """Other entries of the file: steps, configuration, commits, single runs."""

    @property
    def games(self) -> tuple[str, ...]:
        """The games that there are scores of."""
        return tuple(self.by_game)

    @property
    def seeds(self) -> int:
        """Runs per game."""
        return len(next(iter(self.by_game.values())))

    def human_normalized(self) -> np.ndarray:
        """Float64 `[seeds, games]`: 0 random play, 1 a human tester."""
        return np.array(
            [
                [human_normalized(game, score) for score in scores]
                for game, scores in self.by_game.items()
            ]
        ).T


# ---- reading
# ------------------------------------------------------------


def read_scores(path: Path, partial: bool = False) -> Scores:
    """Scores from a JSON file: the one that `suite collect` writes, or simply `{"Alien": [800.0,
    760.0, ...], ...}`.

    Args:
      path: the file.
      partial: take what is there although games or seeds are missing. Our choice: then as many
        seeds of each game as the game with the fewest has, the first ones; a remark says so.

    Raises:
      UserError: the file is missing, not JSON, of another shape, names an unknown game, or lacks
        games or seeds.
    """
    data = _json(path)
    about = data if isinstance(data, dict) and isinstance(data.get("scores"), dict) else {}
    table = about.get("scores", data)
    if not isinstance(table, dict) or not table:
        raise UserError(
            f'{path} must map games to lists of scores, like {{"Alien": [812.0, 760.5], ...}}: it '
            f"holds {_kind(table)}"
        )
    by_game: dict[str, list[float]] = {}
    for name, values in table.items():
        (game,) = games_named([name], str(path))
        if game in by_game:
            raise UserError(f"{path} names {game} twice: keep one of them")
        by_game[game] = _numbers(values, name, path)
    return settled(
        by_game,
        partial,
        str(path),
        {name: value for name, value in about.items() if name != "scores"},
    )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"there is no file {path}: make it with suite collect, or name another one with "
            "--scores"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON ({error}): correct it or name another file") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): name another file") from None


def _kind(value: Any) -> str:
    names = {
        dict: "an object without games",
        list: "a list",
        str: "a string",
        type(None): "null",
        bool: "true or false",
    }
    return names.get(type(value), "a number")


def _numbers(values: Any, game: str, path: Path) -> list[float]:
    """A list of finite numbers, or a refusal."""

    def number(value):
        return (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        )

    if not isinstance(values, list) or not values or not all(map(number, values)):
        raise UserError(
            f"{path}: {game} must have a list of finite numbers, one raw score per seed, but has "
            f"{str(values)[:60]}"
        )
    return [float(value) for value in values]


def settled(
    by_game: dict[str, list[float]], partial: bool, where: str, about: dict[str, Any]
) -> Scores:
    """Scores with as many seeds in every game, complete or with remarks on what is missing; see
    `read_scores`.

    Args:
      by_game: one raw score per seed, by game; at least one game.
      partial: accept missing games and seeds, with remarks.
      where: the file or folder, for the message of an error.
      about: other entries of the file, kept as they are; its "remarks" are added to the remarks.

    Returns:
      Scores of the first seeds that every game has, games in the order of `GAMES`.

    Raises:
      UserError: games or seeds are missing, and `partial` is False.
    """
    most = max(map(len, by_game.values()))
    missing = [game for game in GAMES if game not in by_game]
    short = {game: len(scores) for game, scores in by_game.items() if len(scores) < most}
    gaps = []
    if missing:
        gaps.append(f"no scores of {', '.join(missing)}")
    if short:
        gaps.append(
            f"fewer than {most} seeds of "
            + ", ".join(f"{game} ({count})" for game, count in short.items())
        )
    if gaps and not partial:
        raise UserError(
            f"{where} has {' and '.join(gaps)}: add them, or take what is there by --partial"
        )
    fewest = min(map(len, by_game.values()))
    remarks = [f"Incomplete: {' and '.join(gaps)}."] if gaps else []
    if short:
        remarks.append(f"Only the first {fewest} seed(s) of every game were used.")
    if missing:
        remarks.append(
            f"Aggregates are over {len(by_game)} of {len(GAMES)} games, those of other methods "
            "too, from their games' means."
        )
    ordered = {game: by_game[game][:fewest] for game in GAMES if game in by_game}
    return Scores(ordered, (*remarks, *about.get("remarks", ())), about)


# ---- collecting
# ------------------------------------------------------------


@dataclass(frozen=True)
class Collect:
    """Read the final evaluations of all runs of a suite and write them to one file."""

    out: Path = Path("runs/atari100k")
    """Folder of the suite, as given to launch."""
    scores: Path | None = None
    """File to write. Default: OUT/scores.json."""
    games: tuple[str, ...] = ()
    """Some of the 26 games; without it all."""
    seeds: int = 5
    """Seeds per game."""
    first_seed: int = 0
    """The smallest seed."""
    partial: bool = False
    """Write what is there although runs are missing or not finished."""


def collect(settings: Collect) -> Path:
    """The command `suite collect`; the path of the written file.

    Raises:
      UserError: the folder is missing, or runs are (they are named, unless `partial`), or none is
        finished.
    """
    on_this_machine(settings.out)
    if not settings.out.is_dir():
        raise UserError(f"there is no folder {settings.out}: name the suite's folder with --out")
    runs = runs_of(games_named(settings.games, "--games"), settings.seeds, settings.first_seed)
    known = states(runs, settings.out)
    finished = [run for run in runs if known[run].score is not None]
    missing = not_there(known)
    if not finished:
        raise UserError(
            f"no run in {settings.out} has made its final evaluation: {missing}; launch them, or "
            "name another --out"
        )
    if missing and not settings.partial:
        raise UserError(
            f"{settings.out} lacks final evaluations: {missing}; finish them with launch, or write "
            "the rest by --partial"
        )
    path = settings.scores or settings.out / "scores.json"
    content = json.dumps(gathered(finished, settings, missing), indent=2, allow_nan=False) + "\n"
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, content)
    return path


def not_there(known: dict[Run, State]) -> str:
    """The runs without a final score, game by game, with how they stand; "" if there are none."""
    words = []
    for game in dict.fromkeys(run.game for run in known):
        runs = [run for run in known if run.game == game and known[run].score is None]
        kinds = dict.fromkeys(known[run].kind for run in runs)
        for kind in kinds:
            seeds = [str(run.seed) for run in runs if known[run].kind == kind]
            how = {
                "done": "finished without one",
                "begun": "not finished",
                "waiting": "not begun",
            }.get(kind, kind)
            words.append(f"{game} seed {' '.join(seeds)} ({how})")
    return ", ".join(words)


def gathered(runs: Iterable[Run], settings: Collect, missing: str) -> dict[str, Any]:
    """Contents of scores.json: the scores, every run behind them, and what the runs have in
    common.
    """
    lines, details = noted(settings.out), []
    for run in runs:
        folder = run.folder(settings.out)
        _, last = first_and_last(folder / "metrics.jsonl")
        commits = [entry.get("commit") for entry in lines.get(str(run), []) if entry.get("commit")]
        details.append(
            {
                "game": run.game,
                "seed": run.seed,
                "score": last["evaluate/return"],
                "std": last["evaluate/std"],
                "episodes": last["evaluate/episodes"],
                "cut": last["evaluate/cut"],
                "env_steps": last["env_steps"],
                "hours": last["time/total"] / 3600,
                "commits": list(dict.fromkeys(commits)),
            }
        )
    configs = [completed(read_config(run.folder(settings.out))) for run in runs]
    games = list(dict.fromkeys(entry["game"] for entry in details))
    return {
        "about": "Atari 100k: mean raw return of the final evaluation of every run, one number per "
        "seed",
        "date": datetime.date.today().isoformat(),
        "scores": {
            game: [entry["score"] for entry in details if entry["game"] == game] for game in games
        },
        "seeds": {
            game: [entry["seed"] for entry in details if entry["game"] == game] for game in games
        },
        "env_steps": sorted({entry["env_steps"] for entry in details}),
        "episodes": sorted({entry["episodes"] for entry in details}),
        "commits": sorted({name for entry in details for name in entry["commits"]}),
        "remarks": remarks(details, configs, missing),
        "config": {
            name: value
            for name, value in flatten(configs[0]).items()
            if name not in ("env", "seed")
        },
        "runs": details,
    }


def remarks(
    details: list[dict[str, Any]], configs: list[dict[str, Any]], missing: str
) -> list[str]:
    """Sentences on what sets these scores apart from the benchmark's custom."""
    found = [f"Not in here: {missing}."] if missing else []
    steps = sorted({entry["env_steps"] for entry in details})
    if steps[-1] > 100_000 or steps[0] < 100_000:
        found.append(
            "Not Atari 100k: "
            f"{' to '.join(f'{n:,}' for n in dict.fromkeys((steps[0], steps[-1])))} "
            "environment steps."
        )
    episodes = min(entry["episodes"] for entry in details)
    if episodes < 100:
        found.append(f"Final evaluations of {episodes} games; the custom is 100.")
    cut, limit = (
        sum(entry["cut"] for entry in details),
        configs[0].get("evaluation", {}).get("max_steps", 0),
    )
    if cut and limit < PROTOCOL.max_frames // PROTOCOL.frame_skip:
        found.append(
            f"{cut} of the evaluated games were cut after {limit:,} steps; their returns count as "
            "they stood."
        )
    differing = {name for config in configs for name in differences(configs[0], config)} - {
        "env",
        "seed",
    }
    if differing:
        found.append(f"The runs differ in {', '.join(sorted(differing))}.")
    return found
