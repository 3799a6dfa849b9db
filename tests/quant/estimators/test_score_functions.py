"""REBAR and RELAX are unbiased and quieter; baselines; joint losses of several variables."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.estimators import (
    control_variate_loss,
    ema_baseline,
    estimate_gradient,
    rebar,
    reinforce,
    relax,
    rloo,
)
from tests.quant.estimators.small import LOGITS, cubic, exact

COUNT = 4000


def gradients(estimator, f, key, n, count=COUNT):
    def one(k):
        return estimate_gradient(estimator, f, k, jnp.float32(LOGITS), n).gradient

    return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(key, count)))


ESTIMATORS = {
    "reinforce": reinforce(1.0),
    "rloo": rloo(),
    "rebar": rebar(0.5),
    "relax": relax(lambda z: 0.5 * cubic(jax.nn.softmax(z)) + z[1]),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_mean_is_the_exact_gradient(name, key):
    """Within 4.5 standard errors in every entry."""
    g = gradients(ESTIMATORS[name], cubic, key, 2)
    assert (np.abs(g.mean(0) - exact(cubic)) < 4.5 * g.std(0) / np.sqrt(COUNT)).all()


def lifted(z):
    """Far from zero, which costs REINFORCE most."""
    return cubic(z) + 3


def spread(estimator, key, count=1000):
    return gradients(estimator, lifted, key, 4, count).var(0).sum()


def test_what_is_subtracted_lowers_the_variance(key):
    plain = spread(reinforce(), key)
    assert spread(rloo(), key) < 0.5 * plain
    assert spread(rebar(0.5), key) < 0.5 * plain


def test_rebar_without_its_control_variate_is_reinforce(key):
    logits = jnp.float32(LOGITS)

    @jax.jit
    def both(key):
        noise = jax.vmap(lambda k: jax.random.gumbel(jax.random.split(k)[0], (5,)))(
            jax.random.split(key, 3)
        )
        hard = jnp.eye(5)[jnp.argmax(logits[None] + noise, axis=-1)]
        return estimate_gradient(rebar(eta=0.0), cubic, key, logits, 3), hard, jax.vmap(cubic)(hard)

    estimate, hard, values = (jax.tree.map(np.asarray, part) for part in both(key))
    np.testing.assert_allclose(estimate.values, values, rtol=1e-5)
    p = np.asarray(jax.nn.softmax(logits))
    np.testing.assert_allclose(
        estimate.gradient, (values[:, None] * (hard - p)).mean(0), rtol=1e-4, atol=1e-5
    )


@pytest.mark.slow
def test_a_control_variate_is_learned_from_the_gradients_alone(key):
    """Strength and temperature by gradient descent, from 0 on; the loss itself is the squared
    length.
    """
    logits = jnp.float32(LOGITS)

    def loss(w, k):
        return control_variate_loss(rebar(jnp.exp(w[1]), w[0]), lifted, k, logits, 16)

    def step(w, k):
        return (w - 0.01 * jax.grad(loss)(w, k), None)

    weights, _ = jax.jit(lambda w, keys: jax.lax.scan(step, w, keys))(
        jnp.array([0.0, -0.7]), jax.random.split(key, 100)
    )
    assert weights[0] > 0.3
    assert spread(rebar(float(jnp.exp(weights[1])), float(weights[0])), key) < 0.7 * spread(
        reinforce(), key
    )


def test_score_functions_need_no_gradient_of_the_loss(key):
    def black_box(z):
        return jax.lax.stop_gradient(jnp.argmax(z)).astype(jnp.float32)

    logits = jnp.float32(LOGITS)
    for estimator in (reinforce(), rloo(), relax(jnp.sum)):
        estimate = jax.jit(lambda k, e=estimator: estimate_gradient(e, black_box, k, logits, 8))(
            key
        )
        assert np.abs(estimate.gradient).max() > 1e-3


def test_a_constant_loss_has_no_gradient_once_a_baseline_is_there(key):
    def constant(z):
        return jnp.float32(3.0) + 0 * z.sum()

    for estimator in (reinforce(3.0), rloo()):
        estimate = jax.jit(
            lambda k, e=estimator: estimate_gradient(e, constant, k, jnp.float32(LOGITS), 4)
        )(key)
        np.testing.assert_allclose(estimate.gradient, 0, atol=1e-6)


def test_the_running_baseline_by_hand():
    baseline = jnp.float32(2.0)
    for values, wanted in (([4.0, 6.0], 2.3), ([2.3, 2.3], 2.3)):
        baseline = ema_baseline(baseline, jnp.array(values), 0.9)
        np.testing.assert_allclose(baseline, wanted, rtol=1e-6)


def test_several_variables_under_one_joint_loss(key):
    """f = z_0a z_1b: the gradient is a product of probabilities, here by hand for two fair coins:
    1/8 (+-1).
    """

    def f(z):
        return z[0, 0] * z[1, 0]

    def one(k, estimator):
        return estimate_gradient(estimator, f, k, jnp.zeros((2, 2)), 2).gradient

    for estimator in (rloo(), rebar(1.0)):
        g = jax.jit(jax.vmap(partial(one, estimator=estimator)))(jax.random.split(key, COUNT))
        np.testing.assert_allclose(g.mean(0), [[0.125, -0.125]] * 2, atol=0.02)
