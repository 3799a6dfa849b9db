"""Gapped straight-through: logits moved without noise so that the drawn one is largest by
a margin.
"""

from typing import Literal

import jax
import jax.numpy as jnp

from quant.estimators import sample

NEAREST_TO_ONE = 1e-5
"""Our choice: probabilities are kept this far below 1 in the gap "p", whose logarithm diverges
there.
"""


def gst(
    key: jax.Array, logits: jax.Array, tau: float | jax.Array = 1.0, gap: float | Literal["p"] = 1.0
) -> sample.Sample:
    """Gapped straight-through (Fan et al. 2022, arXiv 2206.07235, section 4).

    Draw D from softmax(l). Backward J(softmax(l' / tau)) G / tau at logits l' that agree with the
    draw: l'_D is raised to the largest logit m, and all others are lowered to at most m - gap. The
    moves take no gradient.

    Args:
      key: typed PRNG key.
      logits: floating `[..., K]`.
      tau: temperature, above 0.
      gap: the margin, above 0; or "p": -ln(1 - p) / p with p the probability of the draw.
    """
    wide = sample.widened(logits)
    return gst_at(logits, sample.argmax(wide + sample.gumbel(key, wide)), tau, gap)


def gst_at(
    logits: jax.Array,
    index: jax.Array,
    tau: float | jax.Array = 1.0,
    gap: float | Literal["p"] = 1.0,
) -> sample.Sample:
    """`gst` with the draw given.

    Args:
      logits: floating `[..., K]`.
      index: int32 `[...]`, the category drawn, 0..K-1.
      tau: temperature of the relaxed value, above 0.
      gap: see `gst`.
    """
    sample.check_positive(tau=tau)
    if not (isinstance(gap, str) and gap == "p"):
        sample.check_positive(gap=gap)
    wide = sample.widened(logits)
    soft = sample.tempered_softmax(moved(wide, index, gap), tau)
    return sample.assemble(
        logits, wide, index, sample.zero_with_softmax_jacobian(soft, wide / tau), soft
    )


def moved(logits: jax.Array, index: jax.Array, gap: float | Literal["p"]) -> jax.Array:
    """The logits l' of `gst`, `[..., K]`, without gradient."""
    logits = jax.lax.stop_gradient(logits)
    chosen, broken = sample.one_hot(index, logits), jnp.isnan(logits).any(-1, keepdims=True)
    largest = jnp.where(
        broken, jnp.nan, logits.max(-1, keepdims=True)
    )  # XLA's maximum may lose a NaN
    if isinstance(gap, str):
        p = (chosen * jax.nn.softmax(logits, axis=-1)).sum(-1, keepdims=True)
        gap = -jnp.log1p(-jnp.minimum(p, 1 - NEAREST_TO_ONE)) / jnp.maximum(p, NEAREST_TO_ONE)
    return jnp.where(
        chosen > 0, jnp.broadcast_to(largest, logits.shape), jnp.minimum(logits, largest - gap)
    )
