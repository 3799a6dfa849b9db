"""Losses of the four models by hand, in closed form, or by enumeration; gates by their truth
tables.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.estimators import reinmax, st_gs, ste_softmax
from quant.estimators.exact import enumerate_expectation
from quant.models.binary_autoencoder import BinaryAutoencoder, reconstruction_loss
from quant.models.categorical_vae import (
    CategoricalVAE,
    kl_to_uniform,
    negative_elbo,
    reconstruction_of,
)
from quant.models.dense import binary_cross_entropy
from quant.models.logic_gates import (
    PASS_A,
    TRUTH,
    LogicGates,
    classification_loss,
    corners,
    most_likely,
    wires,
)
from quant.models.stochastic_binary import StochasticBinaryNetwork, halves, prediction_loss

X = np.random.default_rng(0).random((3, 4, 4, 1)).astype(np.float32)


def test_cross_entropy_by_hand_and_for_extreme_logits():
    s = 1 / (1 + np.exp(-np.array([0.3, -2.0])))
    t = np.array([0.2, 1.0])
    wanted = -(t * np.log(s) + (1 - t) * np.log(1 - s)).sum()
    np.testing.assert_allclose(
        binary_cross_entropy(jnp.array([0.3, -2.0]), jnp.float32(t)), wanted, rtol=1e-6
    )
    np.testing.assert_allclose(
        binary_cross_entropy(jnp.array([500.0, -500.0]), jnp.array([1.0, 1.0])), 500
    )


def test_kl_to_uniform_by_hand():
    probs = jnp.array([[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(kl_to_uniform(probs), np.log(3 / 2) + 0 + np.log(3), rtol=1e-5)
    assert np.isfinite(jax.grad(lambda p: kl_to_uniform(p).sum())(probs)).all()


def vae():
    module = CategoricalVAE(16, variables=2, categories=3, hidden=(8,))
    return module, module.init(jax.random.key(0), X.reshape(3, 16))


def test_the_bound_is_the_enumerated_one_in_expectation(key):
    """Mean over draws against E BCE + KL, and both lie above -ln p(x)."""
    module, params = vae()
    x = jnp.asarray(X.reshape(3, 16))
    draws = jax.jit(jax.vmap(lambda k: negative_elbo(module, params, x, k, ste_softmax)[0]))(
        jax.random.split(key, 4000)
    )
    logits = module.apply(params, x, method="encode")

    def enumerated(image, row):
        f = reconstruction_of(module, params, image)
        evidence = -jnp.log(enumerate_expectation(lambda z: jnp.exp(-f(z)), jnp.zeros_like(row)))
        return enumerate_expectation(f, row) + kl_to_uniform(jax.nn.softmax(row)), evidence

    exact, evidence = (a.sum() for a in jax.jit(jax.vmap(enumerated))(x, logits))
    np.testing.assert_allclose(draws.mean(), exact / 3, atol=4.5 * draws.std() / np.sqrt(4000))
    assert exact > evidence


def test_the_bound_uses_the_law_that_is_drawn_from(key):
    """At a forward temperature near 0 every variable is certain: KL = L ln K."""
    module, params = vae()
    _, parts = negative_elbo(
        module, params, jnp.asarray(X.reshape(3, 16)), key, lambda k, x: st_gs(k, x, 1e-3, "after")
    )
    np.testing.assert_allclose(parts["kl"], 2 * np.log(3), rtol=1e-3)


@pytest.mark.parametrize(
    "convolutions, hidden", [(False, (8,)), pytest.param(True, (32,), marks=pytest.mark.slow)]
)
def test_an_autoencoder_of_bits(convolutions, hidden, key):
    module = BinaryAutoencoder((4, 4, 1), bits=5, hidden=hidden, convolutions=convolutions)
    params = module.init(key, X)
    assert module.apply(params, X, method="encode").shape == (
        (3, 2, 2, 5) if convolutions else (3, 5)
    )

    def loss(p):
        return reconstruction_loss(module, p, jnp.asarray(X), key, ste_softmax)[0]

    value, gradient = jax.jit(jax.value_and_grad(loss))(params)
    assert 0 < value < 40
    assert all(np.abs(g).max() > 0 for g in jax.tree.leaves(gradient["params"]["encoder"])[-1:])


def test_the_lower_half_is_predicted_from_the_upper_one_alone(key):
    module = StochasticBinaryNetwork(8, hidden=(6, 5))
    upper, lower = halves(jnp.asarray(X))
    np.testing.assert_array_equal(lower, X[:, 2:].reshape(3, 8))
    params = jax.jit(lambda k: module.init(k, upper, k, reinmax))(key)
    changed = jnp.asarray(X).at[:, 2:].set(0.0)
    logits = jax.jit(lambda: module.apply(params, upper - 0.5, key, reinmax))()
    loss = jax.jit(lambda x: prediction_loss(module, params, x, key, reinmax)[0])
    np.testing.assert_allclose(
        loss(jnp.asarray(X)), binary_cross_entropy(logits, lower).mean(), rtol=1e-6
    )
    np.testing.assert_allclose(
        loss(changed), binary_cross_entropy(logits, jnp.zeros((3, 8))).mean(), rtol=1e-6
    )
    gradient = jax.jit(
        jax.grad(lambda p: prediction_loss(module, p, jnp.asarray(X), key, reinmax)[0])
    )(params)["params"]
    assert all(
        np.abs(gradient[name]["kernel"]).max() > 0 for name in ("layers_0", "layers_1", "out")
    )


GATES = {
    0: lambda a, b: 0,
    15: lambda a, b: 1,
    8: lambda a, b: a & b,
    14: lambda a, b: a | b,
    6: lambda a, b: a ^ b,
    7: lambda a, b: 1 - (a & b),
    9: lambda a, b: 1 - (a ^ b),
    1: lambda a, b: 1 - (a | b),
    PASS_A: lambda a, b: a,
    10: lambda a, b: b,
    3: lambda a, b: 1 - a,
    5: lambda a, b: 1 - b,
}


@pytest.mark.parametrize("number", GATES)
def test_gates_are_their_truth_tables(number):
    for a, b in itertools.product((0, 1), repeat=2):
        assert TRUTH[number] @ np.asarray(corners(jnp.float32(a), jnp.float32(b))) == GATES[number](
            a, b
        )


def test_gates_between_bits_are_probabilities():
    """xor of independent bits with probabilities 0.3 and 0.8."""
    np.testing.assert_allclose(
        TRUTH[6] @ np.asarray(corners(jnp.float32(0.3), jnp.float32(0.8))),
        0.3 * 0.2 + 0.7 * 0.8,
        rtol=1e-6,
    )


def test_wires_join_two_different_inputs():
    first, second = wires(np.random.default_rng(0), 7, 50)
    assert (first != second).all() and first.max() < 7 and second.max() < 7
    assert np.bincount(first).min() >= 7


def test_a_network_of_passing_gates_counts_its_inputs(key):
    module = LogicGates(2, gates=(4, 4), lean=50.0, vote=1.0)
    bits = jnp.array([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    params = module.init(key, bits, key, most_likely)
    votes = module.apply(params, bits, key, most_likely)
    np.testing.assert_allclose(votes.sum(-1), [2, 4])
    loss, parts = classification_loss(module, params, bits, jnp.array([0, 1]), key, most_likely)
    log_p = np.asarray(votes) - np.log(np.exp(votes).sum(-1, keepdims=True))
    np.testing.assert_allclose(loss, -(log_p[0, 0] + log_p[1, 1]) / 2, rtol=1e-5)
    assert 0 <= parts["accuracy"] <= 1


def test_gates_learn_exclusive_or(key):
    """Two bits, wired at random; most gates say nothing about their xor at first."""
    module = LogicGates(2, gates=(32, 32), lean=0.0, vote=2.0)
    bits = jnp.array(list(itertools.product((0.0, 1.0), repeat=2)))
    y = jnp.array([0, 1, 1, 0])
    params = module.init(key, bits, key, most_likely)

    def loss(p, k, e):
        return classification_loss(module, p, bits, y, k, e)[0]

    def step(p, k):
        gradient = jax.grad(loss)(p, k, ste_softmax)
        return jax.tree.map(lambda a, g: a - 5.0 * g, p, gradient), None

    learned, _ = jax.jit(lambda p: jax.lax.scan(step, p, jax.random.split(key, 300)))(params)
    assert loss(learned, key, most_likely) < 0.3 < loss(params, key, most_likely)
    assert classification_loss(module, learned, bits, y, key, most_likely)[1]["accuracy"] == 1
