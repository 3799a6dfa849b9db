"""One interface for the gradient of E f(D), for every estimator; and those that weight scores by
values of f.

    d/dl E f(D) = E f(D) (D - p)        p = softmax(l), D one-hot

An estimator of `estimate_gradient` is either a function `(key, logits) -> Sample`, whose draw
carries its gradient, or a `ScoreFunction`, which calls f itself and needs no gradient of it.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from quant.estimators.sample import Sample, argmax, gumbel, one_hot, widened

Loss = Callable[[jax.Array], jax.Array]
"""f: a value `[..., K]`, the shape of the logits, to a scalar."""


class ScoreFunction(NamedTuple):
    """An estimator that evaluates the loss itself."""

    gradients: Callable[[Loss, jax.Array, jax.Array, int], tuple[jax.Array, jax.Array]]
    """`(f, key, logits, n) -> (gradients [n, ..., K], values [n])`; the estimate is the mean of the
    gradients.
    """
    least: int = 1
    """The smallest n that it works with."""


class Estimate(NamedTuple):
    """An estimated gradient."""

    gradient: jax.Array
    """`[..., K]`, of E f(D) with respect to the logits."""
    values: jax.Array
    """`[n]`: f at the draws."""


def estimate_gradient(
    estimator: Callable[..., Sample] | ScoreFunction,
    f: Loss,
    key: jax.Array,
    logits: jax.Array,
    n: int = 1,
) -> Estimate:
    """Estimate d E f(D) / d logits from `n` draws.

    Args:
      estimator: a function `(key, logits) -> Sample` (bind its options with functools.partial), or
        a `ScoreFunction`.
      f: see `Loss`. Values between one-hot ones are met by relaxations only.
      key: typed PRNG key.
      logits: floating `[..., K]`.
      n: draws that are averaged over.

    Raises:
      ValueError: n is too small for the estimator, or f does not return a scalar.
    """
    least = estimator.least if isinstance(estimator, ScoreFunction) else 1
    if n < least:
        raise ValueError(f"this estimator needs at least {least} draws, not {n}")
    shape = jax.eval_shape(f, logits).shape
    if shape != ():
        raise ValueError(f"the loss must return a scalar, not an array of shape {shape}")
    if isinstance(estimator, ScoreFunction):
        gradients, values = estimator.gradients(f, key, logits, n)
    else:
        one = jax.value_and_grad(lambda x, k: f(estimator(k, x).value))
        values, gradients = jax.vmap(one, in_axes=(None, 0))(logits, jax.random.split(key, n))
    return Estimate(gradients.mean(0), values)


def draws(key: jax.Array, logits: jax.Array, n: int) -> jax.Array:
    """`n` independent one-hot draws `[n, ..., K]` from softmax(logits), by the Gumbel-max trick, in
    their widened dtype.
    """
    wide = widened(logits)
    return jax.vmap(lambda k: one_hot(argmax(wide + gumbel(k, wide)), wide))(
        jax.random.split(key, n)
    )


def score(hard: jax.Array, logits: jax.Array) -> jax.Array:
    """d ln p(D) / d logits = D - softmax(logits), `[..., K]`."""
    return hard - jax.nn.softmax(widened(logits), axis=-1)


def reinforce(baseline: float | jax.Array = 0.0) -> ScoreFunction:
    """(f(D) - baseline) (D - p): unbiased (Williams 1992, Machine Learning 8, section 4; the
    score-function estimator).

    Args:
      baseline: a scalar that does not depend on the draws, such as a running mean of earlier
        values: see `ema_baseline`.
    """
    return ScoreFunction(
        lambda f, key, logits, n: _weighted(f, key, logits, n, lambda values: values - baseline)
    )


def ema_baseline(baseline: jax.Array, values: jax.Array, decay: float = 0.99) -> jax.Array:
    """The baseline after a step that saw `values [n]`: decay * baseline + (1 - decay) *
    their mean.
    """
    return decay * baseline + (1 - decay) * jax.lax.stop_gradient(values).mean()


def rloo() -> ScoreFunction:
    """REINFORCE with the mean of the other draws' values as each draw's baseline: unbiased, needs n
    >= 2.

    Kool et al. 2019, "Buy 4 REINFORCE Samples, Get a Baseline for Free!", equation 8.
    """
    return ScoreFunction(
        lambda f, key, logits, n: _weighted(f, key, logits, n, leave_one_out), least=2
    )


def leave_one_out(values: jax.Array) -> jax.Array:
    """Each value minus the mean of the others, `[n]`, n >= 2."""
    n = values.shape[0]
    return (values - values.mean()) * (n / (n - 1))


def weighted_scores(weights: jax.Array, hard: jax.Array, logits: jax.Array) -> jax.Array:
    """`weights [n]` times the scores of the draws `hard [n, ..., K]`, cast to the logits' dtype."""
    scores = jax.vmap(lambda one: score(one, logits))(hard)
    shaped = weights.astype(scores.dtype).reshape(-1, *(1,) * (scores.ndim - 1))
    return (shaped * scores).astype(jnp.asarray(logits).dtype)


def _weighted(f, key, logits, n, weigh):
    hard = draws(key, logits, n)
    values = jax.vmap(f)(hard.astype(jnp.asarray(logits).dtype))
    return weighted_scores(weigh(values), hard, logits), values
