"""Learning one bit: the toy of ReinMax's code, min E (z - 0.45)^2 over the probability of z = 1,
whose best choice is 0.

Straight-through expects the slope p (1 - p) (2 p - 0.9), which leads to p = 0.45 from both sides;
the true slope p (1 - p) 0.1 leads to 0. So straight-through must stall, and ReinMax, which is exact
for squares, must not.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from quant.estimators import (
    bernoulli_reinmax,
    bernoulli_ste_sigmoid,
    estimate_gradient,
    reinmax,
    rloo,
    ste_softmax,
)


def learn(gradient, key, units=32, steps=400):
    """Probabilities of a 1 after Adam with rate 0.05, from one half."""
    optimizer = optax.adam(0.05)

    def step(state, k):
        logits, inner = state
        change, inner = optimizer.update(gradient(k, logits), inner)
        return (logits + change, inner), None

    start = jnp.zeros(units)
    (logits, _), _ = jax.jit(lambda s, k: jax.lax.scan(step, s, k))(
        (start, optimizer.init(start)), jax.random.split(key, steps)
    )
    return np.asarray(jax.nn.sigmoid(logits))


def pathwise(estimator):
    """Mean over 16 draws of the loss, summed over units."""

    def loss(x, k):
        return jnp.square(estimator(k, jnp.tile(x[None], (16, 1))).value - 0.45).mean(0).sum()

    return lambda k, x: jax.grad(loss)(x, k)


def scored(k, x):
    """Leave-one-out, 16 draws, unit by unit."""

    def f(z):
        return jnp.square(z[1] - 0.45)

    def one(key, logit):
        return estimate_gradient(rloo(), f, key, jnp.stack([0.0 * logit, logit]), 16).gradient[1]

    return jax.vmap(one)(jax.random.split(k, x.shape[0]), x)


def test_straight_through_stalls_where_its_expected_gradient_vanishes(key):
    p = learn(pathwise(bernoulli_ste_sigmoid), key)
    np.testing.assert_allclose(p.mean(), 0.45, atol=0.04)
    assert p.min() > 0.2


@pytest.mark.parametrize(
    "gradient",
    [pathwise(bernoulli_reinmax), pytest.param(scored, marks=pytest.mark.slow)],
    ids=["reinmax", "rloo"],
)
def test_reinmax_and_unbiased_estimators_find_the_better_choice(gradient, key):
    p = learn(gradient, key)
    assert (p < 0.3).mean() > 0.8 and p.mean() < 0.2


@pytest.mark.parametrize(
    "estimator, slope",
    [(ste_softmax, lambda p: p * (1 - p) * (2 * p - 0.9)), (reinmax, lambda p: p * (1 - p) * 0.1)],
)
def test_the_expected_slopes_are_those_of_the_story(estimator, slope, key):
    """Averages over 20 000 draws at p = 0.3."""
    logits = jnp.array([0.0, np.log(0.3 / 0.7)])

    def loss(x, k):
        return jnp.square(estimator(k, jnp.tile(x[None], (20_000, 1))).value[:, 1] - 0.45).mean()

    found = jax.jit(functools.partial(jax.grad(loss)))(logits, key)
    np.testing.assert_allclose(found[1], slope(0.3), atol=0.01)
