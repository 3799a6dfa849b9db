"""Sampling with a cache: one compiled program per shape, many continuations of one prompt for one
prefill, an early end.

Prompts are padded on the left to a common length, so that all rows write to the same slot of the
cache.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from reasoning.e2c.chain.model import Cache, ModelConfig, Transformer, empty_cache
from reasoning.e2c.chain.task import EOS, PAD

NEVER = -1e30
"""Logit of a token that is not written: a pad would be no token to those who read it."""


@dataclass(frozen=True)
class Decoding:
    """Settings for sampling. Static: each one is a program."""

    longest: int
    """Tokens to write at most."""
    stop: tuple[int, ...] = (EOS,)
    """Tokens that end a row; they are kept."""
    top_p: float = 1.0
    """Nucleus: the most probable tokens that together reach this mass."""
    early_end: bool = True
    """Stop when all rows have ended; False always takes `longest` steps (for measurements)."""


class Written(NamedTuple):
    """Continuations of B rows."""

    ids: jax.Array
    """int32 `[B, M]`, PAD after the end."""
    logp: jax.Array
    """float32 `[B, M]`: log-probabilities at temperature 1, 0 after the end."""
    length: jax.Array
    """int32 `[B]`: tokens written, the stop token counted."""
    ended: jax.Array
    """bool `[B]`: whether a stop token was written."""


def prefill(params, ids: jax.Array, config: ModelConfig, slots: int) -> tuple[jax.Array, Cache]:
    """Read left-padded prompts into a new cache.

    Args:
      params: parameters of the model.
      ids: int32 `[B, P]`, pads on the left.
      config: sizes of the model.
      slots: tokens that the cache can hold, pads included; at least P.

    Returns:
      `(logits of the next token [B, V], cache)`.
    """
    cache = empty_cache(config, ids.shape[0], slots)
    logits, cache = Transformer(config).apply({"params": params}, ids, ids != PAD, cache)
    return logits[:, -1], cache


def extend(params, ids: jax.Array, cache: Cache, config: ModelConfig) -> tuple[jax.Array, Cache]:
    """Read more tokens behind those in the cache.

    Args:
      params: parameters of the model.
      ids: int32 `[B, E]`, pads on the left.
      cache: of B rows, with at least E free slots.
      config: sizes of the model.

    Returns:
      `(logits of the next token [B, V], cache)`.
    """
    logits, cache = Transformer(config).apply({"params": params}, ids, ids != PAD, cache)
    return logits[:, -1], cache


def owned(cache: Cache, owner: jax.Array) -> Cache:
    """The cache's rows `owner [B]`: what was read once is continued many times."""
    return Cache(*jax.tree.map(lambda a: a[owner], cache[:3]), cache.slot)


def pick(key: jax.Array, logits: jax.Array, temperature: jax.Array, top_p: float) -> jax.Array:
    """Draw one token per row.

    Args:
      key: PRNG key.
      logits: float32 `[B, V]`.
      temperature: scalar, at least 0; 0 takes the most probable token.
      top_p: mass of the nucleus, in (0, 1]; 1 draws from all tokens.

    Returns:
      int32 `[B]`.
    """
    scaled = logits / jnp.maximum(temperature, 1e-6)
    if top_p < 1:
        scaled = jnp.where(in_nucleus(scaled, top_p), scaled, -jnp.inf)
    return jnp.where(
        temperature > 0, jax.random.categorical(key, scaled), jnp.argmax(logits, -1)
    ).astype(jnp.int32)


def in_nucleus(logits: jax.Array, top_p: float) -> jax.Array:
    """bool like `[B, V]`: tokens such that the more probable ones together have less than `top_p`;
    never none.
    """
    order = jnp.argsort(-logits, -1)
    mass = jnp.cumsum(jnp.take_along_axis(jax.nn.softmax(logits), order, -1), -1)
    before = jnp.concatenate([jnp.zeros_like(mass[:, :1]), mass[:, :-1]], -1)
    return jnp.take_along_axis(before, jnp.argsort(order, -1), -1) < top_p


def continue_rows(
    params, logits, cache: Cache, key, temperature, how: Decoding, config: ModelConfig
) -> Written:
    """Write up to `how.longest` tokens behind those in the cache.

    Args:
      params: parameters of the model.
      logits: float32 `[B, V]`, logits of the first token to write.
      cache: of B rows, with at least `how.longest` free slots.
      key: PRNG key; each step folds in its number.
      temperature: scalar, at least 0; 0 is greedy.
      how: length, stops and nucleus.
      config: sizes of the model.

    Returns:
      Tokens `[B, how.longest]` with log-probabilities, lengths and ends.
    """
    batch, model = logits.shape[0], Transformer(config)
    written = Written(
        jnp.full((batch, how.longest), PAD, jnp.int32),
        jnp.zeros((batch, how.longest)),
        jnp.zeros(batch, jnp.int32),
        jnp.zeros(batch, bool),
    )
    stops = jnp.asarray(how.stop, jnp.int32)

    def going(carry):
        step, written, *_ = carry
        return (step < how.longest) & ~(how.early_end & written.ended.all())

    def step(carry):
        number, written, logits, cache = carry
        token = pick(
            jax.random.fold_in(key, number), logits.at[:, PAD].set(NEVER), temperature, how.top_p
        )
        token = jnp.where(written.ended, PAD, token)
        logp = jnp.take_along_axis(jax.nn.log_softmax(logits), token[:, None], -1)[:, 0]

        def put(table, column):
            return jax.lax.dynamic_update_slice_in_dim(table, column[:, None], number, 1)

        alive = ~written.ended
        written = Written(
            put(written.ids, token),
            put(written.logp, jnp.where(alive, logp, 0.0)),
            written.length + alive,
            written.ended | (alive & (token[:, None] == stops[None]).any(-1)),
        )
        logits, cache = model.apply({"params": params}, token[:, None], alive[:, None], cache)
        return number + 1, written, logits[:, 0], cache

    return jax.lax.while_loop(going, step, (jnp.int32(0), written, logits, cache))[1]


@functools.partial(jax.jit, static_argnames=("how", "config"))
def generate(params, prompts, key, temperature, how: Decoding, config: ModelConfig) -> Written:
    """One continuation of each left-padded prompt `[B, P]`.

    Args:
      params: parameters of the model.
      prompts: int32 `[B, P]`, pads on the left.
      key: PRNG key.
      temperature: scalar, at least 0; 0 is greedy.
      how: length, stops and nucleus; each value is a program of its own.
      config: sizes of the model.

    Returns:
      Tokens `[B, how.longest]` with log-probabilities, lengths and ends.
    """
    read = prefill(params, prompts, config, prompts.shape[1] + how.longest)
    return continue_rows(params, *read, key, temperature, how, config)


@functools.partial(jax.jit, static_argnames=("how", "config"))
def generate_shared(
    params, prompts, owner, branches, key, temperature, how: Decoding, config: ModelConfig
) -> Written:
    """Continuations of many branches, where each prompt is read once for all its branches.

    A branch is the text that follows the prompt in this row, at least one token: an opening tag, or
    a whole plan to execute.

    Args:
      params, key, temperature, how, config: as `generate`.
      prompts: int32 `[Q, P]`, pads on the left.
      owner: int32 `[B]`, the prompt of each branch, below Q.
      branches: int32 `[B, E]`, pads on the left.

    Returns:
      As `generate`, a row for each branch.
    """
    slots = prompts.shape[1] + branches.shape[1] + how.longest
    _, cache = prefill(params, prompts, config, slots)
    return continue_rows(
        params,
        *extend(params, branches, owned(cache, owner), config),
        key,
        temperature,
        how,
        config,
    )


def left_pad(rows: list[list[int]], length: int) -> np.ndarray:
    """int32 `[B, length]`, pads first.

    Raises:
      ValueError: a row is longer.
    """
    table = np.full((len(rows), length), PAD, np.int32)
    for number, row in enumerate(rows):
        if len(row) > length:
            raise ValueError(f"row {number} has {len(row)} tokens, more than {length}")
        table[number, length - len(row) :] = row
    return table
