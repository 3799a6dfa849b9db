"""Claims on the collapse and the GM-VQ study: `python -m benchmarks.quant_studies` writes
`results/quant_studies.json`.

Runs both studies with their presets `mixture` (5 seeds) and `digits` (3 seeds), some ten minutes on
two cores; cells that lie finished in `--folder` are not run again.
"""

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import command
from benchmarks.recording import Claim, record
from quant.studies.collapse import run as collapse
from quant.studies.collapse.config import CollapseConfig, mixture
from quant.studies.gmvq import run as gmvq
from quant.studies.gmvq.config import GMVQStudyConfig, digits


@dataclass(frozen=True)
class Settings:
    """Place of the studies."""

    folder: Path = Path("runs/benchmarks")
    """Parent of the run folders."""


Found = dict[str, dict[str, float]]
"""Means over seeds, by the name of a cell and of a measure."""


def means(folder: Path, names: list[str]) -> Found:
    """Mean measures of the cells of a finished study."""

    def read(name):
        return json.loads((folder / "results" / f"{name}.json").read_text())

    def number(values):
        return (
            isinstance(values, list)
            and values
            and all(isinstance(value, float) for value in values)
        )

    return {
        name: {key: float(np.mean(values)) for key, values in read(name).items() if number(values)}
        for name in names
    }


def collapse_claims(wide: Found, narrow: Found, seeds: int) -> list[Claim]:
    """Claims about cells named after their recipes; `narrow` has an encoder of width 2."""
    by_recipe = {name.rpartition("-")[2]: measures for name, measures in wide.items()}

    def ratio(measure, of, to):
        return by_recipe[of][measure] / by_recipe[to][measure]

    rank = max(measures["effective_rank"] for measures in narrow.values())
    what = "8-dimensional mixture, 256 codes"
    return [
        Claim(
            f"collapse, {what}: perplexity, deferred over untrained",
            5.0,
            ">=",
            ratio("perplexity", "deferred", "untrained"),
            seeds,
        ),
        Claim(
            f"collapse, {what}: MSE, deferred over untrained",
            0.5,
            "<=",
            ratio("mse", "deferred", "untrained"),
            seeds,
        ),
        Claim(
            f"collapse, {what}: perplexity, step-matched control over untrained",
            1.5,
            "<=",
            ratio("perplexity", "control", "untrained"),
            seeds,
        ),
        Claim(
            "collapse: effective rank of four features behind an encoder of width 2",
            2.01,
            "<=",
            rank,
            seeds,
        ),
    ]


def gmvq_claims(config: GMVQStudyConfig, found: Found) -> list[Claim]:
    """The paper's claim against all baselines, and the two bounds against each other where the KL
    weighs most.
    """
    cells = config.cells()

    def of(method, beta=config.betas[0]):
        return found[next(c.name for c in cells if c.method == method and c.beta == beta)]

    def best(measure, choose):
        return choose(of(method)[measure] for method in config.baselines)

    strong = max(config.betas)
    what = f"{config.data}, {config.codes} codes"
    return [
        Claim(
            f"GM-VQ, {what}: MSE over the best baseline's",
            1.0,
            "<=",
            of("gm-vq")["mse"] / best("mse", min),
            config.seeds,
        ),
        Claim(
            f"GM-VQ, {what}: perplexity over the best baseline's",
            1.0,
            ">=",
            of("gm-vq")["perplexity"] / best("perplexity", max),
            config.seeds,
        ),
        Claim(
            f"GM-VQ, {what}, beta {strong:g}: perplexity with the ALBO over the ELBO's",
            1.0,
            ">=",
            of("gm-vq", strong)["perplexity"] / of("gm-vq-elbo", strong)["perplexity"],
            config.seeds,
        ),
    ]


def names_of(config: CollapseConfig | GMVQStudyConfig) -> list[str]:
    """Names of its cells."""
    return [cell.name for cell in config.cells()]


def measure(settings: Settings) -> Path:
    """Run what is missing, and record."""
    wide, study = mixture(), digits()
    narrow = dataclasses.replace(wide, widths=(2,), recipes=("untrained",))
    for package, config, name in (
        (collapse, wide, "collapse"),
        (collapse, narrow, "collapse-narrow"),
        (gmvq, study, "gmvq"),
    ):
        package.run(config, settings.folder / name)
    found = {
        name: means(settings.folder / name, names_of(config))
        for name, config in (("collapse", wide), ("collapse-narrow", narrow), ("gmvq", study))
    }
    claims = collapse_claims(found["collapse"], found["collapse-narrow"], wide.seeds) + gmvq_claims(
        study, found["gmvq"]
    )
    for claim in claims:
        print(f"{claim.claim}: {claim.measured:.3g} (goal {claim.direction} {claim.goal:g})")
    return record("quant_studies", found, claims)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print the path of the record; 2 if refused."""
    return command.run("quant_studies", Settings, measure, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
