"""Return lost by cheaper encoders. `python -m benchmarks.encoder_quality --folder RUNS
[--kinds patch] [--seeds 0 1]`.

Trains preset `tiny` on `catch` with each kind of encoder and every seed, all else equal, and
compares the returns (100 games) after the same number of environment steps: at the end, and
averaged over all evaluations, which also sees who learns first. Finished runs are recorded one by
one, as in `jedi_modes`.
"""

from dataclasses import replace

from benchmarks import run_by_run
from benchmarks.recording import Claim, record
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.presets import tiny

KINDS = ("local", "patch", "conv")
"""Kinds of encoders: that of the preset; the one that is cheap in memory; the one of `atari100k`.
"""
SEEDS = (0, 1, 2)
LOSS = 0.1
"""Return that a cheaper encoder may lose and still count as equal: returns go from -1 to 1; our
choice.
"""


def config_for(kind: str) -> JediConfig:
    """The preset with another encoder."""
    config = tiny("catch")
    return replace(
        config, agent=replace(config.agent, encoder=replace(config.agent.encoder, kind=kind))
    )


def summary(curves: dict[int, run_by_run.Curve]) -> dict[str, list[float]]:
    """By seed: return at the end, mean over the evaluations, minutes of processor time."""
    return {
        "last_return": [curve[-1]["return"] for curve in curves.values()],
        "mean_return": [
            sum(point["return"] for point in curve) / len(curve) for curve in curves.values()
        ],
        "minutes": [curve[-1]["minutes"] for curve in curves.values()],
    }


def claims_of(figures: dict[str, dict[str, list[float]]], seeds: int) -> list[Claim]:
    """Patches against each of the others, once all seeds are there."""

    def mean(kind, name):
        return sum(figures[kind][name]) / seeds

    def whole(kind):
        return len(figures[kind]["last_return"]) == seeds

    return [
        Claim(
            f"catch: {what} with encoder patch minus that with {other}",
            -LOSS,
            ">=",
            mean("patch", name) - mean(other, name) if whole("patch") and whole(other) else None,
            seeds,
        )
        for other in KINDS
        if other != "patch"
        for name, what in (
            ("last_return", "return at the end"),
            ("mean_return", "mean return of all evaluations"),
        )
    ]


def write(runs: run_by_run.Runs, settings: str) -> None:
    """The record of what there is."""
    runs = {kind: runs.get(kind, {}) for kind in KINDS}
    figures = {kind: summary(curves) for kind, curves in run_by_run.curves_of(runs).items()}
    print(figures)
    figures = {
        "settings": settings,
        "random_return": run_by_run.random_return(runs),
        **figures,
        "runs": runs,
    }
    print(record("encoder_quality", figures, claims_of(figures, len(SEEDS))))


def main() -> None:
    """Train what is missing, record what is there."""
    options = run_by_run.parser_of_runs(__doc__, "--kinds", KINDS, SEEDS).parse_args()
    configs = {kind: config_for(kind) for kind in KINDS}
    run_by_run.train_chosen("encoder_quality", configs, options.kinds, options, write, SEEDS)


if __name__ == "__main__":
    main()
