"""REBAR and RELAX: REINFORCE with a relaxed control variate, unbiased for any relaxation.

    [f(D) - c(z~)] d ln p(D) + d c(z) - d c(z~)

z = l + g are perturbed logits, D their largest, and z~ perturbed logits drawn once more given D; c
is the control variate.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from quant.estimators.gumbel_rao import conditional_scores
from quant.estimators.sample import (
    argmax,
    check_positive,
    gumbel,
    one_hot,
    tempered_softmax,
    widened,
)
from quant.estimators.score_function import Loss, ScoreFunction, score


def rebar(tau: float | jax.Array = 0.5, eta: float | jax.Array = 1.0) -> ScoreFunction:
    """c(z) = eta f(softmax(z / tau)) (Tucker et al. 2017, arXiv 1703.07370, section 3). The loss
    must accept relaxed values.

    Args:
      tau: temperature, above 0; the paper learns it, see `control_variate_loss`.
      eta: strength; 0 is REINFORCE with the same draws.
    """
    check_positive(tau=tau)

    def relaxed(f):
        return lambda z: eta * f(tempered_softmax(z, tau))

    return ScoreFunction(lambda f, key, logits, n: _gradients(f, relaxed(f), key, logits, n))


def relax(control_variate: Callable[[jax.Array], jax.Array]) -> ScoreFunction:
    """c is any differentiable function of perturbed logits `[..., K]` to a scalar, such as a
    network (arXiv 1711.00123, section 3).

    f itself may be a black box.
    """
    return ScoreFunction(lambda f, key, logits, n: _gradients(f, control_variate, key, logits, n))


def control_variate_loss(
    estimator: ScoreFunction, f: Loss, key: jax.Array, logits: jax.Array, n: int = 1
) -> jax.Array:
    """Mean squared length of `n` gradients; differentiate it by what the estimator was built
    from.

    As their expectation does not depend on the control variate, its gradient is that of their
    variance (arXiv 1711.00123, equation 8).

    Args:
      estimator: from `rebar` or `relax`.
      f: of a value shaped like the logits, to a scalar.
      key: typed PRNG key.
      logits: floating `[..., K]`.
      n: draws.

    Returns:
      A scalar.
    """
    gradients, _ = estimator.gradients(f, key, logits, n)
    return jnp.square(gradients).reshape(n, -1).sum(-1).mean()


def _gradients(f, control_variate, key, logits, n):
    def one(k):
        return _gradient(f, control_variate, k, logits)

    return jax.vmap(one)(jax.random.split(key, n))


def _gradient(f, control_variate, key, logits):
    wide, dtype = widened(logits), jnp.asarray(logits).dtype
    first, second = jax.random.split(key)
    noise, again = gumbel(first, wide), gumbel(second, wide)
    index = argmax(wide + noise)
    hard = one_hot(index, wide)

    def free(x):
        return control_variate(x + noise)

    def given(x):
        return control_variate(conditional_scores(again, x, index))

    at_given, d_given = jax.value_and_grad(given)(wide)
    value = f(hard.astype(dtype))
    gradient = (value - at_given) * score(hard, wide) + jax.grad(free)(wide) - d_given
    return gradient.astype(dtype), value
