"""Initial codes: random, rows of the data, centers of k-means, or codes of an earlier training."""

from typing import Literal

import jax
import jax.numpy as jnp

from quant.codebooks.nearest import Metric, nearest, unit
from quant.codebooks.updates import count_rows, sum_rows
from quant.errors import require, require_one_of

Init = Literal["uniform", "normal", "data", "kmeans", "kmeans++"]


def initial_codes(
    key: jax.Array,
    how: Init,
    codes: int,
    features: int,
    sample: jax.Array | None = None,
    metric: Metric = "l2",
) -> jax.Array:
    """float32 `[K, D]`.

    Args:
      key: PRNG key.
      how: see the functions of this file.
      codes: K.
      features: D.
      sample: `[N, D]`, rows that "data", "kmeans" and "kmeans++" need.
      metric: of k-means; "cosine" is the spherical one, others are Euclidean.

    Raises:
      QuantError: no sample where one is needed.
    """
    require_one_of("init", how, Init)
    if how in ("uniform", "normal"):
        return {"uniform": uniform, "normal": normal}[how](key, codes, features)
    require(sample is not None, f"init {how!r} needs data: give a sample of rows [N, {features}]")
    require(sample.ndim >= 1, f"the sample has shape {sample.shape}: give rows [N, {features}]")
    require(
        sample.shape[-1] == features,
        f"the sample has {sample.shape[-1]} features, the codes have {features}",
    )
    sample = sample.reshape(-1, features).astype(jnp.float32)
    if how == "data":
        return from_data(key, sample, codes)
    own = "cosine" if metric == "cosine" else "l2"
    return kmeans(key, sample, codes, begin="++" if how == "kmeans++" else "data", metric=own)[0]


def uniform(key: jax.Array, codes: int, features: int) -> jax.Array:
    """Uniform in +-1/K (the original VQ-VAE code)."""
    return jax.random.uniform(key, (codes, features), jnp.float32, -1 / codes, 1 / codes)


def normal(key: jax.Array, codes: int, features: int) -> jax.Array:
    """Normal with standard deviation D^-1/2: length about one."""
    return jax.random.normal(key, (codes, features), jnp.float32) * features**-0.5


def random_projections(
    key_in: jax.Array, key_out: jax.Array, outer: int, inner: int
) -> dict[str, jax.Array]:
    """Maps "project_in" `[outer, inner]` and "project_out" `[inner, outer]`, float32, that keep the
    length of a row about as it is.

    Args:
      key_in: PRNG key of the first.
      key_out: PRNG key of the second.
      outer: features outside.
      inner: features of the codes.
    """
    return {
        "project_in": jax.random.normal(key_in, (outer, inner), jnp.float32) * outer**-0.5,
        "project_out": jax.random.normal(key_out, (inner, outer), jnp.float32) * inner**-0.5,
    }


def from_data(key: jax.Array, x: jax.Array, codes: int) -> jax.Array:
    """Random rows without repetition. With fewer rows than codes they repeat, with noise of a
    thousandth (Our choice) of the data's standard deviation, so that no two codes are the same.
    """
    key_pick, key_noise = jax.random.split(key)
    rows = x.shape[0]
    require(rows >= 1, "the sample has no rows")
    order = jax.random.permutation(key_pick, rows)
    picked = x[order[jnp.arange(codes) % rows]]
    noise = jax.random.normal(key_noise, picked.shape, picked.dtype)
    noise = 1e-3 * (x.std(0, keepdims=True) + 1e-6) * noise
    return picked + jnp.where(jnp.arange(codes)[:, None] < rows, 0, noise)


def kmeans_plus_plus(key: jax.Array, x: jax.Array, codes: int, metric: Metric = "l2") -> jax.Array:
    """Rows drawn one after another, each with probability proportional to its distance from those
    drawn before (Arthur & Vassilvitskii 2007; squared distance, or one minus the cosine).

    Args:
      key: typed PRNG key.
      x: float `[N, D]`, rows to draw from.
      codes: K, the number of rows to draw; more than N repeats rows.
      metric: distance; with "cosine", rows of length one are returned.

    Returns:
      `[K, D]`.

    Raises:
      QuantError: no rows.
    """
    require(x.shape[0] >= 1, "the sample has no rows")
    x = unit(x) if metric == "cosine" else x

    def distance(code):
        return nearest(x, code[None], metric, "xla")[1]

    key_first, key = jax.random.split(key)
    first = x[jax.random.randint(key_first, (), 0, x.shape[0])]

    def draw(least, key):
        # All rows taken already (fewer distinct rows than codes): any row.
        weights = jnp.where(least.sum() > 0, least, 1.0)
        code = x[jax.random.categorical(key, jnp.log(weights))]
        return jnp.minimum(least, distance(code)), code

    _, rest = jax.lax.scan(draw, distance(first), jax.random.split(key, codes - 1))
    return jnp.concatenate([first[None], rest])


def kmeans(
    key: jax.Array,
    x: jax.Array,
    codes: int,
    iterations: int = 10,
    begin: Literal["data", "++"] = "data",
    empty: Literal["keep", "farthest"] = "keep",
    metric: Metric = "l2",
    axis_name: str | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Lloyd's algorithm.

    With fewer rows than codes, the codes are the rows, and repetitions of them with a little noise
    (`from_data`).

    Args:
      key: PRNG key.
      x: float `[N, D]`.
      codes: K.
      iterations: Lloyd steps.
      begin: random rows, or `kmeans_plus_plus`.
      empty: what becomes of a center without rows: it stays, or moves to the row farthest from its
        center (the k-th such center to the k-th farthest).
      metric: "l2", or "cosine" (spherical k-means: centers of length one).
      axis_name: devices that hold the other rows. The centers begin from the first device's rows.

    Returns:
      float32 `[K, D]`, and `[iterations]`, the mean distance before every step; with "l2" it never
      rises if empty is "keep".

    Raises:
      QuantError: no rows; "farthest" over several devices, which would each choose their own.
    """
    require_one_of("begin", begin, Literal["data", "++"])
    require(iterations >= 0, f"iterations is {iterations}: it must not be negative")
    require_one_of("empty", empty, Literal["keep", "farthest"])
    require(
        empty == "keep" or axis_name is None,
        'empty="farthest" sees the rows of one device only: use "keep" with axis_name',
    )
    x = x.astype(jnp.float32)
    x = unit(x) if metric == "cosine" else x
    centers = (
        kmeans_plus_plus(key, x, codes, metric)
        if begin == "++" and x.shape[0] >= codes
        else from_data(key, x, codes)
    )
    if axis_name is not None:
        centers = jax.lax.all_gather(centers, axis_name)[0]

    def step(centers, _):
        index, distance = nearest(x, centers, metric)
        count = count_rows(index, codes, axis_name=axis_name)
        summed = sum_rows(x, index, codes, axis_name=axis_name)
        mean = summed / jnp.maximum(count, 1)[:, None]
        away = (
            x[jnp.argsort(-distance)[_rank(count == 0) % x.shape[0]]]
            if empty == "farthest"
            else centers
        )
        moved = jnp.where((count > 0)[:, None], mean, away)
        inertia = (
            distance.mean() if axis_name is None else jax.lax.pmean(distance.mean(), axis_name)
        )
        return (unit(moved) if metric == "cosine" else moved), inertia

    return jax.lax.scan(step, centers, length=iterations)


def _rank(chosen: jax.Array) -> jax.Array:
    """For every chosen place, how many chosen ones come before it."""
    return jnp.cumsum(chosen) - chosen
