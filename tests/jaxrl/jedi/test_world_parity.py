"""Imagination against DIAMOND's world-model environment (goldens/diamond/world_model_env.npz): the
burn-in, five steps of three games, and the restart after an end.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.diffusion.precondition import EDM
from jaxrl.jedi.agent import init
from jaxrl.jedi.config import AgentConfig, SamplerConfig
from jaxrl.jedi.imagination import WorldState, advance, begin
from jaxrl.jedi.nets.encoder import EncoderConfig
from jaxrl.nn.from_torch import from_torch
from jaxrl.nn.recurrent import LSTMState
from jaxrl.replay.segment import Segment, float_to_frame, frame_to_float
from tests.golden import Golden, relative_error
from tests.jaxrl.jedi.diamond_sizes import denoiser_config, reward_end_config

GOLDEN = Golden("diamond/world_model_env")
STEPS, GAMES = GOLDEN.config["num_steps"], GOLDEN.config["num_envs"]
LEVEL = 2 / 255
"""One 8-bit level of frames in [-1, 1]."""


@functools.cache
def agent():
    """The reference's denoiser and reward and end model in an agent of mode "pixel"."""
    inner, rewards = GOLDEN.config["inner_model"], GOLDEN.config["rew_end_model"]
    sampler = GOLDEN.config["sampler"]
    config = AgentConfig(
        mode="pixel",
        context=inner["num_steps_conditioning"],
        encoder=EncoderConfig("identity", (), channels=3, norm="quantize"),
        denoiser=denoiser_config(inner),
        reward_end=reward_end_config(rewards),
        edm=EDM(GOLDEN.config["sigma_data"], GOLDEN.config["sigma_offset_noise"]),
        sampler=SamplerConfig(
            sampler["num_steps_denoising"],
            sampler["sigma_min"],
            sampler["sigma_max"],
            sampler["rho"],
            sampler["order"],
        ),
        precision="float32",
    )
    side = rewards["img_size"]
    make = functools.partial(init, config, inner["num_actions"], (side, side, 3))
    fresh = jax.eval_shape(make, jax.random.key(0))
    denoiser = from_torch(GOLDEN.params("denoiser.inner_model."), fresh.world.params["denoiser"])
    reward_end = from_torch(GOLDEN.params("rew_end_model."), fresh.reward_end.params)
    return fresh.replace(
        world=fresh.world.replace(params={"encoder": {}, "denoiser": denoiser}),
        target={},
        reward_end=fresh.reward_end.replace(params=reward_end),
    )


@functools.cache
def starts():
    """Our imagined worlds at the reference's fifteen initial situations."""
    frames, action = GOLDEN.maps("in/init/obs"), GOLDEN["in/init/act"]
    stored = np.asarray(float_to_frame(jnp.asarray(frames)))
    np.testing.assert_allclose(frame_to_float(jnp.asarray(stored)), frames, atol=1e-6)
    seen, blank = np.ones(action.shape, bool), np.zeros(action.shape, bool)
    segment = Segment(
        stored,
        action.astype(np.int32),
        np.zeros(action.shape, np.float32),
        blank,
        blank,
        seen,
        seen,
    )
    state = agent()
    return jax.jit(lambda s: begin(state, s))(segment)


def stored_world(step):
    """The reference's state after a step, restarts included."""
    buffer = GOLDEN.maps("out/steps/obs_buffer")[step]
    action = GOLDEN["out/steps/act_buffer"][step].astype(np.int32)
    memory = LSTMState(GOLDEN["out/steps/hx"][step], GOLDEN["out/steps/cx"][step])
    return WorldState(buffer, action, np.ones(action.shape, bool), memory)


def restarted(step):
    """Games that ended, or were cut, at a step."""
    return (GOLDEN["out/steps/end"][step] + GOLDEN["out/steps/trunc"][step]) > 0


def test_burn_in_equals_reference():
    memory = starts().memory
    np.testing.assert_allclose(memory.hidden, GOLDEN["mid/init/hx"], atol=1e-5)
    np.testing.assert_allclose(memory.cell, GOLDEN["mid/init/cx"], atol=1e-5)


def nearby(actual, expected):
    """Equal but for rounding before the 8-bit cut: few pixels, one level."""
    difference = np.abs(np.asarray(actual) - expected)
    assert difference.max() < LEVEL + 1e-4
    assert (difference > 1e-4).mean() <= 0.005


@functools.cache
def one_step():
    state = agent()
    return jax.jit(lambda world, action, x0: advance(state, world, action, x0))


@pytest.mark.parametrize("step", range(STEPS))
def test_a_step_equals_reference(step):
    """Each step starts from the stored state, so that one flipped 8-bit level cannot grow."""
    before = jax.tree.map(lambda a: a[:GAMES], starts()) if step == 0 else stored_world(step - 1)
    action = GOLDEN["in/steps/act"][step].astype(np.int32)
    after, outcome = one_step()(before, action, GOLDEN.maps("in/steps/eps_x0")[step])
    nearby(outcome.z, GOLDEN.maps("out/steps/next_obs")[step])
    assert relative_error(outcome.reward_logits, GOLDEN["out/steps/logits_rew"][step]) < 1e-3
    assert relative_error(outcome.end_logits, GOLDEN["out/steps/logits_end"][step]) < 1e-3

    on, expected = ~restarted(step), stored_world(step)
    if on.any():
        nearby(np.asarray(after.z)[on], expected.z[on])
        # the action in the last place is not chosen yet
        np.testing.assert_array_equal(after.action[on][:, :-1], expected.action[on][:, :-1])
        np.testing.assert_allclose(after.memory.hidden[on], expected.memory.hidden[on], atol=1e-4)
        np.testing.assert_allclose(after.memory.cell[on], expected.memory.cell[on], atol=1e-4)


def test_after_an_end_the_next_initial_situation_follows():
    """The reference hands out its situations in order; ours at the same place is the same."""
    following, tried = GAMES, 0
    for step in range(STEPS):
        expected = stored_world(step)
        for game in np.flatnonzero(restarted(step)):
            ours = jax.tree.map(lambda a, i=following: np.asarray(a[i]), starts())
            np.testing.assert_allclose(ours.z, expected.z[game], atol=1e-6)
            np.testing.assert_array_equal(ours.action[:-1], expected.action[game][:-1])
            np.testing.assert_allclose(ours.memory.hidden, expected.memory.hidden[game], atol=1e-5)
            following, tried = following + 1, tried + 1
    assert following == GOLDEN.config["initial_conditions_used"] and tried > 0
