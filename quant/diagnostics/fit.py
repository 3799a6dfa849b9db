"""Fit of codes to the embeddings and the data they stand for. Rows are `[N, D]`, results float32
scalars.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from quant.diagnostics.spread import TINY
from quant.diagnostics.usage import entropy_of_counts


def relative_error(z: jax.Array, quantized: jax.Array) -> jax.Array:
    """sum |z - q|^2 / sum |z - mean z|^2: 0 for no loss, 1 if one code at the mean would do as
    well.
    """
    return jnp.square(z - quantized).sum() / jnp.maximum(
        jnp.square(z - z.mean(0, keepdims=True)).sum(), TINY
    )


class Mismatch(NamedTuple):
    """Differences that a shift and a scale of the codebook would remove (arXiv 2305.08842, section
    4).
    """

    mean: jax.Array
    """|mean z - mean codes| / std of z; 0 is best."""
    scale: jax.Array
    """std of codes / std of z; 1 is best."""


def affine_mismatch(z: jax.Array, codes: jax.Array) -> Mismatch:
    """Compare the first two moments of embeddings `[N, D]` and codes `[K, D]`; std is the root of
    the features' mean variance.
    """

    def std(x):
        return jnp.sqrt(x.var(0).mean())

    scale = jnp.maximum(std(z), TINY)
    return Mismatch(jnp.linalg.norm(z.mean(0) - codes.mean(0)) / scale, std(codes) / scale)


def drift(z: jax.Array, z_before: jax.Array) -> jax.Array:
    """Mean distance that embeddings of the same inputs moved, over the std of the earlier ones."""
    moved = jnp.linalg.norm(z - z_before, axis=-1).mean()
    return moved / jnp.maximum(jnp.sqrt(z_before.var(0).mean()), TINY)


class Modes(NamedTuple):
    """Distribution of decoded tokens over the known modes of the data."""

    entropy: jax.Array
    """-sum_k p_k ln p_k over modes, p_k the share of tokens nearest to mode k; ln M if they are
    shared out evenly.
    """
    covered: jax.Array
    """Share of modes with at least one token."""
    count: jax.Array
    """int32 `[M]`: tokens per mode."""


def token_modes(decoded: jax.Array, modes: jax.Array) -> Modes:
    """Assign every decoded token `[S, D]` to its nearest mode `[M, D]` (the diversity H of Zhao et
    al. 2024, arXiv 2411.16550).
    """
    nearest = jax.lax.map(
        lambda row: jnp.argmin(jnp.square(modes - row[None]).sum(-1)), decoded, batch_size=256
    )
    count = jnp.zeros(modes.shape[0], jnp.int32).at[nearest].add(1)
    return Modes(entropy_of_counts(count), (count > 0).mean(), count)
