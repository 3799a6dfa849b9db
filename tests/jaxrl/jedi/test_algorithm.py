"""A whole training run as one program equals its epochs one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.catch import catch
from jaxrl.jedi.agent import init
from jaxrl.jedi.algorithm import Counts, play_and_learn, run_epochs, run_epochs_of_seeds
from jaxrl.jedi.learn.batched_loops import stack, unstack
from jaxrl.jedi.play.collect import new_players, play
from jaxrl.replay import buffer
from tests.jaxrl.jedi import small_run

ENV = catch(16)
COUNTS = Counts(2, 1, 1, 1)
whole = jax.jit(run_epochs, static_argnames=("env", "gate", "steps", "epochs"))


def begun(key):
    """Agent, games and replay after some random play."""
    config = small_run.CONFIG
    agent = init(config.agent, 3, ENV.frame_shape, key)
    players = new_players(ENV, agent, 4, key)
    replay = buffer.init(config.replay, 4, ENV.frame_shape)
    players, chunk, _ = jax.jit(play, static_argnums=(0, 4))(
        ENV, agent, players, key, 12, jnp.float32(1.0)
    )
    return agent, players, jax.jit(buffer.append)(replay, chunk)


@pytest.mark.slow
def test_two_epochs_in_one_program_equal_two_programs(key):
    env, config, counts = ENV, small_run.CONFIG, COUNTS
    agent, players, replay = begun(key)
    together = whole(
        env,
        agent,
        players,
        replay,
        key,
        Counts(*map(jnp.int32, counts)),
        config.gate,
        2,
        steps=4,
        epochs=2,
    )

    one = jax.jit(play_and_learn, static_argnums=(0, 6, 9))
    is_open, finished = jnp.bool_(False), []
    for number in range(2):
        epoch_key = jax.random.fold_in(key, number)
        agent, players, replay, tallies, _, is_open, games = one(
            env,
            agent,
            players,
            replay,
            epoch_key,
            Counts(*map(jnp.int32, counts)),
            config.gate,
            is_open,
            jnp.int32(2),
            4,
            jnp.float32(0.01),
        )
        finished.append(games.finished)
    assert (
        bool(is_open)
        and int(agent.policy.updates) == 2 + 1
        and float(tallies["world_model"].sums["loss"]) > 0
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
        together[:2],
        (agent, players),
    )
    np.testing.assert_array_equal(together[2].frames, replay.frames)
    np.testing.assert_array_equal(together[4].finished, jnp.stack(finished))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["vmap", "map"])
def test_whole_trainings_of_two_seeds_in_one_program(key, how):
    keys = jax.random.split(key, 2)
    seeds = [begun(k) for k in keys]
    counts = Counts(*map(jnp.int32, COUNTS))
    run = jax.jit(run_epochs_of_seeds, static_argnames=("env", "gate", "steps", "epochs", "how"))
    found = run(
        ENV, *stack(seeds), keys, counts, small_run.CONFIG.gate, 2, steps=4, epochs=2, how=how
    )
    for own, k, mine in zip(seeds, keys, unstack(found, 2), strict=True):
        alone = whole(ENV, *own, k, counts, small_run.CONFIG.gate, 2, steps=4, epochs=2)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), mine[0], alone[0]
        )
        np.testing.assert_array_equal(mine[2].frames, alone[2].frames)
        np.testing.assert_array_equal(mine[4].finished, alone[4].finished)
