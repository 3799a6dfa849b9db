"""An autoencoder whose code is a map or a vector of bits, drawn and not regularized."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax

from jaxrl.nn.encoder import ConvDecoder, ConvEncoder
from quant.estimators.bernoulli import as_bernoulli
from quant.estimators.sample import Sample
from quant.models.dense import Stack, binary_cross_entropy


class BinaryAutoencoder(nn.Module):
    """Images `[B, H, W, C]` to bits and back (Shah et al. 2024, arXiv 2410.13331: 8 x 8 x 32 bits).

    Attributes:
      shape: (H, W, C).
      bits: units of the code; with convolutions, per place of the map.
      hidden: widths of the hidden layers; with convolutions, of the levels, each of which halves
        the map.
      convolutions: use this package's convolutional encoder and decoder instead of perceptrons.
    """

    shape: tuple[int, int, int]
    bits: int = 64
    hidden: Sequence[int] = (128,)
    convolutions: bool = False

    def setup(self):
        height, width, channels = self.shape
        if self.convolutions:
            self.encoder = ConvEncoder(self.hidden, self.bits)
            self.decoder = ConvDecoder(self.hidden[::-1], channels)
        else:
            self.encoder = Stack((*self.hidden, self.bits))
            self.decoder = Stack((*self.hidden[::-1], height * width * channels))

    def encode(self, x):
        """Logits `[B, ...]` of bits being 1."""
        return self.encoder(x if self.convolutions else x.reshape(x.shape[0], -1))

    def decode(self, bits):
        """Pixel logits `[B, H, W, C]`."""
        return self.decoder(bits).reshape(bits.shape[0], *self.shape)

    def __call__(self, x):
        """For initialization only."""
        return self.decode(jax.nn.sigmoid(self.encode(x)))


def reconstruction_loss(
    module: BinaryAutoencoder,
    params,
    x: jax.Array,
    key: jax.Array,
    estimator: Callable[..., Sample],
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Mean over the batch of the cross-entropy in nats per image.

    Our choice: cross-entropy, as the paper only says that the reconstruction is trained.

    Args:
      module: the network.
      params: its parameters.
      x: float32 `[B, H, W, C]` in [0, 1].
      key: typed PRNG key.
      estimator: of categorical variables, `(key, logits [..., 2]) -> Sample`.
    """
    sample = as_bernoulli(estimator)(key, module.apply(params, x, method="encode"))
    logits = module.apply(params, sample.value, method="decode")
    loss = binary_cross_entropy(logits.reshape(len(x), -1), x.reshape(len(x), -1)).mean()
    return loss, {"reconstruction": loss, "ones": sample.index.mean()}
