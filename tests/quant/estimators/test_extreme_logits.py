"""No estimator turns NaN: values and gradients on logits of any size, alike or one far away."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant import estimators as q
from tests.quant.estimators.test_contract import ALL, BINARY, CATEGORICAL, SCORES

pytestmark = pytest.mark.slow
SIZES = (0.0, 1e-30, 1e-4, 30.0, 1e4, 1e15, 1e30)
WEIGHT = np.float32([0.3, -2.0, 1.0, 0.1, 0.7])


@functools.cache
def learner(name):
    def loss(logits, key):
        sample = ALL[name](key, logits)
        value = getattr(sample, "value", sample)
        return (value.astype(jnp.float32) * WEIGHT).sum(), value

    return jax.jit(jax.vmap(jax.value_and_grad(loss, has_aux=True)))


def rows(dtype):
    """Logits `[R, 5]`: of every size, all alike, and with one far up or down."""
    noise = np.random.default_rng(0).normal(size=5)
    made = []
    for size in SIZES:
        made += [noise * size, np.full(5, size), np.full(5, -size)]
        made += [np.where(np.arange(5) == 2, sign * size, noise) for sign in (1, -1)]
    largest = float(jnp.finfo(dtype).max)
    return jnp.asarray(np.clip(np.array(made), -largest, largest), dtype)


@pytest.mark.parametrize(
    "dtype",
    [
        jnp.float32,
        pytest.param(jnp.bfloat16, marks=pytest.mark.slow),
        pytest.param(jnp.float16, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", ALL)
def test_values_and_gradients_are_finite(name, dtype):
    logits = rows(dtype)
    (_, value), grads = learner(name)(logits, jax.random.split(jax.random.key(0), len(logits)))
    value, grads = (np.asarray(a, np.float32) for a in (value, grads))
    assert np.isfinite(value).all()
    bad = ~np.isfinite(grads).all(-1)
    assert not bad.any(), np.asarray(logits, np.float32)[bad]
    if name in CATEGORICAL and name != "gumbel_softmax":
        np.testing.assert_array_equal(value.sum(-1), 1)
    if name in BINARY:
        assert ((value >= 0) & (value <= 1)).all()


@pytest.mark.parametrize("name", SCORES)
def test_score_functions_are_finite(name):
    logits = rows(jnp.float32)
    keys = jax.random.split(jax.random.key(0), len(logits))
    found = jax.jit(
        jax.vmap(lambda k, row: q.estimate_gradient(SCORES[name], _squared, k, row, n=2).gradient)
    )(keys, logits)
    assert np.isfinite(np.asarray(found)).all()


def _squared(z):
    return ((z - 0.4) ** 2).sum()
