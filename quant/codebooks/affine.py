"""Affine reparametrization: codes that follow mean and spread of the embeddings at once (Huh et al.
2023).

A code is moved by gradients or averages only when it is chosen; the shift and scale of the whole
codebook reach it always.
"""

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.train.parallel import total

VARIANCE_FLOOR = 1e-5
KEPT_OF_X, KEPT_OF_CODES = 0.99, 0.9
"""Decays of the moving moments of embeddings and of codes, as in the peers' code."""


@struct.dataclass
class Moments:
    """Moving moments of embeddings and of codes, per feature, float32 `[D]`."""

    mean_x: jax.Array
    var_x: jax.Array
    mean_codes: jax.Array
    var_codes: jax.Array
    seen: jax.Array
    """bool scalar, whether any rows were seen; the first ones are taken over whole."""


def neutral(features: int) -> Moments:
    """Moments that change nothing."""
    zeros, ones = jnp.zeros(features, jnp.float32), jnp.ones(features, jnp.float32)
    return Moments(zeros, ones, zeros, ones, jnp.bool_(False))


def scale_of(moments: Moments) -> jax.Array:
    """Factors that codes are multiplied by, `[1, D]`."""
    return jnp.sqrt(
        jnp.maximum(moments.var_x, VARIANCE_FLOOR) / jnp.maximum(moments.var_codes, VARIANCE_FLOOR)
    )[None]


def to_embeddings(moments: Moments, codes: jax.Array) -> jax.Array:
    """Codes `[K, D]` with the mean and the variance of the embeddings."""
    return (codes - moments.mean_codes[None]) * scale_of(moments) + moments.mean_x[None]


def to_codes(moments: Moments, x: jax.Array) -> jax.Array:
    """The inverse, for rows `[N, D]`."""
    return (x - moments.mean_x[None]) / scale_of(moments) + moments.mean_codes[None]


def follow(
    moments: Moments,
    x: jax.Array,
    usable: jax.Array,
    codes: jax.Array,
    axis_name: str | None = None,
) -> Moments:
    """One step of the moving moments. A batch without usable rows changes nothing.

    Args:
      moments: those before.
      x: float32 `[N, D]`, embeddings.
      usable: bool `[N]`, rows that count.
      codes: float32 `[K, D]`, the same on every device.
      axis_name: devices that hold the other rows.
    """
    weight = usable.astype(jnp.float32)[:, None]
    count = total(weight.sum(), axis_name)
    mean = total((weight * x).sum(0), axis_name) / jnp.maximum(count, 1)
    var = total((weight * (x - mean[None]) ** 2).sum(0), axis_name) / jnp.maximum(count, 1)
    keep_x, keep_codes = (
        jnp.where(moments.seen, KEPT_OF_X, 0.0),
        jnp.where(moments.seen, KEPT_OF_CODES, 0.0),
    )

    def towards(old, new, keep):
        return jnp.where(count > 0, keep * old + (1 - keep) * new, old)

    return Moments(
        towards(moments.mean_x, mean, keep_x),
        towards(moments.var_x, var, keep_x),
        towards(moments.mean_codes, codes.mean(0), keep_codes),
        towards(moments.var_codes, codes.var(0), keep_codes),
        moments.seen | (count > 0),
    )
