"""Recovery, by a run on phantom radiographs, of the causes that were planted: the best pattern for
each, and whether the shortcut shows.
"""

from typing import NamedTuple

import numpy as np

from sae import metrics
from sae.data.phantom import FACTORS, Radiograph
from sae.patterns.attribution import without
from sae.pipeline.run import Run, explain_rows, probe_rows, step_catalogue, strengths_of


class Best(NamedTuple):
    """The pattern that tells a factor best."""

    pattern: int
    """Chosen on the cases that the catalogue was made from."""
    auroc: float
    """Area under the ROC curve on the test cases, which had no part in anything."""
    category: str


class Shortcut(NamedTuple):
    """Effect of the marker, which often accompanies effusions, on their logit."""

    patterns: tuple[int, ...]
    """Patterns that are artifacts and tell the marker with an AUROC of at least 0.75 on the cases
    of the catalogue.
    """
    category: str
    """Category of the first of them; "" if there is none."""
    rank: int
    """Place of the first among all patterns by mean |contribution| to the effusion's logit on
    marked radiographs, from 1.
    """
    moved: float
    """Mean change of that logit, on marked radiographs, when they are taken out of the sum."""
    flipped: float
    """Share of marked radiographs whose prediction (logit above 0 or not) changes by that."""


class Planted(NamedTuple):
    """Both answers."""

    best: dict[str, Best]
    shortcut: Shortcut


def judge_planted(
    run: Run, radiograph: Radiograph, finding: str = "Pleural Effusion", marker: str = "marker"
) -> Planted:
    """Judge a run by the causes of its radiographs.

    Args:
      run: a trained run on phantom data.
      radiograph: causes of its radiographs, in the order of its cases.
      finding: name of the finding whose logit the shortcut is measured on.
      marker: name of the factor that is the shortcut.
    """
    catalogue, present = step_catalogue(run), np.asarray(radiograph.present, bool)
    count, test = len(catalogue.patterns), run.parts["test"]
    chosen = metrics.aucs(catalogue.activations, present[probe_rows(run)])  # [P, factors]
    judged = metrics.aucs(
        strengths_of(run, run.x[test], catalogue.assignment, count), present[test]
    )
    best = {}
    for column, factor in enumerate(FACTORS):
        pattern = int(np.argmax(chosen[:, column]))
        best[factor] = Best(
            pattern, float(judged[pattern, column]), catalogue.patterns[pattern].category
        )
    return Planted(
        best,
        _shortcut(
            run,
            catalogue,
            chosen[:, FACTORS.index(marker)],
            test[present[test, FACTORS.index(marker)]],
            finding,
        ),
    )


def _shortcut(run, catalogue, telling, marked, finding):
    column = run.config.findings.index(finding)
    found, _ = explain_rows(run, catalogue, run.x[marked])
    weight = np.abs(found.patterns[:, :, column]).mean(0)
    suspects = [
        p.id for p in catalogue.patterns if p.category == "artifact" and telling[p.id] >= 0.75
    ]
    suspects.sort(key=lambda p: -weight[p])
    if not suspects:
        return Shortcut((), "", len(weight) + 1, 0.0, 0.0)
    before, after = found.logit[:, column], without(found, suspects)[:, column]
    rank = int((weight > weight[suspects[0]]).sum()) + 1
    flipped = float(((before > 0) != (after > 0)).mean())
    return Shortcut(
        tuple(suspects),
        catalogue.patterns[suspects[0]].category,
        rank,
        float((after - before).mean()),
        flipped,
    )
