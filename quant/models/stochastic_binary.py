"""A stochastic binary network: layers of drawn bits between the upper half of an image and the
prediction of its lower half.
"""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax

from jaxrl.nn.mlp import Dense
from quant.estimators.bernoulli import as_bernoulli
from quant.estimators.sample import Sample
from quant.models.dense import binary_cross_entropy


class StochasticBinaryNetwork(nn.Module):
    """Bits given bits (Raiko et al. 2015, arXiv 1406.2989, section 5: two layers of 200 units,
    upper half of MNIST to the lower).

    Attributes:
      outputs: numbers in [0, 1] that are predicted.
      hidden: units of the stochastic layers.
    """

    outputs: int
    hidden: Sequence[int] = (200, 200)

    @nn.compact
    def __call__(self, x: jax.Array, key: jax.Array, estimator: Callable[..., Sample]) -> jax.Array:
        """Logits `[B, outputs]` for inputs `[B, D]`, with bits drawn on the way."""
        for level, width in enumerate(self.hidden):
            logits = Dense(width, name=f"layers_{level}")(x)
            x = as_bernoulli(estimator)(jax.random.fold_in(key, level), logits).value
        return Dense(self.outputs, name="out")(x)


def halves(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Upper and lower half of images `[B, H, W, C]`, flat; of an odd height the lower one has a row
    more.
    """
    middle = x.shape[1] // 2
    return x[:, :middle].reshape(len(x), -1), x[:, middle:].reshape(len(x), -1)


def prediction_loss(
    module: StochasticBinaryNetwork,
    params,
    x: jax.Array,
    key: jax.Array,
    estimator: Callable[..., Sample],
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Mean over the batch of -ln p(lower half | bits) with the bits drawn once: in expectation a
    bound on -ln p(lower | upper).

    Arguments as `binary_autoencoder.reconstruction_loss`.
    """
    upper, lower = halves(x)
    loss = binary_cross_entropy(module.apply(params, upper - 0.5, key, estimator), lower).mean()
    return loss, {"prediction": loss}
