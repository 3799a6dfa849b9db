"""Parts of all quantizers with a soft choice: distances to all codes, relaxed samples, and the mean
posterior over rows and devices.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.train.parallel import total
from quant.codebooks.extremes import SMALLEST
from quant.codebooks.nearest import typical
from quant.estimators.sample import check_positive, tempered_softmax


def squared_distances(x: jax.Array, codes: jax.Array) -> jax.Array:
    """|x - e|^2 of every row and code, float32 `[N, K]`, without an N x K x D array; never below 0.
    Both are measured from a typical code, so that digits are not lost where all lie far from 0.
    """
    center = typical(codes)
    x, codes = x.astype(jnp.float32) - center, codes.astype(jnp.float32) - center
    product = jnp.einsum("nd,kd->nk", x, codes, precision="highest")
    return jnp.maximum((x**2).sum(1)[:, None] - 2 * product + (codes**2).sum(1)[None], 0)


def variance_around(codes: jax.Array, rows: jax.Array) -> jax.Array:
    """Mean squared distance of a feature of `rows [N, L]` to that of the nearest of `codes [K, L]`,
    above 0.
    """
    return jnp.maximum(squared_distances(rows, codes).min(1).mean() / codes.shape[1], 1e-8)


def relaxed_choice(
    key: jax.Array, logits: jax.Array, temperature: jax.Array | float, hard: bool = False
) -> jax.Array:
    """Gumbel-softmax sample of every row, `[N, K]`; if `hard`, the one-hot of its largest entry,
    straight-through.

    Args:
      key: typed PRNG key.
      logits: `[N, K]`; any number of leading axes.
      temperature: above 0; low ones are nearly one-hot.
      hard: return the one-hot on the way forward, with the gradient of the relaxed sample.
    """
    soft = tempered_softmax(
        logits + jax.random.gumbel(key, logits.shape, logits.dtype), temperature
    )
    if not hard:
        return soft
    one = jax.nn.one_hot(soft.argmax(-1), logits.shape[-1])
    return jax.lax.stop_gradient(one - soft) + soft


def relaxed_rows(
    keys: jax.Array, logits: jax.Array, temperature: jax.Array | float, hard: bool = False
) -> jax.Array:
    """`relaxed_choice` of every row `[N, K]`, each with its own key `[N]`.

    Args:
      keys: typed PRNG keys `[N]`.
      logits: `[N, K]`.
      temperature: scalar above 0, for all rows.
      hard: see `relaxed_choice`.
    """
    return jax.vmap(lambda k, row: relaxed_choice(k, row, temperature, hard))(keys, logits)


def warmth(temperature: jax.Array | float | None, config: Any) -> jax.Array | float:
    """Temperature of a call, or that of the configuration.

    Raises:
      ValueError: it is not above 0.
    """
    if temperature is None:
        return config.temperature
    check_positive(temperature=temperature)
    return temperature


def mean_posterior(log_q: jax.Array, usable: jax.Array, axis_name: str | None = None) -> jax.Array:
    """log of the mean of `exp(log_q)` over usable rows of all devices, `[N, K] -> [K]`; uniform if
    there are none.
    """
    count = total(usable.sum().astype(jnp.float32), axis_name)
    summed = total(jnp.where(usable[:, None], jnp.exp(log_q), 0).sum(0), axis_name)
    mean = jnp.log(jnp.maximum(summed, SMALLEST)) - jnp.log(jnp.maximum(count, 1))
    return jnp.where(count > 0, mean, -jnp.log(log_q.shape[1]))


def entropy(log_p: jax.Array) -> jax.Array:
    """Entropy in nats over the last axis, of log-probabilities."""
    safe = jnp.maximum(log_p, -80)
    return -jnp.sum(jnp.where(log_p > -80, jnp.exp(safe) * safe, 0), -1)
