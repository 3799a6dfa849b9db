"""Codebooks that follow the data: moving averages, restart of dead codes, and the reductions both
need.

Everything traces under jit, works across devices through `axis_name`, and never builds a one-hot of
rows by codes.
"""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.train.parallel import total
from quant.diagnostics.usage import perplexity
from quant.errors import require


@struct.dataclass
class Codebook:
    """Codes and what their moving averages need."""

    codes: jax.Array
    """float32 `[K, D]`."""
    count: jax.Array
    """float32 `[K]`, moving average of the rows per step that each code was nearest to."""
    total: jax.Array
    """float32 `[K, D]`, moving average of the sum of those rows."""
    idle: jax.Array
    """int32 `[K]`, steps since each code was last used."""
    drawn: jax.Array
    """int32, restarts so far; makes the draws of candidates differ from step to step."""


@dataclass(frozen=True)
class Restart:
    """When a code counts as dead, and what takes its place: a row of the batch."""

    kind: Literal["count", "idle"] = "count"
    """count: its moving average falls below `threshold`; idle: it was unused for `patience` steps.
    """
    threshold: float = 1.0
    """Rows per step."""
    patience: int = 100
    """Steps."""
    noise: float = 0.0
    """Standard deviation added to the row that takes its place."""


def make_codebook(codes: jax.Array) -> Codebook:
    """A codebook that has seen nothing: every code counts one row, itself. `[K, D]` -> Codebook,
    whose buffers can be donated.
    """
    codes = codes.astype(jnp.float32)
    zeros = jnp.zeros(codes.shape[0], jnp.int32)
    return Codebook(jnp.copy(codes), jnp.ones(codes.shape[0]), jnp.copy(codes), zeros, jnp.int32(0))


def count_rows(
    index: jax.Array, codes: int, weight: jax.Array | None = None, axis_name: str | None = None
) -> jax.Array:
    """Rows per code over all devices, float32 `[K]`.

    Args:
      index: int32 `[N]`; rows outside 0..codes-1 are left out.
      codes: K.
      weight: `[N]`, how much each row counts.
    """
    weight = jnp.ones(index.shape[0]) if weight is None else weight.astype(jnp.float32)
    return total(jax.ops.segment_sum(weight, jnp.where(index < 0, codes, index), codes), axis_name)


def sum_rows(
    x: jax.Array,
    index: jax.Array,
    codes: int,
    weight: jax.Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """Sum of the rows `[N, D]` of each code over all devices, float32 `[K, D]`; see
    `count_rows`.
    """
    weight = jnp.ones(x.shape[0]) if weight is None else weight.astype(jnp.float32)
    rows = jnp.where(weight[:, None] > 0, x.astype(jnp.float32) * weight[:, None], 0)
    return total(jax.ops.segment_sum(rows, jnp.where(index < 0, codes, index), codes), axis_name)


def move(
    book: Codebook, count: jax.Array, summed: jax.Array, decay: float, smoothing: float
) -> Codebook:
    """One step of the moving averages; codes are the smoothed means (VQ-VAE appendix A.1, Laplace
    smoothing as in its code).

    Args:
      book: before.
      count: float32 `[K]`, rows of this step per code.
      summed: float32 `[K, D]`.
      decay: share of the past that is kept, 0..1.
      smoothing: added to every count (times the share), so that an unused code does not divide by
        zero.
    """
    kept = decay * book.count + (1 - decay) * count
    moved = decay * book.total + (1 - decay) * summed
    whole = kept.sum()
    smooth = (kept + smoothing) / (whole + kept.size * smoothing) * whole
    # With decay and smoothing both 0 an unused code would be 0/0: it stays where it is.
    codes = jnp.where(
        smooth[:, None] > 0, moved / jnp.where(smooth > 0, smooth, 1)[:, None], book.codes
    )
    return book.replace(codes=codes, count=kept, total=moved)


def age(book: Codebook, count: jax.Array) -> Codebook:
    """Note which codes were used in this step."""
    return book.replace(idle=jnp.where(count > 0, 0, book.idle + 1))


def restart(
    book: Codebook,
    rule: Restart,
    x: jax.Array,
    usable: jax.Array,
    key: jax.Array,
    axis_name: str | None = None,
) -> tuple[Codebook, jax.Array]:
    """Put rows of the batch in the place of dead codes, and reset their averages so that the next
    step does not undo it.

    The same key must be given on every device: all draw the same rows from what all devices offer.

    Args:
      book: after the moving average of this step.
      rule: which codes are dead.
      x: `[N, D]`, this device's rows.
      usable: bool `[N]`; if no row is usable anywhere, nothing is restarted.
      key: PRNG key.

    Returns:
      The codebook, and how many codes were restarted (float32 scalar).
    """
    codes = book.codes.shape[0]
    dead = book.count < rule.threshold if rule.kind == "count" else book.idle >= rule.patience
    key_pick, key_noise = jax.random.split(jax.random.fold_in(key, book.drawn))
    rows, chance = x.astype(jnp.float32), usable.astype(jnp.float32)
    before, whole = _before(chance.sum(), axis_name)
    dead = dead & (whole > 0)
    # Inverse of the distribution function: a draw of K from N by Gumbels would take N x K numbers.
    below = before + jnp.cumsum(chance)
    place = jnp.minimum(whole * jax.random.uniform(key_pick, (codes,)), jnp.nextafter(whole, 0.0))
    mine = (place >= before) & (place < below[-1])
    here = jnp.minimum(jnp.searchsorted(below, place, side="right"), rows.shape[0] - 1)
    # Each device hands out its own rows among those drawn; all rows would be far more to send.
    picked = total(jnp.where(mine[:, None], rows[here], 0), axis_name)
    picked = picked + rule.noise * jax.random.normal(key_noise, picked.shape)
    amount = jnp.float32(max(rule.threshold, 1.0) if rule.kind == "count" else 1.0)

    def over(new, old):
        return jnp.where(dead.reshape(-1, *[1] * (old.ndim - 1)), new, old)

    book = book.replace(
        codes=over(picked, book.codes),
        count=over(amount, book.count),
        total=over(amount * picked, book.total),
        idle=over(0, book.idle),
        drawn=book.drawn + 1,
    )
    return book, dead.sum().astype(jnp.float32)


def _before(count: jax.Array, axis_name: str | None) -> tuple[jax.Array, jax.Array]:
    """Sum of `count` over the devices before this one, and over all."""
    if axis_name is None:
        return jnp.zeros_like(count), count
    size, own = jax.lax.psum(1, axis_name), jax.lax.axis_index(axis_name)
    each = jnp.arange(size)
    counts = jax.lax.psum(jnp.where(each == own, count, 0), axis_name)
    return jnp.where(each < own, counts, 0).sum(), counts.sum()


def usage_metrics(count: jax.Array) -> dict[str, jax.Array]:
    """Of one batch: "perplexity", and "usage", the share of codes that any row chose."""
    return {"perplexity": perplexity(count), "usage": (count > 0).mean(dtype=jnp.float32)}


def check_sizes(codes: int, features: int) -> None:
    """Refuse sizes that no codebook has."""
    require(codes >= 1, f"num_codes is {codes}: a codebook needs at least one code")
    require(features >= 1, f"dim is {features}: codes need at least one feature")
