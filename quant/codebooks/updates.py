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
from quant.codebooks.rows import device_groups
from quant.diagnostics.usage import perplexity
from quant.errors import require, require_one_of, require_whole


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


Kind = Literal["count", "idle"]
SHORTEST_WINDOW = 20
"""Steps that the window of the automatic rule has at least (Our choice)."""
EXPECTED = 30
"""Rows that an average code gets within that window (Our choice): an unused one is dead then, not
unlucky or rare. With 10, a codebook from k-means was better off without restart.
"""


@dataclass(frozen=True)
class Restart:
    """When a code counts as dead, and what takes its place: a row of the batch.

    Without arguments a code is dead if no row chose it within a window in which an average code got
    thirty, whatever the number of rows and codes, and a row that lies far from its code is more
    likely to take its place. A `threshold` in rows per step, as other libraries have it, takes
    living codes away where a step has hardly more rows than there are codes.
    """

    kind: Kind | None = None
    """count: its moving average falls below `threshold`; idle: it was unused for `patience` steps.
    By default count if a threshold is given, else idle.
    """
    threshold: float | None = None
    """Rows per step, 1 by default; for kind count."""
    patience: int | None = None
    """Steps, for kind idle; by default the window above."""
    noise: float = 0.0
    """Standard deviation added to the row that takes its place."""

    def __post_init__(self):
        if self.kind is None:
            object.__setattr__(self, "kind", "idle" if self.threshold is None else "count")
        require_one_of("kind", str(self.kind), Kind)
        if self.kind == "count" and self.threshold is None:
            object.__setattr__(self, "threshold", 1.0)
        require(
            self.threshold is None or self.kind == "count",
            "threshold goes with kind='count', patience with kind='idle'",
        )
        require(
            self.threshold is None or 0 < self.threshold < float("inf"),
            f"threshold is {self.threshold}: rows per step, above 0",
        )
        if self.patience is not None:
            require_whole("patience", self.patience)
        require(
            self.patience is None or (self.kind == "idle" and self.patience >= 1),
            f"patience is {self.patience}: at least one step, and only with kind='idle'",
        )
        require(self.noise >= 0, f"noise is {self.noise}: a standard deviation is not negative")

    def dead(self, book: Codebook, rows: jax.Array) -> jax.Array:
        """Mask of the dead codes, bool `[K]`; `rows` is the number of usable rows of this step."""
        if self.kind == "count":
            return book.count < self.threshold
        if self.patience is not None:
            return book.idle >= self.patience
        window = EXPECTED * book.idle.size / jnp.maximum(rows, 1.0)
        return book.idle >= jnp.maximum(window, SHORTEST_WINDOW)

    def chance(self, usable: jax.Array, distance: jax.Array, metric: str) -> jax.Array:
        """Weight `[N]` with which each row takes the place of a dead code: with the automatic rule
        its distance to its code, as k-means++ draws (Our choice); with the others all usable rows
        are alike, and so with inner products, which are no distances.
        """
        if self.kind == "count" or self.patience is not None or metric == "dot":
            return usable.astype(jnp.float32)
        return jnp.where(usable, jnp.maximum(distance, 1e-12), 0)

    def weight(self, book: Codebook) -> jax.Array:
        """Count that a new code begins with."""
        if self.kind == "count":
            return jnp.float32(max(self.threshold or 0.0, 1.0))
        if self.patience is not None:
            return jnp.float32(1.0)
        return jnp.maximum(book.count.mean(), 1e-3)


def make_codebook(codes: jax.Array) -> Codebook:
    """A codebook that has seen nothing: every code counts one row, itself. `[K, D]` -> Codebook,
    whose buffers can be donated.
    """
    codes = codes.astype(jnp.float32)
    zeros = jnp.zeros(codes.shape[0], jnp.int32)
    return Codebook(
        jnp.copy(codes), jnp.ones_like(codes[:, 0]), jnp.copy(codes), zeros, jnp.int32(0)
    )


def count_rows(
    index: jax.Array, codes: int, weight: jax.Array | None = None, axis_name: str | None = None
) -> jax.Array:
    """Rows per code over all devices, float32 `[K]`.

    Args:
      index: int32 `[N]`; rows outside 0..codes-1 are left out.
      codes: K.
      weight: `[N]`, how much each row counts; None: 1.
      axis_name: devices that hold the other rows.
    """
    weight = jnp.ones(index.shape[0], jnp.float32) if weight is None else weight.astype(jnp.float32)
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

    Args:
      x: `[N, D]`; rows of weight 0 may hold NaN.
      index: int32 `[N]`; rows outside 0..codes-1 are left out.
      codes: K.
      weight: `[N]`, how much each row counts; None: 1.
      axis_name: devices that hold the other rows.
    """
    weight = jnp.ones(x.shape[0], jnp.float32) if weight is None else weight.astype(jnp.float32)
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
    chance: jax.Array,
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
      chance: bool or float `[N]`, weight with which each row is drawn, 0 where it is not usable
        (see `Restart.chance`); if no row is usable anywhere, nothing is restarted.
      key: PRNG key.
      axis_name: devices that hold the other rows.

    Returns:
      The codebook, and how many codes were restarted (float32 scalar).
    """
    codes = book.codes.shape[0]
    key_pick, key_noise = jax.random.split(jax.random.fold_in(key, book.drawn))
    rows, chance = x.astype(jnp.float32), chance.astype(jnp.float32)
    usable = total((chance > 0).sum(dtype=jnp.float32), axis_name)
    dead = rule.dead(book, usable) & (usable > 0)
    groups = device_groups(rows.shape[0]) if axis_name is None else 1
    parts = rows.reshape(groups, -1, rows.shape[1]), chance.reshape(groups, -1)
    first, sums = _sums_of_all(parts[1].sum(1), axis_name)
    # Inverse of the distribution function: a draw of K from N by Gumbels would take N x K numbers.
    ends = jnp.cumsum(sums)
    place = jnp.minimum(
        ends[-1] * jax.random.uniform(key_pick, (codes,), jnp.float32), jnp.nextafter(ends[-1], 0.0)
    )

    def offered(rows, chance, number):
        start = jnp.where(number > 0, ends[number - 1], 0)
        mine = (place >= start) & (place < ends[number])
        here = jnp.searchsorted(start + jnp.cumsum(chance), place, side="right")
        # Sums of parts and of the whole differ in rounding: never beyond the last row that counts.
        last = jnp.where(chance > 0, jnp.arange(chance.shape[0]), 0).max()
        return jnp.where(mine[:, None], rows[jnp.minimum(here, last)], 0)

    # Each device hands out its own rows among those drawn; all rows would be far more to send.
    picked = total(jax.vmap(offered)(*parts, first + jnp.arange(groups)).sum(0), axis_name)
    picked = picked + rule.noise * jax.random.normal(key_noise, picked.shape, picked.dtype)
    amount = rule.weight(book)

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


def _sums_of_all(own: jax.Array, axis_name: str | None) -> tuple[jax.Array, jax.Array]:
    """Number of the first of this device's groups among those of all devices, and the sums of all
    of them, of the sums `[G]` of its own.
    """
    if axis_name is None:
        return jnp.int32(0), own
    size, here = jax.lax.psum(1, axis_name), jax.lax.axis_index(axis_name)
    return here, jax.lax.psum(jnp.where(jnp.arange(size) == here, own, 0), axis_name)


def usage_metrics(count: jax.Array) -> dict[str, jax.Array]:
    """Metrics of one batch: "perplexity", and "usage", the share of codes that any row chose."""
    return {"perplexity": perplexity(count), "usage": (count > 0).mean(dtype=jnp.float32)}


def check_sizes(codes: int, features: int) -> None:
    """Refuse sizes that no codebook has."""
    for name, size in {"num_codes": codes, "dim": features}.items():
        require_whole(name, size)
    require(codes >= 1, f"num_codes is {codes}: a codebook needs at least one code")
    require(features >= 1, f"dim is {features}: codes need at least one feature")
