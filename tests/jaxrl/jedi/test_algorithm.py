"""A whole training run as one program equals its epochs one by one."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.envs.catch import catch
from jaxrl.jedi.agent import init
from jaxrl.jedi.algorithm import (
    Counts,
    EpochPlan,
    EpochRecord,
    Run,
    play_and_learn,
    run_epochs,
    run_epochs_of_seeds,
)
from jaxrl.jedi.learn.batched_loops import stack, unstack
from jaxrl.jedi.play.collect import new_players, play
from jaxrl.jedi.training.run import Counters
from jaxrl.jedi.training.whole_runs import note_epoch
from jaxrl.replay import buffer
from jaxrl.train import parallel
from tests.jaxrl.jedi import small_run

ENV = catch(16)
PLAN = EpochPlan(small_run.CONFIG.gate, 4)
COUNTS = Counts(*map(jnp.int32, (2, 1, 1, 1, 2)))
whole = jax.jit(run_epochs, static_argnums=(0, 1, 2))


def begun(key) -> Run:
    """Agent, games and replay after some random play."""
    config = small_run.CONFIG
    agent = init(config.agent, 3, ENV.frame_shape, key)
    players = new_players(ENV, agent, 4, key)
    replay = buffer.init(config.replay, 4, ENV.frame_shape)
    players, chunk, _ = jax.jit(play, static_argnums=(0, 4))(
        ENV, agent, players, key, 12, jnp.float32(1.0)
    )
    replay = jax.jit(buffer.append)(replay, chunk)
    return Run(agent, replay, jnp.int32(0), jnp.bool_(False), players, jnp.int32(48))


def assert_same(ours: Run, theirs: Run) -> None:
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
        (ours.agent, ours.players),
        (theirs.agent, theirs.players),
    )
    np.testing.assert_array_equal(ours.replay.frames, theirs.replay.frames)
    assert int(ours.env_steps) == int(theirs.env_steps)


@pytest.mark.slow
def test_two_epochs_in_one_program_equal_two_programs(key):
    run = begun(key)
    together, records = whole(ENV, PLAN, 2, run, key, COUNTS)

    one, finished = jax.jit(play_and_learn, static_argnums=(0, 1)), []
    for number in range(2):
        run, record = one(ENV, PLAN, run, jax.random.fold_in(key, number), COUNTS)
        finished.append(record.games.finished)
    assert bool(run.is_open) and int(run.agent.policy.updates) == 2 + 1
    assert float(record.tallies["world_model"].sums["loss"]) > 0 and bool(record.play_sound)
    assert_same(together, run)
    np.testing.assert_array_equal(records.games.finished, jnp.stack(finished))


@pytest.mark.parametrize("joins", [True, False])
def test_games_that_would_join_end_a_whole_program(key, joins, monkeypatch):
    """Learning is left out: the mark comes from play."""
    monkeypatch.setattr(
        "jaxrl.jedi.algorithm.run_epoch", lambda run, *_: (run, EpochRecord({}, None, None))
    )

    def step(state, action, key):
        after, seen = ENV.step(state, action, key)
        return after, seen._replace(end=seen.end & (not joins))

    plan = EpochPlan(small_run.CONFIG.gate, 20)
    _, record = play_and_learn(ENV._replace(step=step), plan, begun(key), key, COUNTS)
    assert record.games.finished.any() and bool(record.play_sound) != joins
    if joins:
        session = SimpleNamespace(env=ENV, counters=Counters(epoch=2))
        with pytest.raises(UserError, match="catch gave .* game_over .* in epoch 3, in the middle"):
            note_epoch(session, record)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["vmap", "map"])
def test_whole_trainings_of_two_seeds_in_one_program(key, how, monkeypatch):
    monkeypatch.setattr(
        "jaxrl.jedi.algorithm.over_members", lambda f: parallel.over_members(f, how)
    )
    keys = jax.random.split(key, 2)
    seeds = [begun(k) for k in keys]
    run = jax.jit(lambda runs: run_epochs_of_seeds(ENV, PLAN, 2, runs, keys, COUNTS))
    found = run(stack(seeds))
    for own, k, (mine, records) in zip(seeds, keys, unstack(found, 2), strict=True):
        alone, records_alone = whole(ENV, PLAN, 2, own, k, COUNTS)
        assert_same(mine, alone)
        np.testing.assert_array_equal(records.games.finished, records_alone.games.finished)
