"""Linear layers with PyTorch's default initialization, and the two-layer perceptron that conditions
the denoiser.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.nn import initializers
from jaxrl.nn.activations import silu


def per_feature(vector: jax.Array, like: jax.Array) -> jax.Array:
    """`[C] -> [1, ..., 1, C]` with the rank and dtype of `like`, so that adding it promotes no
    ranks.
    """
    return vector.astype(like.dtype).reshape((1,) * (like.ndim - 1) + (-1,))


def multiply(x: jax.Array, matrix: jax.Array) -> jax.Array:
    """`x @ matrix`, `[..., in]` times `[in, out]`, with the leading axes as one.

    With several leading axes, XLA's CPU compiler reorders x in memory to compute the gradient of
    the matrix.
    """
    if x.ndim <= 2:
        return x @ matrix
    return (x.reshape(-1, x.shape[-1]) @ matrix).reshape(*x.shape[:-1], matrix.shape[-1])


class Dense(nn.Module):
    """`y = x W + b`, parameters float32, arithmetic in `dtype`. `[..., in] -> [..., features]`."""

    features: int
    use_bias: bool = True
    dtype: jnp.dtype = jnp.float32
    kernel_init: object = None
    bias_init: object = None

    @nn.compact
    def __call__(self, x):
        shape = (x.shape[-1], self.features)
        default = initializers.fan_in_uniform(shape[0])
        kernel = self.param("kernel", self.kernel_init or default, shape)
        y = multiply(x.astype(self.dtype), kernel.astype(self.dtype))
        if self.use_bias:
            bias = self.param("bias", self.bias_init or default, (self.features,))
            y = y + per_feature(bias, y)
        return y


class MLP(nn.Module):
    """Linear, SiLU, Linear. `[..., in] -> [..., features]`, hidden width `hidden`; the last bias is
    optional.
    """

    hidden: int
    features: int
    use_final_bias: bool = True
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x):
        x = silu(Dense(self.hidden, dtype=self.dtype, name="layers_0")(x))
        return Dense(self.features, self.use_final_bias, dtype=self.dtype, name="layers_1")(x)
