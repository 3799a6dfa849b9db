"""ReinMax: straight-through to second order, and its form averaged over Gumbel noise."""

import jax
import jax.numpy as jnp

from quant.estimators import sample
from quant.estimators.gumbel_rao import conditional_jacobian


def reinmax(key: jax.Array, logits: jax.Array, tau: float | jax.Array = 1.0) -> sample.Sample:
    """Draw D from p = softmax(l); gradient 2 J((q + D) / 2) G - J(p) G / 2 with q = softmax(l /
    tau).

    Liu et al. 2023, arXiv 2304.08612, algorithm 2. With tau = 1 it is exact in expectation for
    losses quadratic in the value.

    Args:
      key: typed PRNG key.
      logits: floating `[..., K]`.
      tau: temperature of q, above 0; the paper advises 1 or more.
    """
    wide = sample.widened(logits)
    return reinmax_at(logits, sample.argmax(wide + sample.gumbel(key, wide)), tau)


def reinmax_at(logits: jax.Array, index: jax.Array, tau: float | jax.Array = 1.0) -> sample.Sample:
    """`reinmax` with the draw given: `index`, int32 `[...]`."""
    sample.check_positive(tau=tau)
    wide = sample.widened(logits)
    middle = (sample.tempered_softmax(wide, tau) + sample.one_hot(index, wide)) / 2
    first_order = sample.zero_with_softmax_jacobian(jax.nn.softmax(wide, axis=-1), wide)
    gradient = 2 * sample.zero_with_softmax_jacobian(middle, wide) - first_order / 2
    return sample.assemble(logits, wide, index, gradient, middle)


def reinmax_rao(
    key: jax.Array, logits: jax.Array, tau: float | jax.Array = 1.0, draws: int = 10
) -> sample.Sample:
    """ReinMax with its middle point blurred by Gumbel noise: 2 R G - J(p) G / 2, where R is the
    mean of J(softmax((ln((p + D) / 2) + g) / tau)) / tau over noise g that makes D the largest
    (Wang and Bui 2026, arXiv 2603.08257; from their program, as we could not read the equations).

    It trades exactness for losses quadratic in the value, which `reinmax` has, for less variance.

    Args:
      key: typed PRNG key.
      logits: floating `[..., K]`.
      tau: temperature, above 0; higher ones have less variance.
      draws: how many noises are averaged over, at least 1. Costs no evaluations of the loss.
    """
    sample.check_positive(tau=tau, draws=draws)
    wide = sample.widened(logits)
    first, rest = jax.random.split(key)
    index = sample.argmax(wide + sample.gumbel(first, wide))
    probs = sample.tempered_softmax(jax.lax.stop_gradient(wide), 1.0)
    middle = jnp.log((probs + sample.one_hot(index, wide)) / 2)
    averaged, soft = conditional_jacobian(rest, (middle, wide), index, tau, draws)
    gradient = 2 * averaged - sample.zero_with_softmax_jacobian(probs, wide) / 2
    return sample.assemble(logits, wide, index, gradient, soft)
