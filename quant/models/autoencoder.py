"""Plain autoencoders for quantizers to sit in: a perceptron for vectors and small images, and the
convolutions of `jaxrl.nn`.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.app.errors import UserError
from jaxrl.nn.encoder import ConvDecoder, ConvEncoder
from jaxrl.nn.mlp import Dense


class Perceptron(nn.Module):
    """Dense layers with tanh between. `[..., D] -> [..., features]`."""

    widths: Sequence[int]
    features: int

    @nn.compact
    def __call__(self, x):
        for layer, width in enumerate(self.widths):
            x = jnp.tanh(Dense(width, name=f"hidden_{layer}")(x))
        return Dense(self.features, name="out")(x)


class VectorAutoencoder(nn.Module):
    """din - h - h - T L and T L - 64 - 64 - din (Our choice, after the prototype of the collapse
    study); examples are flattened.

    Attributes:
      shape: of one example.
      latent: L, features of a token.
      width: h, of the encoder's hidden layers: its capacity.
      decoder_width: of the decoder's.
      tokens: T, tokens of an example; with one, embeddings have no axis for them.
    """

    shape: tuple[int, ...]
    latent: int
    width: int = 64
    decoder_width: int = 64
    tokens: int = 1

    def setup(self):
        """Two perceptrons."""
        size = 1
        for axis in self.shape:
            size *= axis
        self.encoder = Perceptron((self.width, self.width), self.tokens * self.latent)
        self.decoder = Perceptron((self.decoder_width, self.decoder_width), size)

    def encode(self, x: jax.Array) -> jax.Array:
        """`[B, *shape] -> [B, L]`, or `[B, T, L]` with several tokens."""
        z = self.encoder(x.reshape(x.shape[0], -1))
        return z if self.tokens == 1 else z.reshape(x.shape[0], self.tokens, self.latent)

    def decode(self, z: jax.Array) -> jax.Array:
        """`[B, L]` or `[B, T, L]` to `[B, *shape]`."""
        return self.decoder(z.reshape(z.shape[0], -1)).reshape(z.shape[0], *self.shape)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Reconstruct without quantization."""
        return self.decode(self.encode(x))


class ImageAutoencoder(nn.Module):
    """JEDI's convolutional encoder and decoder; an image becomes a map of tokens.

    Attributes:
      shape: H, W, C of an image; H and W are multiples of 2^levels.
      latent: L, features of a token.
      width: channels of every level: the encoder's capacity.
      levels: halvings.
    """

    shape: tuple[int, int, int]
    latent: int
    width: int = 64
    levels: int = 2

    def setup(self):
        """Encoder and decoder."""
        self.encoder = ConvEncoder((self.width,) * self.levels, self.latent)
        self.decoder = ConvDecoder((64,) * self.levels, self.shape[2])

    @property
    def tokens(self) -> int:
        """Tokens of an image."""
        return (self.shape[0] >> self.levels) * (self.shape[1] >> self.levels)

    def encode(self, x: jax.Array) -> jax.Array:
        """`[B, H, W, C] -> [B, h, w, L]`."""
        return self.encoder(x)

    def decode(self, z: jax.Array) -> jax.Array:
        """`[B, h, w, L] -> [B, H, W, C]`."""
        return self.decoder(z)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Reconstruct without quantization."""
        return self.decode(self.encode(x))


def autoencoder_for(
    shape: tuple[int, ...], latent: int, width: int = 64, levels: int = 2, dense_tokens: int = 0
) -> VectorAutoencoder | ImageAutoencoder:
    """Perceptrons for vectors and for images below 16 x 16, convolutions for larger ones.

    Args:
      shape: of one example: `(H, W, C)` or `(D,)`.
      latent: features of an embedding.
      width: capacity of the encoder: features or channels of its hidden layers.
      levels: halvings of an image's sides.
      dense_tokens: tokens of an example for perceptrons, which are then taken for any shape, with a
        decoder of 256 features (Our choice, for a CPU); 0: as above, with one token.

    Raises:
      UserError: images whose sides cannot be halved `levels` times.
    """
    if dense_tokens:
        return VectorAutoencoder(shape, latent, width, 256, dense_tokens)
    if len(shape) == 3 and shape[0] >= 16:
        if shape[0] % 2**levels or shape[1] % 2**levels:
            raise UserError(
                f"images of {shape[0]} x {shape[1]} cannot be halved {levels} times: crop them, or "
                "choose fewer levels"
            )
        return ImageAutoencoder(shape, latent, width, levels)
    return VectorAutoencoder(shape, latent, width)
