"""Binary units are categorical variables with two logits; hard concrete gates and their closed
forms; gapped logits by hand.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant import estimators as q
from quant.estimators.gapped import moved
from quant.estimators.hard_concrete import open_logit, shut_logit
from quant.estimators.sample import tempered_softmax
from tests.quant.estimators.small import backward, jacobian, softmax

UNITS = np.array([[0.4, -1.3], [2.0, 0.0]])
COTANGENT = np.array([[0.3, -2.0], [1.0, 0.7]])
PAIRS = {
    "identity": (q.bernoulli_ste_identity, q.ste_identity, {}),
    "softmax": (q.bernoulli_ste_sigmoid, q.ste_softmax, {"tau": 0.6}),
    "decoupled": (q.bernoulli_decoupled_st_gs, q.decoupled_st_gs, {"tau_f": 0.5, "tau_b": 2.0}),
    "decoupled, scaled": (
        q.bernoulli_decoupled_st_gs,
        q.decoupled_st_gs,
        {"tau_b": 2.0, "normalize_backward": True},
    ),
    "reinmax": (q.bernoulli_reinmax, q.reinmax, {"tau": 1.3}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_units_equal_the_reduction_to_two_categories(name, key):
    direct, estimator, options = PAIRS[name]
    with jax.enable_x64(True):
        logits = jnp.asarray(UNITS)
        one = backward(partial(direct, **options), key, logits, COTANGENT)
        other = backward(partial(q.as_bernoulli(estimator), **options), key, logits, COTANGENT)
    sample, gradient = one
    assert set(np.unique(sample.value)) <= {0.0, 1.0}
    assert np.abs(gradient).min() > 1e-6
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-15), one, other)


def test_two_categories_with_any_common_shift_are_one_unit(key):
    """Logits (a, a + l) as categories: the gradient to the second logit is the unit's."""
    with jax.enable_x64(True):
        unit = backward(q.bernoulli_reinmax, key, jnp.float64(0.7), 1.5)[1]
        pair = backward(q.reinmax, key, jnp.array([3.0, 3.7]), np.array([0.0, 1.5]))[1]
    np.testing.assert_allclose(pair, [-unit, unit], rtol=1e-12)


def test_the_identity_passes_gradients_untouched(key):
    for estimator, shape in ((q.ste_identity, (3, 4)), (q.bernoulli_ste_identity, (3,))):
        g = np.float32(np.random.default_rng(0).normal(size=shape))
        np.testing.assert_array_equal(backward(estimator, key, jnp.zeros(shape), g)[1], g)


@pytest.mark.parametrize("log_alpha", [-1.0, 0.5, 2.0])
def test_gates_are_shut_and_open_as_often_as_the_closed_forms_say(log_alpha, key):
    sample = q.hard_concrete(key, jnp.full(20_000, log_alpha))
    value = np.asarray(sample.value)
    assert value.min() >= 0 and value.max() <= 1
    for seen, logit in (
        ((value > 0).mean(), open_logit(log_alpha)),
        ((value < 1).mean(), shut_logit(log_alpha)),
    ):
        p = 1 / (1 + np.exp(-logit))
        assert abs(seen - p) < 4.5 * np.sqrt(p * (1 - p) / len(value))
    np.testing.assert_array_equal(sample.index, value > 0)
    np.testing.assert_allclose(sample.probs[0], 1 / (1 + np.exp(-open_logit(log_alpha))), rtol=1e-5)


def test_gates_by_hand():
    """beta 2/3, gamma -0.1, zeta 1.1: P(0 < z) has logit log_alpha + 2/3 ln 11, and a gate at rest
    with log_alpha 0 is 0.5.
    """
    np.testing.assert_allclose(open_logit(0.3), 0.3 + 2 / 3 * np.log(11), rtol=1e-6)
    np.testing.assert_allclose(
        q.hard_concrete_at_rest(jnp.array([0.0, 10.0, -10.0])), [0.5, 1.0, 0.0], rtol=1e-6
    )


def test_gates_have_a_gradient_inside_and_none_at_the_ends(key):
    sample, gradient = backward(q.hard_concrete, key, jnp.zeros(200), np.ones(200))
    inside = (np.asarray(sample.value) > 0) & (np.asarray(sample.value) < 1)
    assert 50 < inside.sum() < 150
    assert (np.asarray(gradient)[inside] > 0).all() and (np.asarray(gradient)[~inside] == 0).all()


def test_moved_logits_by_hand():
    logits = jnp.array([1.0, 3.0, 2.5, -4.0])
    np.testing.assert_allclose(moved(logits, jnp.int32(0), 1.0), [3.0, 2.0, 2.0, -4.0])
    p = float(jax.nn.softmax(logits)[1])
    gap = -np.log(1 - p) / p
    np.testing.assert_allclose(
        moved(logits, jnp.int32(1), "p"), [min(1, 3 - gap), 3, min(2.5, 3 - gap), -4], rtol=1e-5
    )


@pytest.mark.parametrize("gap", [1.0, 0.1, "p"])
def test_the_draw_is_largest_by_the_gap_whatever_the_logits(gap):
    rows = jnp.float32(np.random.default_rng(5).normal(size=(200, 6)) * 5)
    index = jnp.arange(200, dtype=jnp.int32) % 6
    out = np.asarray(moved(rows, index, gap))
    chosen = np.take_along_axis(out, np.asarray(index)[:, None], 1)[:, 0]
    others = np.where(np.eye(6, dtype=bool)[np.asarray(index)], -np.inf, out).max(-1)
    p = np.take_along_axis(softmax(np.float64(rows)), np.asarray(index)[:, None], 1)[:, 0]
    least = -np.log1p(-np.minimum(p, 1 - 1e-5)) / np.maximum(p, 1e-5) if gap == "p" else gap
    assert np.isfinite(out).all() and (chosen - others >= least * (1 - 1e-3) - 1e-4).all()


def test_the_gapped_gradient_is_its_formula(key):
    logits, g = np.array([1.0, 3.0, 2.5, -4.0]), np.array([0.3, -2.0, 1.0, 0.1])
    with jax.enable_x64(True):
        sample, gradient = backward(partial(q.gst, tau=0.7), key, jnp.asarray(logits), g)
        relaxed = softmax(np.asarray(moved(jnp.asarray(logits), sample.index, 1.0)) / 0.7)
    np.testing.assert_allclose(gradient, jacobian(relaxed) @ g / 0.7, rtol=1e-12)


def test_tempered_scores_of_any_size_are_finite():
    """Divided first, equal scores of 1e15 give NaN where the division is fused."""
    scores = jnp.array([[1e15] * 5, [1e30, -1e30, 0.0, 1.0, 1e29], [0.1, -1e15, 0.2, 0.0, 0.3]])
    soft = jax.jit(jax.vmap(lambda x: tempered_softmax(x, 0.7)))(scores)
    np.testing.assert_allclose(soft[:2], [[0.2] * 5, [1, 0, 0, 0, 0]], rtol=1e-6)
    expected = softmax(np.array([0.1, 0.2, 0.0, 0.3]) / 0.7)
    np.testing.assert_allclose(soft[2, jnp.array([0, 2, 3, 4])], expected, rtol=1e-6)
