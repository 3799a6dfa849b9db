"""ReinMax: straight-through to second order."""

import jax

from quant.estimators import sample


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
