"""Layers that the two towers share. Numbers stay in the precision of the parameters, so that
float64 checks are possible.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp


def attention(q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """`softmax(q k^T / sqrt(d)) v` with `[..., tokens, heads, d]`; keys where `mask` `[...,
    tokens]` is false are not seen.

    Args:
      q: queries `[..., tokens, heads, d]`.
      k: keys, likewise.
      v: values, likewise.
      mask: bool `[..., tokens]`, the keys that are seen; None: all.

    Returns:
      `[..., tokens, heads, d]`.
    """
    scores = jnp.einsum("...qhd,...khd->...hqk", q, k) / q.shape[-1] ** 0.5
    if mask is not None:
        scores = jnp.where(mask[..., None, None, :], scores, jnp.finfo(scores.dtype).min)
    return jnp.einsum("...hqk,...khd->...qhd", jax.nn.softmax(scores, -1), v)


def split_heads(x: jax.Array, heads: int) -> jax.Array:
    """`[..., W] -> [..., heads, W / heads]`."""
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads)


def norm(epsilon: float, name: str) -> nn.LayerNorm:
    """Layer normalization whose variance is computed from differences, as PyTorch's is."""
    return nn.LayerNorm(epsilon=epsilon, use_fast_variance=False, name=name)


def gelu(x: jax.Array) -> jax.Array:
    """The exact form, with the error function."""
    return jax.nn.gelu(x, approximate=False)
