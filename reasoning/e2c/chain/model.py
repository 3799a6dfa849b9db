"""A small decoder-only transformer of `jaxrl.nn` blocks: rotary positions, normed queries and keys,
a cache for sampling.

Our choice: a model of our own instead of a language-model library's, so that training and sampling
are one compiled program each with
static shapes, and need no extra.
"""

from dataclasses import dataclass
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.nn.embed import Embedding
from jaxrl.nn.mlp import MLP, Dense, per_feature


@dataclass(frozen=True)
class ModelConfig:
    """Sizes."""

    vocabulary: int = 57
    """Words."""
    layers: int = 2
    """Blocks of attention and perceptron."""
    width: int = 64
    """Features of a token."""
    heads: int = 4
    """Heads of attention; they divide `width`."""
    hidden: int = 256
    """Features inside the perceptron."""


class Cache(NamedTuple):
    """Keys and values seen so far, in S slots common to all rows; L layers, H heads of D
    features.
    """

    keys: tuple[jax.Array, ...]
    """L of `[B, S, H, D]`"""
    values: tuple[jax.Array, ...]
    """L of `[B, S, H, D]`"""
    valid: jax.Array
    """bool `[B, S]`: which slots hold a token."""
    slot: jax.Array
    """int32: the first free slot."""


def empty_cache(config: ModelConfig, batch: int, slots: int) -> Cache:
    """Make a cache for `batch` rows of at most `slots` tokens, pads included."""
    shape = (batch, slots, config.heads, config.width // config.heads)
    empty = tuple(jnp.zeros(shape) for _ in range(config.layers))
    return Cache(empty, empty, jnp.zeros((batch, slots), bool), jnp.int32(0))


class RMSNorm(nn.Module):
    """`x / rms(x)` over the last axis, times a learned scale."""

    @nn.compact
    def __call__(self, x):
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-6) * per_feature(scale, x)


def rotate(x: jax.Array, positions: jax.Array) -> jax.Array:
    """Rotary position embedding of `[B, T, H, D]` at integer `positions [B, T]`, base 10000."""
    half = x.shape[-1] // 2
    rate = 10_000.0 ** (-jnp.arange(half) / half)
    angle = positions[..., None, None].astype(jnp.float32) * per_feature(rate, x)
    cos, sin, (a, b) = jnp.cos(angle), jnp.sin(angle), jnp.split(x, 2, -1)
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def attend(q: jax.Array, k: jax.Array, v: jax.Array, seen: jax.Array) -> jax.Array:
    """Scaled dot-product attention. A query that sees nothing gets the mean of all values.

    Args:
      q: queries, float32 `[B, T, H, D]`.
      k: keys, float32 `[B, S, H, D]`.
      v: values, float32 `[B, S, H, D]`.
      seen: bool `[B, T, S]`, true where query t may attend to key s.

    Returns:
      float32 `[B, T, H, D]`.
    """
    scores = jnp.einsum("bthd,bshd->bhts", q, k) / jnp.sqrt(jnp.float32(q.shape[-1]))
    weights = jax.nn.softmax(jnp.where(seen[:, None], scores, -1e30), -1)
    return jnp.einsum("bhts,bshd->bthd", weights, v)


class Block(nn.Module):
    """Attention and perceptron, each behind a norm and added to its input."""

    config: ModelConfig

    @nn.compact
    def __call__(self, x, positions, seen, cached, slot):
        config, shape = self.config, (*x.shape[:2], self.config.heads, -1)
        normed = RMSNorm(name="norm_attention")(x)
        q, k, v = (
            Dense(config.width, use_bias=False, name=name)(normed).reshape(shape)
            for name in ("query", "key", "value")
        )
        q = rotate(RMSNorm(name="norm_query")(q), positions)
        k = rotate(RMSNorm(name="norm_key")(k), positions)
        if cached is not None:
            k, v = (
                jax.lax.dynamic_update_slice_in_dim(old, new, slot, 1)
                for old, new in zip(cached, (k, v), strict=True)
            )
        mixed = attend(q, k, v, seen).reshape(x.shape)
        x = x + Dense(config.width, use_bias=False, name="out")(mixed)
        return x + MLP(config.hidden, config.width, name="mlp")(RMSNorm(name="norm_mlp")(x)), (k, v)


class Transformer(nn.Module):
    """Logits of the next token."""

    config: ModelConfig

    @nn.compact
    def __call__(self, ids, valid, cache: Cache | None = None):
        """Run over `ids [B, T]`: float32 logits `[B, T, V]`, and the cache with these tokens in it
        (None without one).

        A token's position is the number of valid tokens before it, so pads change nothing wherever
        they stand.

        Args:
          ids: tokens.
          valid: bool `[B, T]`, false for pads.
          cache: what came before; T free slots must be left.
        """
        before = jnp.zeros((ids.shape[0], 0), bool) if cache is None else cache.valid
        slot = jnp.int32(0) if cache is None else cache.slot
        held = before.sum(-1, keepdims=True) + jnp.cumsum(valid, -1)
        all_valid = (
            valid if cache is None else jax.lax.dynamic_update_slice_in_dim(before, valid, slot, 1)
        )
        here = slot + jnp.arange(ids.shape[1])
        seen = all_valid[:, None, :] & (
            jnp.arange(all_valid.shape[1])[None, None, :] <= here[None, :, None]
        )
        table = Embedding(self.config.vocabulary, self.config.width, name="embed")
        x, pairs = table(ids), []
        for number in range(self.config.layers):
            cached = None if cache is None else (cache.keys[number], cache.values[number])
            x, pair = Block(self.config, name=f"block_{number}")(
                x, jnp.maximum(held - 1, 0), seen, cached, slot
            )
            pairs.append(pair)
        logits = Dense(self.config.vocabulary, use_bias=False, name="head")(
            RMSNorm(name="norm_head")(x)
        )
        if cache is None:
            return logits, None
        keys, values = zip(*pairs, strict=True)
        return logits, Cache(keys, values, all_valid, slot + ids.shape[1])


def init_params(key: jax.Array, config: ModelConfig):
    """Random parameters."""
    one = jnp.zeros((1, 1), jnp.int32)
    return Transformer(config).init(key, one, one == 0)["params"]


def logits_of(params, ids: jax.Array, valid: jax.Array, config: ModelConfig) -> jax.Array:
    """Logits of the next token, teacher-forced.

    Args:
      params: parameters of `Transformer`.
      ids: int32 `[B, T]`.
      valid: bool `[B, T]`, false for pads, which no token attends to.
      config: sizes of the model that `params` belong to.

    Returns:
      float32 `[B, T, V]`; `[:, t]` predicts token t + 1.
    """
    return Transformer(config).apply({"params": params}, ids, valid)[0]
