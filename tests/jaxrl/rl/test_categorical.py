"""Categorical distributions: float64 values, limits, gradients, and the frequencies of draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.rl import categorical

LOGITS = np.random.default_rng(0).normal(size=(2, 4, 5)) * 2
DRAWS = 20_000


def probabilities(logits):
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def test_log_probabilities_and_entropy_in_float64():
    index = np.random.default_rng(1).integers(5, size=(2, 4))
    p = probabilities(LOGITS)
    chosen = np.take_along_axis(p, index[..., None], -1)[..., 0]
    np.testing.assert_allclose(
        categorical.log_prob(jnp.float32(LOGITS), jnp.asarray(index)), np.log(chosen), rtol=1e-5
    )
    np.testing.assert_allclose(
        categorical.cross_entropy(jnp.float32(LOGITS), jnp.asarray(index)),
        -np.log(chosen),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        categorical.entropy(jnp.float32(LOGITS)), -(p * np.log(p)).sum(-1), rtol=1e-5
    )


def test_limits_of_the_entropy():
    np.testing.assert_allclose(categorical.entropy(jnp.zeros(7)), np.log(7), rtol=1e-6)
    np.testing.assert_allclose(categorical.entropy(jnp.array([500.0, 0.0, -500.0])), 0, atol=1e-6)
    assert np.isfinite(jax.grad(categorical.entropy)(jnp.array([500.0, 0.0, -500.0]))).all()


def test_a_constant_added_to_all_logits_changes_nothing():
    logits = jnp.float32(LOGITS[0, 0])
    np.testing.assert_allclose(
        categorical.log_prob(logits + 100, jnp.int32(2)),
        categorical.log_prob(logits, jnp.int32(2)),
        rtol=1e-4,
    )


def test_low_precision_logits_are_raised_to_float32():
    logits = jnp.asarray(LOGITS, jnp.bfloat16)
    index = jnp.zeros((2, 4), jnp.int32)
    assert (
        categorical.log_prob(logits, index).dtype
        == categorical.entropy(logits).dtype
        == jnp.float32
    )
    np.testing.assert_array_equal(
        categorical.entropy(logits), categorical.entropy(logits.astype(jnp.float32))
    )


def test_gradient_of_the_cross_entropy_is_probability_minus_one_hot():
    grad = jax.grad(categorical.cross_entropy)(jnp.float32(LOGITS[0, 0]), jnp.int32(3))
    np.testing.assert_allclose(grad, probabilities(LOGITS[0, 0]) - np.eye(5)[3], atol=1e-6)


def assert_frequencies(draws, expected):
    share = np.bincount(np.asarray(draws), minlength=len(expected)) / len(draws)
    assert len(share) == len(expected)
    assert (
        np.abs(share - expected) <= 5 * np.sqrt(expected * (1 - expected) / len(draws))
    ).all(), (share, expected)


def test_draws_have_the_right_frequencies(key):
    draws = jax.vmap(categorical.sample, (0, None))(
        jax.random.split(key, DRAWS), jnp.float32(LOGITS[0, 0])
    )
    assert draws.dtype == jnp.int32
    assert_frequencies(draws, probabilities(LOGITS[0, 0]))


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_epsilon_draws_mix_with_uniform_ones(epsilon, key):
    draw = jax.vmap(categorical.epsilon_sample, (0, None, None))
    draws = draw(jax.random.split(key, DRAWS), jnp.float32(LOGITS[0, 0]), epsilon)
    assert_frequencies(draws, (1 - epsilon) * probabilities(LOGITS[0, 0]) + epsilon / 5)


def test_the_gumbel_trick_has_the_right_frequencies(key):
    logits = jnp.broadcast_to(jnp.float32(LOGITS[0, 0]), (DRAWS, 5))
    draws = categorical.sample_gumbel(logits, jax.random.gumbel(key, (DRAWS, 5)))
    assert draws.dtype == jnp.int32
    assert_frequencies(draws, probabilities(LOGITS[0, 0]))


def test_the_gumbel_trick_takes_the_largest_sum():
    np.testing.assert_array_equal(
        categorical.sample_gumbel(
            jnp.array([[0.0, 1.0], [0.0, 1.0]]), jnp.array([[0.0, 0.0], [3.0, 0.0]])
        ),
        [1, 0],
    )
