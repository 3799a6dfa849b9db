"""The answers of a sweep: `python -m benchmarks.compositionality_sweep --run-dir FOLDER` runs what
is missing of a preset there, and writes `results/compositionality_sweep_PRESET.json`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks import command
from benchmarks.recording import Claim, record
from jaxrl.app.errors import UserError
from reasoning.compositionality.study.config import DENSE, PRESETS, SweepConfig
from reasoning.compositionality.study.report import pruners
from reasoning.compositionality.study.results import read_rows
from reasoning.compositionality.study.run import run
from reasoning.compositionality.study.verdict import (
    RESAMPLES,
    difference,
    grid,
    interval,
    over_density,
    over_depth,
    peak,
)


@dataclass(frozen=True)
class Settings:
    """Settings of the measurement."""

    preset: str = "tiny"
    """Preset of `reasoning.compositionality sweep`."""
    run_dir: str = "runs/compositionality/tiny-seed0"
    """Folder of the run; what it holds already is not trained again."""


def compared(config: SweepConfig, rows: list[dict], target: str) -> dict:
    """Best scores, peaks and differences at equal density, depth and training, of one target."""
    found = {}
    for pruner in pruners(config):
        scores = grid(rows, config, target, pruner)
        if pruner != DENSE:
            scores = scores[[i for i, rho in enumerate(config.densities) if rho < 1]]
        means = scores.mean(-1)
        means[means != means] = -1.0
        best = scores.reshape(-1, scores.shape[-1])[means.argmax()]
        depth = peak(over_depth(rows, config, target, pruner), list(config.depths))
        found[pruner] = {"best_score": interval(best)._asdict(), "depth": depth._asdict()}
        if pruner not in (DENSE, "oracle"):
            over = peak(over_density(rows, config, target, pruner), list(config.densities))
            found[pruner]["density"] = over._asdict()
    for other in ("magnitude", "random"):
        for measure in ("score", "fit"):
            apart = difference(rows, config, target, "share", other, measure)
            found[f"share_minus_{other}_{measure}"] = apart._asdict()
    return found


def measure(settings: Settings) -> Path:
    """Run what is missing, print the answer, and write the record; returns its path.

    Raises:
      UserError: an unknown preset, or one without share, magnitude and random.
    """
    if settings.preset not in PRESETS:
        raise UserError(f"--preset {settings.preset}: choose one of {', '.join(PRESETS)}")
    config = PRESETS[settings.preset]()
    page, lead = run(config, settings.run_dir)
    print(lead)
    rows = read_rows(page.parents[1] / "results", config)
    targets = {name: compared(config, rows, name) for name in config.targets}
    figures = {
        "preset": settings.preset,
        "networks": len(rows),
        "seeds": config.seeds,
        "resamples": RESAMPLES,
        "answer": lead,
        "targets": targets,
    }
    return record(
        f"compositionality_sweep_{settings.preset}", figures, claims(targets, config.seeds)
    )


def claims(targets: dict[str, dict], seeds: int) -> list[Claim]:
    """Lower ends of the intervals: above zero, share is better at equal density and training."""
    return [
        Claim(
            f"compositionality, {name}: score of share minus that of {other}, all sparse settings, "
            f"{_shown(found)}, lower end",
            0.0,
            ">",
            round(found["low"], 4),
            seeds,
        )
        for name, each in targets.items()
        for other in ("magnitude", "random")
        for found in [each[f"share_minus_{other}_score"]]
    ]


def _shown(found: dict) -> str:
    return f"{found['mean']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def main(arguments: list[str] | None = None) -> int:
    """Measure and print the path of the result; 2 if refused."""
    return command.run("compositionality_sweep", Settings, measure, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
