"""Are Gumbel-softmax gradients the more biased, the less decided q(c|x) is? The paper's figure, on
random networks with exact gradients.

The paper finds a correlation of 0.77. Our choice: the law of the networks and logits, which it does
not give; and bias with the noise of the mean subtracted next to bias as measured, since the noise
grows with the entropy too.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from quant.estimators import gumbel_softmax
from quant.estimators.bias_variance import bias_variance

CODES, FEATURES, HIDDEN = 16, 8, 32
TEMPERATURES = (0.1, 0.5, 1.0)


class Biases(NamedTuple):
    """Biases of T temperatures and n networks, `[T, n]`."""

    entropy: jax.Array
    """Entropy of the choice, in nats."""
    measured: jax.Array
    """|mean of the estimates - exact gradient|, gradients with respect to the logits."""
    debiased: jax.Array
    """The same without the noise of the mean."""


def biases(key: jax.Array, networks: int, draws: int = 2048) -> Biases:
    """Random networks tanh(y W V) u with codebook W; logits are normal with a deviation between 1/8
    and 8.
    """
    keys = jax.random.split(key, networks)

    def over_networks(tau):
        return jax.lax.map(lambda k: _one(k, tau, draws), keys)

    return jax.lax.map(over_networks, jnp.array(TEMPERATURES))


def correlations(found: Biases) -> dict[str, list[float]]:
    """Pearson's coefficient of entropy and bias, for every temperature: "measured" and
    "debiased".
    """

    def pearson(x, y):
        return float(np.corrcoef(x, y)[0, 1])

    def over(bias):
        return [
            pearson(x, y) for x, y in zip(np.asarray(found.entropy), np.asarray(bias), strict=True)
        ]

    return {"measured": over(found.measured), "debiased": over(found.debiased)}


def _one(key, temperature, draws):
    keys = jax.random.split(key, 6)
    codes = jax.random.normal(keys[0], (CODES, FEATURES))
    inner = jax.random.normal(keys[1], (FEATURES, HIDDEN)) / jnp.sqrt(FEATURES)
    outer = jax.random.normal(keys[2], (HIDDEN,)) / jnp.sqrt(HIDDEN)
    scale = 2.0 ** jax.random.uniform(keys[3], (), minval=-3, maxval=3)
    logits = scale * jax.random.normal(keys[4], (CODES,))

    def f(y):
        return jnp.tanh(y @ codes @ inner) @ outer

    seen = bias_variance(
        lambda k, at: gumbel_softmax(k, at, temperature), f, keys[5], logits, draws
    )
    return Biases(
        seen.entropy, seen.bias_rel * seen.grad_norm, seen.bias_rel_debiased * seen.grad_norm
    )
