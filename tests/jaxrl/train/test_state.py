"""Learners, moving averages, and what counts as a parameter."""

import jax.numpy as jnp
import numpy as np
import optax

from jaxrl.train.state import apply_gradients, count_params, ema, init_learner


def test_a_learner_counts_its_updates():
    optimizer = optax.sgd(0.5)
    learner = init_learner({"w": jnp.array([1.0, 2.0])}, optimizer)
    assert int(learner.updates) == 0
    learner, norm = apply_gradients(learner, {"w": jnp.array([3.0, 4.0])}, optimizer)
    np.testing.assert_allclose(learner.params["w"], [-0.5, 0.0])
    assert (int(learner.updates), float(norm)) == (1, 5.0)


def test_a_moving_average_by_hand():
    average = ema(
        {"w": jnp.array([1.0]), "b": jnp.array(0.0)},
        {"w": jnp.array([3.0]), "b": jnp.array(10.0)},
        0.9,
    )
    np.testing.assert_allclose([average["w"][0], average["b"]], [1.2, 1.0], rtol=1e-6)


def test_limits_of_a_moving_average():
    old, new = {"w": jnp.array([1.0])}, {"w": jnp.array([3.0])}
    np.testing.assert_array_equal(ema(old, new, 1.0)["w"], old["w"])
    np.testing.assert_array_equal(ema(old, new, 0.0)["w"], new["w"])


def test_fixed_frequencies_are_no_parameters():
    tree = {
        "dense": {"kernel": jnp.zeros((2, 3)), "bias": jnp.zeros(3)},
        "noise": {"frequencies": jnp.zeros(50)},
    }
    assert count_params(tree) == 9
