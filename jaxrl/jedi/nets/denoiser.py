"""The network that predicts the next latent (or frame) from a noisy one, the past and the actions
(DIAMOND, inner_model.py).
"""

from dataclasses import dataclass
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.nn.activations import silu
from jaxrl.nn.conv import Conv
from jaxrl.nn.embed import Embedding, FourierFeatures
from jaxrl.nn.initializers import zeros
from jaxrl.nn.mlp import MLP
from jaxrl.nn.modulate import GroupNorm
from jaxrl.nn.unet import UNet


@dataclass(frozen=True)
class DenoiserConfig:
    """Sizes of the denoising U-Net."""

    depths: tuple[int, ...] = (2, 2)
    """Residual blocks per level, from the latent's resolution downwards."""
    widths: tuple[int, ...] = (128, 128)
    """Channels per level."""
    attention: tuple[bool, ...] = ()
    """Levels that attend; the middle always does. Empty: none."""
    cond_width: int = 256
    """Width of the conditioning vector; a multiple of `2 * context`."""
    kind: Literal["conv", "dense"] = "conv"
    """Convolutions in a U-Net, or residual layers on flattened latents (nets/dense.py), which
    take the first of `depths` and `widths`.
    """


class Denoiser(nn.Module):
    """F of EDM. Conditioned on the noise level and n actions by modulation, on n past maps by
    concatenation.
    """

    config: DenoiserConfig
    num_actions: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, noisy, c_noise, context, action, action_mask=None):
        """Predict.

        Args:
          noisy: `[..., H, W, C]`, already multiplied by c_in.
          c_noise: `[...]`, ln(sigma)/4.
          context: `[..., n, H, W, C]`, oldest first, already divided by sigma_data.
          action: int `[..., n]`, the action taken at each context map.
          action_mask: bool `[..., n]`, False where the step lies before the episode: its embedding
            is then zero. Our choice; DIAMOND pads with action 0.

        Returns:
          F, `[..., H, W, C]`.
        """
        n = context.shape[-4]
        noise = FourierFeatures(self.config.cond_width, name="noise_emb")(c_noise)
        embedded = Embedding(self.num_actions, self.config.cond_width // n, name="act_emb")(action)
        if action_mask is not None:
            embedded = jnp.where(action_mask[..., None], embedded, 0.0)
        past = embedded.reshape(*embedded.shape[:-2], -1)
        width = self.config.cond_width
        cond = MLP(width, width, dtype=self.dtype, name="cond_proj")(noise + past)

        x = jnp.concatenate([stack_channels(context), noisy], axis=-1)
        x = Conv(self.config.widths[0], dtype=self.dtype, name="conv_in")(x)
        x = UNet(
            self.config.depths, self.config.widths, self.config.attention, self.dtype, name="unet"
        )(x, cond)
        x = silu(GroupNorm(name="norm_out")(x))
        return Conv(noisy.shape[-1], dtype=self.dtype, kernel_init=zeros, name="conv_out")(x)


def stack_channels(maps: jax.Array) -> jax.Array:
    """`[..., n, H, W, C] -> [..., H, W, n*C]`, the first map's channels first."""
    *leading, n, height, width, channels = maps.shape
    return jnp.moveaxis(maps, -4, -2).reshape(*leading, height, width, n * channels)
