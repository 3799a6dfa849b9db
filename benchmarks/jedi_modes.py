"""Do all three modes learn bricks, and which is first? `python -m benchmarks.jedi_modes --folder RUNS [--modes jedi separate] [--seeds 3]`.

Trains every mode with every seed, one after the other, in `RUNS/MODE-SEED`; a folder that was begun is gone on with, so that the work
can be cut into several calls, or spread over cores with `--modes`. When all runs are there, the returns (100 games) after equal numbers
of steps and after equal processor time are recorded. Processor time, not wall time: on a core of its own they are the same, and a
neighbour on the machine does not change it by much.

All modes have the preset's frames of 12 pixels a side (the game has 10 x 10 cells), the pixel mode as they are, the others as latents of
6 x 6 x 16.
"""

import argparse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import get_args

from benchmarks.recording import Claim, record
from jaxrl.jedi.config import Mode
from jaxrl.jedi.presets import tiny

MODES = get_args(Mode)
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


def claims_of(curves: dict[str, dict[int, Curve]], random: float) -> tuple[dict, list[Claim]]:
    """What the curves say: `(figures, claims)`.

    Args:
      curves: of each mode and seed.
      random: mean return of random play.
    """
    mean = lambda values: sum(values) / len(values)
    seeds = len(next(iter(curves.values())))
    last = {mode: [curve[-1]["return"] for curve in by_seed.values()] for mode, by_seed in curves.items()}
    minutes = {mode: mean([curve[-1]["minutes"] for curve in by_seed.values()]) for mode, by_seed in curves.items()}
    at_time = {
        mode: [return_at(curve, "minutes", minutes["jedi"], random) for curve in by_seed.values()]
        for mode, by_seed in curves.items()
    }
    learned = [
        Claim(f"bricks, mode {mode}: seeds whose return ends at least {GAIN} above random play", seeds, ">=",
              sum(score - random >= GAIN for score in last[mode]), seeds)
        for mode in curves
    ]  # fmt: skip
    ahead = [
        Claim(f"bricks: mean return of jedi minus that of {mode} after equal {what}", 0.0, ">",
              mean(found["jedi"]) - mean(found[mode]), seeds)
        for mode in curves if mode != "jedi"
        for what, found in (("environment steps", last), ("processor time", at_time))
    ]  # fmt: skip
    figures = {"random_return": random, "return_after_all_steps": last, "return_after_jedis_time": at_time, "minutes": minutes}
    return figures, learned + ahead


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
    """Train what is missing; with everything there, record and draw."""
    from jaxrl.jedi.train import train
    from jaxrl.train.metrics import read_metrics

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="of the runs")
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES, help="those to train in this call")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--draw", type=Path, help="draw the curves into this PNG file")
    options = parser.parse_args()
    for seed in range(options.seeds):
        for mode in options.modes:
            if not train(replace(tiny("bricks", mode), seed=seed), options.folder / f"{mode}-{seed}").finished:
                raise SystemExit("stopped; the same command goes on, nothing is recorded")
    runs = {mode: {seed: options.folder / f"{mode}-{seed}" for seed in range(options.seeds)} for mode in MODES}
    rows = {mode: {seed: read_metrics(run) for seed, run in by_seed.items()} for mode, by_seed in runs.items()}
    steps = tiny("bricks").schedule.env_steps
    missing = [
        f"{mode}-{seed}" for mode in MODES for seed, found in rows[mode].items() if not found or found[-1]["env_steps"] < steps
    ]
    if missing:
        print("not finished, so nothing is recorded:", ", ".join(missing))
        return
    curves = {mode: {seed: curve_of(found) for seed, found in by_seed.items()} for mode, by_seed in rows.items()}
    first_rows = [found[0]["collect/return"] for by_seed in rows.values() for found in by_seed.values()]
    random = sum(first_rows) / len(first_rows)
    figures, claims = claims_of(curves, random)
    print(figures)
    record("jedi_modes", figures | {"curves": curves}, claims)
    if options.draw:
        draw(curves, random, options.draw)


if __name__ == "__main__":
    main()
