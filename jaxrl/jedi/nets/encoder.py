"""From frames to latents of fixed scale. In pixel mode the latent is the frame itself."""

import math
from dataclasses import dataclass
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.nn import encoder as blocks
from jaxrl.replay.segment import frame_to_float, quantize_frame

ENCODERS = {
    "conv": blocks.ConvEncoder,
    "strided": blocks.StridedEncoder,
    "local": blocks.LocalEncoder,
    "patch": blocks.PatchEncoder,
    "fold": blocks.FoldEncoder,
}
NORMS = {
    "rms": blocks.fix_rms,
    "position": blocks.fix_position,
    "none": blocks.fix_nothing,
    "quantize": quantize_frame,
}


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes of the encoder, and how the scale of a latent is fixed. All values are our choice; the
    paper's are not known.
    """

    kind: Literal["conv", "strided", "local", "patch", "fold", "identity"] = "conv"
    """Full-resolution residual blocks; stride-2 convolutions only (cheap); those without any mixing
    over the map; squares folded into channels and convolutions on coarse maps only (cheap in
    memory); squares folded into channels and nothing but pointwise layers (cheapest); or none: the
    latent is the frame (pixel mode).
    """
    widths: tuple[int, ...] = (32, 64, 64)
    """Channels per level; every level halves the resolution. None for "identity"."""
    channels: int = 16
    """Channels of the latent map."""
    norm: Literal["rms", "position", "none", "quantize"] = "rms"
    """Way in which each latent is brought to scale (`jaxrl.nn.encoder.fix_*`). "rms" gives every
    map a root mean square of 0.5. "quantize" is for frames: denoised ones are clamped and cut to 8
    bits (DIAMOND), real ones are left as they are.
    """


class Encoder(nn.Module):
    """`[..., H, W, 3]` in [-1, 1] to latents `[..., H/2^L, W/2^L, C]` of fixed scale, float32.
    "identity" has no parameters.
    """

    config: EncoderConfig
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x):
        config = self.config
        if config.kind == "identity":
            return x
        h = ENCODERS[config.kind](config.widths, config.channels, self.dtype, name=config.kind)(x)
        return fix_scale(config, h)


def fix_scale(config: EncoderConfig, h: jax.Array) -> jax.Array:
    """Bring latents `[..., h, w, C]` to the scale that `config.norm` asks for; sampled latents go
    through it too.
    """
    return NORMS[config.norm](h)


def encode(
    encoder: Encoder, params, frame: jax.Array, mask: jax.Array | None = None, chunk: int = 0
) -> jax.Array:
    """Latents of uint8 frames `[..., H, W, 3]`; exactly zero where `mask [...]` is False (no frame
    was seen there).

    With a `chunk`, no more than so many frames are encoded together: less memory for the fine maps,
    and no gradient through it in mind (there would be one, but it would keep them all).

    Args:
      encoder: the network.
      params: its parameters.
      frame: uint8 `[..., H, W, 3]`.
      mask: bool `[...]`; None: all frames were seen.
      chunk: frames at a time; 0: all together.

    Returns:
      `[..., h, w, C]`.
    """
    leading, shape = frame.shape[:-3], frame.shape[-3:]

    def apply(x):
        return encoder.apply({"params": params}, frame_to_float(x))

    if encoder.config.kind != "identity" and 0 < chunk < math.prod(leading):
        z = jax.lax.map(apply, frame.reshape(-1, *shape), batch_size=chunk)
        z = z.reshape(*leading, *z.shape[1:])
    else:
        z = apply(frame)
    return z if mask is None else jnp.where(mask[..., None, None, None], z, 0.0)
