"""Group normalization, plain and modulated by a conditioning vector (specs: DIAMOND
src/models/blocks.py).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxrl.nn import initializers
from jaxrl.nn.mlp import Dense

GROUP_SIZE = 32
EPSILON = 1e-5


def normalize_groups(
    x: jax.Array,
    scale: jax.Array | float = 1.0,
    shift: jax.Array | float = 0.0,
    epsilon: float = EPSILON,
) -> jax.Array:
    """Zero mean and unit (biased) variance over H, W and the channels of each group, then `* scale
    + shift`; all in float32.

    Args:
      x: `[..., H, W, C]`; C is split into `max(1, C // 32)` groups.
      scale: a factor per map and channel, `[..., C]`, or less that broadcasts to it.
      shift: what is added then, likewise.
      epsilon: added to the variance.

    Returns:
      Array of x's shape and dtype.
    """
    values = x.astype(jnp.float32)
    mean = _group_mean(values.mean((-3, -2)))
    variance = _group_mean(jnp.square(values - _over_space(mean)).mean((-3, -2)))
    scale, shift = jnp.broadcast_to(scale, mean.shape), jnp.broadcast_to(shift, mean.shape)
    factor = lax.rsqrt(variance + epsilon) * scale
    mean, factor, shift = _computed_once(jnp.stack([mean, factor, shift]))
    y = (values - _over_space(mean)) * _over_space(factor) + _over_space(shift)
    return y.astype(x.dtype)


def _group_mean(channels: jax.Array) -> jax.Array:
    """The mean of each group in place of its members, `[..., C]`."""
    *leading, count = channels.shape
    num_groups = max(1, count // GROUP_SIZE)
    groups = channels.reshape(*leading, num_groups, count // num_groups)
    mean = groups.mean(-1, keepdims=True)
    return jnp.broadcast_to(mean, groups.shape).reshape(channels.shape)


def _over_space(channels: jax.Array) -> jax.Array:
    return channels[..., None, None, :]


def _computed_once(rows: jax.Array) -> jax.Array:
    """`rows`, computed before they are read.

    XLA's CPU compiler would compute them again for every value of the map, in a loop with so many
    inputs that it is not vectorized, which takes ten times as long. It keeps products of matrices
    out of such loops, even one with the identity; at the highest precision it changes no value,
    but a channel that is not finite makes all channels of its map NaN.
    """

    def product(rows):
        return jnp.matmul(rows, jnp.eye(rows.shape[-1], dtype=rows.dtype), precision="highest")

    return lax.platform_dependent(rows, cpu=product, default=lambda rows: rows)


class GroupNorm(nn.Module):
    """Group norm with a learned scale and bias per channel. `[..., H, W, C] -> [..., H, W, C]`."""

    @nn.compact
    def __call__(self, x):
        shape = (x.shape[-1],)
        scale = self.param("scale", initializers.ones, shape)
        bias = self.param("bias", initializers.zeros, shape)
        return normalize_groups(x, scale, bias)


class AdaGroupNorm(nn.Module):
    """Group norm whose scale and shift come from a conditioning vector: `norm(x) * (1 + scale) +
    shift`.

    `x [..., H, W, C]`, `cond [..., D]` with the same leading axes; one linear layer gives [scale |
    shift].
    """

    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x, cond):
        scale, shift = jnp.split(
            Dense(2 * x.shape[-1], dtype=self.dtype, name="linear")(cond), 2, axis=-1
        )
        return normalize_groups(x, 1 + scale, shift)
