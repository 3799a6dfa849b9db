"""Catch against plain Python: every state and action, every pixel, the law of the reset."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.catch import BACKGROUND, BALL, CELLS, PADDLE, CatchState, catch

LEFT, STAY, RIGHT = range(3)


def slow_step(x, y, drift, paddle, action):
    """The rules once more: `((x, y, drift, paddle), reward, over)`."""
    if not 0 <= x + drift < 10:
        drift = -drift
    x, y, paddle = x + drift, y + 1, min(max(paddle + action - 1, 1), 8)
    over = y == 9
    return (x, y, drift, paddle), (1 if abs(x - paddle) < 2 else -1) if over else 0, over


def slow_frame(x, y, paddle, size):
    frame = np.empty((size, size, 3), np.uint8)
    cell = size // 10
    for row, column in itertools.product(range(size), repeat=2):
        where = (row // cell, column // cell)
        on_paddle = where in [(9, paddle - 1), (9, paddle), (9, paddle + 1)]
        frame[row, column] = BALL if where == (y, x) else PADDLE if on_paddle else BACKGROUND
    return frame


def test_every_step_follows_the_rules(key):
    states = list(itertools.product(range(10), range(9), (-1, 0, 1), range(1, 9), range(3)))
    columns = jnp.array(states, jnp.int32).T
    step = jax.jit(jax.vmap(catch(CELLS, drift=True).step, (0, 0, None)))
    after, seen = jax.tree.map(np.asarray, step(CatchState(*columns[:4]), columns[4], key))
    for i, (*state, action) in enumerate(states):
        expected, reward, over = slow_step(*state, action)
        assert tuple(field[i] for field in after) == expected
        assert (seen.reward[i], seen.end[i], seen.trunc[i], seen.game_over[i]) == (
            reward,
            over,
            False,
            over,
        )


@pytest.mark.parametrize("size", [10, 25, 32])
def test_every_pixel_is_what_the_state_says(size, key):
    """Also where the field does not fill the frame: the rest is background."""
    env = catch(size)
    for x, y, paddle in [(0, 3, 1), (9, 7, 8), (4, 8, 5), (4, 8, 1)]:
        state, seen = env.step(CatchState(*map(jnp.int32, (x, y, 0, paddle))), jnp.int32(STAY), key)
        assert seen.frame.dtype == jnp.uint8
        np.testing.assert_array_equal(seen.frame, slow_frame(x, y + 1, paddle, size))
        np.testing.assert_array_equal(env.truth(state), [x, y + 1, paddle])


@pytest.mark.parametrize("drift", [False, True])
def test_resets_reach_every_start_and_no_other(drift, key):
    env = catch(CELLS, drift)
    states, frames = jax.jit(jax.vmap(env.reset))(jax.random.split(key, 3000))
    starts = set(zip(*(np.asarray(field).tolist() for field in states), strict=True))
    assert starts == set(itertools.product(range(10), [0], [-1, 0, 1] if drift else [0], [4, 5, 6]))
    for i in range(5):
        np.testing.assert_array_equal(
            frames[i], slow_frame(int(states.ball_x[i]), 0, int(states.paddle[i]), CELLS)
        )


@pytest.mark.parametrize("drift", [False, True])
def test_a_player_who_follows_the_ball_always_wins_and_one_who_flees_often_loses(drift, key):
    env = catch(CELLS, drift)

    def play(key, towards):
        def step(state, _):
            way = towards * jnp.sign(state.ball_x - state.paddle)
            state, seen = env.step(state, 1 + jnp.where(way == 0, (1 - towards) // 2, way), key)
            return state, (seen.reward, seen.game_over)

        return jax.lax.scan(step, env.reset(key)[0], length=9)[1]

    keys = jax.random.split(key, 100)
    for towards in (1, -1):
        reward, over = jax.jit(jax.vmap(lambda key, towards=towards: play(key, towards)))(keys)
        np.testing.assert_array_equal(over, np.arange(9)[None] == 8 * np.ones((100, 1)))
        np.testing.assert_array_equal(reward[:, :-1], 0)
        if towards > 0:
            np.testing.assert_array_equal(reward[:, -1], 1)
        else:
            assert np.mean(reward[:, -1] < 0) > (0.3 if drift else 0.9)


def test_the_same_key_gives_the_same_game(key):
    env = catch(CELLS)
    jax.tree.map(np.testing.assert_array_equal, env.reset(key), env.reset(key))
    state, _ = env.reset(key)
    other_key = jax.random.key(9)
    jax.tree.map(
        np.testing.assert_array_equal,
        env.step(state, RIGHT, key),
        env.step(state, RIGHT, other_key),
    )


def test_a_frame_smaller_than_the_field_is_refused():
    with pytest.raises(ValueError, match="at least 10 pixels, not 9"):
        catch(9)


def test_it_says_what_it_is():
    assert (catch().name, catch(drift=True).name) == ("catch", "catch-drift")
    assert (catch().num_actions, catch(16).frame_shape, len(catch().truth_names)) == (
        3,
        (16, 16, 3),
        3,
    )
