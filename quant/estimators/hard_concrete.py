"""Hard concrete gates: numbers in [0, 1] that are exactly 0 or 1 with positive probability, and
differentiable in between.
"""

import math

import jax
import jax.numpy as jnp

from quant.estimators.bernoulli import logistic, sample_of
from quant.estimators.sample import Sample, check_positive, widened

BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1
"""Temperature and the interval that the concrete variable is stretched to (Louizos et al. 2018,
arXiv 1712.01312, section 4.1).
"""


def hard_concrete(
    key: jax.Array,
    log_alpha: jax.Array,
    beta: float = BETA,
    gamma: float = GAMMA,
    zeta: float = ZETA,
) -> Sample:
    """clip(s (zeta - gamma) + gamma, 0, 1) with s = sigmoid((log_alpha + logistic noise) / beta)
    (arXiv 1712.01312, equation 10, 11).

    The gradient is that of the formula: none where the clip is active.

    Args:
      key: typed PRNG key.
      log_alpha: floating `[...]`.
      beta: temperature, above 0.
      gamma: lower end of the stretched interval, below 0.
      zeta: upper end, above 1.

    Returns:
      All fields `[...]`: `value` the gate in [0, 1], `index` 1 where it is not 0, `probs` the
      probability of that, `log_prob` of `index`, `soft` the gate before clipping.
    """
    _check(beta, gamma, zeta)
    wide = widened(jnp.asarray(log_alpha)[..., None])[..., 0]
    stretched = jax.nn.sigmoid((wide + logistic(key, wide)) / beta) * (zeta - gamma) + gamma
    open_, law = stretched > 0, open_logit(wide, beta, gamma, zeta)
    return sample_of(log_alpha, law, open_, jnp.clip(stretched, 0, 1), stretched)


def open_logit(
    log_alpha: jax.Array, beta: float = BETA, gamma: float = GAMMA, zeta: float = ZETA
) -> jax.Array:
    """Logit of the probability that a gate is not 0, `[...]` (arXiv 1712.01312, equation 12):
    log_alpha - beta ln(-gamma / zeta).

    The sum of its sigmoids is the expected number of open gates, the penalty of L0 regularization.

    Args:
      log_alpha: floating `[...]`, location of the gate.
      beta: temperature, above 0.
      gamma: lower end of the stretched interval, below 0.
      zeta: upper end, above 1.
    """
    return log_alpha - beta * math.log(-gamma / zeta)


def shut_logit(
    log_alpha: jax.Array, beta: float = BETA, gamma: float = GAMMA, zeta: float = ZETA
) -> jax.Array:
    """Logit of the probability that a gate is less than 1: beta ln((1 - gamma) / (zeta - 1)) -
    log_alpha.

    Args:
      log_alpha: floating `[...]`, location of the gate.
      beta: temperature, above 0.
      gamma: lower end of the stretched interval, below 0.
      zeta: upper end, above 1.

    Returns:
      `[...]`.
    """
    return beta * math.log((1 - gamma) / (zeta - 1)) - log_alpha


def hard_concrete_at_rest(
    log_alpha: jax.Array, gamma: float = GAMMA, zeta: float = ZETA
) -> jax.Array:
    """The gate without noise, for use after training, `[...]` in [0, 1] (arXiv 1712.01312, equation
    13).
    """
    return jnp.clip(jax.nn.sigmoid(log_alpha) * (zeta - gamma) + gamma, 0, 1)


def _check(beta, gamma, zeta):
    check_positive(beta=beta)
    if not gamma < 0 or not zeta > 1:
        raise ValueError(
            f"the stretched interval must contain [0, 1] in its inside, not [{gamma}, {zeta}]"
        )
