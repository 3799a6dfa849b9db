"""Do all three modes learn bricks, and which is first? `python -m benchmarks.jedi_modes --folder
RUNS [--modes jedi] [--seeds 0 1]`.

Trains every mode with every seed, one after the other, in `RUNS/MODE-SEED`; a folder that was begun
is continued, so that the work can be cut into several calls, or spread over cores with `--modes`
and `--seeds`. Each finished run's curve goes into the record at once, with its machine and commit,
and is not trained again even if its folder is gone: the runs may be made on several days. When all
runs are there, the returns (100 games) after equal numbers of steps and after equal processor time
are claimed; until then the claims say "not run". Processor time, not wall time: on a core of its
own they are the same, and a neighbor on the machine does not change it by much.

All modes have the preset's frames of 12 pixels a side (the game has 10 x 10 cells), the pixel mode
as they are, the others as latents of 6 x 6 x 16.
"""

from pathlib import Path
from typing import get_args

from benchmarks.recording import Claim, record
from benchmarks.run_by_run import (
    Curve,
    Runs,
    curves_of,
    parser_of_runs,
    random_return,
    train_chosen,
)
from jaxrl.jedi.config import Mode
from jaxrl.jedi.presets import tiny

MODES = get_args(Mode)
SEEDS = (0, 1, 2)
GAIN = 2.0
"""Rewards above random play that count as having learned; our choice. Random play has -1.9, an
untouched wall 0 or less.
"""


def return_at(curve: Curve, axis: str, limit: float, before: float) -> float:
    """Return of the last evaluation up to a limit.

    Args:
      curve: evaluations, in order.
      axis: name of the axis, a key of each point.
      limit: largest value on the axis.
      before: return of random play, for a curve without such an evaluation.
    """
    return max(
        ((point[axis], point["return"]) for point in curve if point[axis] <= limit),
        default=(0, before),
    )[1]


def claims_of(
    curves: dict[str, dict[int, Curve]], random: float, seeds: int, several: bool = False
) -> tuple[dict, list[Claim]]:
    """Claims from the curves: `(figures, claims)`; where a run is missing, nothing is measured yet.

    Args:
      curves: of each mode and seed.
      random: mean return of random play.
      seeds: how many each mode should have.
      several: the runs were made on several machines or commits, so that their processor times are
        not quite the same thing.
    """

    def mean(values):
        return sum(values) / len(values)

    whole = {mode: len(by_seed) == seeds for mode, by_seed in curves.items()}
    last = {
        mode: [curve[-1]["return"] for curve in by_seed.values()]
        for mode, by_seed in curves.items()
    }
    minutes = {
        mode: mean([curve[-1]["minutes"] for curve in by_seed.values()])
        for mode, by_seed in curves.items()
        if by_seed
    }
    at_time = (
        {
            mode: [
                return_at(curve, "minutes", minutes["jedi"], random) for curve in by_seed.values()
            ]
            for mode, by_seed in curves.items()
        }
        if whole["jedi"]
        else {}
    )
    learned = [
        Claim(
            f"bricks, mode {mode}: seeds whose return ends at least {GAIN} above random play",
            seeds,
            ">=",
            sum(score - random >= GAIN for score in last[mode]) if whole[mode] else None,
            seeds,
        )
        for mode in curves
    ]
    note = " (of several machines or commits)" if several else ""
    ahead = [
        Claim(
            f"bricks: mean return of jedi minus that of {mode} after equal {what}",
            0.0,
            ">",
            mean(found["jedi"]) - mean(found[mode]) if whole["jedi"] and whole[mode] else None,
            seeds,
        )
        for mode in curves
        if mode != "jedi"
        for what, found in (("environment steps", last), (f"processor time{note}", at_time))
    ]
    figures = {
        "random_return": random,
        "return_after_all_steps": last,
        "return_after_jedis_time": at_time,
        "minutes": minutes,
    }
    return figures, learned + ahead


def write(runs: Runs, settings: str) -> None:
    """The record of what there is."""
    runs = {mode: runs.get(mode, {}) for mode in MODES}
    several = (
        len({(run["cpu"], run["commit"]) for by_seed in runs.values() for run in by_seed.values()})
        > 1
    )
    figures, claims = claims_of(curves_of(runs), random_return(runs), len(SEEDS), several)
    print(figures)
    print(record("jedi_modes", {"settings": settings, **figures, "runs": runs}, claims))


def draw(curves: dict[str, dict[int, Curve]], random: float, path: Path) -> None:
    """Return over steps and over processor time, a thin line for each seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    for axes, (axis, label) in zip(
        figure.subplots(1, 2, sharey=True),
        (("env_steps", "environment steps"), ("minutes", "minutes of processor time")),
        strict=True,
    ):
        for color, (mode, by_seed) in enumerate(curves.items()):
            for seed, curve in by_seed.items():
                axes.plot(
                    [point[axis] for point in curve],
                    [point["return"] for point in curve],
                    color=f"C{color}",
                    marker=".",
                    linewidth=1,
                    label=mode if seed == 0 else None,
                )
        axes.axhline(random, color="gray", linestyle=":", label="random play")
        axes.set(xlabel=label, title="bricks: mean return of 100 games")
        axes.title.set_size(10)
        axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="upper left")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Train what is missing, record what is there, draw."""
    parser = parser_of_runs(__doc__, "--modes", MODES, SEEDS)
    parser.add_argument("--draw", type=Path, help="draw the curves into this PNG file")
    options = parser.parse_args()
    configs = {mode: tiny("bricks", mode) for mode in MODES}
    runs = train_chosen("jedi_modes", configs, options.modes, options, write, SEEDS)
    if options.draw:
        draw(curves_of(runs), random_return(runs), options.draw)


if __name__ == "__main__":
    main()
