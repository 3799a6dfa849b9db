"""Claims on the studies: `python -m benchmarks.quant_studies` writes `results/quant_studies.json`.

Runs the collapse study with its preset `mixture` (5 seeds) and the GM-VQ study with `digits` (3
seeds), some half an hour on two cores. With `--data fashion_mnist` all three studies run with their
presets of that name (3 seeds, real images, sizes for one core), and each writes a record of its own
(`quant_studies-fashion_mnist-STUDY.json`); `--studies` names those to run. Cells that lie finished
in `--folder` are not run again, so a run that was interrupted continues with the next cell.
"""

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from benchmarks import command
from benchmarks.recording import Claim, record
from quant.studies.collapse import run as collapse
from quant.studies.collapse.config import CollapseConfig, mixture
from quant.studies.collapse.config import fashion_mnist as collapse_fashion
from quant.studies.estimators import run as estimators
from quant.studies.estimators.config import StudyConfig
from quant.studies.estimators.config import fashion_mnist as estimators_fashion
from quant.studies.estimators.config import fashion_mnist_large as estimators_fashion_large
from quant.studies.estimators.report import KINDS, ranking, verdict_of
from quant.studies.gmvq import run as gmvq
from quant.studies.gmvq.config import GMVQStudyConfig, digits
from quant.studies.gmvq.config import fashion_mnist as gmvq_fashion

StudyName = Literal["collapse", "gmvq", "estimators", "estimators_large"]


@dataclass(frozen=True)
class Settings:
    """Place of the studies, and which of them."""

    folder: Path = Path("runs/benchmarks")
    """Parent of the run folders."""
    data: Literal["small", "fashion_mnist"] = "small"
    """small: the mixture and the digits; fashion_mnist: real images."""
    studies: tuple[StudyName, ...] = get_args(StudyName)
    """Studies on fashion_mnist, one after the other; estimators_large: with 16 variables of 16
    categories.
    """


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
    """The paper's claim against all baselines and against those without a heuristic for dead codes,
    and the two bounds against each other where the KL weighs most.
    """
    cells = config.cells()

    def of(method, beta=config.betas[0]):
        return found[next(c.name for c in cells if c.method == method and c.beta == beta)]

    def best(measure, choose, names):
        return choose(of(method)[measure] for method in names)

    strong = max(config.betas)
    what = f"{config.data}, {config.codes} codes"
    claims = []
    for which, names in {
        "best baseline's": config.baselines,
        "best one's without a heuristic for dead codes": [
            name for name in config.baselines if name != "vq-restart"
        ],
    }.items():
        claims += [
            Claim(
                f"GM-VQ, {what}: MSE over the {which}",
                1.0,
                "<=",
                of("gm-vq")["mse"] / best("mse", min, names),
                config.seeds,
            ),
            Claim(
                f"GM-VQ, {what}: perplexity over the {which}",
                1.0,
                ">=",
                of("gm-vq")["perplexity"] / best("perplexity", max, names),
                config.seeds,
            ),
        ]
    return [
        *claims,
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


def fashion_collapse_claims(config: CollapseConfig, found: Found) -> list[Claim]:
    """Each cure against its absence, and both against neither."""
    narrow, wide = min(config.widths), max(config.widths)

    def of(width, recipe):
        named = (c for c in config.cells() if (c.width, c.recipe) == (width, recipe))
        return found[next(named).name]

    def claim(what, goal, side, measured):
        return Claim(f"collapse, {config.data}: {what}", goal, side, measured, config.seeds)

    plain, cured = of(wide, "untrained"), of(wide, "deferred")
    return [
        claim(
            "perplexity, deferred over untrained",
            1.0,
            ">=",
            cured["perplexity"] / plain["perplexity"],
        ),
        claim("MSE, deferred over untrained", 1.0, "<=", cured["mse"] / plain["mse"]),
        claim(
            "MSE, deferred over the step-matched control",
            1.0,
            "<=",
            cured["mse"] / of(wide, "control")["mse"],
        ),
        claim(
            f"effective rank, encoder of width {wide} over {narrow}",
            1.0,
            ">=",
            cured["effective_rank"] / of(narrow, "deferred")["effective_rank"],
        ),
        claim(
            "MSE, both cures over neither", 1.0, "<=", cured["mse"] / of(narrow, "untrained")["mse"]
        ),
    ]


def estimator_claims(config: StudyConfig, found: dict[str, Any]) -> list[Claim]:
    """Unequal temperatures against equal ones, and ReinMax against the others."""
    claims = []
    for task, result in found.items():
        what = (
            f"estimators, {config.data}, {task} of {config.vae.categories}^{config.vae.variables}"
        )
        for kind, label in KINDS.items():
            claims.append(
                Claim(
                    f"{what}: nats that unequal temperatures gain, {label} (low end of 95 %)",
                    0.0,
                    ">=",
                    float(verdict_of(result, kind).gain.low),
                    config.seeds,
                )
            )
        losses = {name: interval.mean for name, interval, _ in ranking(result)}
        others = [name for name in losses if not name.startswith("reinmax")]
        claims.append(
            Claim(
                f"{what}: best other estimator's loss less that of ReinMax, nats",
                0.0,
                ">=",
                float(min(losses[name] for name in others) - losses["reinmax"]),
                config.seeds,
            )
        )
    return claims


def measure(settings: Settings) -> Path:
    """Run what is missing, and record; the path of the last record."""
    if settings.data == "small":
        return measure_small(settings)
    path = settings.folder
    for study in settings.studies:
        path = measure_fashion(settings, study)
    return path


def measure_fashion(settings: Settings, study: StudyName) -> Path:
    """One study on Fashion-MNIST."""
    folder = settings.folder / f"fashion_mnist-{study}"
    if study == "collapse":
        config = collapse_fashion()
        collapse.run(config, folder)
        found = means(folder, names_of(config))
        claims = fashion_collapse_claims(config, found)
    elif study == "gmvq":
        config = gmvq_fashion()
        gmvq.run(config, folder)
        found = means(folder, names_of(config))
        claims = gmvq_claims(config, found)
    else:
        config = estimators_fashion() if study == "estimators" else estimators_fashion_large()
        estimators.run(config, folder)
        found = {
            task: json.loads((folder / "results" / f"{task}.json").read_text())
            for task in config.tasks
        }
        claims = estimator_claims(config, found)
    say(claims)
    return record(f"quant_studies-fashion_mnist-{study}", found, claims)


def say(claims: list[Claim]) -> None:
    """Print each claim with what was measured."""
    for claim in claims:
        print(f"{claim.claim}: {claim.measured:.3g} (goal {claim.direction} {claim.goal:g})")


def measure_small(settings: Settings) -> Path:
    """The mixture and the digits."""
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
    say(claims)
    return record("quant_studies", found, claims)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print the path of the record; 2 if refused."""
    return command.run("quant_studies", Settings, measure, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
