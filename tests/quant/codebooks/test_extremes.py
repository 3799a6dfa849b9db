"""Arithmetic on inputs that overflow or underflow, and the search with codes far away."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.codebooks.extremes import LARGEST, bounded, narrowed, xlogx
from quant.codebooks.nearest import nearest, nearest_k, unit
from quant.estimators.sample import below_largest, safe_log_softmax
from quant.quantizers import gmvq, vq


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


def test_scores_below_their_largest_are_safe_for_a_softmax():
    scores = jnp.array([[3e29, -2e29, 3e29], [1.0, 2.0, 0.5]])
    value = below_largest(scores)
    np.testing.assert_allclose(value, [[0, -5e29, 0], [-1, 0, -1.5]], rtol=1e-6)
    np.testing.assert_allclose(jax.jacobian(below_largest)(scores[1]), np.eye(3))
    np.testing.assert_allclose(
        jax.jacobian(safe_log_softmax)(scores[1]), jax.jacobian(jax.nn.log_softmax)(scores[1])
    )
    forbidden = jnp.array([-jnp.inf, 1.0])
    np.testing.assert_array_equal(below_largest(forbidden), [-np.inf, 0])
    assert jnp.isnan(below_largest(jnp.full(2, -jnp.inf))).all()


def test_the_gradient_of_a_float16_input_does_not_overflow():
    """A row that is nearly zero: its direction moves with a derivative of one over its length."""
    config = vq.VQConfig(3, 2, metric="cosine")
    params, state = vq.init(jax.random.key(0), config)

    def loss(x):
        out, _ = vq.quantize(params, state, x, config)
        return 100 * (out.quantized[:, 0].astype(jnp.float32)).sum()

    gradient = jax.grad(loss)(jnp.array([[1e-6, 2e-6], [1.0, 2.0]], jnp.float16))
    assert gradient.dtype == jnp.float16 and jnp.isfinite(gradient).all()
    assert (gradient != 0).any()


def test_sharp_weights_of_a_mixture_and_far_rows_have_finite_gradients():
    config = gmvq.GMVQConfig(5, 3)
    params, state = gmvq.init(jax.random.key(0), config)
    params["log_weight"] = jnp.full(3, 10.0)

    def loss(params, x):
        return gmvq.quantize(params, state, x, config, key=jax.random.key(1))[0].loss

    grads = jax.jit(jax.vmap(jax.grad(loss, (0, 1)), (None, 0)))(
        params, jnp.array([1e-30, 1.0, 1e7, 1e15])[:, None, None] * jnp.ones((1, 2, 3))
    )
    assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(grads))


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
    three = nearest_k(jnp.asarray(x), jnp.asarray(codes), 3)
    np.testing.assert_array_equal(three, truth.argsort(1)[:, :3])


@pytest.mark.parametrize("share", [3 / 64, 0.6])
def test_many_codes_that_are_far_away_leave_the_others_exact(share):
    """Also if they are the majority, or lie at regular places of the codebook."""
    rng = np.random.default_rng(1)
    x, codes = (rng.normal(size=(n, 8)).astype(np.float32) for n in (200, 640))
    far = np.arange(640) % 64 < 64 * share
    codes[far] = 1e7 * rng.normal(size=(far.sum(), 8))
    truth = ((x[:, None].astype(np.float64) - codes[None].astype(np.float64)) ** 2).sum(-1)
    index, _ = nearest(jnp.asarray(x), jnp.asarray(codes))
    np.testing.assert_array_equal(index, truth.argmin(1))
