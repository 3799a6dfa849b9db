"""Lambda-returns: the golden cases, a hand number, limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.rl.returns import lambda_returns
from tests.golden import Golden

GOLDEN = Golden("diamond/lambda_returns")


@pytest.mark.parametrize("case", GOLDEN.config["cases"], ids=lambda case: case["name"])
def test_returns_equal_reference(case):
    reward, end, trunc, value = (
        jnp.asarray(GOLDEN[f"in/{case['name']}/{part}"])
        for part in ("rew", "end", "trunc", "val_bootstrap")
    )
    returns = jax.vmap(lambda_returns, (0, 0, 0, 0, None, None))(
        jnp.sign(reward), end, trunc, value, case["gamma"], case["lambda_"]
    )
    np.testing.assert_allclose(returns, GOLDEN[f"out/{case['name']}"], atol=2e-6)


def test_hand_number():
    """Two steps, gamma 1/2, lambda 1/2: R_1 = 2 + (4/4 + 4/4) = 4; R_0 = 1 + 1/2 (1/2 * 8 + 1/2 *
    4) = 4.
    """
    zeros = jnp.zeros(2)
    returns = lambda_returns(jnp.array([1.0, 2.0]), zeros, zeros, jnp.array([8.0, 4.0]), 0.5, 0.5)
    np.testing.assert_allclose(returns, [4.0, 4.0])


def test_two_episodes_in_one_trajectory_equal_each_alone():
    reward, value = jnp.array([1.0, -1.0, 1.0, 0.0]), jnp.array([0.3, 0.7, -0.2, 0.5])
    end = jnp.array([0.0, 1.0, 0.0, 0.0])
    zeros = jnp.zeros(4)
    whole = lambda_returns(reward, end, zeros, value, 0.9, 0.8)
    first = lambda_returns(reward[:2], end[:2], zeros[:2], value[:2], 0.9, 0.8)
    second = lambda_returns(reward[2:], end[2:], zeros[2:], value[2:], 0.9, 0.8)
    np.testing.assert_allclose(whole, jnp.concatenate([first, second]), rtol=1e-6)


def test_an_end_discounts_by_its_probability_and_cuts_what_belongs_to_another_game():
    reward, value = jnp.array([0.2, 0.7]), jnp.array([3.0, 5.0])
    returns = lambda_returns(
        reward, jnp.array([0.4, 0.1]), jnp.array([True, False]), value, 0.9, 0.5
    )
    np.testing.assert_allclose(returns[1], 0.7 + 0.9 * 0.9 * 5.0, rtol=1e-6)
    np.testing.assert_allclose(returns[0], 0.2 + 0.6 * 0.9 * 3.0, rtol=1e-6)
