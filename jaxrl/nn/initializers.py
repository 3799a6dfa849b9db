"""Parameter initializers shared by all networks.

DIAMOND (arXiv 2405.12399, code commit 5bcd159) keeps PyTorch's defaults for convolutions and linear
layers: weight and bias uniform in +-1/sqrt(fan_in), embeddings N(0, 1), LSTM input weights Xavier
uniform, recurrent weights orthogonal.
"""

import math

import jax
import jax.numpy as jnp

zeros = jax.nn.initializers.zeros
ones = jax.nn.initializers.ones
normal = jax.nn.initializers.normal(1.0)
orthogonal = jax.nn.initializers.orthogonal()
xavier_uniform = jax.nn.initializers.xavier_uniform()


def fan_in(kernel_shape: tuple[int, ...]) -> int:
    """Inputs that one output unit sees: all kernel axes but the last (HWIO convolutions, [in, out]
    linear layers).
    """
    return math.prod(kernel_shape[:-1])


def fan_in_uniform(fan: int):
    """Initializer U(-1/sqrt(fan), 1/sqrt(fan)), PyTorch's default for the weights and biases of
    conv and linear layers.
    """
    bound = 1.0 / math.sqrt(fan)

    def init(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def orthogonal_conv(key, shape, dtype=jnp.float32):
    """Orthogonal over the [out, in*H*W] matrix of an HWIO kernel, as `torch.nn.init.orthogonal_`
    treats an OIHW weight.
    """
    height, width, in_features, out_features = shape
    matrix = orthogonal(key, (out_features, in_features * height * width), dtype)
    return matrix.reshape(out_features, in_features, height, width).transpose(2, 3, 1, 0)
