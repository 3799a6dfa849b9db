"""The same transcoders as Flax modules, for networks that are made of modules."""

import flax.linen as nn
import jax

from sae import transcoder
from sae.transcoder import TranscoderConfig


class Transcoder(nn.Module):
    """`x [B, D] -> (estimate [B, E], latents [B, F])`, as in training; the parameters are those of
    `transcoder.init`.
    """

    config: TranscoderConfig

    def setup(self):
        """One parameter, a dictionary."""
        self.weights = self.param("weights", transcoder.init, self.config)

    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        pre = transcoder.pre_activations(self.weights, x, self.config)
        z = transcoder.activate(self.weights, pre, self.config)
        return transcoder.decode(self.weights, z, x), z
