"""Exact expectations and gradients of functions of a few categorical variables, by visiting every
configuration.

N independent variables with K categories have K^N configurations: 8^4 = 4096 take a fraction of a
second, 2^16 are the usual limit. Configurations are numbered with the last variable running
fastest.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from quant.estimators.sample import one_hot, widened
from quant.estimators.score_function import Loss, ScoreFunction, draws

MAX_CONFIGS = 2**16
"""Configurations that are visited unless more are asked for."""


def tabulate(
    f: Loss, like: jax.Array, max_configs: int = MAX_CONFIGS, chunk: int = 4096
) -> jax.Array:
    """f at every configuration.

    Args:
      f: of one-hot values with the shape and dtype of `like`, to a scalar or any array.
        Differentiable through what it closes over; only one chunk of its inner values is kept in
        memory.
      like: `[..., K]`, for its shape and dtype.
      max_configs: the limit, for protection.
      chunk: configurations that are computed together.

    Returns:
      `[K^N, ...]`.

    Raises:
      ValueError: there are more configurations than the limit.
    """
    categories, variables = like.shape[-1], math.prod(like.shape[:-1])
    count = categories**variables
    if count > max_configs:
        raise ValueError(
            f"{variables} variables with {categories} categories have {count} configurations, more "
            f"than {max_configs}: "
            "raise max_configs, or enumerate fewer variables"
        )

    @jax.checkpoint
    def at(number):
        return f(configuration(number, like))

    return jax.lax.map(at, jnp.arange(count, dtype=jnp.int32), batch_size=min(chunk, count))


def configuration(number: jax.Array, like: jax.Array) -> jax.Array:
    """The one-hot value `[..., K]` of a configuration's number."""
    categories, variables = like.shape[-1], math.prod(like.shape[:-1])
    places = categories ** np.arange(variables)[::-1]
    digits = (number // jnp.asarray(places, jnp.int32)) % categories
    return one_hot(digits, like).reshape(like.shape)


def joint_log_prob(logits: jax.Array) -> jax.Array:
    """ln of the probability of every configuration, `[..., K] -> [K^N]`, differentiable."""
    log_p = jax.nn.log_softmax(widened(logits), axis=-1)
    joint = jnp.zeros((1,), log_p.dtype)
    for row in log_p.reshape(-1, log_p.shape[-1]):
        joint = (joint[:, None] + row[None, :]).reshape(-1)
    return joint


def expectation_of_table(table: jax.Array, logits: jax.Array) -> jax.Array:
    """E f(D) from `tabulate(f, logits)`, differentiable in both; D follows softmax(logits)."""
    return jnp.tensordot(jnp.exp(joint_log_prob(logits)).astype(table.dtype), table, axes=1)


def enumerate_expectation(
    f: Loss, logits: jax.Array, max_configs: int = MAX_CONFIGS, chunk: int = 4096
) -> jax.Array:
    """E f(D) for independent D from softmax(logits), exactly.

    Differentiable in the logits and in what f closes over.

    Args:
      f: of a one-hot value `[..., K]`, to an array of any shape.
      logits: floating `[..., K]`.
      max_configs: largest number of configurations that is visited.
      chunk: configurations that are computed together.

    Returns:
      An array of the shape that f returns.

    Raises:
      ValueError: there are more configurations than `max_configs`.
    """
    return expectation_of_table(tabulate(f, logits, max_configs, chunk), logits)


def exact_gradient(
    f: Loss, logits: jax.Array, max_configs: int = MAX_CONFIGS, chunk: int = 4096
) -> jax.Array:
    """d E f(D) / d logits, `[..., K]`, exactly; f returns a scalar and its own dependence on the
    logits, if any, is left out.

    Args:
      f: of a one-hot value `[..., K]`, to a scalar.
      logits: floating `[..., K]`.
      max_configs: largest number of configurations that is visited.
      chunk: configurations that are computed together.

    Raises:
      ValueError: there are more configurations than `max_configs`.
    """
    return gradient_of_table(tabulate(f, logits, max_configs, chunk), logits)


def gradient_of_table(table: jax.Array, logits: jax.Array) -> jax.Array:
    """d E f(D) / d logits from a table `[K^N]` of f."""
    return jax.grad(expectation_of_table, argnums=1)(jax.lax.stop_gradient(table), logits)


def local_expectation() -> ScoreFunction:
    """Every variable summed over exactly, the others drawn: unbiased (Titsias and Lázaro-Gredilla
    2015, NeurIPS, section 3).

    N K evaluations of f per draw. A quiet reference where there are too many configurations to
    visit.
    """

    def gradients(f, key, logits, n):
        hard = draws(key, logits, n).astype(logits.dtype)
        return jax.vmap(lambda one: _local(f, one, logits))(hard), jax.vmap(f)(hard)

    return ScoreFunction(gradients)


def _local(f: Callable, hard: jax.Array, logits: jax.Array) -> jax.Array:
    """Row n: sum_k f(D with variable n set to k) p_nk (e_k - p_n)."""
    rows, categories = hard.reshape(-1, hard.shape[-1]), hard.shape[-1]

    def swapped(n, k):
        return rows.at[n].set(one_hot(k, rows)).reshape(hard.shape)

    def value(n, k):
        return f(swapped(n, k))

    numbers = jnp.arange(rows.shape[0]), jnp.arange(categories)
    table = jax.vmap(lambda n: jax.vmap(lambda k: value(n, k))(numbers[1]))(numbers[0]).reshape(
        logits.shape
    )
    probs = jax.nn.softmax(widened(logits), axis=-1)
    mean = (probs * table).sum(-1, keepdims=True)
    return (probs * (table - mean)).astype(logits.dtype)
