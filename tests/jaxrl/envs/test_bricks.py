"""Bricks against plain Python: whole games step by step, every pixel, lives, the end and
the cut.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.bricks import BRICK, LIFE, LIVES, MAX_STEPS, BricksState, bricks
from jaxrl.envs.catch import BACKGROUND, BALL, CELLS, PADDLE

GAMES = 24
ENV = bricks(CELLS)
step = jax.jit(ENV.step)


@functools.cache
def games():
    """Random and ball-following play, `(states, actions, transitions)` with axes `[game, time]`;
    states before and after.
    """

    def play(key, following):
        def one(carry, key):
            state, _ = carry
            key_action, key_step, key_reset = jax.random.split(key, 3)
            chase = 1 + jnp.sign(state.ball_x - state.paddle)
            action = jnp.where(following, chase, jax.random.randint(key_action, (), 0, 3))
            after, seen = ENV.step(state, action, key_step)
            fresh = jax.tree.map(
                lambda new, old: jnp.where(seen.game_over, new, old),
                ENV.reset(key_reset),
                (after, seen.frame),
            )
            return fresh, (state, action, after, seen)

        return jax.lax.scan(one, ENV.reset(key), jax.random.split(key, 400))[1]

    keys = jax.random.split(jax.random.key(1), GAMES)
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(play))(keys, jnp.arange(GAMES) % 2 == 0))


def slow_step(state, action):
    """The rules once more, on a dict; the caller serves a new ball where one was missed."""
    wall = state["bricks"].copy()
    paddle = min(max(state["paddle"] + action - 1, 1), 8)
    way_x = -state["way_x"] if not 0 <= state["ball_x"] + state["way_x"] <= 9 else state["way_x"]
    x = state["ball_x"] + way_x
    way_y = 1 if state["ball_y"] + state["way_y"] < 1 else state["way_y"]
    y = state["ball_y"] + way_y
    hit = 1 <= y <= 3 and bool(wall[y - 1, x])
    if hit:
        wall[y - 1, x] = False
        y, way_y = state["ball_y"], -way_y
    missed = y == 9 and abs(x - paddle) > 1
    if y == 9 and not missed:
        way_y = -1
        way_x = (x > paddle) - (x < paddle) or way_x
    lives = state["lives"] - missed
    new = dict(ball_x=x, ball_y=y, way_x=way_x, way_y=way_y, paddle=paddle)
    new |= dict(bricks=wall, lives=lives, steps=state["steps"] + 1)
    return new, hit, missed


def slow_frame(state, size):
    cell, frame = size // 10, np.empty((size, size, 3), np.uint8)
    for row, column in itertools.product(range(size), repeat=2):
        y, x = row // cell, column // cell
        inside = y < 10 and x < 10
        color = BACKGROUND
        if inside and 1 <= y <= 3 and state["bricks"][y - 1, x]:
            color = BRICK
        if y == 0 and x < state["lives"]:
            color = LIFE
        if y == 9 and abs(x - state["paddle"]) <= 1:
            color = PADDLE
        if (y, x) == (state["ball_y"], state["ball_x"]):
            color = BALL
        frame[row, column] = color
    return frame


def at(states, *where):
    plain = {name: getattr(states, name)[where] for name in states._fields}
    return {name: value if name == "bricks" else int(value) for name, value in plain.items()}


def test_every_step_follows_the_rules():
    before, action, after, seen = games()
    for game, t in itertools.product(range(GAMES), range(400)):
        expected, hit, missed = slow_step(at(before, game, t), int(action[game, t]))
        actual = at(after, game, t)
        if missed:  # a new ball, wherever the key put it
            assert (
                actual["ball_y"] == 4
                and 1 <= actual["ball_x"] <= 8
                and actual["way_y"] == 1
                and abs(actual["way_x"]) == 1
            )
            expected |= {name: actual[name] for name in ("ball_x", "ball_y", "way_x", "way_y")}
        np.testing.assert_array_equal(actual.pop("bricks"), expected.pop("bricks"))
        assert actual == expected
        cleared = not after.bricks[game, t].any()
        dead = actual["lives"] == 0 or cleared
        trunc = actual["steps"] >= MAX_STEPS and not dead
        recorded = (
            seen.reward[game, t],
            seen.end[game, t],
            seen.trunc[game, t],
            seen.game_over[game, t],
        )
        assert recorded == (hit - missed, missed or cleared, trunc, dead or trunc)


def test_play_meets_every_event():
    """Otherwise the test above would prove little."""
    before, _, after, seen = games()
    assert (seen.reward == 1).any() and (seen.reward == -1).any()
    assert (after.lives == 0).any() and seen.trunc.any()
    assert (seen.end & ~seen.game_over).any()
    assert (before.way_x != after.way_x).any() and (before.ball_y == 1).any()


def test_frames_show_the_state():
    _, _, after, seen = games()
    for game, t in itertools.product(range(GAMES), range(0, 400, 37)):
        np.testing.assert_array_equal(seen.frame[game, t], slow_frame(at(after, game, t), CELLS))


def test_a_larger_frame_has_larger_cells_and_a_border(key):
    env = bricks(32)
    state, frame = env.reset(key)
    assert frame.shape == env.frame_shape == (32, 32, 3) and frame.dtype == jnp.uint8
    plain = {name: np.asarray(value) for name, value in state._asdict().items()}
    np.testing.assert_array_equal(frame, slow_frame(plain, 32))


def state_of(**changes):
    fields = dict(ball_x=5, ball_y=6, way_x=1, way_y=1, paddle=5, lives=LIVES, steps=0) | changes
    wall = fields.pop("bricks", np.ones((3, 10), bool))
    return BricksState(
        bricks=jnp.asarray(wall), **{name: jnp.int32(value) for name, value in fields.items()}
    )


def test_hand_play_hits_a_brick_from_below(key):
    """From (5, 4) upwards to the right: the brick at row 3, column 6 goes, the ball stays in row 4
    and falls.
    """
    state, seen = step(state_of(ball_y=4, way_y=-1), 1, key)
    assert (float(seen.reward), bool(seen.end)) == (1.0, False)
    assert (int(state.ball_x), int(state.ball_y), int(state.way_y)) == (6, 4, 1)
    gone = np.argwhere(~np.asarray(state.bricks))
    np.testing.assert_array_equal(gone, [[2, 6]])


def test_the_last_brick_ends_the_game(key):
    wall = np.zeros((3, 10), bool)
    wall[2, 6] = True
    _, seen = step(state_of(ball_y=4, way_y=-1, bricks=wall), 1, key)
    assert (float(seen.reward), bool(seen.end), bool(seen.game_over), bool(seen.trunc)) == (
        1.0,
        True,
        True,
        False,
    )


@pytest.mark.parametrize("lives", [3, 2, 1])
def test_a_missed_ball_costs_a_life_and_the_last_one_the_game(lives, key):
    state, seen = step(state_of(ball_x=8, ball_y=8, paddle=2, lives=lives), 1, key)
    assert int(state.lives) == lives - 1
    assert (float(seen.reward), bool(seen.end), bool(seen.game_over)) == (-1.0, True, lives == 1)
    shown = np.asarray(seen.frame[0])
    np.testing.assert_array_equal(
        (shown == np.array(LIFE)[None]).all(-1), np.arange(10) < lives - 1
    )


@pytest.mark.parametrize("lives, trunc", [(3, True), (1, False)])
def test_a_game_is_cut_after_300_steps_unless_it_ends_there(lives, trunc, key):
    _, seen = step(state_of(ball_x=8, ball_y=8, paddle=2, lives=lives, steps=MAX_STEPS - 1), 1, key)
    assert (bool(seen.trunc), bool(seen.game_over)) == (trunc, True)


def test_a_step_depends_on_its_key_only_when_a_ball_is_served(key):
    keys = jax.random.split(key, 50)
    many = jax.jit(jax.vmap(ENV.step, (None, None, 0)))
    flying, _ = many(state_of(), 1, keys)
    assert len(np.unique(flying.ball_x)) == 1
    served, _ = many(state_of(ball_x=8, ball_y=8, paddle=2), 1, keys)
    assert set(np.asarray(served.ball_x).tolist()) == set(range(1, 9))
    jax.tree.map(
        lambda a, b: np.testing.assert_array_equal(a[7], b),
        many(state_of(), 1, keys)[1],
        ENV.step(state_of(), 1, keys[7])[1],
    )


def test_the_truth_is_told_in_order():
    wall = np.ones((3, 10), bool)
    wall[0, :4] = False
    np.testing.assert_array_equal(
        ENV.truth(state_of(ball_x=2, ball_y=7, paddle=3, lives=2, bricks=wall)), [2, 7, 3, 26, 2]
    )
    assert ENV.truth_names == ("ball x", "ball y", "paddle", "bricks", "lives")


def test_a_frame_smaller_than_the_field_is_refused():
    with pytest.raises(ValueError, match="at least 10 pixels, not 8"):
        bricks(8)
