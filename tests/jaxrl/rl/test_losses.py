"""The actor-critic loss against float64 NumPy, its gradients by finite differences, and where none
may flow.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.rl.losses import actor_critic_loss, expected_policy_loss

STEPS, ACTIONS, VALUE_WEIGHT, ENTROPY_WEIGHT = 5, 3, 0.7, 0.05


def inputs():
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(STEPS, ACTIONS)),
        rng.normal(size=STEPS),
        rng.integers(ACTIONS, size=STEPS),
        rng.normal(size=STEPS),
    )


def slow_loss(logits, value, action, returns, baseline):
    """Sums written out, in float64; `baseline` is the value inside the advantage, which takes no
    gradient.
    """
    policy = squared = entropy = 0.0
    for t in range(STEPS):
        p = np.exp(logits[t]) / np.exp(logits[t]).sum()
        policy += -np.log(p[action[t]]) * (returns[t] - baseline[t]) / STEPS
        squared += (value[t] - returns[t]) ** 2 / STEPS
        entropy += -(p * np.log(p)).sum() / STEPS
    return policy + VALUE_WEIGHT * squared - ENTROPY_WEIGHT * entropy, policy, squared, entropy


@jax.jit
def loss_and_gradients(logits, value, action, returns):
    def total(*args):
        return actor_critic_loss(args[0], args[1], action, args[2], VALUE_WEIGHT, ENTROPY_WEIGHT)

    grads = jax.grad(lambda *args: total(*args).total, argnums=(0, 1, 2))(logits, value, returns)
    return total(logits, value, returns), grads


def as_float32(logits, value, action, returns):
    return jnp.float32(logits), jnp.float32(value), jnp.int32(action), jnp.float32(returns)


def test_every_part_equals_the_sums_written_out():
    logits, value, action, returns = inputs()
    loss, _ = loss_and_gradients(*as_float32(logits, value, action, returns))
    np.testing.assert_allclose(loss, slow_loss(logits, value, action, returns, value), rtol=1e-5)


def finite_differences(f, x):
    grad = np.empty_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = 1e-6
        grad[i] = (f(x + step) - f(x - step)) / 2e-6
    return grad


def test_gradients_equal_finite_differences_with_a_frozen_advantage():
    logits, value, action, returns = inputs()
    _, grads = loss_and_gradients(*as_float32(logits, value, action, returns))
    by_logits = finite_differences(lambda x: slow_loss(x, value, action, returns, value)[0], logits)
    by_value = finite_differences(lambda x: slow_loss(logits, x, action, returns, value)[0], value)
    np.testing.assert_allclose(grads[0], by_logits, atol=1e-6)
    np.testing.assert_allclose(grads[1], by_value, atol=1e-6)


def test_nothing_flows_into_the_returns():
    _, grads = loss_and_gradients(*as_float32(*inputs()))
    np.testing.assert_array_equal(grads[2], 0)


def test_the_value_learns_from_the_squared_error_alone():
    logits, value, action, returns = as_float32(*inputs())
    grad = jax.grad(
        lambda v: actor_critic_loss(logits, v, action, returns, 0.0, ENTROPY_WEIGHT).total
    )(value)
    np.testing.assert_array_equal(grad, 0)


def test_hand_number():
    """Two equal logits: ln 2 everywhere; advantages 2 and -1 make 1/2 ln 2, squares 4 and 1 make
    2.5.
    """
    loss = actor_critic_loss(
        jnp.zeros((2, 2)),
        jnp.array([1.0, 1.0]),
        jnp.array([0, 1]),
        jnp.array([3.0, 0.0]),
        1.0,
        0.001,
    )
    expected = np.log(2) / 2 + 2.5 - 0.001 * np.log(2), np.log(2) / 2, 2.5, np.log(2)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_a_good_action_becomes_likelier_and_a_bad_one_rarer(advantage):
    zeros = jnp.zeros(1)
    grad = jax.grad(
        lambda x: actor_critic_loss(x, zeros, jnp.array([1]), zeros + advantage, 1.0, 0.0).total
    )(jnp.zeros((1, 3)))
    assert np.sign(-grad[0, 1]) == np.sign(advantage)
    np.testing.assert_allclose(grad.sum(), 0, atol=1e-7)


def test_entropy_alone_pulls_towards_uniform():
    logits, zeros = jnp.array([[2.0, 0.0, -1.0]]), jnp.zeros(1)
    grad = jax.grad(lambda x: actor_critic_loss(x, zeros, jnp.array([0]), zeros, 1.0, 1.0).total)(
        logits
    )
    assert grad[0, 0] > 0 > grad[0, 2]


def test_the_gradient_of_the_expected_loss_is_the_mean_of_reinforce_over_the_actions():
    keys = jax.random.split(jax.random.key(3), 2)
    logits, returns = (jax.random.normal(key, (5, 3)) for key in keys)
    chance = jax.nn.softmax(logits)
    baseline = (chance * returns).sum(-1)

    def reinforce(logits, action):
        actions = jnp.full(len(logits), action)
        loss = actor_critic_loss(logits, baseline, actions, returns[:, action], 0.0, 0.0)
        return loss.policy

    each = [jax.grad(reinforce)(logits, action) for action in range(3)]
    mean = sum(chance[:, [action]] * each[action] for action in range(3))
    ours, of_returns = jax.grad(expected_policy_loss, argnums=(0, 1))(logits, returns)
    np.testing.assert_allclose(ours, mean, atol=1e-6)
    assert not np.asarray(of_returns).any()
    halved = jax.grad(expected_policy_loss)(logits, returns, 2.0)
    np.testing.assert_allclose(halved, ours / 2, atol=1e-7)
    # by hand: two equal chances, one action worth 1 more; its share rises by 1/2 * 1/2
    by_hand = jax.grad(expected_policy_loss)(jnp.zeros((1, 2)), jnp.array([[1.0, 0.0]]))
    np.testing.assert_allclose(by_hand, [[-0.25, 0.25]], atol=1e-6)
