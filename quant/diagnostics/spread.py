"""Spread of codes or embeddings: distances, spectra, effective ranks. For rows `[N, D]`,
computed in float32 or wider.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.train.parallel import total
from quant.old_names import warn_once

TINY = 1e-12
"""Below this, lengths and variances count as nothing."""


def mean_cosine_distance(rows: jax.Array) -> jax.Array:
    """Mean of 1 - cos over all pairs of rows, in [0, N / (N - 1)]; low if they are clustered.

    In closed form, 1 - (|sum_i u_i|^2 - N) / (N (N - 1)) with u_i the rows' directions; rows of
    length 0 have none.

    Raises:
      ValueError: there are fewer than two rows.
    """
    rows, count = _rows(rows, 2), rows.shape[0]
    length = jnp.linalg.norm(rows, axis=-1, keepdims=True)
    unit = jnp.where(length > TINY, rows / jnp.maximum(length, TINY), 0)
    pairs = float(count) * (count - 1)  # does not fit an int32 from 46 342 rows on
    return 1 - (jnp.square(unit.sum(0)).sum() - jnp.square(unit).sum()) / pairs


def mean_euclidean_distance(rows: jax.Array, block: int = 256) -> jax.Array:
    """Mean distance over all pairs of rows. No N x N matrix: `block` rows at a time are compared
    with all.
    """
    rows, count = _rows(rows, 2), rows.shape[0]

    def one(row):
        return jnp.linalg.norm(rows - row[None], axis=-1).sum()

    return jax.lax.map(one, rows, batch_size=min(block, count)).sum() / (float(count) * (count - 1))


def code_margin(rows: jax.Array, codes: jax.Array, block: int = 256) -> jax.Array:
    """`[N]`: distance of each row to its second nearest code minus that to its nearest; near 0
    where choices are brittle.
    """
    rows, codes = _rows(rows, 1), _rows(codes, 2)

    def one(row):
        nearest = -jax.lax.top_k(-jnp.linalg.norm(codes - row[None], axis=-1), 2)[0]
        return nearest[1] - nearest[0]

    return jax.lax.map(one, rows, batch_size=min(block, rows.shape[0]))


class Moments(NamedTuple):
    """Mean and scatter of embeddings, accumulated over batches and devices. A pytree; the same on
    every device.
    """

    count: jax.Array
    """float32 scalar: rows so far."""
    mean: jax.Array
    """`[D]`."""
    scatter: jax.Array
    """`[D, D]`: sum of (x - mean)(x - mean)^T."""


def moments_init(features: int) -> Moments:
    """Nothing seen yet."""
    return Moments(jnp.zeros(()), jnp.zeros(features), jnp.zeros((features, features)))


def moments_update(
    moments: Moments, x: jax.Array, mask: jax.Array | None = None, axis_name: str | None = None
) -> Moments:
    """Take in a batch `x [..., D]` (where `mask [...]` is True), by the pairwise rule of Chan et
    al. 1983, which keeps precision.

    Args:
      moments: those before.
      x: float `[..., D]`; masked rows may hold NaN.
      mask: bool `[...]`; None: all rows count.
      axis_name: devices that hold the other rows.
    """
    x = x.reshape(-1, x.shape[-1]).astype(moments.mean.dtype)
    weight = jnp.ones(x.shape[0], x.dtype) if mask is None else mask.reshape(-1).astype(x.dtype)
    count = total(weight.sum(), axis_name)
    x = jnp.where(weight[:, None] > 0, x, 0)
    mean = total(x.sum(0), axis_name) / jnp.maximum(count, 1)
    centerd = (x - mean[None]) * weight[:, None]
    scatter = total(centerd.T @ centerd, axis_name)
    both, shift = jnp.maximum(moments.count + count, 1), mean - moments.mean
    cross = jnp.outer(shift, shift) * (moments.count * count / both)
    return Moments(
        moments.count + count,
        moments.mean + shift * (count / both),
        moments.scatter + scatter + cross,
    )


class EmbeddingSummary(NamedTuple):
    """Scalars."""

    std: jax.Array
    """Root of the mean variance of the features."""
    concentration: jax.Array
    """|mean|^2 / E |x|^2, in [0, 1]: near 1 if all embeddings are about the same."""
    effective_rank: jax.Array
    """Effective rank of the centered embeddings, see `effective_rank`."""
    participation_ratio: jax.Array
    """Participation ratio of the centered embeddings, see `participation_ratio`."""


def embedding_summary(moments: Moments) -> EmbeddingSummary:
    """Summary of the embeddings, from the accumulated moments."""
    covariance = moments.scatter / jnp.maximum(moments.count, 1)
    variance, center = jnp.trace(covariance), jnp.square(moments.mean).sum()
    singular = jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(covariance), 0))
    features = moments.mean.shape[0]
    return EmbeddingSummary(
        jnp.sqrt(variance / features),
        center / jnp.maximum(center + variance, TINY),
        effective_rank(singular),
        participation_ratio(singular),
    )


def singular_values(
    rows: jax.Array,
    center: bool = True,
    *,
    centre: bool | None = None,  # old name
) -> jax.Array:
    """Singular values of rows `[N, D]`. Our choice: centered, since a common offset is no direction
    that carries information. The old spelling of `center` works until 0.3.
    """
    if centre is not None:  # old name
        warn_once("singular_values(centre=)", "singular_values(center=)")  # old name
        center = centre  # old name
    rows = _rows(rows, 1)
    if center:
        rows = rows - rows.mean(0, keepdims=True)
    # The triangle has the same ones; of the rows themselves XLA would keep N x N left vectors.
    return jnp.linalg.svd(jnp.linalg.qr(rows, mode="r"), compute_uv=False)


def effective_rank(singular: jax.Array) -> jax.Array:
    """exp of the entropy of singular values over their sum (Roy and Vetterli 2007, EUSIPCO,
    definition 1); 0 if all are 0.
    """
    p = singular / jnp.maximum(singular.sum(), TINY)
    entropy = -jnp.where(p > 0, p * jnp.log(jnp.where(p > 0, p, 1)), 0).sum()
    return jnp.where(singular.sum() > TINY, jnp.exp(entropy), 0)


def participation_ratio(singular: jax.Array) -> jax.Array:
    """(sum v)^2 / sum v^2 of the variances v = singular^2; between 1 and the rank, 0 if
    all are 0.
    """
    variance = jnp.square(singular)
    return jnp.square(variance.sum()) / jnp.maximum(jnp.square(variance).sum(), TINY**2)


def _rows(rows, least):
    if rows.ndim != 2 or rows.shape[0] < least:
        raise ValueError(
            f"expected [N, D] with N at least {least}, not an array of shape {rows.shape}"
        )
    return rows.astype(jnp.promote_types(rows.dtype, jnp.float32))
