"""Measures of fidelity against their definitions, and on estimators whose answer is known."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.estimators import decoupled_st_gs, reinmax, rloo, ste_softmax
from quant.estimators.bias_variance import _compare, bias_variance, bias_variance_grid, gradient_gap
from quant.estimators.exact import exact_gradient
from tests.quant.estimators.small import jacobian, softmax

LOGITS = jnp.float32(np.random.default_rng(0).normal(size=(2, 3)))
TARGET = jnp.float32([[0.4, 0.1, 0.5], [0.2, 0.7, 0.1]])


def f(z):
    return jnp.square(z - TARGET).sum() + 2 * (z[0] * z[1]).sum()


def linear(z):
    return (z * TARGET).sum()


def test_the_measures_by_hand():
    """Three estimates in the plane, exact gradient (3, 4)."""
    found = _compare(
        jnp.array([[3.0, 4.0], [5.0, 4.0], [4.0, 7.0]]),
        jnp.array([3.0, 4.0]),
        _gap(),
        jnp.float32(0.5),
    )
    variance = (1 + 1 + 0 + 1 + 1 + 4) / 2
    np.testing.assert_allclose(found.bias_rel, np.sqrt(2) / 5, rtol=1e-6)
    np.testing.assert_allclose(
        found.bias_rel_debiased, np.sqrt(max(2 - variance / 3, 0)) / 5, rtol=1e-5
    )
    np.testing.assert_allclose(found.std_rel, np.sqrt(variance) / 5, rtol=1e-6)
    np.testing.assert_allclose(found.cosine, (4 * 3 + 5 * 4) / (np.sqrt(41) * 5), rtol=1e-6)
    np.testing.assert_allclose(found.mse_rel, (0 + 4 + 10) / 3 / 25, rtol=1e-6)
    assert found.grad_norm == 5


def _gap():
    return gradient_gap(rloo(), linear, jax.random.key(0), LOGITS)


def test_an_unbiased_estimator_has_no_bias_once_noise_is_subtracted(key):
    found = jax.jit(lambda k: bias_variance(rloo(), f, k, LOGITS, 4000, draws=2))(key)
    assert found.bias_rel < 5 * found.std_rel / np.sqrt(4000)
    assert found.bias_rel_debiased < 2.5 * found.std_rel / np.sqrt(4000)
    assert found.cosine > 0.99 and np.isnan(found.gap_z) and np.isnan(found.gap_theta)


def test_second_order_has_less_bias_than_first_order(key):
    """The loss is quadratic."""

    def run(estimator):
        return jax.jit(lambda k: bias_variance(estimator, f, k, LOGITS, 4000))(key)

    first, second = run(ste_softmax), run(reinmax)
    assert second.bias_rel_debiased < 0.1 < first.bias_rel_debiased
    for found in (first, second):
        np.testing.assert_allclose(
            found.mse_rel, found.bias_rel**2 + found.std_rel**2 * (1 - 1 / 4000), rtol=1e-3
        )
    np.testing.assert_allclose(
        first.grad_norm, np.linalg.norm(exact_gradient(f, LOGITS)), rtol=1e-5
    )
    p = softmax(np.float64(LOGITS))
    np.testing.assert_allclose(first.entropy, -(p * np.log(p)).sum(-1).mean(), rtol=1e-5)


def test_linear_losses_have_no_gap(key):
    gap = gradient_gap(decoupled_st_gs, linear, key, LOGITS, 20)
    np.testing.assert_allclose([gap.z, gap.theta], 0, atol=1e-7)


def test_the_gaps_are_their_definitions(key):
    """f = |z|^2 / 2 has the gradient z."""

    def half_square(z):
        return jnp.square(z).sum() / 2

    estimator = partial(decoupled_st_gs, tau_b=2.0)
    gap = jax.jit(lambda k: gradient_gap(estimator, half_square, k, LOGITS, 50))(key)
    z, theta, soft_z, soft_theta = [], [], [], []
    sample = jax.jit(jax.vmap(lambda k: estimator(k, LOGITS)))(jax.random.split(key, 50))
    for hard, soft in zip(np.float64(sample.value), np.float64(sample.soft), strict=True):

        def pull(g, soft=soft):
            return np.stack([jacobian(p) @ row / 2.0 for p, row in zip(soft, g, strict=True)])

        z.append(np.linalg.norm(hard - soft))
        theta.append(np.linalg.norm(pull(hard - soft)))
        soft_z.append(np.linalg.norm(soft))
        soft_theta.append(np.linalg.norm(pull(soft)))
    wanted = [
        np.mean(z),
        np.mean(z) / np.mean(soft_z),
        np.mean(theta),
        np.mean(theta) / np.mean(soft_theta),
    ]
    np.testing.assert_allclose(gap, wanted, rtol=1e-4)


@pytest.mark.parametrize("law", ["drawn", pytest.param("logits", marks=pytest.mark.slow)])
def test_a_cell_of_the_grid_is_the_estimator_alone(law, key):
    taus_f, taus_b = jnp.array([0.5, 1.0]), jnp.array([0.7, 1.0, 3.0])
    grid = jax.jit(lambda k: bias_variance_grid(f, k, LOGITS, taus_f, taus_b, 64, law=law))(key)
    assert grid.bias_rel.shape == (2, 3)
    exact = exact_gradient(f, LOGITS / 0.5) / 0.5 if law == "drawn" else exact_gradient(f, LOGITS)
    alone = jax.jit(
        lambda k: bias_variance(
            partial(decoupled_st_gs, tau_f=0.5, tau_b=3.0), f, k, LOGITS, 64, exact
        )
    )(key)
    for field, other in zip(grid, alone, strict=True):
        np.testing.assert_allclose(field[0, 2], other, rtol=1e-3, atol=1e-5)
    assert len(np.unique(np.asarray(grid.std_rel).round(4))) == 6


def test_one_estimate_has_no_variance(key):
    with pytest.raises(ValueError, match="at least 2 estimates"):
        bias_variance(reinmax, f, key, LOGITS, 1)
