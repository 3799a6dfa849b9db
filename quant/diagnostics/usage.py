"""Usage of each code: counted over batches and devices, then summarized.

Perplexity of a batch depends on the batch's size; that of a whole data set does not. So `Usage`
accumulates.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.train.parallel import total


class Usage(NamedTuple):
    """Counts so far. A pytree; the same on every device."""

    count: jax.Array
    """int32 `[K]`: how often each code was chosen; exact below 2^31."""
    idle: jax.Array
    """int32 `[K]`: updates since a code was last chosen."""


class UsageSummary(NamedTuple):
    """Scalars, but for the quantiles."""

    used: jax.Array
    """Share of codes that were chosen at all, in [0, 1]."""
    perplexity: jax.Array
    """Perplexity in [1, K], see `perplexity`."""
    gini: jax.Array
    """Gini coefficient in [0, 1 - 1/K], see `gini`."""
    idle: jax.Array
    """`[3]`: median, 90 % quantile and maximum of the updates since codes were last chosen."""


def usage_init(codes: int) -> Usage:
    """Nothing counted yet.

    Raises:
      ValueError: there is no code.
    """
    if codes < 1:
        raise ValueError(f"a codebook needs at least 1 code, not {codes}")
    return Usage(jnp.zeros(codes, jnp.int32), jnp.zeros(codes, jnp.int32))


def usage_update(
    usage: Usage, indices: jax.Array, mask: jax.Array | None = None, axis_name: str | None = None
) -> Usage:
    """Count one batch.

    Args:
      usage: so far.
      indices: integer, any shape; those outside [0, K), such as -1 for a dropped level, are not
        counted.
      mask: bool, the shape of `indices`; where False nothing is counted.
      axis_name: devices to sum over.
    """
    codes = usage.count.shape[0]
    indices = indices.reshape(-1)
    counted = (indices >= 0) if mask is None else (indices >= 0) & mask.reshape(-1)
    places = jnp.where(counted, indices, codes)
    batch = total(jnp.zeros(codes, jnp.int32).at[places].add(1, mode="drop"), axis_name)
    return Usage(usage.count + batch, jnp.where(batch > 0, 0, usage.idle + 1))


def summary(usage: Usage) -> UsageSummary:
    """Summary of the counts."""
    idle = jnp.quantile(usage.idle.astype(jnp.float32), jnp.array([0.5, 0.9, 1.0]))
    return UsageSummary((usage.count > 0).mean(), perplexity(usage.count), gini(usage.count), idle)


def entropy_of_counts(count: jax.Array) -> jax.Array:
    """Entropy of the shares of counts `[K]`, in nats; 0 if nothing was counted."""
    count = count.astype(jnp.float32)
    p = count / jnp.maximum(count.sum(), 1)
    return -jnp.where(p > 0, p * jnp.log(jnp.where(p > 0, p, 1)), 0).sum()


def perplexity(count: jax.Array) -> jax.Array:
    """exp of the entropy of the shares: K if all codes are used alike, 1 if only one is (or nothing
    was counted).
    """
    return jnp.exp(entropy_of_counts(count))


def gini(count: jax.Array) -> jax.Array:
    """Gini coefficient of counts `[K]`: 0 if all codes are used alike, 1 - 1/K if only one is; 0 if
    nothing was counted.
    """
    ordered = jnp.sort(count.astype(jnp.float32))
    codes = ordered.shape[0]
    rank = jnp.arange(1, codes + 1, dtype=jnp.float32)
    return ((2 * rank - codes - 1) * ordered).sum() / jnp.maximum(codes * ordered.sum(), 1)
