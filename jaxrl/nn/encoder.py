"""Frame encoders, a decoder, and the ways to fix the scale of a latent map. Shared by world models
and quantizers.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.nn.activations import silu
from jaxrl.nn.conv import Conv, Downsample, Upsample, depth_to_space, space_to_depth
from jaxrl.nn.initializers import zeros
from jaxrl.nn.modulate import GroupNorm
from jaxrl.nn.residual import SmallResBlock


def through_levels(
    x, widths: Sequence[int], resize: type[nn.Module], name: str, dtype
) -> jax.Array:
    """A first convolution, then a residual block and a change of the resolution per level.

    Called within a compact module, whose layers these are.

    Args:
      x: `[..., H, W, C]`.
      widths: channels of the levels.
      resize: module that changes the resolution, `Downsample` or `Upsample`.
      name: of those modules, before the number of the level.
      dtype: of the computation.

    Returns:
      `[..., H', W', widths[-1]]`.
    """
    x = Conv(widths[0], dtype=dtype, name="conv_in")(x)
    for level, width in enumerate(widths):
        x = SmallResBlock(width, dtype, name=f"block_{level}")(x)
        x = resize(dtype=dtype, name=f"{name}_{level}")(x)
    return x


class ConvEncoder(nn.Module):
    """Full-resolution stem, then a residual block and a stride-2 convolution per level.

    `[..., H, W, 3] -> [..., H/2^L, W/2^L, D]`.

    Attributes:
      widths: channels of the L levels (the stem has `widths[0]`).
      features: channels D of the map that leaves.
    """

    widths: Sequence[int]
    features: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x):
        x = through_levels(x, self.widths, Downsample, "down", self.dtype)
        x = SmallResBlock(self.widths[-1], self.dtype, name="block_out")(x)
        return Conv(self.features, size=1, dtype=self.dtype, name="conv_out")(x)


class Narrowing(nn.Module):
    """Sizes of encoders whose maps are halved level by level."""

    widths: Sequence[int]
    features: int
    dtype: jnp.dtype = jnp.float32


class StridedEncoder(Narrowing):
    """Only stride-2 convolutions and one residual block: the cheap encoder for CPUs. Shapes as
    `ConvEncoder`.
    """

    @nn.compact
    def __call__(self, x):
        for level, width in enumerate(self.widths):
            if level > 0:
                x = silu(GroupNorm(name=f"norm_{level}")(x))
            x = Conv(width, stride=2, dtype=self.dtype, name=f"conv_{level}")(x)
        x = SmallResBlock(self.widths[-1], self.dtype, name="block_out")(x)
        return Conv(self.features, size=1, dtype=self.dtype, name="conv_out")(x)


class LocalEncoder(Narrowing):
    """Stride-2 convolutions and pointwise layers, no statistics over the map.

    Every latent position sees only its own patch of the frame (15 x 15 pixels for 3 levels). Small
    moving things then cannot be drowned by the rest. Shapes as `ConvEncoder`.
    """

    @nn.compact
    def __call__(self, x):
        for level, width in enumerate(self.widths):
            x = Conv(width, stride=2, dtype=self.dtype, name=f"conv_{level}")(
                x if level == 0 else silu(x)
            )
        x = x + Conv(self.widths[-1], size=1, dtype=self.dtype, name="pointwise")(silu(x))
        return Conv(self.features, size=1, dtype=self.dtype, name="conv_out")(silu(x))


class PatchEncoder(Narrowing):
    """Squares folded into channels, then convolutions at the two coarsest resolutions only; the
    finest maps never exist.

    Four times cheaper than `ConvEncoder` in arithmetic, and in memory more. Only the last of
    `widths` is used. Shapes as `ConvEncoder`.
    """

    @nn.compact
    def __call__(self, x):
        width = self.widths[-1]
        x = space_to_depth(x, 2 ** (len(self.widths) - 1))
        x = Conv(width, dtype=self.dtype, name="conv_in")(x)
        x = SmallResBlock(width, self.dtype, name="block_0")(x)
        x = Downsample(self.dtype, name="down_0")(x)
        x = SmallResBlock(width, self.dtype, name="block_1")(x)
        x = SmallResBlock(width, self.dtype, name="block_out")(x)
        return Conv(self.features, size=1, dtype=self.dtype, name="conv_out")(x)


class FoldEncoder(Narrowing):
    """Squares folded into channels, then pointwise layers: every latent sees exactly its own square
    of the frame. No convolution, so the cheapest on CPUs. Shapes as `ConvEncoder`.
    """

    @nn.compact
    def __call__(self, x):
        width = self.widths[-1]
        x = space_to_depth(x, 2 ** len(self.widths))
        x = silu(Conv(width, size=1, dtype=self.dtype, name="conv_in")(x))
        x = x + silu(Conv(width, size=1, dtype=self.dtype, name="pointwise")(x))
        return Conv(self.features, size=1, dtype=self.dtype, name="conv_out")(x)


class ConvDecoder(nn.Module):
    """Mirror of an encoder: a residual block and an upsampling per level. `[..., h, w, D] -> [...,
    h 2^L, w 2^L, channels]`.

    Attributes:
      widths: channels of the L levels, from the latent map outwards.
      channels: channels of the image.
    """

    widths: Sequence[int]
    channels: int = 3
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, z):
        x = through_levels(z, self.widths, Upsample, "up", self.dtype)
        x = silu(GroupNorm(name="norm_out")(x))
        return Conv(self.channels, dtype=self.dtype, name="conv_out")(x)


class FoldDecoder(nn.Module):
    """Mirror of `FoldEncoder`: pointwise layers give every latent its square of the picture.

    They also know the place on the map, so that what never changes there need not be in the latent.
    Shapes and attributes as `ConvDecoder`, but all maps have one size.
    """

    widths: Sequence[int]
    channels: int = 3
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, z):
        width, side = self.widths[0], 2 ** len(self.widths)
        place = self.param("place", zeros, (*z.shape[-3:-1], width))
        x = Conv(width, size=1, dtype=self.dtype, name="conv_in")(z)
        x = silu(x + jnp.broadcast_to(place.astype(x.dtype), x.shape))
        x = x + silu(Conv(width, size=1, dtype=self.dtype, name="pointwise")(x))
        x = Conv(self.channels * side**2, size=1, dtype=self.dtype, name="conv_out")(x)
        return depth_to_space(x, side)


RMS = 0.5
"""Root mean square that `rms` and its kin give a latent map; equals EDM's sigma_data, so that its
constants carry over.
"""

_TINY = 1e-6


def fix_rms(h: jax.Array) -> jax.Array:
    """`RMS * h / rms(h)` over H, W and C of each map `[..., H, W, C]`, in float32."""
    h = h.astype(jnp.float32)
    return RMS * h * jax.lax.rsqrt(jnp.square(h).mean((-3, -2, -1), keepdims=True) + _TINY)


def fix_position(h: jax.Array) -> jax.Array:
    """`fix_rms` at every position apart: over C only."""
    h = h.astype(jnp.float32)
    return RMS * h * jax.lax.rsqrt(jnp.square(h).mean(-1, keepdims=True) + _TINY)


def fix_nothing(h: jax.Array) -> jax.Array:
    """The map as it is, in float32; for ablations."""
    return h.astype(jnp.float32)
