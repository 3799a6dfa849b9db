"""Latents on which the model of rewards learns: imagined from those before, along real actions."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.jedi.agent import encode
from jaxrl.jedi.imagination import draw_noise, predict
from jaxrl.jedi.learn.reward_end import open_loop, training_pairs
from tests.jaxrl.jedi import small_agent

T, N = 6, small_agent.CONFIG.context


@pytest.fixture(scope="module")
def rolled():
    """Two segments; in the second an episode ends after step 3, and row 4 is the next one's."""
    agent = small_agent.agent()
    batch = small_agent.segments(jax.random.key(0), (2,), T)
    batch = batch.replace(step_mask=batch.step_mask.at[1, 3].set(False))
    z = encode(agent, batch.frame, batch.frame_mask)
    keys = jax.random.split(jax.random.key(1), 2)
    return agent, batch, z, keys, jax.jit(open_loop)(agent, z, batch, keys)


def test_the_first_context_is_encoded_and_the_rest_is_not(rolled):
    _, _, z, _, found = rolled
    assert found.shape == z.shape
    np.testing.assert_array_equal(found[:, :N], z[:, :N])
    differs = np.abs(found - z).max((-3, -2, -1)) > 1e-3
    assert differs[0, N:].all() and differs[1, [2, 3, 5]].all()


def test_an_episode_that_begins_is_encoded(rolled):
    _, _, z, _, found = rolled
    np.testing.assert_array_equal(found[1, 4], z[1, 4])


def test_each_step_is_predicted_from_those_imagined_before(rolled):
    agent, batch, _, keys, found = rolled
    for t in range(N - 1, T - 1):
        past = slice(t - N + 1, t + 1)
        noise = draw_noise(agent.spec, jax.random.fold_in(keys[0], t))
        expected = predict(
            agent.spec,
            agent.world.params["denoiser"],
            found[0, past],
            batch.action[0, past],
            batch.frame_mask[0, past],
            noise,
        )
        np.testing.assert_allclose(found[0, t + 1], expected, atol=1e-5)


def test_a_share_of_the_segments_is_imagined(rolled):
    agent, batch, z, _, _ = rolled

    def pairs(share):
        learning = replace(
            agent.spec.config.reward_end_learning, open_loop_share=share, sampled_share=0.0, noise=0
        )
        config = replace(agent.spec.config, reward_end_learning=learning)
        changed = agent.replace(spec=replace(agent.spec, config=config))
        return training_pairs(changed, batch, jax.random.key(2))

    encoded, imagined = pairs(0.0), pairs(1.0)
    np.testing.assert_allclose(encoded[1], z[:, 1:], atol=1e-6)
    assert jnp.abs(imagined[1][:, N:] - z[:, 1 + N :]).max() > 1e-3
    np.testing.assert_array_equal(imagined[0][:, 1:], imagined[1][:, :-1])
