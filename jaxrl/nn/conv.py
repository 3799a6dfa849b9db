"""Convolutions in NHWC with PyTorch's symmetric padding, and the resampling blocks built on them.

Every network here accepts any number of leading axes: `[..., H, W, C]`.

Why `conv2d` has its own derivative rule: on XLA's CPU backend a convolution inside a `scan` or
`while_loop` is fast only if its axes are in the usual order (NHWC, HWIO), and the *gradients* that
XLA derives are not: there they run 35 to 52 times slower than outside (benchmarks/conv_in_scan.py,
results in benchmarks/results/), which would forbid "one program per epoch" on a laptop. On CPU the
derivative is therefore written as convolutions whose transposes are in the usual order. The forward
pass, and everything on GPU and TPU, stays XLA's own convolution.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxrl.nn import initializers
from jaxrl.nn.mlp import multiply, per_feature


def conv2d(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Cross-correlation with zero padding `k // 2` on every side (torch `padding=1` for 3x3, none
    for 1x1).

    Args:
      x: `[..., H, W, C]`, any float dtype, any number of leading axes (they become one batch;
        prefer this to `vmap`).
      kernel: `[k, k, C, D]`, odd k, same dtype as `x`.
      stride: 1 or more; the output has `ceil(H / stride)` rows.

    Returns:
      `[..., ceil(H/stride), ceil(W/stride), D]`.
    """
    *leading, height, width, channels = x.shape
    size, _, _, features = kernel.shape
    if size == 1 and stride == 1:
        return multiply(x, kernel[0, 0])
    y = _conv(x.reshape(-1, height, width, channels), kernel, stride)
    return y.reshape(*leading, *y.shape[1:3], features)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _conv(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    return _conv_xla(x, kernel, stride)


@_conv.defjvp
def _conv_jvp(stride, primals, tangents):
    x, kernel = primals

    def xla(x, kernel, dx, dkernel):
        return _conv_xla(dx, kernel, stride) + _conv_xla(x, dkernel, stride)

    # checkpoint: without it the reordered maps would be kept for the backward pass.
    @jax.checkpoint
    def cpu(x, kernel, dx, dkernel):
        along_x = _for_map(dx, kernel) if stride == 1 else _conv_taps(dx, kernel, stride)
        return along_x + _for_kernel(x, dkernel, stride)

    tangent = lax.platform_dependent(x, kernel, *tangents, cpu=cpu, default=xla)
    return _conv_xla(x, kernel, stride), tangent


def _conv_xla(x, kernel, stride, dimensions=("NHWC", "HWIO", "NHWC")):
    pad = kernel.shape[1] // 2  # axis 1 is one of space in every order of axes used here
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), ((pad, pad), (pad, pad)), dimension_numbers=dimensions
    )


def _for_map(x, kernel):
    """`_conv_xla(x, kernel, 1)`, whose transpose with respect to x is a convolution in the usual
    order of axes: the kernel is stored as `[k, k, D, C]`, which makes that of the transpose HWIO.
    """
    return _conv_xla(x, jnp.swapaxes(kernel, 2, 3), 1, ("NHWC", "HWOI", "NHWC"))


def _for_kernel(x, kernel, stride):
    """`_conv_xla`, whose transpose with respect to the kernel is a convolution in the usual order
    of axes: there the map's channels are the batch, its batch the channels, and the cotangent the
    kernel.
    """
    y = _conv_xla(
        _channels_first(x), jnp.transpose(kernel, (2, 0, 1, 3)), stride, ("CHWN", "IHWO", "HWNC")
    )
    return jnp.transpose(y, (2, 0, 1, 3))


def _channels_first(x):
    """`transpose(x, (3, 1, 2, 0))`, of which the second half is a product with the identity: a loop
    in the order of the result would read every cache line once for each of its channels. At the
    highest precision it changes no value, but one that is not finite makes all channels of its
    position NaN.
    """
    batch, height, width, channels = x.shape
    rows = jnp.transpose(x, (1, 2, 0, 3)).reshape(-1, channels)
    flipped = lax.dot_general(
        jnp.eye(channels, dtype=x.dtype), rows, (((1,), (1,)), ((), ())), precision="highest"
    )
    return flipped.reshape(channels, height, width, batch)


def _conv_taps(x, kernel, stride):
    """`_conv_xla` as a sum over the kernel's k*k positions, each one matrix product."""
    size, pad = kernel.shape[0], kernel.shape[0] // 2
    batch, height, width, channels = x.shape
    rows, columns = -(-height // stride), -(-width // stride)
    padded = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))

    def under(i, j):
        stop = (batch, i + (rows - 1) * stride + 1, j + (columns - 1) * stride + 1, channels)
        return lax.slice(padded, (0, i, j, 0), stop, (1, stride, stride, 1))

    return sum(under(i, j) @ kernel[i, j] for i in range(size) for j in range(size))


class Conv(nn.Module):
    """3x3 (or 1x1) convolution with bias; parameters float32, arithmetic in `dtype`. `[..., H, W,
    C] -> [..., H', W', D]`.
    """

    features: int
    size: int = 3
    stride: int = 1
    dtype: jnp.dtype = jnp.float32
    kernel_init: object = None
    bias_init: object = None

    @nn.compact
    def __call__(self, x):
        shape = (self.size, self.size, x.shape[-1], self.features)
        default = initializers.fan_in_uniform(initializers.fan_in(shape))
        kernel = self.param("kernel", self.kernel_init or default, shape)
        bias = self.param("bias", self.bias_init or default, (self.features,))
        y = conv2d(x.astype(self.dtype), kernel.astype(self.dtype), self.stride)
        return y + per_feature(bias, y)


class Downsample(nn.Module):
    """3x3 convolution with stride 2, orthogonal weights. `[..., H, W, C] -> [..., ceil(H/2),
    ceil(W/2), C]`.
    """

    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x):
        init = initializers.orthogonal_conv
        return Conv(x.shape[-1], stride=2, dtype=self.dtype, kernel_init=init, name="conv")(x)


class Upsample(nn.Module):
    """Nearest neighbor x2, then a 3x3 convolution. `[..., H, W, C] -> [..., 2H, 2W, C]`."""

    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x):
        x = jnp.repeat(jnp.repeat(x, 2, axis=-3), 2, axis=-2)
        return Conv(x.shape[-1], dtype=self.dtype, name="conv")(x)


def max_pool2(x: jax.Array) -> jax.Array:
    """Maximum over 2x2 windows; an odd last row or column is dropped, as in torch. `[..., H, W, C]
    -> [..., H//2, W//2, C]`.
    """
    *leading, height, width, channels = x.shape
    x = x[..., : height // 2 * 2, : width // 2 * 2, :]
    return x.reshape(*leading, height // 2, 2, width // 2, 2, channels).max(axis=(-4, -2))


def space_to_depth(x: jax.Array, block: int) -> jax.Array:
    """Fold `block` x `block` squares into channels. `[..., H, W, C] -> [..., H/block, W/block,
    block*block*C]`.
    """
    *leading, height, width, channels = x.shape
    x = x.reshape(*leading, height // block, block, width // block, block, channels)
    x = jnp.moveaxis(x, -4, -3)
    return x.reshape(*leading, height // block, width // block, block * block * channels)


def depth_to_space(x: jax.Array, block: int) -> jax.Array:
    """Unfold channels into `block` x `block` squares, the inverse of `space_to_depth`.
    `[..., h, w, block*block*C] -> [..., h*block, w*block, C]`.
    """
    *leading, height, width, channels = x.shape
    x = x.reshape(*leading, height, width, block, block, channels // block**2)
    x = jnp.moveaxis(x, -3, -4)
    return x.reshape(*leading, height * block, width * block, channels // block**2)
