"""Terms that keep a codebook in use and its codes apart."""

import jax
import jax.numpy as jnp

from jaxrl.train.parallel import masked_mean
from quant.codebooks.extremes import bounded, xlogx
from quant.codebooks.nearest import Metric, unit
from quant.codebooks.soft_assignment import squared_distances
from quant.estimators.sample import tempered_softmax


def similarity(x: jax.Array, codes: jax.Array, metric: Metric) -> jax.Array:
    """Minus the Euclidean distance, the cosine or the inner product of rows `[N, D]` and codes `[K,
    D]`: `[N, K]`.
    """
    x, codes = bounded(x), bounded(codes)
    if metric == "cosine":
        x, codes = unit(x), unit(codes)
    if metric != "l2":
        return jnp.einsum("nd,kd->nk", x, codes, precision="highest")
    return -jnp.sqrt(jnp.maximum(squared_distances(x, codes), 1e-12))


def diversity(
    x: jax.Array,
    codes: jax.Array,
    usable: jax.Array,
    metric: Metric,
    temperature: float = 1.0,
    axis_name: str | None = None,
) -> jax.Array:
    """Minus the entropy (nats) of the mean soft assignment: -log K if all codes are used alike, 0
    if one is.

    Args:
      x: `[N, D]`.
      codes: `[K, D]`.
      usable: bool `[N]`.
      metric: "l2" assigns by softmax of minus the Euclidean distance over the temperature, the
        others by the similarity.
      temperature: above 0, in units of the distance or similarity.
      axis_name: devices that hold the other rows.
    """
    soft = tempered_softmax(similarity(x, codes, metric), temperature)
    share = masked_mean(soft, jnp.broadcast_to(usable[:, None], soft.shape), 0, axis_name)
    return xlogx(share).sum()


def orthogonality(codes: jax.Array, active: jax.Array | None = None) -> jax.Array:
    """Mean squared cosine between different codes, 0..1; 0 for one code.

    Args:
      codes: `[K, D]`.
      active: bool `[K]`, codes that count; all if absent.
    """
    codes = unit(codes)
    if active is not None:
        codes = jnp.where(active[:, None], codes, 0)
    size = jnp.float32(codes.shape[0]) if active is None else active.sum(dtype=jnp.float32)
    # sum_ij (e_i . e_j)^2 = |E^T E|^2, of D x D instead of K x K.
    gram = jnp.einsum("kd,ke->de", codes, codes, precision="highest")
    return ((gram**2).sum() - ((codes**2).sum(1) ** 2).sum()) / jnp.maximum(size * (size - 1), 1)
