"""Annotators, and the verification of their names."""

from typing import Any, NamedTuple, Protocol

import numpy as np

from jaxrl.app.old_names import attributes
from sae import metrics
from sae.patterns.exemplars import Gallery, halves


class Radiograph(NamedTuple):
    """One case as an annotator sees it."""

    name: str
    pixels: np.ndarray | None
    """uint8; None in path-only mode."""
    report: str
    """"" if there is none."""
    labels: dict[str, float]
    """1, 0, -1 or NaN by finding."""


class Annotator(Protocol):
    """Names galleries, and says whether a radiograph shows a name."""

    def name(self, radiographs: list[Radiograph]) -> str:
        """Name what these radiographs have in common, in a few words."""

    def verify(self, name: str, radiograph: Radiograph) -> bool | None:
        """Return whether the radiograph shows it; None where the annotator cannot say, which then
        does not count.
        """


class Verdict(NamedTuple):
    """Verification of a name: how well it separates radiographs with the pattern from radiographs
    without it.
    """

    name: str
    positives: int
    """Radiographs of the held-out half that it was said of."""
    accepted: int
    """Number of these of which the annotator says that they show the name."""
    negatives: int
    rejected: int
    """Number of negatives of which it says that they do not."""

    @property
    def accuracy(self) -> float:
        """Mean of the two shares: 0.5 for a name that says nothing, whatever it is; NaN without
        radiographs of both kinds.
        """
        if not self.positives or not self.negatives:
            return float("nan")
        return 0.5 * (self.accepted / self.positives + self.rejected / self.negatives)

    def record(self) -> dict[str, Any]:
        """JSON-ready, with Wilson's interval of the share that is right, and LanSE's measure, which
        counts positives only.
        """
        right, total = self.accepted + self.rejected, self.positives + self.negatives
        low, high = metrics.wilson(right, total)
        accuracy = self.accuracy
        return {
            "accuracy": None if np.isnan(accuracy) else round(accuracy, 4),
            "right": right,
            "asked": total,
            "low": round(low, 4),
            "high": round(high, 4),
            "lanse_accuracy": round(self.accepted / self.positives, 4) if self.positives else None,
        }


def examine(annotator: Annotator, found: Gallery, radiograph) -> Verdict:
    """Name one half of the strongest cases, verify on the other and on as many negatives.

    Args:
      annotator: see the protocol.
      found: the gallery.
      radiograph: makes a `Radiograph` of a row.
    """
    shown, held = halves(found)
    name = annotator.name([radiograph(row) for row in shown])
    if not name:
        return Verdict("", 0, 0, 0, 0)
    against = found.negatives[: max(len(held), 1)]

    def answers(rows):
        return [
            said
            for said in (annotator.verify(name, radiograph(row)) for row in rows)
            if said is not None
        ]

    here, there = answers(held), answers(against)
    return Verdict(name, len(here), sum(here), len(there), len(there) - sum(there))


__getattr__ = attributes(__name__, {"Film": f"{__name__}:Radiograph"})  # old names
