"""From frames to latents of fixed scale, and back through the probe decoder."""

from dataclasses import dataclass
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.nn import encoder as blocks
from jaxrl.replay.segment import frame_to_float

ENCODERS = {"conv": blocks.ConvEncoder, "strided": blocks.StridedEncoder, "local": blocks.LocalEncoder}
NORMS = {
    "rms": blocks.fix_rms,
    "layer": blocks.fix_layer,
    "position": blocks.fix_position,
    "tanh": blocks.fix_tanh,
    "none": blocks.fix_nothing,
}


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes of the encoder, and how the scale of a latent is fixed. All values are our choice; the paper's are not known."""

    kind: Literal["conv", "strided", "local"] = "conv"
    """Full-resolution residual blocks; stride-2 convolutions only (cheap); or those without any mixing over the map."""
    widths: tuple[int, ...] = (32, 64, 64)
    """Channels per level; every level halves the resolution."""
    channels: int = 16
    """Channels of the latent map."""
    norm: Literal["rms", "layer", "position", "tanh", "none"] = "rms"
    """How each latent is brought to scale (`jaxrl.nn.encoder.fix_*`). "rms" gives every map a root mean square of 0.5."""


class Encoder(nn.Module):
    """`[..., H, W, 3]` in [-1, 1] to latents `[..., H/2^L, W/2^L, C]` of fixed scale, float32."""

    config: EncoderConfig
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x):
        config = self.config
        h = ENCODERS[config.kind](config.widths, config.channels, self.dtype, name=config.kind)(x)
        return fix_scale(config, h)


def fix_scale(config: EncoderConfig, h: jax.Array) -> jax.Array:
    """Bring latents `[..., h, w, C]` to the scale that `config.norm` asks for; sampled latents go through it too."""
    return NORMS[config.norm](h)


def encode(encoder: Encoder, params, frame: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """Latents of uint8 frames `[..., H, W, 3]`; exactly zero where `mask [...]` is False (no frame was seen there)."""
    z = encoder.apply({"params": params}, frame_to_float(frame))
    return z if mask is None else jnp.where(mask[..., None, None, None], z, 0.0)
