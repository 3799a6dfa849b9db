"""Do all three modes learn bricks, and which is first? `python -m benchmarks.jedi_modes --folder RUNS [--modes jedi] [--seeds 0 1]`.

Trains every mode with every seed, one after the other, in `RUNS/MODE-SEED`; a folder that was begun is gone on with, so that the work
can be cut into several calls, or spread over cores with `--modes` and `--seeds`. Each finished run's curve goes into the record at
once, with its machine and commit, and is not trained again even if its folder is gone: the runs may be made on several days. When all
runs are there, the returns (100 games) after equal numbers of steps and after equal processor time are claimed; until then the claims
say "not run". Processor time, not wall time: on a core of its own they are the same, and a neighbour on the machine does not change it
by much.

All modes have the preset's frames of 12 pixels a side (the game has 10 x 10 cells), the pixel mode as they are, the others as latents of
6 x 6 x 16.
"""

import argparse
import datetime
import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import get_args

from benchmarks.recording import RESULTS, Claim, commit, hardware, record
from jaxrl.jedi.config import Mode
from jaxrl.jedi.presets import tiny
from jaxrl.train.config import to_dict

MODES = get_args(Mode)
SEEDS = (0, 1, 2)
GAIN = 2.0
"""Rewards above random play that count as having learned; our choice. Random play has -1.9, an untouched wall 0 or less."""
Curve = list[dict[str, float]]


def curve_of(rows: Iterable[dict]) -> Curve:
    """Evaluations of a run: environment steps, minutes of processor time, mean return."""
    return [
        {"env_steps": row["env_steps"], "minutes": row["time/processor"] / 60, "return": row["evaluate/return"]}
        for row in rows
        if row.get("evaluate/return") is not None
    ]


def return_at(curve: Curve, axis: str, limit: float, before: float) -> float:
    """The last evaluation made when `axis` was at most `limit`; `before`, that of random play, if there was none."""
    return max(((point[axis], point["return"]) for point in curve if point[axis] <= limit), default=(0, before))[1]


def claims_of(curves: dict[str, dict[int, Curve]], random: float, seeds: int, several: bool = False) -> tuple[dict, list[Claim]]:
    """What the curves say: `(figures, claims)`; where a run is missing, nothing is measured yet.

    Args:
      curves: of each mode and seed.
      random: mean return of random play.
      seeds: how many each mode should have.
      several: the runs were made on several machines or commits, so that their processor times are not quite the same thing.
    """
    mean = lambda values: sum(values) / len(values)
    whole = {mode: len(by_seed) == seeds for mode, by_seed in curves.items()}
    last = {mode: [curve[-1]["return"] for curve in by_seed.values()] for mode, by_seed in curves.items()}
    minutes = {mode: mean([curve[-1]["minutes"] for curve in by_seed.values()]) for mode, by_seed in curves.items() if by_seed}
    at_time = {
        mode: [return_at(curve, "minutes", minutes["jedi"], random) for curve in by_seed.values()]
        for mode, by_seed in curves.items()
    } if whole["jedi"] else {}  # fmt: skip
    learned = [
        Claim(f"bricks, mode {mode}: seeds whose return ends at least {GAIN} above random play", seeds, ">=",
              sum(score - random >= GAIN for score in last[mode]) if whole[mode] else None, seeds)
        for mode in curves
    ]  # fmt: skip
    note = " (of several machines or commits)" if several else ""
    ahead = [
        Claim(f"bricks: mean return of jedi minus that of {mode} after equal {what}", 0.0, ">",
              mean(found["jedi"]) - mean(found[mode]) if whole["jedi"] and whole[mode] else None, seeds)
        for mode in curves if mode != "jedi"
        for what, found in (("environment steps", last), (f"processor time{note}", at_time))
    ]  # fmt: skip
    figures = {"random_return": random, "return_after_all_steps": last, "return_after_jedis_time": at_time, "minutes": minutes}
    return figures, learned + ahead


def finished_run(folder: Path, steps: int) -> dict | None:
    """A run as it is recorded, if it is at its end."""
    from jaxrl.train.metrics import read_metrics

    rows = read_metrics(folder) if folder.is_dir() else []
    if not rows or rows[-1]["env_steps"] < steps:
        return None
    made = {"cpu": hardware()["cpu"], "commit": commit(), "date": datetime.date.today().isoformat()}
    return made | {"random_return": rows[0]["collect/return"], "curve": curve_of(rows)}


def recorded(config: str) -> dict[str, dict[str, dict]]:
    """The runs that the record holds, by mode and seed; none if they had other settings."""
    try:
        figures = json.loads((RESULTS / "jedi_modes.json").read_text())["figures"]
    except FileNotFoundError:
        return {mode: {} for mode in MODES}
    return figures["runs"] if figures["settings"] == config else {mode: {} for mode in MODES}


def write(runs: dict[str, dict[str, dict]], config: str) -> None:
    """The record of what there is."""
    runs = {mode: dict(sorted(by_seed.items())) for mode, by_seed in runs.items()}
    all_runs = [run for by_seed in runs.values() for run in by_seed.values()]
    random = sum(run["random_return"] for run in all_runs) / len(all_runs)
    several = len({(run["cpu"], run["commit"]) for run in all_runs}) > 1
    curves = {mode: {int(seed): run["curve"] for seed, run in by_seed.items()} for mode, by_seed in runs.items()}
    figures, claims = claims_of(curves, random, len(SEEDS), several)
    print(figures)
    print(record("jedi_modes", {"settings": config, **figures, "runs": runs}, claims))


def draw(curves: dict[str, dict[int, Curve]], random: float, path: Path) -> None:
    """Return over steps and over processor time, a thin line for each seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    for axes, (axis, label) in zip(
        figure.subplots(1, 2, sharey=True),
        (("env_steps", "environment steps"), ("minutes", "minutes of processor time")),
        strict=True,
    ):
        for colour, (mode, by_seed) in enumerate(curves.items()):
            for seed, curve in by_seed.items():
                axes.plot(
                    [point[axis] for point in curve], [point["return"] for point in curve], color=f"C{colour}", marker=".",
                    linewidth=1, label=mode if seed == 0 else None,
                )  # fmt: skip
        axes.axhline(random, color="gray", linestyle=":", label="random play")
        axes.set(xlabel=label, title="bricks: mean return of 100 games")
        axes.title.set_size(10)
        axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Train what is missing, record what is there, draw."""
    from jaxrl.jedi.train import train

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="of the runs")
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES, help="those to train in this call")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, choices=SEEDS, help="those to train in this call")
    parser.add_argument("--draw", type=Path, help="draw the curves into this PNG file")
    options = parser.parse_args()
    config = hashlib.sha256(json.dumps([to_dict(tiny("bricks", mode)) for mode in MODES], sort_keys=True).encode()).hexdigest()[
        :16
    ]
    steps = tiny("bricks").schedule.env_steps
    for seed in options.seeds:
        for mode in options.modes:
            if str(seed) in recorded(config)[mode]:
                continue
            folder = options.folder / f"{mode}-{seed}"
            if not train(replace(tiny("bricks", mode), seed=seed), folder).finished:
                raise SystemExit("stopped; the same command goes on, what was finished is recorded")
            runs = recorded(config)  # read anew: another process may have added its own
            runs[mode][str(seed)] = finished_run(folder, steps)
            write(runs, config)
    runs = recorded(config)
    missing = [f"{mode}-{seed}" for mode in MODES for seed in SEEDS if str(seed) not in runs[mode]]
    print("missing:", ", ".join(missing) or "nothing")
    if options.draw:
        curves = {mode: {int(seed): run["curve"] for seed, run in by_seed.items()} for mode, by_seed in runs.items()}
        every = [run["random_return"] for by_seed in runs.values() for run in by_seed.values()]
        draw(curves, sum(every) / len(every), options.draw)


if __name__ == "__main__":
    main()
