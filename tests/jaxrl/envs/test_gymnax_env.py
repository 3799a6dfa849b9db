"""Games of gymnax: their own steps behind our interface, drawn by colors."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.envs.gymnax_env import COLORS, gymnax_env
from jaxrl.envs.make import canonical, file_name, make

gymnax = pytest.importorskip("gymnax")


def test_steps_are_those_of_gymnax_and_every_cell_is_a_square():
    env = make("gymnax:Breakout-MinAtar", 20)
    theirs, params = gymnax.make("Breakout-MinAtar")
    key = jax.random.key(3)
    state, frame = jax.jit(env.reset)(key)
    observation, own = theirs.reset_env(key, params)
    assert (env.num_actions, env.frame_shape) == (3, (20, 20, 3)) and frame.dtype == np.uint8
    step, one = jax.jit(env.step), jax.jit(theirs.step_env)
    for t in range(30):
        cells = np.asarray(observation)
        for row, column, channel in np.argwhere(cells):
            if cells[row, column].sum() == 1:
                square = np.asarray(frame)[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
                np.testing.assert_array_equal(square, np.broadcast_to(COLORS[channel], (2, 2, 3)))
        assert (np.asarray(frame).any(-1).sum()) == 4 * cells.any(-1).sum()
        k, action = jax.random.fold_in(key, t), jnp.int32(t % 3)
        observation, own, reward, terminated, _ = one(k, own, action, params)
        state, after = step(state, action, k)
        frame = after.frame
        assert float(after.reward) == float(reward) and bool(after.end) == bool(terminated)
        assert bool(after.game_over) == bool(after.end | after.trunc)
        if after.game_over:
            break
    assert t > 3


def test_what_meets_in_a_cell_is_seen():
    """The player of Asterix on the trail of another: both show, in a color of their own."""
    env = gymnax_env("Asterix-MinAtar", 10)
    state, _ = env.reset(jax.random.key(0))
    entity = jnp.asarray([state.player_x + 1, state.player_y, 1, 0, 1], state.entities.dtype)
    _, alone = env.step(state, jnp.int32(0), jax.random.key(1))
    _, above = env.step(
        state.replace(entities=state.entities.at[0].set(entity)), jnp.int32(0), jax.random.key(1)
    )
    here = int(state.player_y), int(state.player_x)
    player, both = (np.asarray(after.frame)[here] for after in (alone, above))
    np.testing.assert_array_equal(player, COLORS[0])
    np.testing.assert_array_equal(both, ((COLORS[0] + COLORS[2]) / 2).astype(np.uint8))


def test_mixtures_of_two_or_three_kinds_differ():
    subsets = [s for n in (1, 2, 3) for s in itertools.combinations(range(len(COLORS)), n)]
    mixed = {tuple(COLORS[list(s)].mean(0).astype(np.uint8)) for s in subsets}
    assert len(mixed) == len(subsets)


def test_a_time_limit_cuts_and_does_not_end():
    env = gymnax_env("Asterix-MinAtar", 20)
    state, _ = env.reset(jax.random.key(0))
    late = state.replace(time=jnp.asarray(10**6, state.time.dtype))
    _, after = env.step(late, jnp.int32(0), jax.random.key(1))
    assert bool(after.trunc) and not bool(after.end) and bool(after.game_over)


@pytest.mark.parametrize(
    ("name", "size", "sentence"),
    [
        ("gymnax:Breakout", 20, "no environment 'Breakout': did you mean .*Breakout-MinAtar"),
        ("gymnax:CartPole-v1", 20, r"observations of shape \[4\], not maps"),
        ("gymnax:Breakout-MinAtar", 8, "10x10 cells, more than frames of 8 pixels"),
    ],
)
def test_refusals(name, size, sentence):
    with pytest.raises(UserError, match=sentence):
        make(name, size)


def test_names():
    assert canonical("gymnax:Breakout-MinAtar") == "gymnax:Breakout-MinAtar"
    assert file_name("gymnax:Breakout-MinAtar") == "gymnax-breakout-minatar"
