"""The depth predictor on functions that gradients do not describe."""

import jax
import jax.numpy as jnp
import pytest

from jaxrl.app.errors import UserError
from reasoning.compositionality.depth.predict import predict_depth


def step(a):
    return jnp.where(a > 0, 1.0, 0.0)


STEPS = {
    "a tree of steps": (lambda x: step(step(x[0] + x[1]) + step(x[2] - x[3]) - 1.5), 4),
    "and": (lambda x: step(x[0] + x[1]) * step(x[2] + x[3]), 4),
    "a weighted sum": (lambda x: step(x[0] * x[1]) + step(x[2] + x[3]) * 0.5, 4),
    "rounding": (lambda x: jnp.round(2 * (x[0] + x[1])) * jnp.round(2 * (x[2] + x[3])), 4),
    "smooth with kinks": (lambda x: jax.nn.relu(x[0] - x[1]) * jax.nn.relu(x[2] + x[3]), 4),
}


@pytest.mark.parametrize("name", STEPS)
def test_pairs_that_act_through_one_number_are_found(name):
    found = predict_depth(*STEPS[name])
    assert found.depth == 2 and str(found.trees[0]) == "((0 1) (2 3))"


def test_an_input_that_only_a_jump_feels_is_not_ignored():
    found = predict_depth(lambda x: jnp.where(x[0] + 0.3 * x[1] > 0, x[2], -x[2]), 3)
    assert found.ignored == () and str(found.trees[0]) == "((0 1) 2)"


def test_a_function_that_is_not_finite_is_refused_with_the_share():
    with pytest.raises(UserError, match=r"not finite in 5\d? % of the box"):
        predict_depth(lambda x: jnp.log(x[0]) + x[1], 2)
    assert predict_depth(lambda x: jnp.log(x[0]) + x[1], 2, low=0.1).depth == 1
