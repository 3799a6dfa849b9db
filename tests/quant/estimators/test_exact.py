"""Enumeration against loops, finite differences and the golden tables."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.estimators import estimate_gradient
from quant.estimators.exact import (
    configuration,
    enumerate_expectation,
    exact_gradient,
    joint_log_prob,
    local_expectation,
    tabulate,
)
from tests.golden import Golden, relative_error
from tests.quant.estimators.small import softmax

LOGITS = np.random.default_rng(0).normal(size=(2, 3))
WEIGHT = np.random.default_rng(1).normal(size=(6, 6))


def f(z):
    flat = z.reshape(-1)
    return jnp.tanh(flat @ jnp.asarray(WEIGHT, z.dtype) @ flat) + flat[0] * flat[5]


def by_hand(logits):
    """sum_i sum_j p_i q_j f(e_i, e_j)."""
    p, total = softmax(logits), 0.0
    for i, j in itertools.product(range(3), repeat=2):
        flat = np.concatenate([np.eye(3)[i], np.eye(3)[j]])
        total += p[0, i] * p[1, j] * (np.tanh(flat @ WEIGHT @ flat) + flat[0] * flat[5])
    return total


def test_the_expectation_is_the_double_loop():
    with jax.enable_x64(True):
        np.testing.assert_allclose(
            enumerate_expectation(f, jnp.asarray(LOGITS)), by_hand(LOGITS), rtol=1e-13
        )


def test_the_gradient_is_that_of_the_double_loop():
    numeric = np.empty_like(LOGITS)
    for i in np.ndindex(LOGITS.shape):
        step = np.zeros_like(LOGITS)
        step[i] = 1e-5
        numeric[i] = (by_hand(LOGITS + step) - by_hand(LOGITS - step)) / 2e-5
    with jax.enable_x64(True):
        logits = jnp.asarray(LOGITS)
        np.testing.assert_allclose(exact_gradient(f, logits), numeric, rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(
            jax.grad(lambda x: enumerate_expectation(f, x))(logits), numeric, rtol=1e-7, atol=1e-10
        )


@pytest.mark.parametrize("chunk", [1, 2, 4, 9, 100])
def test_the_chunk_changes_nothing(chunk):
    logits = jnp.float32(LOGITS)
    np.testing.assert_allclose(tabulate(f, logits, chunk=chunk), tabulate(f, logits), rtol=1e-6)


def test_configurations_are_numbered_with_the_last_variable_fastest():
    like = jnp.zeros((2, 2, 3))
    for number, digits in enumerate(itertools.product(range(3), repeat=4)):
        if number in (0, 1, 5, 40, 80):
            np.testing.assert_array_equal(
                configuration(jnp.int32(number), like), np.eye(3)[list(digits)].reshape(2, 2, 3)
            )


def test_probabilities_of_all_configurations():
    p = softmax(LOGITS)
    with jax.enable_x64(True):
        np.testing.assert_allclose(
            jnp.exp(joint_log_prob(jnp.asarray(LOGITS))),
            np.outer(p[0], p[1]).reshape(-1),
            rtol=1e-13,
        )


@pytest.mark.slow
def test_two_to_the_sixteen_configurations_of_a_linear_function():
    """E sum of 16 bits = the sum of their probabilities; the gradient is p (1 - p)."""
    logits = jnp.stack([jnp.zeros(16), jnp.linspace(-2, 2, 16)], axis=-1)

    def bits(z):
        return z[:, 1].sum()

    p = 1 / (1 + np.exp(-np.linspace(-2, 2, 16)))
    np.testing.assert_allclose(enumerate_expectation(bits, logits), p.sum(), rtol=1e-4)
    np.testing.assert_allclose(exact_gradient(bits, logits)[:, 1], p * (1 - p), rtol=2e-3)


def test_too_many_configurations_are_refused():
    with pytest.raises(
        ValueError,
        match="17 variables with 2 categories have 131072 configurations, more than 65536",
    ):
        enumerate_expectation(jnp.sum, jnp.zeros((17, 2)))


def test_gradients_also_flow_into_what_the_function_closes_over():
    logits = jnp.float32(LOGITS)

    def with_weight(w):
        return enumerate_expectation(lambda z: w * z[0, 1], logits)

    np.testing.assert_allclose(jax.grad(with_weight)(2.0), softmax(LOGITS)[0, 1], rtol=1e-5)


def test_impossible_categories_do_not_matter():
    logits = jnp.float32(LOGITS).at[0, 1].set(-jnp.inf)
    gradient = exact_gradient(f, logits)
    assert np.isfinite(gradient).all() and gradient[0, 1] == 0


GOLDEN = Golden("quantizers/exact_grad")


@pytest.mark.parametrize("case", range(len(GOLDEN.config["cases"])))
def test_tables_expectation_and_gradient_equal_the_reference(case):
    with jax.enable_x64(True):
        w1, b1, w2, b2 = (
            jnp.asarray(GOLDEN[f"in/{case}/{name}"]) for name in ("W1", "b1", "w2", "b2")
        )

        def loss(z):
            return w2.reshape(-1) @ jnp.tanh(w1 @ z.reshape(-1) + b1) + b2.reshape(())

        logits = jnp.asarray(GOLDEN[f"in/{case}/logits"])
        found = {
            "f_table": tabulate(loss, logits).reshape(GOLDEN[f"out/{case}/f_table"].shape),
            "prob_table": jnp.exp(joint_log_prob(logits)).reshape(
                GOLDEN[f"out/{case}/prob_table"].shape
            ),
            "expectation": enumerate_expectation(loss, logits),
            "exact_grad": exact_gradient(loss, logits),
        }
    for name, array in found.items():
        assert relative_error(array, GOLDEN[f"out/{case}/{name}"]) < 1e-12, name


def test_local_expectations_are_exact_for_one_variable_and_unbiased_for_more(key):
    one = jnp.float32(LOGITS[:1])

    def alone(z):
        return f(jnp.concatenate([z, z]))

    both = jax.jit(
        lambda k: (
            estimate_gradient(local_expectation(), alone, k, one, 1).gradient,
            exact_gradient(alone, one),
        )
    )
    np.testing.assert_allclose(*both(key), rtol=1e-4, atol=1e-6)
    logits = jnp.float32(LOGITS)
    truth, many = jax.jit(
        lambda k: (exact_gradient(f, logits), local_expectation().gradients(f, k, logits, 2000)[0])
    )(key)
    error = np.abs(many.mean(0) - truth)
    assert (error < 4.5 * many.std(0) / np.sqrt(2000) + 1e-6).all()
