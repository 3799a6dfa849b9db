"""Straight-through estimators without noise in the backward pass."""

import jax

from quant.estimators import sample


def ste_identity(key: jax.Array, logits: jax.Array) -> sample.Sample:
    """Draw from softmax(logits); the gradient passes to the logits as it is (Bengio et al. 2013,
    arXiv 1308.3432, section 3).

    Args:
      key: typed PRNG key.
      logits: floating `[..., K]`.
    """
    wide = sample.widened(logits)
    index = sample.argmax(wide + sample.gumbel(key, wide))
    return sample.assemble(
        logits, wide, index, sample.zero_like(wide), jax.nn.softmax(wide, axis=-1)
    )


def ste_softmax(key: jax.Array, logits: jax.Array, tau: float | jax.Array = 1.0) -> sample.Sample:
    """Draw from softmax(logits); gradient J(p) G / tau with p = softmax(logits / tau).

    In expectation exact for losses that are linear in the value, if tau is 1 (Liu et al. 2023,
    arXiv 2304.08612, section 3).

    Args:
      key: typed PRNG key.
      logits: floating `[..., K]`.
      tau: temperature of the backward pass, above 0.
    """
    wide = sample.widened(logits)
    return ste_softmax_at(logits, sample.argmax(wide + sample.gumbel(key, wide)), tau)


def ste_softmax_at(
    logits: jax.Array, index: jax.Array, tau: float | jax.Array = 1.0
) -> sample.Sample:
    """`ste_softmax` with the draw given: `index`, int32 `[...]`."""
    sample.check_positive(tau=tau)
    wide = sample.widened(logits)
    soft = sample.tempered_softmax(wide, tau)
    return sample.assemble(
        logits, wide, index, sample.zero_with_softmax_jacobian(soft, wide / tau), soft
    )
