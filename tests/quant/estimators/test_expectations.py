"""Expectations of gradients over all draws, in float64: who is exact for what, and the golden
files.
"""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.estimators.reinmax import reinmax_at
from quant.estimators.score_function import leave_one_out, weighted_scores
from quant.estimators.straight_through import ste_softmax_at
from tests.golden import Golden, relative_error
from tests.quant.estimators.small import (
    LOGITS,
    cubic,
    exact,
    expected,
    jacobian,
    linear,
    quadratic,
    softmax,
)


def error(at, f):
    return np.abs(expected(at, f) - exact(f)).max()


def test_straight_through_is_exact_for_linear_losses_only():
    assert error(ste_softmax_at, linear) < 1e-15
    assert error(ste_softmax_at, quadratic) > 0.1


def test_reinmax_is_exact_for_quadratic_losses_and_nearer_than_straight_through_beyond():
    assert error(reinmax_at, linear) < 1e-14
    assert error(reinmax_at, quadratic) < 1e-14
    assert 0.01 < error(reinmax_at, cubic) < error(ste_softmax_at, cubic)


def test_neither_is_exact_at_another_temperature():
    assert error(partial(ste_softmax_at, tau=1.3), linear) > 0.01
    assert error(partial(reinmax_at, tau=1.3), linear) > 0.01


@pytest.mark.parametrize("baseline", [0.0, 1.7])
def test_reinforce_with_any_constant_baseline_is_exact(baseline):
    with jax.enable_x64(True):
        hard, logits = jnp.eye(5, dtype=jnp.float64), jnp.asarray(LOGITS)
        values = jax.vmap(cubic)(hard)
        weighted = weighted_scores(values - baseline, hard, logits)
    np.testing.assert_allclose(
        softmax(LOGITS) @ np.asarray(weighted), exact(cubic), rtol=1e-12, atol=1e-14
    )


def test_leave_one_out_is_exact_over_all_pairs_and_triples():
    p = softmax(LOGITS)
    with jax.enable_x64(True):
        eye, logits = jnp.eye(5, dtype=jnp.float64), jnp.asarray(LOGITS)
        for n in (2, 3):
            draws = np.array(list(itertools.product(range(5), repeat=n)))

            def one(hard):
                return weighted_scores(leave_one_out(jax.vmap(cubic)(hard)), hard, logits).mean(0)

            total = np.prod(p[draws], axis=1) @ np.asarray(jax.jit(jax.vmap(one))(eye[draws]))
            np.testing.assert_allclose(total, exact(cubic), rtol=1e-12, atol=1e-14)


def test_leave_one_out_by_hand():
    np.testing.assert_allclose(
        leave_one_out(jnp.array([1.0, 2.0, 6.0])), [1 - 4, 2 - 3.5, 6 - 1.5], rtol=1e-6
    )


@pytest.mark.parametrize("tau", [1.0, 0.6, 2.0])
def test_reinmax_is_two_jacobians(tau):
    g = np.array([0.3, -2.0, 1.0, 0.1, 0.7])
    p, q = softmax(LOGITS), softmax(LOGITS / tau)
    with jax.enable_x64(True):
        one = jax.grad(lambda x, k: reinmax_at(x, k, tau).value @ jnp.asarray(g))
        actual = jax.vmap(one, in_axes=(None, 0))(
            jnp.asarray(LOGITS), jnp.arange(5, dtype=jnp.int32)
        )
    for k, row in enumerate(np.asarray(actual)):
        wanted = 2 * jacobian((q + np.eye(5)[k]) / 2) @ g - jacobian(p) @ g / 2
        np.testing.assert_allclose(row, wanted, rtol=1e-12, atol=1e-14)


GOLDEN = Golden("quantizers/reinmax")


@pytest.mark.parametrize("case", ["f32", "f64"])
def test_reinmax_equals_the_reference_program(case):
    """Gradients through the sample, and through the sample and its probabilities, at every
    temperature.
    """
    tolerance = 1e-5 if case == "f32" else 1e-12
    with jax.enable_x64(case == "f64"):
        logits, index = (
            jnp.asarray(GOLDEN[f"in/{case}/logits"]),
            jnp.asarray(GOLDEN["in/sample_index"], jnp.int32),
        )
        g, g_p = (jnp.asarray(GOLDEN[f"in/{case}/cotangent_{name}"]) for name in ("sample", "p"))

        @jax.jit
        def run(tau):
            sample, pull = jax.vjp(
                lambda x: (lambda s: (s.value, s.probs))(reinmax_at(x, index, tau)), logits
            )
            return sample, pull((g, jnp.zeros_like(g_p)))[0], pull((g, g_p))[0]

        for tau in GOLDEN.config["taus"]:
            sample, alone, both = run(jnp.asarray(tau, logits.dtype))
            np.testing.assert_array_equal(sample[0], GOLDEN[f"out/{case}/sample"])
            assert relative_error(sample[1], GOLDEN[f"out/{case}/p"]) < tolerance
            assert (
                relative_error(alone, GOLDEN[f"out/{case}/tau{tau}/grad_sample_only"]) < tolerance
            )
            assert (
                relative_error(both, GOLDEN[f"out/{case}/tau{tau}/grad_sample_and_p"]) < tolerance
            )


EXACT = Golden("quantizers/exact_grad")


def reference_loss(case):
    w1, b1, w2, b2 = (jnp.asarray(EXACT[f"in/{case}/{name}"]) for name in ("W1", "b1", "w2", "b2"))
    return lambda z: (w2.reshape(-1) @ jnp.tanh(w1 @ z.reshape(-1) + b1)) + b2.reshape(())


@pytest.mark.parametrize("case", range(len(EXACT.config["cases"])))
@pytest.mark.parametrize(
    "name, at", [("reinmax", reinmax_at), ("straight_through", ste_softmax_at)]
)
def test_expectation_and_variance_over_all_draws_equal_the_reference(case, name, at):
    probabilities = EXACT[f"out/{case}/prob_table"].reshape(-1)
    with jax.enable_x64(True):
        logits, f = jnp.asarray(EXACT[f"in/{case}/logits"]), reference_loss(case)
        indices = jnp.asarray(list(np.ndindex(EXACT[f"out/{case}/prob_table"].shape)), jnp.int32)

        def gradient(index, tau):
            return jax.grad(lambda x: f(at(x, index, tau).value))(logits)

        many = jax.jit(jax.vmap(gradient, in_axes=(0, None)))
        for tau in EXACT.config["taus"]:
            all_ = np.asarray(many(indices, jnp.float64(tau)))
            mean = np.einsum("c,clk->lk", probabilities, all_)
            assert relative_error(mean, EXACT[f"out/{case}/tau{tau}/expected_{name}_grad"]) < 1e-12
            if name == "reinmax":
                variance = np.einsum("c,clk->lk", probabilities, (all_ - mean) ** 2)
                assert (
                    relative_error(variance, EXACT[f"out/{case}/tau{tau}/variance_reinmax_grad"])
                    < 1e-12
                )
