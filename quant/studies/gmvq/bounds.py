"""The closed-form demonstration that the ALBO is no bound, as a table: one code, z ~ N(0, 1), x =
0, x | z ~ N(z, 0.01).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from quant.studies.gmvq import elbo as bounds

VARIANCE = 0.01
"""Variance of x given z."""


class Bounds(NamedTuple):
    """Over the spread of q(z|x) `[V]`, in nats."""

    spread: np.ndarray
    albo: np.ndarray
    elbo: np.ndarray
    evidence: float


def bounds_over_spread() -> Bounds:
    """ALBO, ELBO and log p(x) at x = 0 for q(z|x) = N(0, spread)."""
    zero = jnp.zeros(1)
    spread = jnp.concatenate(
        [jnp.logspace(-6, 0, 49), jnp.array([VARIANCE / (1 + VARIANCE)])]
    ).sort()

    def over(bound):
        return np.asarray(jax.vmap(lambda v: bound(zero, zero, v, VARIANCE))(spread))

    return Bounds(
        np.asarray(spread),
        over(bounds.albo),
        over(bounds.elbo),
        float(bounds.log_evidence(zero, VARIANCE)),
    )


def table_of_bounds() -> list[str]:
    """Lines of Markdown."""
    found = bounds_over_spread()
    above = found.spread[found.albo > found.evidence].max()
    narrow, best = 0, int(found.elbo.argmax())
    return [
        f"One code, z ~ N(0, 1), x given z ~ N(z, {VARIANCE}), x = 0: log p(x) = "
        f"{found.evidence:.3f}.",
        "",
        "| spread of q(z given x) | ALBO | ELBO |",
        "|---|---|---|",
        *(
            f"| {found.spread[i]:.2g} | {found.albo[i]:.3f} | {found.elbo[i]:.3f} |"
            for i in (narrow, best, len(found.spread) - 1)
        ),
        "",
        f"The ALBO lies above log p(x) for every spread up to {above:.2g}; the ELBO never does, "
        "and meets it at the true posterior.",
    ]
