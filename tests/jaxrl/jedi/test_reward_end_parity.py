"""Reward and end model against DIAMOND (goldens/diamond/rew_end.npz): logits, states, loss,
gradients.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.jedi.nets.reward_end import RewardEnd
from jaxrl.jedi.nets.reward_values import reward_class
from jaxrl.nn.from_torch import from_torch
from jaxrl.nn.recurrent import LSTMState
from jaxrl.rl.categorical import cross_entropy
from tests.golden import Golden, relative_error
from tests.jaxrl.jedi.diamond_sizes import reward_end_config

GOLDEN = Golden("diamond/rew_end")


@functools.cache
def load():
    sizes = GOLDEN.config["rew_end_model"]
    config = reward_end_config(sizes)
    model = RewardEnd(config, sizes["num_actions"])
    obs = GOLDEN.maps("in/obs")
    state = LSTMState.zeros((len(obs),), sizes["lstm_dim"])
    inputs = (state, obs[:, :-1], obs[:, 1:], GOLDEN["in/act"][:, :-1])
    template = jax.eval_shape(model.init, jax.random.key(0), *inputs)["params"]
    return model, from_torch(GOLDEN.params(), template), inputs


def test_logits_and_states_equal_reference():
    model, params, inputs = load()
    state, reward, end = jax.jit(model.apply)({"params": params}, *inputs)
    np.testing.assert_allclose(reward, GOLDEN["out/logits_rew"], atol=1e-5)
    np.testing.assert_allclose(end, GOLDEN["out/logits_end"], atol=1e-5)
    np.testing.assert_allclose(state.hidden, GOLDEN["out/hx"][0], atol=1e-5)
    np.testing.assert_allclose(state.cell, GOLDEN["out/cx"][0], atol=1e-5)


def test_continuing_from_a_stored_state_gives_the_same_logits():
    model, params, (state, z, z_next, action) = load()
    run = jax.jit(model.apply)
    state, *_ = run({"params": params}, state, z[:, :2], z_next[:, :2], action[:, :2])
    np.testing.assert_allclose(state.hidden, GOLDEN["out/hx_after2"][0], atol=1e-5)
    np.testing.assert_allclose(state.cell, GOLDEN["out/cx_after2"][0], atol=1e-5)
    _, reward, end = run({"params": params}, state, z[:, 2:], z_next[:, 2:], action[:, 2:])
    np.testing.assert_allclose(reward, GOLDEN["out/logits_rew"][:, 2:], atol=1e-5)
    np.testing.assert_allclose(end, GOLDEN["out/logits_end"][:, 2:], atol=1e-5)


def test_loss_and_gradients_equal_reference():
    model, params, (state, *_) = load()
    obs = jnp.asarray(GOLDEN.maps("in/loss/obs"))
    end = jnp.asarray(GOLDEN["in/loss/end"]).astype(jnp.int32)
    final = jnp.moveaxis(jnp.asarray(GOLDEN["in/loss/final_observation_sample1"]), 0, -1)
    after_end = int(jnp.argmax(end[1])) + 1
    obs = obs.at[1, after_end].set(final)
    steps = obs.shape[1] - 1
    weight = jnp.asarray(GOLDEN["in/loss/mask_padding"])[:, :steps].astype(jnp.float32)

    def loss(params):
        action = GOLDEN["in/loss/act"][:, :steps]
        _, reward_logits, end_logits = model.apply(
            {"params": params}, state, obs[:, :-1], obs[:, 1:], action
        )
        reward_loss = cross_entropy(reward_logits, reward_class(GOLDEN["in/loss/rew"][:, :steps]))
        end_loss = cross_entropy(end_logits, end[:, :steps])
        means = [(x * weight).sum() / weight.sum() for x in (reward_loss, end_loss)]
        return sum(means), means

    (total, (reward_loss, end_loss)), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(
        params
    )
    np.testing.assert_allclose(total, GOLDEN["out/loss/loss"], atol=1e-5)
    np.testing.assert_allclose(reward_loss, GOLDEN["out/loss/loss_rew"], atol=1e-5)
    np.testing.assert_allclose(end_loss, GOLDEN["out/loss/loss_end"], atol=1e-5)
    squares = sum(jnp.square(g).sum() for g in jax.tree.leaves(grads))
    assert relative_error(jnp.sqrt(squares), GOLDEN["out/loss/grad_norm_total"]) < 1e-4
    np.testing.assert_allclose(
        grads["lstm"]["bias_ih"], GOLDEN["out/loss/grad/lstm.bias_ih_l0"], rtol=1e-4, atol=1e-6
    )


def test_padding_before_a_segment_leaves_no_trace():
    """A left-padded segment gives the same logits as the segment alone."""
    model, params, (state, z, z_next, action) = load()

    def pad(a):
        return jnp.concatenate([jnp.ones_like(a[:, :2]), jnp.asarray(a)], axis=1)

    live = jnp.concatenate([jnp.zeros((len(z), 2), bool), jnp.ones(action.shape, bool)], axis=1)
    _, reward, end = jax.jit(model.apply)(
        {"params": params}, state, pad(z), pad(z_next), pad(action), live
    )
    np.testing.assert_allclose(reward[:, 2:], GOLDEN["out/logits_rew"], atol=1e-5)
    np.testing.assert_allclose(end[:, 2:], GOLDEN["out/logits_end"], atol=1e-5)
