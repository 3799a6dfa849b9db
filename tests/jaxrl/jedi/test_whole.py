"""A whole training run as one program equals its epochs one by one."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.catch import catch
from jaxrl.jedi.agent import init
from jaxrl.jedi.collect import new_players, play
from jaxrl.jedi.phases import Counts
from jaxrl.jedi.whole import play_and_learn, run_epochs
from jaxrl.replay import buffer
from tests.jaxrl.jedi import small_run


def test_two_epochs_in_one_program_equal_two_programs(key):
    env, config = catch(16), small_run.CONFIG
    agent = init(config.agent, 3, env.frame_shape, key)
    players = new_players(env, agent, 4, key)
    replay = buffer.init(config.replay, 4, env.frame_shape)
    players, chunk, _ = jax.jit(play, static_argnums=(0, 4))(env, agent, players, key, 12, jnp.float32(1.0))
    replay = jax.jit(buffer.append)(replay, chunk)
    counts = Counts(2, 1, 1, 1)

    whole = jax.jit(run_epochs, static_argnames=("env", "gate", "steps", "epochs"))
    together = whole(env, agent, players, replay, key, Counts(*map(jnp.int32, counts)), config.gate, 2, steps=4, epochs=2)

    one = jax.jit(play_and_learn, static_argnums=(0, 6, 9))
    is_open, finished = jnp.bool_(False), []
    for number in range(2):
        epoch_key = jax.random.fold_in(key, number)
        agent, players, replay, tallies, _, is_open, games = one(
            env, agent, players, replay, epoch_key, Counts(*map(jnp.int32, counts)), config.gate, is_open, jnp.int32(2), 4,
            jnp.float32(0.01),
        )  # fmt: skip
        finished.append(games.finished)
    assert bool(is_open) and int(agent.policy.updates) == 2 + 1 and float(tallies["world_model"].sums["loss"]) > 0
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), together[:2], (agent, players))
    np.testing.assert_array_equal(together[2].frames, replay.frames)
    np.testing.assert_array_equal(together[4].finished, jnp.stack(finished))
