"""Latents collapse with gradient through the target, no normalization and no hinge; with the
defaults they do not.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from jaxrl.envs.catch import catch
from jaxrl.jedi.agent import init
from jaxrl.jedi.diagnostics.collapse import context_gain, latent_statistics, linear_probe, make_exam
from jaxrl.jedi.learn.loops import PHASES, run_phase
from jaxrl.jedi.play.collect import new_players, play
from jaxrl.jedi.presets import tiny
from jaxrl.replay import buffer

UPDATES = 250
DEFAULT = tiny("catch").agent
COLLAPSING = replace(
    DEFAULT,
    encoder=replace(DEFAULT.encoder, norm="none"),
    world_model=replace(DEFAULT.world_model, target="grad", hinge_weight=0.0),
)


@pytest.fixture(scope="module")
def replay():
    """2048 steps of random play."""
    env, config = catch(32), tiny("catch")
    agent = init(config.agent, env.num_actions, env.frame_shape, jax.random.key(0))
    players = new_players(env, agent, 8, jax.random.key(1))
    _, chunk, _ = jax.jit(play, static_argnums=(0, 4))(
        env, agent, players, jax.random.key(2), 256, jnp.float32(1.0)
    )
    return jax.jit(buffer.append)(
        buffer.init(replace(config.replay, capacity=4096), 8, env.frame_shape), chunk
    )


def trained(config, replay):
    """Monitors before and after `UPDATES` updates of the world model."""
    env = catch(32)
    agent = init(config, env.num_actions, env.frame_shape, jax.random.key(0))
    keys = jax.random.split(jax.random.key(3), 128)
    segments = jax.jit(buffer.sample, static_argnums=(1, 3))(
        replay, buffer.draw_frames, keys, config.context + 1
    )
    exam = jax.jit(make_exam, static_argnums=(0, 1))(env, 256, jax.random.key(4))
    look = jax.jit(
        lambda agent: {
            **latent_statistics(agent, segments),
            **context_gain(agent, segments, jax.random.key(5)),
            "r2": linear_probe(agent, exam).min(),
        }
    )
    before = look(agent)
    run = jax.jit(run_phase, static_argnums=0, donate_argnums=1)
    agent, _ = run(
        PHASES["world_model"], agent, replay, jax.random.key(6), jnp.int32(0), jnp.int32(UPDATES)
    )
    return jax.tree.map(float, (before, look(agent)))


@pytest.mark.slow
def test_the_defaults_do_not_collapse(replay):
    before, after = trained(DEFAULT, replay)
    assert (
        after["latent_std"] > 0.2
        and after["context_gain"] > 0.2
        and after["participation_ratio"] > 4
    ), (before, after)
    assert after["r2"] > 0.8


@pytest.mark.slow
def test_an_unguarded_target_collapses(replay):
    before, after = trained(COLLAPSING, replay)
    assert (
        after["latent_std"] < min(0.02, before["latent_std"] / 2)
        and abs(after["context_gain"]) < 0.01
    ), (before, after)


@pytest.mark.slow
def test_a_fixed_scale_alone_does_not_save_it(replay):
    """Moving-average target and normalized latents, but no hinge: a constant vector has the right
    scale too.
    """
    learning = replace(DEFAULT.world_model, hinge_weight=0.0)
    _, after = trained(replace(DEFAULT, world_model=learning), replay)
    assert after["latent_std"] < 0.03, after
