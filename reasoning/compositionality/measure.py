"""Compositionality of a network: a vector of measures, of which the structural ones count only if
the network fits.
"""

from typing import NamedTuple

import numpy as np

from reasoning.compositionality.structure import Structure

FIT = 0.95
"""R^2 below which a network is unfit: its score is 0, whatever its structure."""


class Measures(NamedTuple):
    """Measures of one network. Shares and correlations lie in [0, 1]."""

    mse: float
    """Mean squared error on fresh examples outside the corner, of the standardized target."""
    fit: float
    """R^2."""
    fits: bool
    """R^2 >= 0.95. Dead and constant networks never do."""
    alignment: float
    """A: mean over parts of the best |r| with a unit, where a unit of a layer serves one part."""
    read_out: float
    """P: mean over parts of the R^2 of the best linear read-out from one layer."""
    fracture: float
    """Fr: mean over parts of max(0, P - best r^2): information that is there, but split."""
    support: float
    """S: mean over parts of how well some unit keeps to the part's inputs."""
    redundancy: float
    """Rd: share of pairs of units that do the same."""
    entanglement: float
    """En: entropy of units over the parts of a level."""
    purity: float
    """Share of live units that see exactly the inputs of a part, or one input; from masks alone."""
    realised: float
    """Share of parts whose inputs some unit sees exactly."""
    gap: float
    """R^2 minus R^2 in the withheld corner of two sub-functions' values; NaN if nothing was
    withheld.
    """
    score: float
    """C = A (1 - Fr) S if it fits, else 0."""
    fan_in: float
    """Mean number of live inputs of a live unit."""
    live: int
    """Live units."""


NAMES = Measures._fields


def matched(r: np.ndarray) -> np.ndarray:
    """Best |r| of every part with a unit, `[L, W, V] -> [V]`: units and parts are matched one to
    one inside every layer (so that the sum is largest), and every part takes its best layer.
    """
    from scipy.optimize import linear_sum_assignment

    found = np.zeros(r.shape[2])
    for layer in r:
        units, parts = linear_sum_assignment(-layer)
        found[parts] = np.maximum(found[parts], layer[units, parts])
    return found


def finish(found: Structure, depth: int, withheld: bool, least_fit: float = FIT) -> Measures:
    """Compute the measures of one network from its statistics.

    Args:
      found: statistics as arrays on the host.
      depth: hidden layers of the network; further layers are not read.
      withheld: True if a corner was kept from training; else the gap is NaN.
      least_fit: R^2 from which the structural score counts.
    """
    r = np.nan_to_num(np.asarray(found.r, np.float64))[:depth]
    best = r.max((0, 1)) ** 2
    read_out = np.asarray(found.read_out, np.float64)
    alignment, support = float(matched(r).mean()), float(np.mean(found.support))
    fracture = float(np.maximum(0, read_out - best).mean())
    fit = float(found.fit)
    fits = bool(np.isfinite(fit) and fit >= least_fit and int(found.live) > 0)
    gap = fit - float(found.corner_fit) if withheld else float("nan")
    return Measures(
        float(found.mse),
        fit,
        fits,
        alignment,
        float(read_out.mean()),
        fracture,
        support,
        float(found.redundancy),
        float(found.entanglement),
        float(found.purity),
        float(found.realised),
        gap,
        alignment * (1 - fracture) * support if fits else 0.0,
        float(found.fan_in),
        int(found.live),
    )


def sentence(found: Measures) -> str:
    """Describe in words: unfit networks are called that, and nothing else."""
    if not found.fits:
        why = (
            "no unit lies on a path from an input to an output"
            if not found.live
            else f"R^2 is {found.fit:.3f}, below {FIT}"
        )
        return f"unfit ({why}): its structure says nothing, and its score is 0"
    return (
        f"fits (R^2 {found.fit:.4f}); compositionality score {found.score:.3f} = alignment "
        f"{found.alignment:.3f} x (1 - fracture "
        f"{found.fracture:.3f}) x support {found.support:.3f}; mean fan-in {found.fan_in:.2f}, "
        f"{found.live} live units"
    )
