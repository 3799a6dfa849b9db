"""Arithmetic on inputs that overflow or underflow, and the search with codes far away."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.codebooks.extremes import LARGEST, bounded, narrowed, xlogx
from quant.codebooks.nearest import nearest, unit


def test_shares_that_underflow_have_finite_gradients():
    p = jnp.array([0.0, 1e-42, 0.5, 1.0])
    np.testing.assert_allclose(xlogx(p), [0, 0, 0.5 * np.log(0.5), 0], atol=1e-6)
    np.testing.assert_allclose(
        jax.grad(lambda p: xlogx(p).sum())(p), [0, 0, 1 + np.log(0.5), 1], atol=1e-6
    )


def test_bounded_passes_the_gradient_and_narrowed_never_overflows():
    x = jnp.array([1e30, -1e30, 2.0])
    value, gradient = jax.value_and_grad(lambda x: bounded(x).sum())(x)
    assert value == 2.0 and (gradient == 1).all() and bounded(x)[0] == LARGEST
    assert jnp.isfinite(narrowed(x, jnp.float16)).all()


@pytest.mark.parametrize("size", [1e-30, 1e-15, 1.0, 1e30])
def test_unit_rows_of_any_size(size):
    x = size * jnp.array([[3.0, 4.0]])
    np.testing.assert_allclose(unit(x), [[0.6, 0.8]], rtol=1e-6)
    assert jnp.isfinite(jax.grad(lambda x: unit(x).sum())(x)).all()


@pytest.mark.parametrize("way", ["xla", "scan", "pallas"])
@pytest.mark.parametrize("far", [1e5, 1e6, 1e9, np.inf])
def test_a_code_that_is_far_away_leaves_the_others_exact(way, far):
    rng = np.random.default_rng(0)
    x, codes = (rng.normal(size=(n, 8)).astype(np.float32) for n in (300, 400))
    codes[7] = far
    truth = ((x[:, None].astype(np.float64) - codes[None].astype(np.float64)) ** 2).sum(-1)
    index, _ = nearest(jnp.asarray(x), jnp.asarray(codes), way=way, tile=64)
    np.testing.assert_array_equal(index, truth.argmin(1))
