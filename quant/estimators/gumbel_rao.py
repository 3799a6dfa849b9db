"""Gumbel-Rao: straight-through Gumbel-softmax, averaged over the noise that leaves the draw as it
is.
"""

import jax
import jax.numpy as jnp

from quant.estimators import sample


def conditional_scores(noise: jax.Array, logits: jax.Array, index: jax.Array) -> jax.Array:
    """Perturbed logits l + g, given that `index` is the largest of them (Paulus et al. 2021, arXiv
    2010.04838, section 3).

    With Z = sum exp l and independent standard Gumbel numbers: the largest is T = noise + ln Z;
    another one is -ln(exp(-noise - l) + exp(-T)). Differentiable in the logits.

    Args:
      noise: standard Gumbel numbers `[..., K]`.
      logits: `[..., K]`, finite where a gradient is wanted.
      index: int32 `[...]`.
    """
    chosen = sample.one_hot(index, logits)
    largest = (chosen * noise).sum(-1, keepdims=True) + jax.nn.logsumexp(
        logits, axis=-1, keepdims=True
    )
    others = -jnp.logaddexp(-noise - logits, jnp.broadcast_to(-largest, logits.shape))
    return jnp.where(chosen > 0, jnp.broadcast_to(largest, logits.shape), others)


def gr_mck(
    key: jax.Array, logits: jax.Array, tau: float | jax.Array = 1.0, draws: int = 10
) -> sample.Sample:
    """Gumbel-Rao, Monte Carlo with `draws` draws (Paulus et al. 2021, arXiv 2010.04838, equation
    9).

    One index from softmax(l); then the gradient of straight-through Gumbel-softmax, averaged over
    noise drawn given that index. Its expectation is that of `st_gs`, its variance at most as large.

    Args:
      key: typed PRNG key.
      logits: floating `[..., K]`.
      tau: temperature, above 0.
      draws: how many noises are averaged over, at least 1. Costs no evaluations of the loss.
    """
    sample.check_positive(tau=tau, draws=draws)
    wide = sample.widened(logits)
    first, rest = jax.random.split(key)
    index = sample.argmax(wide + sample.gumbel(first, wide))
    gradient, soft = conditional_jacobian(
        rest, (jax.lax.stop_gradient(wide), wide), index, tau, draws
    )
    return sample.assemble(logits, wide, index, gradient, soft)


def conditional_jacobian(
    key: jax.Array,
    scores: tuple[jax.Array, jax.Array],
    index: jax.Array,
    tau: float | jax.Array,
    draws: int,
) -> tuple[jax.Array, jax.Array]:
    """Zeros that carry the mean of J(z) / tau to the logits, and the mean of z, over relaxed values
    z = softmax((s + g) / tau) whose largest entry is `index`.

    Args:
      key: typed PRNG key, for the noise g.
      scores: s without gradient, and the logits that get it, `[..., K]` each.
      index: int32 `[...]`.
      tau: temperature, above 0.
      draws: number of noises, at least 1.
    """
    fixed, logits = scores

    def relaxed(k):
        perturbed = conditional_scores(sample.gumbel(k, fixed), fixed, index)
        return sample.tempered_softmax(perturbed, tau)

    softs = jax.vmap(relaxed)(jax.random.split(key, draws))
    each = jax.vmap(sample.zero_with_softmax_jacobian, in_axes=(0, None))(softs, logits / tau)
    return each.mean(0), softs.mean(0)
