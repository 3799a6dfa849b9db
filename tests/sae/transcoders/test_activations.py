"""Sparse activations against sorting, hand numbers and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sae.transcoders import activations


@pytest.fixture(scope="module")
def pre():
    return jax.random.normal(jax.random.key(3), (6, 200))


@pytest.mark.parametrize("k", [1, 7, 150])
def test_top_k_keeps_exactly_the_k_largest_positive(pre, k):
    out, rows = np.asarray(activations.top_k(pre, k)), np.asarray(pre)
    for found, row in zip(out, rows, strict=True):
        kept = np.sort(row[row > 0])[::-1][:k]
        np.testing.assert_array_equal(np.sort(found[found > 0])[::-1], kept)
        np.testing.assert_array_equal(found[found > 0], row[found > 0])


@pytest.mark.parametrize("k", [1, 7, 150])
def test_a_traced_k_keeps_the_same_with_any_axes_in_front_and_the_same_gradient(pre, k):
    stacked = pre.reshape(2, 3, 200)

    def cube(keep):
        return jax.value_and_grad(lambda a: (jax.vmap(jax.vmap(keep))(a) ** 3).sum())

    known = jax.jit(cube(lambda row: activations.top_k(row, k)))(stacked)
    traced = jax.jit(lambda a, k: cube(lambda row: activations.top_k(row, k))(a))(
        stacked, jnp.float32(k)
    )
    jax.tree.map(np.testing.assert_array_equal, known, traced)
    np.testing.assert_array_equal(known[1].reshape(6, 200), 3 * activations.top_k(pre, k) ** 2)


@pytest.mark.parametrize("k", [2, jnp.float32(2)])
def test_equal_values_at_the_edge_all_stay(k):
    out = activations.top_k(jnp.array([[3.0, 1.0, 1.0, 1.0, -2.0]]), k)
    np.testing.assert_array_equal(out, [[3.0, 1.0, 1.0, 1.0, 0.0]])


@pytest.mark.parametrize("features", [3, 48, 256, 257])
def test_the_kth_of_rows_is_what_sorting_finds(features):
    """By maxima and by TopK, with equal and infinite values."""
    rng = np.random.default_rng(features)
    rows = np.concatenate([rng.normal(size=(3, features)), rng.integers(0, 3, (3, features))])
    rows[0, 1], rows[1], rows[2, :2] = np.inf, 7, -np.inf
    rows = rows.astype(np.float32)
    for k in {1, 2, 3, min(8, features), min(9, features)}:
        found = activations.kth_of_rows(jnp.asarray(rows), k)
        np.testing.assert_array_equal(found, np.sort(rows)[:, -k])
        stacked = jax.vmap(lambda a, k=k: activations.kth_of_rows(a, k))(jnp.asarray(rows[None]))
        np.testing.assert_array_equal(stacked[0], found)


@pytest.mark.parametrize("zeros", [0, 300])
def test_a_value_that_is_no_number_takes_a_place(zeros):
    """By maxima and by TopK alike: one of two stays."""
    row = jnp.array([[1.0, jnp.nan, 3.0, 2.0, *[0.0] * zeros]])
    kept = activations.top_k(row, 2)
    np.testing.assert_array_equal(kept, [[0, 0, 3, 0, *[0] * zeros]])


def test_batch_top_k_counts_over_the_batch_and_takes_fractions(pre):
    out, flat = (
        np.asarray(activations.batch_top_k(pre, 2.5)),
        np.sort(np.asarray(pre).ravel())[::-1],
    )
    np.testing.assert_array_equal(np.sort(out[out > 0])[::-1], flat[:15])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_kth_largest_is_what_sorting_finds(dtype):
    values = jax.nn.relu(jax.random.normal(jax.random.key(0), (3, 3000))).astype(dtype)
    found = jax.jit(activations.kth_largest)(values, 1234)
    assert found == jnp.sort(values.reshape(-1))[-1234]
    assert activations.kth_largest(values, 10**6) == 0


def test_k_may_be_traced_and_differ_in_a_vmap(pre):
    ks = jnp.array([2.0, 5.0, 9.0])
    out = jax.vmap(activations.top_k, (None, 0))(pre, ks)
    for k, found in zip(ks, out, strict=True):
        np.testing.assert_array_equal(found, activations.top_k(pre, int(k)))


def test_gradient_reaches_what_is_kept_only(pre):
    grads = np.asarray(jax.grad(lambda p: activations.top_k(p, 5).sum())(pre))
    np.testing.assert_array_equal(grads, np.asarray(activations.top_k(pre, 5)) > 0)


def test_group_max_keeps_one_of_each_group():
    out = activations.group_max(jnp.array([[1.0, 5.0, -1.0, -2.0, 3.0, 3.0]]), 3)
    np.testing.assert_array_equal(out, [[0.0, 5.0, 0.0, 0.0, 3.0, 0.0]])


def test_step_plus_relu_by_hand():
    out = activations.step_plus_relu(jnp.array([[0.5, 2.0, -1.0, 1.5]]), 2)
    np.testing.assert_allclose(out, [[0.0, 3.0, 0.0, 2.5]])


def test_above_sends_no_gradient_to_the_threshold():
    pre = jnp.array([0.2, 0.8, -1.0])
    np.testing.assert_allclose(activations.above(pre, jnp.float32(0.5)), [0, 0.8, 0])
    assert jax.grad(lambda t: activations.above(pre, t).sum())(jnp.float32(0.5)) == 0


def test_the_straight_through_gradient_is_that_of_a_smoothed_l0():
    """Over many pre-activations the window's gradient is the derivative of the expected count, a
    density.
    """
    pre = jax.random.uniform(jax.random.key(0), (200_000, 1))
    slope = jax.grad(lambda t: activations.step(pre, t, 0.1).mean())(jnp.array([0.5]))
    np.testing.assert_allclose(slope, [-1.0], rtol=0.02)
