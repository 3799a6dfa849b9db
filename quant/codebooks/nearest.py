"""The search for the nearest code, chosen by size.

All ways give the lowest index among equal distances, work in float32 for inputs of any dtype,
and never build a one-hot. They may differ between codes whose distances differ by rounding only:
compare distances, not indices, across hardware.

The distance is computed as |e|^2 - 2 x.e, up to |x|^2, which does not change the order; both sides
are shifted by a typical code first, so that a common offset much larger than the spread of the
codes does not eat the digits. A mean would follow a single code that lies far away, and lose the
digits of all others; a median would follow codes that diverged once they are the more. Codes that
are not finite are never chosen. Digits are still lost where rows lie in several places that are
some thousand times farther apart than codes within them.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from quant.codebooks.extremes import varying_like
from quant.codebooks.rows import device_groups
from quant.errors import require, require_one_of, require_whole

Metric = Literal["l2", "cosine", "dot"]
Way = Literal["auto", "xla", "scan", "pallas"]

LARGEST_SCORES = {"cpu": 2**20, "gpu": 32 * 2**20, "tpu": 32 * 2**20}
"""Bytes of an N x K score matrix up to which it is simply built (Our choice: about a cache of the
device; on a CPU 4 MiB were slower at once than in blocks).
"""
WIDEST = 128
"""Features that the kernel takes (Our choice: a block of 256 codes is then 128 KiB, which a GPU's
shared memory holds).
"""
LARGEST_ON_CHIP = 8 * 2**20
"""Bytes of a codebook that the kernel may keep in a TPU's vector memory (Our choice: half of it).
"""
BLOCKS = {"cpu": (256, 256), "gpu": (1024, 512), "tpu": (1024, 512)}
"""Rows and codes that are scored at a time beyond that (Our choice: on a CPU 256 KiB, which its
second cache holds; that was the quickest of nine sizes or near it, from 4096 to 65 536 rows).
"""
FARTHEST = 1e17
"""Absolute value up to which a code is a place; beyond, as at infinity, it is never the nearest."""
SAMPLED = 33
"""Codes of which a typical one is the origin of the search (Our choice)."""


def nearest(
    x: jax.Array,
    codebook: jax.Array,
    metric: Metric = "l2",
    way: Way = "auto",
    tile: int | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Index of the nearest code of every row.

    Args:
      x: float `[N, D]`.
      codebook: float `[K, D]`.
      metric: "l2" (Euclidean), "cosine", or "dot" (the largest inner product).
      way: "xla" builds all scores, "scan" a tile of codes at a time, "pallas" in one fused kernel
        (GPU and TPU; elsewhere interpreted, for tests only); "auto" takes xla for small problems
        and scan for larger ones, pallas for larger ones on accelerators.
      tile: codes at a time, for scan and pallas; as `BLOCKS` says if absent.

    Returns:
      int32 `[N]` in 0..K-1, and float32 `[N]`: the squared Euclidean distance, one minus the
      cosine, or minus the inner product. No gradient flows through either.

    Raises:
      QuantError: shapes that do not fit.
    """
    _check(x, codebook, metric)
    require_one_of("way", way, Way)
    tile = BLOCKS[jax.default_backend()][1] if tile is None else tile
    require_whole("tile", tile)
    require(tile >= 1, f"tile is {tile}: at least one code at a time")
    x, codebook, halves = _comparable(x, codebook, metric)
    search = {"xla": _all_at_once, "scan": _by_tiles, "pallas": _fused}[
        choose(way, x.shape[0], codebook)
    ]
    index, score = search(x, codebook, halves, tile)
    if metric == "l2":
        return index, jnp.maximum((x**2).sum(1) + 2 * score, 0)
    return index, score + (metric == "cosine")


def nearest_k(x: jax.Array, codebook: jax.Array, k: int, metric: Metric = "l2") -> jax.Array:
    """Indices of the k nearest codes of every row, nearest first, int32 `[N, k]`. Builds all N x K
    scores.

    Args:
      x: `[N, D]`.
      codebook: `[K, D]`.
      k: codes per row, 1..K.
      metric: "l2", "cosine" or "dot" (the largest inner product).

    Raises:
      QuantError: k is not in 1..K; shapes that do not fit.
    """
    _check(x, codebook, metric)
    require_whole("k", k)
    size = codebook.shape[0]
    require(1 <= k <= size, f"k is {k}: there are {size} codes, so from 1 to {size}")
    scores = _scores(*_comparable(x, codebook, metric))
    return jax.lax.top_k(-scores, k)[1].astype(jnp.int32)


def _check(x, codebook, metric) -> None:
    require(
        x.ndim == 2 and codebook.ndim == 2,
        f"the search wants [N, D] and [K, D], not {x.shape} and {codebook.shape}",
    )
    require(
        x.shape[1] == codebook.shape[1],
        f"rows have {x.shape[1]} features, codes have {codebook.shape[1]}: they must agree",
    )
    require_one_of("metric", metric, Metric)
    require(codebook.shape[0] >= 1, "a codebook must have at least one code")


def choose(way: Way, rows: int, codebook: jax.Array) -> Way:
    """The way that "auto" means for these sizes on this machine.

    The kernel keeps the codebook on a TPU's chip, and a block of it on a GPU's, so it must fit.
    """
    if way != "auto":
        return way
    where = jax.default_backend()
    if 4 * rows * codebook.shape[0] <= LARGEST_SCORES[where]:
        return "xla"
    too_large = where == "tpu" and codebook.size * 4 > LARGEST_ON_CHIP
    too_wide = codebook.shape[1] > WIDEST
    return "scan" if where == "cpu" or too_large or too_wide else "pallas"


def _comparable(x, codebook, metric: Metric) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Rows and codes as scores compare them, and half the squared length of every code (for metrics
    without lengths, 0); infinite for codes that are never the nearest.
    """
    x, codebook = jax.lax.stop_gradient((x.astype(jnp.float32), codebook.astype(jnp.float32)))
    absent = ~(jnp.abs(codebook) <= FARTHEST).all(1)
    codebook = jnp.where(absent[:, None], 0, codebook)
    x = jnp.clip(x, -FARTHEST, FARTHEST)
    if metric == "cosine":
        x, codebook = unit(x), unit(codebook)
    halves = jnp.zeros(codebook.shape[0], jnp.float32)
    if metric == "l2":
        offset = typical(codebook, absent)
        x, codebook = x - offset, codebook - offset
        halves = 0.5 * (codebook**2).sum(1)
    return x, codebook, jnp.where(absent, jnp.inf, halves)


def typical(codes: jax.Array, absent: jax.Array | None = None) -> jax.Array:
    """The code to whose place most others are close, of some that are drawn once and for all, `[K,
    D] -> [1, D]`: the one with the smallest ball that holds a quarter of them. No gradient.

    Args:
      codes: `[K, D]`.
      absent: bool `[K]`, codes that do not count.
    """
    codes = jax.lax.stop_gradient(codes.astype(jnp.float32))
    size = codes.shape[0]
    # Multiples of the golden ratio: evenly spread, but with no period that codes may have as well.
    some = np.unique((np.arange(SAMPLED) * 0.6180339887 % 1 * size).astype(int))
    few = codes[some]
    missing = ~jnp.isfinite(few).all(1)
    missing = missing if absent is None else missing | absent[some]
    few = jnp.where(missing[:, None], 0, jnp.clip(few, -FARTHEST, FARTHEST))
    apart = ((few[:, None] - few[None]) ** 2).sum(-1)
    apart = jnp.where(missing[:, None] | missing[None], jnp.inf, apart)
    return few[jnp.sort(apart, 1)[:, -(-len(some) // 4) - 1].argmin()][None]


def unit(x: jax.Array) -> jax.Array:
    """Rows of length one; a row of zeros stays, also in the gradient.

    A power of two is divided out first, so that neither the square of a large row overflows nor
    that of a small one underflows; it changes no digit.
    """
    largest = jax.lax.stop_gradient(jnp.abs(x).max(-1, keepdims=True)).astype(jnp.float32)
    scale = jnp.ldexp(jnp.float32(1), jnp.clip(-jnp.frexp(largest)[1], -120, 120))
    x = x * scale.astype(x.dtype)
    squared = (x**2).sum(-1, keepdims=True)
    empty = squared == 0
    return x * jnp.where(empty, 0, jax.lax.rsqrt(jnp.where(empty, 1, squared)))


def _scores(x, codebook, halves):
    """Half the squared distance less half of |x|^2, `[N, K]`."""
    return halves[None] - jnp.einsum(
        "nd,kd->nk", x, codebook, precision="highest", preferred_element_type=jnp.float32
    )


def _all_at_once(x, codebook, halves, tile):
    """Two minima, of the scores and of the places that have it: two to five times quicker than one
    argmin on a CPU.
    """
    scores, codes = _scores(x, codebook, halves), codebook.shape[0]
    least = scores.min(1)
    places = jnp.where(scores == least[:, None], jnp.arange(codes, dtype=jnp.int32)[None], codes)
    return jnp.minimum(places.min(1), codes - 1), least


def _by_tiles(x, codebook, halves, tile):
    """A block of rows at a time, and of these a tile of codes at a time.

    Rows are cut into as many groups as there are devices, and every step takes a block of each
    group: where the rows are sharded, each device steps through its own, and nothing is gathered.
    """
    (rows, features), codes = x.shape, codebook.shape[0]
    groups = device_groups(rows)
    share = rows // groups
    tile, block = min(tile, codes), min(BLOCKS[jax.default_backend()][0], share)
    more_codes, more_rows = -codes % tile, -share % block if block else 0
    codebook = jnp.pad(codebook, ((0, more_codes), (0, 0))).reshape(-1, tile, features)
    halves = jnp.pad(halves, (0, more_codes), constant_values=jnp.inf).reshape(-1, tile)
    starts = tile * jnp.arange(halves.shape[0], dtype=jnp.int32)

    def search(x):
        def step(best, inputs):
            index, score = best
            start, codes, half = inputs
            own, least = _all_at_once(x, codes, half, tile)
            better = least < score
            return (jnp.where(better, start + own, index), jnp.where(better, least, score)), None

        first = (
            varying_like(jnp.zeros(block, jnp.int32), x, codebook),
            varying_like(jnp.full(block, jnp.inf, jnp.float32), x, codebook),
        )
        return jax.lax.scan(step, first, (starts, codebook, halves))[0]

    if not rows:
        return jnp.zeros(0, jnp.int32), jnp.zeros(0, jnp.float32)
    parts = jnp.pad(x.reshape(groups, share, features), ((0, 0), (0, more_rows), (0, 0)))
    blocks = parts.reshape(groups, -1, block, features).swapaxes(0, 1)
    index, score = (
        a.swapaxes(0, 1).reshape(groups, -1)[:, :share].reshape(-1)
        for a in jax.lax.map(jax.vmap(search), blocks)
    )
    return index, score


def _fused(x, codebook, halves, tile):
    from quant.codebooks.nearest_pallas import nearest_fused

    return nearest_fused(x, codebook, halves, codes_at_once=min(tile, 256))
