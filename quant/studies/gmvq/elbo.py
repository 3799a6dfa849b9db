"""The lower bounds behind GM-VQ in closed form, and why the aggregated one is none.

ALBO (Yan et al. 2024): E_{q(c) q(z|x)}[log p(x, z, c) - log q(c)], with the mean posterior q(c). It
lacks the entropy of q(z|x): where that is negative (a narrow q(z|x)), it can exceed log p(x). The
ELBO has it.

Everything here is for the simplest model, one code: z ~ N(0, I), x | z ~ N(z, variance I), q(z|x) =
N(mean, spread I). All arrays `[L]`.
"""

import jax
import jax.numpy as jnp


def log_normal(x: jax.Array, mean: jax.Array, variance: jax.Array | float) -> jax.Array:
    """log density of N(mean, variance I) at `x`, nats."""
    return -0.5 * (x.size * jnp.log(2 * jnp.pi * variance) + ((x - mean) ** 2).sum() / variance)


def log_evidence(x: jax.Array, variance: jax.Array | float) -> jax.Array:
    """log p(x): x ~ N(0, 1 + variance)."""
    return log_normal(x, jnp.zeros_like(x), 1 + variance)


def albo(
    x: jax.Array, mean: jax.Array, spread: jax.Array | float, variance: jax.Array | float
) -> jax.Array:
    """E_q[log p(x|z) + log p(z)]; with one code the codes' part is 0.

    Args:
      x: `[L]`, the example.
      mean: `[L]`, of q(z|x).
      spread: variance of q(z|x), above 0.
      variance: of x given z, above 0.

    Returns:
      A scalar, in nats.
    """
    likelihood = log_normal(x, mean, variance) - 0.5 * x.size * spread / variance
    prior = log_normal(mean, jnp.zeros_like(mean), 1.0) - 0.5 * x.size * spread
    return likelihood + prior


def entropy(features: int, spread: jax.Array | float) -> jax.Array:
    """Entropy of q(z|x), nats; negative for spread < 1 / (2 pi e)."""
    return 0.5 * features * jnp.log(2 * jnp.pi * jnp.e * spread)


def elbo(
    x: jax.Array, mean: jax.Array, spread: jax.Array | float, variance: jax.Array | float
) -> jax.Array:
    """ALBO with the entropy of q(z|x): never above log p(x), and equal to it at the true
    posterior.

    Arguments and result as `albo`.
    """
    return albo(x, mean, spread, variance) + entropy(x.size, spread)
