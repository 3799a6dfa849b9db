"""Long training runs recorded one by one, so that a benchmark of many can be made over several days
and machines.
"""

import argparse
import contextlib
import dataclasses
import datetime
import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.recording import RESULTS, commit, hardware, path_of
from jaxrl.jedi.config import JediConfig
from jaxrl.train.config import has_default
from jaxrl.train.rundir import write_atomically

Curve = list[dict[str, float]]
Runs = dict[str, dict[str, dict]]
"""Record of each run, by variant and seed."""
OLD_CLASSES = {
    "RewardEndLearning": "HeadsLearning",
    "BehaviorLearning": "BehaviourLearning",  # old name
}
"""Names of configuration classes in 0.1, by their present names."""
BEGUN = "begun.json"
"""In a run's folder: processor, commit and date of its beginning."""


def settings_of(configs: list[JediConfig]) -> str:
    """A fingerprint: runs of other settings do not belong to the same record.

    Of the fields that differ from their defaults, so that a field that comes later, with a default
    that changes nothing, changes nothing.
    """
    return hashlib.sha256(
        json.dumps([chosen(config) for config in configs], sort_keys=True).encode()
    ).hexdigest()[:16]


def chosen(config: Any) -> dict[str, Any]:
    """The fields of a dataclass, and of those in it, that differ from their own class's defaults
    (or have none).
    """
    found = {}
    # Records of 0.1 hold fingerprints of the old names, and renaming changes no setting.
    old = {new: name for name, new in getattr(config, "OLD_NAMES", {}).items()}
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), old.get(field.name, field.name)
        if dataclasses.is_dataclass(value):
            kind = type(value).__name__
            found[name] = {"": OLD_CLASSES.get(kind, kind)} | chosen(value)
        elif not has_default(field) or value != field.default:
            found[name] = value
    return found


def curve_of(rows: Iterable[dict]) -> Curve:
    """Evaluations of a run: environment steps, minutes of processor time, mean return."""
    return [
        {
            "env_steps": row["env_steps"],
            "minutes": row["time/processor"] / 60,
            "return": row["evaluate/return"],
        }
        for row in rows
        if row.get("evaluate/return") is not None
    ]


def finished_run(folder: Path, steps: int) -> dict | None:
    """A run as it is recorded, if it is at its end."""
    from jaxrl.jedi.report.rows import read_rows

    rows = read_rows(folder) if folder.is_dir() else []
    if not rows or rows[-1]["env_steps"] < steps:
        return None
    made = json.loads((folder / BEGUN).read_text())
    return made | {"random_return": rows[0]["collect/return"], "curve": curve_of(rows)}


def stopped_run(folder: Path, minutes: float) -> dict:
    """A run as it is recorded that was stopped after `minutes` of processor time: its curve so far
    (empty before the first evaluation), and how far it came.
    """
    from jaxrl.jedi.report.rows import read_rows

    made = json.loads((folder / BEGUN).read_text())
    counters = counters_of(folder)
    far = {name: counters[name] for name in ("epoch", "stage", "done", "env_steps", "updates")}
    rows = read_rows(folder) if (folder / "metrics.jsonl").exists() else []
    first = {"random_return": rows[0]["collect/return"]} if rows else {}
    return made | first | {"curve": curve_of(rows), "stopped_minutes": minutes, "came_to": far}


def counters_of(folder: Path) -> dict[str, Any]:
    """Counters of a run's last checkpoint; none, if there is no checkpoint."""
    from jaxrl.train.checkpoint import Checkpoints

    if not (folder / "checkpoints").is_dir():
        return {}
    with contextlib.closing(Checkpoints(folder / "checkpoints", read_only=True)) as saved:
        steps = saved.steps()
        return saved.record(steps[-1])["counters"] if steps else {}


@contextlib.contextmanager
def stopping_after(minutes: float | None):
    """Ask this process to save and stop, as SIGTERM does, once it has used so many minutes of
    processor time within the block; yields an event that is set then.
    """
    asked, left = threading.Event(), threading.Event()
    end = time.process_time() + 60 * (minutes or 0)

    def watch():
        while not left.wait(0.5):
            if time.process_time() >= end:
                asked.set()
                os.kill(os.getpid(), signal.SIGTERM)
                return

    watcher = threading.Thread(target=watch, daemon=True)
    if minutes is not None:
        watcher.start()
    try:
        yield asked
    finally:
        left.set()


def note_beginning(folder: Path) -> None:
    """Settings that the runs of a folder share, written once, before the first update."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {"cpu": hardware()["cpu"], "commit": commit(), "date": datetime.date.today().isoformat()}
    if not (folder / BEGUN).exists():
        write_atomically(folder / BEGUN, json.dumps(made) + "\n")


def recorded(name: str, settings: str) -> Runs:
    """The runs that the record called `name` holds; none if there is no record.

    Raises:
      SystemExit: the record is of other settings, or no record; what it holds took hours, so
        nothing is written over it.
    """
    path = path_of(name, RESULTS)
    try:
        figures = json.loads(path.read_text())["figures"]
        known, runs = figures["settings"], figures["runs"]
    except FileNotFoundError:
        return {}
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise SystemExit(f"{path} is damaged ({error!r}): restore it or move it away") from None
    if known != settings:
        raise SystemExit(f"{path} holds runs of other settings: move it away to begin a new record")
    return runs


def train_missing(
    name: str,
    settings: str,
    configs: dict[str, JediConfig],
    options: argparse.Namespace,
    write: Callable,
) -> Runs:
    """Train every variant with every seed, but not those that the record holds; returns all that is
    known then.

    Args:
      name: of the record.
      settings: see `settings_of`; the record may hold more variants than are trained in this call.
      configs: of the variants to train.
      options: with the `seeds` to train, the `folder` of the runs (one that was begun is continued)
        and, if it is there, the `minutes` of processor time after which a run ends.
      write: `write(runs)` writes the record, called after every run.

    Raises:
      SystemExit: a run was stopped before its end.
    """
    for seed in options.seeds:
        for variant, config in configs.items():
            if str(seed) in recorded(name, settings).get(variant, {}):
                continue
            made = run_to_end(
                replace(config, seed=seed),
                options.folder / f"{variant}-{seed}",
                getattr(options, "minutes", None),
            )
            runs = recorded(name, settings)  # read anew: another process may have added its own
            runs.setdefault(variant, {})[str(seed)] = made
            write(
                {
                    variant: dict(sorted(by_seed.items()))
                    for variant, by_seed in sorted(runs.items())
                }
            )
    return recorded(name, settings)


def run_to_end(config: JediConfig, folder: Path, minutes: float | None) -> dict | None:
    """Train until the schedule is done or the processor time is used up; returns the run as it is
    recorded.

    Args:
      config: with the seed.
      folder: of the run; one that was begun is continued.
      minutes: processor time of all sessions together; None: no limit.

    Raises:
      SystemExit: somebody stopped it before.
    """
    from jaxrl.jedi.training.loop import train

    note_beginning(folder)
    used = counters_of(folder).get("processor", 0.0) / 60
    left = None if minutes is None else max(minutes - used, 0.0)
    with stopping_after(left) as used_up:
        finished = train(config, folder).finished
    if finished:
        return finished_run(folder, config.schedule.env_steps)
    if not used_up.is_set():
        raise SystemExit("stopped; the same command continues, what was finished is recorded")
    return stopped_run(folder, minutes)


def curves_of(runs: Runs) -> dict[str, dict[int, Curve]]:
    """Only the curves."""
    return {
        variant: {int(seed): run["curve"] for seed, run in by_seed.items()}
        for variant, by_seed in runs.items()
    }


def random_return(runs: Runs) -> float:
    """Mean return of random play, over all runs."""
    returns = [
        run["random_return"]
        for by_seed in runs.values()
        for run in by_seed.values()
        if "random_return" in run
    ]
    return sum(returns) / len(returns)


def parser_of_runs(
    about: str | None, option: str, variants: Sequence[str], seeds: Sequence[int]
) -> argparse.ArgumentParser:
    """The options of a benchmark of many runs: the folder, and what to train in this call.

    Args:
      about: the text of --help.
      option: chooses among the variants, such as "--modes".
      variants: names; all by default.
      seeds: all by default.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--folder", type=Path, required=True, help="of the runs")
    these = "those to train in this call"
    parser.add_argument(option, nargs="+", default=variants, choices=variants, help=these)
    parser.add_argument("--seeds", nargs="+", type=int, default=seeds, choices=seeds, help=these)
    return parser


def train_chosen(
    name: str,
    configs: dict[str, JediConfig],
    chosen: Iterable[str],
    options: argparse.Namespace,
    write: Callable[[Runs, str], None],
    seeds: Sequence[int],
) -> Runs:
    """Train what was chosen on the command line, and say which runs the record still lacks.

    Args:
      name: of the record.
      configs: of all variants.
      chosen: names of those to train.
      options: see `train_missing`.
      write: `write(runs, settings)` writes the record, called after every run.
      seeds: all that the record should have.
    """
    settings = settings_of(list(configs.values()))
    some = {variant: configs[variant] for variant in chosen}
    runs = train_missing(name, settings, some, options, lambda runs: write(runs, settings))
    missing = [
        f"{variant}-{seed}"
        for variant in configs
        for seed in seeds
        if str(seed) not in runs.get(variant, {})
    ]
    print("missing:", ", ".join(missing) or "nothing")
    return runs
