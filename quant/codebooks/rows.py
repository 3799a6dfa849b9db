"""Between an array `[..., D]` and rows, and between rows and the parts that the heads see."""

from collections.abc import Callable
from operator import itemgetter

import jax
import jax.numpy as jnp

from quant.errors import require


def flatten(x: jax.Array, mask: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """Rows `[N, D]` and which of them count, bool `[N]`.

    Raises:
      QuantError: a mask that is not one truth value per row.
    """
    require(
        mask is None or mask.shape == x.shape[:-1],
        f"the mask of x {x.shape} must have shape {x.shape[:-1]}",
    )
    kind = jnp.dtype(bool) if mask is None else mask.dtype
    require(
        not jnp.issubdtype(kind, jnp.inexact),
        f"the mask has dtype {kind}: it must be bool, True for rows that count",
    )
    rows = x.reshape(-1, x.shape[-1])
    return rows, jnp.ones(rows.shape[0], bool) if mask is None else mask.reshape(-1).astype(bool)


def to_books(rows: jax.Array, heads: int, books: int) -> jax.Array:
    """`[N, heads * W] -> [books, M, W]`: a codebook for every head, or all heads as rows of one."""
    count, width = rows.shape[0], rows.shape[1] // heads  # -1 has no meaning without rows
    parts = rows.reshape(count, heads, width)
    return parts.reshape(1, count * heads, width) if books == 1 else parts.swapaxes(0, 1)


def from_books(parts: jax.Array, heads: int) -> jax.Array:
    """The inverse: `[books, M, W] -> [N, heads * W]`."""
    width = parts.shape[-1]
    one = parts.shape[0] == 1
    parts = parts.reshape(parts.shape[1] // heads, heads, width) if one else parts.swapaxes(0, 1)
    return parts.reshape(parts.shape[0], heads * width)


def device_groups(rows: int) -> int:
    """Groups that so many rows are cut into: one for every device if they share them equally. What
    is computed group by group then stays with each device's own rows where those are sharded.
    """
    return jax.device_count() if rows and rows % jax.device_count() == 0 else 1


def by_book(function: Callable, *trees):
    """Map `function` over the leading axis of books, one after the other in the program. Batched
    over books, the scatters and draws of rows would gather the rows of all devices on each.
    """
    books = jax.tree.leaves(trees)[0].shape[0]
    done = [function(*jax.tree.map(itemgetter(book), trees)) for book in range(books)]
    return jax.tree.map(lambda *parts: jnp.stack(parts), *done)


def lookup(codes: jax.Array, indices: jax.Array) -> jax.Array:
    """Codes `[K, D]` of indices `[...]`: `[..., D]`; NaN for indices outside 0..K-1."""
    known = jnp.where(indices < 0, codes.shape[0], indices)
    return jnp.take(codes, known, axis=0, mode="fill")
