"""The variational autoencoder with L categorical latents of K categories that estimators are
usually compared on.
"""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from quant.estimators.sample import Sample
from quant.models.dense import Stack, binary_cross_entropy


class CategoricalVAE(nn.Module):
    """Two perceptrons around L variables with K categories (github.com/LiyuanLucasLiu/ReinMax,
    mnist_vae: 512, 256 hidden units).

    Attributes:
      pixels: D, numbers in [0, 1] per image.
      variables: L; "8 x 4" in the papers are K = 8 categories and L = 4.
      categories: K.
      hidden: widths of the encoder's hidden layers; the decoder has them in reverse.
    """

    pixels: int
    variables: int = 4
    categories: int = 8
    hidden: Sequence[int] = (512, 256)

    def setup(self):
        self.encoder = Stack((*self.hidden, self.variables * self.categories))
        self.decoder = Stack((*self.hidden[::-1], self.pixels))

    def encode(self, x):
        """Logits `[..., L, K]` of images `[..., D]`."""
        return self.encoder(x).reshape(*x.shape[:-1], self.variables, self.categories)

    def decode(self, z):
        """Pixel logits `[..., D]` of values `[..., L, K]`."""
        return self.decoder(z.reshape(*z.shape[:-2], self.variables * self.categories))

    def __call__(self, x):
        """For initialization only."""
        return self.decode(jax.nn.softmax(self.encode(x)))


def kl_to_uniform(probs: jax.Array) -> jax.Array:
    """KL from probabilities `[..., L, K]` to the uniform law, summed over variables: `[...]`, in
    nats.
    """
    safe = jnp.where(probs > 0, probs, 1)
    return (probs * jnp.log(safe)).sum((-2, -1)) + probs.shape[-2] * jnp.log(float(probs.shape[-1]))


def negative_elbo(
    module: CategoricalVAE, params, x: jax.Array, key: jax.Array, estimator: Callable[..., Sample]
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Mean over the batch of the reconstruction's cross-entropy (summed over pixels) plus KL to the
    uniform prior, in nats.

    Our choice: KL is that of the law which the estimator draws from, so that the sum bounds -ln
    p(x) at every forward temperature.

    Args:
      module: the network.
      params: its parameters.
      x: float32 `[B, D]` in [0, 1].
      key: typed PRNG key.
      estimator: `(key, logits [B, L, K]) -> Sample`.
    """
    sample = estimator(key, module.apply(params, x, method="encode"))
    reconstruction = binary_cross_entropy(
        module.apply(params, sample.value, method="decode"), x
    ).mean()
    kl = kl_to_uniform(sample.probs).mean()
    return reconstruction + kl, {"reconstruction": reconstruction, "kl": kl}


def reconstruction_of(
    module: CategoricalVAE, params, x: jax.Array
) -> Callable[[jax.Array], jax.Array]:
    """f for exact enumeration: cross-entropy of one image `[D]` as a function of its latent
    value `[L, K]`.
    """
    return lambda z: binary_cross_entropy(module.apply(params, z, method="decode"), x)
