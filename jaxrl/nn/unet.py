"""The conditioned U-Net of DIAMOND (src/models/blocks.py, class UNet), for frames and for latents
alike.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from jaxrl.nn.conv import Downsample, Upsample
from jaxrl.nn.residual import ResBlocks


class UNet(nn.Module):
    """`x [..., H, W, widths[0]], cond [..., E] -> [..., H, W, widths[0]]`.

    Level l has `depths[l]` residual blocks of width `widths[l]`; a downsampling opens every level
    but the first, an upsampling every level of the way up but the deepest. The two middle blocks
    always attend. On the way up, level l runs `depths[l] + 1` blocks on `concat(x, skip)`, where
    the skips are the level's outputs in reverse and, last, its input. H and W are zero-padded at
    the bottom and right to a multiple of `2 ** (levels - 1)` and cropped at the end.

    Attributes:
      depths: blocks per level.
      widths: channels per level.
      attention: which levels attend (default none).
      dtype: compute dtype.
    """

    depths: Sequence[int]
    widths: Sequence[int]
    attention: Sequence[bool] = ()
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x, cond):
        levels = len(self.depths)
        attention = self.attention or (False,) * levels
        height, width = x.shape[-3:-1]
        x = _pad_to_multiple(x, 2 ** (levels - 1))

        skips_of_level = []
        for level, (depth, channels) in enumerate(zip(self.depths, self.widths, strict=True)):
            if level > 0:
                x = Downsample(self.dtype, name=f"downsamples_{level}")(x)
            blocks = ResBlocks(
                (channels,) * depth, attention[level], self.dtype, name=f"d_blocks_{level}"
            )
            outputs = blocks(x, cond)
            skips_of_level.append([x, *outputs])
            x = outputs[-1]

        x = ResBlocks((self.widths[-1],) * 2, True, self.dtype, name="mid_blocks")(x, cond)[-1]

        for up, level in enumerate(reversed(range(levels))):
            if up > 0:
                x = Upsample(self.dtype, name=f"upsamples_{up}")(x)
            widths = (self.widths[level],) * self.depths[level] + (self.widths[max(level - 1, 0)],)
            blocks = ResBlocks(widths, attention[level], self.dtype, name=f"u_blocks_{up}")
            x = blocks(x, cond, skips_of_level[level][::-1])[-1]

        return x[..., :height, :width, :]


def _pad_to_multiple(x, multiple):
    bottom, right = (-x.shape[-3] % multiple, -x.shape[-2] % multiple)
    return jnp.pad(x, ((0, 0),) * (x.ndim - 3) + ((0, bottom), (0, right), (0, 0)))
