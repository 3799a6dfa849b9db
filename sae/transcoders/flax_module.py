"""The same transcoders as Flax modules, for networks that are made of modules."""

import flax.linen as nn
import jax

from sae.transcoders import model
from sae.transcoders.model import TranscoderConfig


class Transcoder(nn.Module):
    """`x [B, D] -> (estimate [B, E], latents [B, F])`, as in training; the parameters are those of
    `transcoder.init`.
    """

    config: TranscoderConfig

    def setup(self):
        """One parameter, a dictionary."""
        self.weights = self.param("weights", model.init, self.config)

    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        pre = model.pre_activations(self.weights, x, self.config)
        z = model.activate(self.weights, pre, self.config)
        return model.decode(self.weights, z, x), z
