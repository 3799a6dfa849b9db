"""Group normalization, plain and modulated by a conditioning vector (specs: DIAMOND
src/models/blocks.py).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.nn import initializers
from jaxrl.nn.mlp import Dense, per_feature

GROUP_SIZE = 32
EPSILON = 1e-5


def normalize_groups(x: jax.Array, epsilon: float = EPSILON) -> jax.Array:
    """Zero mean and unit (biased) variance over H, W and the channels of each group; statistics in
    float32.

    Args:
      x: `[..., H, W, C]`; C is split into `max(1, C // 32)` groups.
      epsilon: added to the variance.

    Returns:
      Array of the same shape and dtype.
    """
    channels = x.shape[-1]
    groups = max(1, channels // GROUP_SIZE)
    split = x.astype(jnp.float32).reshape(*x.shape[:-1], groups, channels // groups)
    axes = (-4, -3, -1)
    mean = split.mean(axes, keepdims=True)
    centered = split - mean
    variance = jnp.square(centered).mean(axes, keepdims=True)
    return (centered * jax.lax.rsqrt(variance + epsilon)).reshape(x.shape).astype(x.dtype)


class GroupNorm(nn.Module):
    """Group norm with a learned scale and bias per channel. `[..., H, W, C] -> [..., H, W, C]`."""

    @nn.compact
    def __call__(self, x):
        shape = (x.shape[-1],)
        scale = self.param("scale", initializers.ones, shape)
        bias = self.param("bias", initializers.zeros, shape)
        return normalize_groups(x) * per_feature(scale, x) + per_feature(bias, x)


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
        over_space = (..., None, None, slice(None))
        return normalize_groups(x) * (1 + scale[over_space]) + shift[over_space]
