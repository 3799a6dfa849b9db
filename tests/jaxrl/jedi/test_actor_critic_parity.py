"""Policy, value, returns and loss against DIAMOND (goldens/diamond/actor_critic.npz)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.jedi.nets.actor_critic import ActorCritic, ActorCriticConfig
from jaxrl.nn.from_torch import from_torch
from jaxrl.nn.recurrent import LSTMState
from jaxrl.rl.losses import actor_critic_loss
from jaxrl.rl.returns import lambda_returns
from tests.golden import Golden, relative_error

GOLDEN = Golden("diamond/actor_critic")


@functools.cache
def load():
    sizes = GOLDEN.config["actor_critic"]
    config = ActorCriticConfig(
        tuple(sizes["channels"]), tuple(map(bool, sizes["down"])), sizes["lstm_dim"]
    )
    model = ActorCritic(config, sizes["num_actions"])
    state = LSTMState(jnp.asarray(GOLDEN["in/hx0"]), jnp.asarray(GOLDEN["in/cx0"]))
    obs = GOLDEN.maps("in/obs")
    template = jax.eval_shape(model.init, jax.random.key(0), state, obs)["params"]
    return model, from_torch(GOLDEN.params(), template), state, obs


def test_sequence_equals_reference():
    model, params, state, obs = load()
    last, out, states = jax.jit(model.apply)({"params": params}, state, obs)
    np.testing.assert_allclose(out.logits, GOLDEN["out/logits_act"], atol=1e-5)
    np.testing.assert_allclose(out.value, GOLDEN["out/val"], atol=1e-5)
    np.testing.assert_allclose(states.hidden, GOLDEN["out/hx"], atol=1e-5)
    np.testing.assert_allclose(states.cell, GOLDEN["out/cx"], atol=1e-5)
    np.testing.assert_allclose(last.cell, GOLDEN["out/cx"][:, -1], atol=1e-5)


def test_stepping_equals_unrolling():
    model, params, state, obs = load()
    step = jax.jit(functools.partial(model.apply, method="step"))
    for t in range(obs.shape[1]):
        state, out = step({"params": params}, state, obs[:, t])
        np.testing.assert_allclose(out.logits, GOLDEN["out/logits_act"][:, t], atol=1e-5)
        np.testing.assert_allclose(out.value, GOLDEN["out/val"][:, t], atol=1e-5)


def test_a_reset_starts_from_the_given_state():
    model, params, state, obs = load()
    zero = LSTMState.zeros(state.hidden.shape[:1], state.hidden.shape[1])
    reset = jnp.zeros(obs.shape[:2], bool).at[:, 2].set(True)
    restart = jax.tree.map(lambda a: jnp.repeat(a[:, None], obs.shape[1], 1), state)
    _, out, _ = model.apply({"params": params}, zero, obs, reset, restart)
    _, tail, _ = model.apply({"params": params}, state, obs[:, 2:])
    np.testing.assert_allclose(out.logits[:, 2:], tail.logits, atol=1e-6)


def test_loss_and_gradients_equal_reference():
    model, params, state, obs = load()
    setting = GOLDEN.config["loss"]
    reward, end, trunc = (jnp.asarray(GOLDEN["in/" + name]) for name in ("rew", "end", "trunc"))
    returns = jax.vmap(lambda_returns, (0, 0, 0, 0, None, None))(
        jnp.sign(reward),
        end,
        trunc,
        jnp.asarray(GOLDEN["in/val_bootstrap"]),
        setting["gamma"],
        setting["lambda_"],
    )
    np.testing.assert_allclose(returns, GOLDEN["out/loss/lambda_returns"], atol=2e-6)

    def loss(params):
        _, out, _ = model.apply({"params": params}, state, obs)
        per_example = jax.vmap(actor_critic_loss, (0, 0, 0, 0, None, None))(
            out.logits,
            out.value,
            GOLDEN["in/act"],
            returns,
            setting["weight_value_loss"],
            setting["weight_entropy_loss"],
        )
        means = jax.tree.map(jnp.mean, per_example)
        return means.total, means

    (total, parts), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    np.testing.assert_allclose(total, GOLDEN["out/loss/loss_total"], atol=1e-5)
    np.testing.assert_allclose(parts.policy, GOLDEN["out/loss/loss_actions"], atol=1e-5)
    np.testing.assert_allclose(parts.value, GOLDEN["out/loss/loss_values"], atol=1e-5)
    np.testing.assert_allclose(
        parts.entropy / jnp.log(2), GOLDEN["out/loss/policy_entropy"], atol=1e-5
    )
    squares = sum(jnp.square(g).sum() for g in jax.tree.leaves(grads))
    assert relative_error(jnp.sqrt(squares), GOLDEN["out/loss/grad_norm_total"]) < 1e-4
    np.testing.assert_allclose(
        grads["actor_linear"]["kernel"].T,
        GOLDEN["out/loss/grad/actor_linear.weight"],
        rtol=1e-4,
        atol=1e-7,
    )
