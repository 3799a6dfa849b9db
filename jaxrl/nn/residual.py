"""Residual blocks: a small plain one for encoders and policies, a conditioned one for U-Nets
(DIAMOND blocks.py).

For the backward pass only the input of every norm-SiLU-convolution is kept; norm and SiLU, which
are cheap, are computed again. Without this a loop over autoregressive steps keeps each of their
intermediate maps, several times the memory of the convolutions.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from jaxrl.nn import initializers
from jaxrl.nn.activations import silu
from jaxrl.nn.attention import SelfAttention2d
from jaxrl.nn.conv import Conv
from jaxrl.nn.modulate import AdaGroupNorm, GroupNorm


class SmallResBlock(nn.Module):
    """`skip(x) + Conv3x3(SiLU(GroupNorm(x)))`, `[..., H, W, C] -> [..., H, W, D]`; skip is a 1x1
    convolution where C is not D.
    """

    features: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x):
        def branch(self, x):
            return Conv(self.features, dtype=self.dtype, name="conv")(
                silu(GroupNorm(name="norm")(x))
            )

        h = nn.remat(branch)(self, x)
        if x.shape[-1] != self.features:
            x = Conv(self.features, size=1, dtype=self.dtype, name="skip_projection")(x)
        return x + h


class ResBlock(nn.Module):
    """Two modulated 3x3 convolutions around a skip, then attention if asked. `x [..., H, W, C],
    cond [..., E] -> [..., H, W, D]`.

    The second convolution's weight starts at zero (its bias does not), so a new block is nearly its
    skip.
    """

    features: int
    attention: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x, cond):
        def first(self, x, cond):
            h = silu(AdaGroupNorm(dtype=self.dtype, name="norm1")(x, cond))
            return Conv(self.features, dtype=self.dtype, name="conv1")(h)

        def second(self, h, cond):
            h = silu(AdaGroupNorm(dtype=self.dtype, name="norm2")(h, cond))
            return Conv(
                self.features, dtype=self.dtype, kernel_init=initializers.zeros, name="conv2"
            )(h)

        h = nn.remat(second)(self, nn.remat(first)(self, x, cond), cond)
        if x.shape[-1] != self.features:
            x = Conv(self.features, size=1, dtype=self.dtype, name="proj")(x)
        out = x + h
        return SelfAttention2d(self.dtype, name="attn")(out) if self.attention else out


class ResBlocks(nn.Module):
    """A chain of conditioned residual blocks, one width per block; returns the output of every
    block.

    With `skips` given, block i first receives `concat(x, skips[i])` on the channel axis.
    """

    widths: Sequence[int]
    attention: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x, cond, skips=None):
        outputs = []
        for i, width in enumerate(self.widths):
            x = x if skips is None else jnp.concatenate([x, skips[i]], axis=-1)
            x = ResBlock(width, self.attention, self.dtype, name=f"resblocks_{i}")(x, cond)
            outputs.append(x)
        return outputs
