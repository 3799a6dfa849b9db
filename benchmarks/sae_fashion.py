"""The whole pipeline on an image network that is no phantom: Fashion-MNIST with a planted mark.

`python -m benchmarks.sae_fashion` writes the images (from Debian's dataset-fashion-mnist), trains
the small image network, head and members, and asks whether each class has patterns of its own,
whether the parts add up, and whether the mark, which accompanies one class in training and none in
the test, is found: as an artifact, or as what patterns of that class tell nearly as well.
"""

import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recording import Claim, record
from benchmarks.sae import read_settings
from sae import metrics
from sae.classifier.small_encoder import EncoderConfig
from sae.data.sets import fashion
from sae.data.sets.fashion import CLASSES, FashionConfig
from sae.patterns.attribution import without
from sae.patterns.leanings import suspects
from sae.pipeline import run as runs
from sae.pipeline.config import PRESETS
from sae.pipeline.embed import EmbedConfig, embed_source

LEAST_MARK = 0.7
"""Least AUROC for the mark on the test side, where it says nothing about the class, of patterns
that are taken out of the sum.
"""


@dataclass(frozen=True)
class Settings:
    """Sizes of the run."""

    path: str = fashion.DEBIAN
    """Folder of the four files of Fashion-MNIST."""
    train: int = 12_000
    """Images for training."""
    validate: int = 3000
    """Images that the catalogue is made from."""
    test: int = 3000
    """Images on which everything is measured."""
    marked: str = "Coat"
    """Class that the mark accompanies."""
    seed: int = 0
    """Seed of everything."""
    folder: str | None = None
    """Where images and run are kept; a temporary folder if not given."""
    write: bool = True
    """Record the figures."""


def measure(settings: Settings, folder: Path) -> dict[str, Any]:
    """Do all steps below a folder; figures, JSON-ready."""
    s, seconds = settings, {}

    def timed(name, step):
        began = time.process_time()
        made = step()
        seconds[name] = time.process_time() - began
        return made

    images = FashionConfig(
        str(folder / "images"), s.path, s.train, s.validate, s.test, s.marked, seed=s.seed
    )
    table = timed("images", lambda: fashion.write(images))
    out = folder / "fashion.npz"
    job = EmbedConfig(
        str(table),
        out=str(out),
        findings=CLASSES,
        acquisition=("mark",),
        seed=s.seed,
        encoder=EncoderConfig(size=32),
    )
    timed("embed", lambda: embed_source(job))
    config = replace(PRESETS["fashion"](), data=str(out), seed=s.seed)
    timed("train", lambda: runs.train(config, folder / "run"))
    run = runs.load(folder / "run")
    return {"seconds": seconds, **figures(run, s.marked)}


def figures(run: runs.Run, marked: str) -> dict[str, Any]:
    """Figures of a trained run, on its test side."""
    catalogue, test = runs.step_catalogue(run), run.parts["test"]
    found, gaps = runs.explain_rows(run, catalogue, run.x[test])
    labels = run.embedded.cases.labels[test]
    mark = run.embedded.cases.acquisition["mark"][test] == 1
    strong = runs.strengths_of(run, run.x[test], catalogue.assignment, len(catalogue.patterns))
    column = CLASSES.index(marked)
    found_out = [p.id for p in catalogue.patterns if p.category == "artifact"]
    for one in suspects(catalogue):
        found_out += one.patterns if (one.finding, one.kind) == (marked, "mark") else ()
    telling = metrics.aucs(strong[:, found_out], mark[:, None])[:, 0]
    pure = [p for p, area in zip(found_out, telling, strict=True) if area >= LEAST_MARK]
    reduced = without(found, pure)[:, column]
    change = reduced - found.logit[:, column]
    areas = metrics.aucs(strong, labels == 1)
    return {
        "patterns": len(catalogue.patterns),
        "accuracy": float((found.logit.argmax(1) == labels.argmax(1)).mean()),
        "auc": {
            name: metrics.auc(found.logit[:, c], labels[:, c]).value
            for c, name in enumerate(CLASSES)
        },
        "best_pattern_of_class": {
            name: float(np.nanmax(areas[:, c])) for c, name in enumerate(CLASSES)
        },
        "patterns_of_class": {
            name: sum(p.measures["purity"]["finding"] == name for p in catalogue.patterns)
            for name in CLASSES
        },
        "largest_gap": float(gaps.max()),
        "mark": {
            "patterns": len(found_out),
            "artifacts": sum(p.category == "artifact" for p in catalogue.patterns),
            "auroc": float(telling.max(initial=0)),
            "best_of_all_patterns": float(metrics.aucs(strong, mark[:, None]).max(initial=0)),
            "removed": len(pure),
            "change": float(change[mark].mean()),
            "change_unmarked": float(change[~mark].mean()),
            "auc": metrics.auc(found.logit[:, column], labels[:, column]).value,
            "auc_without": metrics.auc(reduced, labels[:, column]).value,
            "places": [catalogue.patterns[p].measures.get("evidence", "") for p in pure],
        },
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure and record."""
    settings = read_settings(Settings, "sae_fashion", arguments)
    with tempfile.TemporaryDirectory() as temporary:
        found = measure(settings, Path(settings.folder or temporary))
    title, mark = "sae: Fashion-MNIST", found["mark"]
    claims = [
        Claim(f"{title}: largest gap of the parts", 1e-5, "<=", found["largest_gap"]),
        Claim(
            f"{title}: lowest AUROC of a class's best pattern",
            0.8,
            ">=",
            min(found["best_pattern_of_class"].values()),
        ),
        Claim(
            f"{title}: patterns that are found out as the mark's (artifacts and suspects)",
            1,
            ">=",
            mark["patterns"],
        ),
        Claim(f"{title}: the best of them tells the mark, AUROC", 0.9, ">=", mark["auroc"]),
        Claim(
            f"{title}: logit of {settings.marked} on marked images without them",
            -0.5,
            "<=",
            mark["change"],
        ),
        Claim(
            f"{title}: gain of {settings.marked}'s AUC without them, where the mark says nothing",
            0.0,
            ">",
            mark["auc_without"] - mark["auc"],
        ),
    ]
    for claim in claims:
        print(f"{claim.claim}: {claim.measured} (goal {claim.direction} {claim.goal})")
    print(found)
    if settings.write:
        shown = settings.__dict__ | {"path": Path(settings.path).name, "folder": None}
        print(record("sae_fashion", {"settings": shown, "found": found}, claims))
    return 0


if __name__ == "__main__":
    sys.exit(main())
