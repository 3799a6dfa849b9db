"""Bricks: a small brick-breaking game with lives. Pure JAX, RGB frames; the toy cousin of
Breakout.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.envs.catch import ACTIONS, BACKGROUND, BALL, CELLS, HALF_PADDLE, PADDLE, color
from jaxrl.envs.protocol import JaxEnv, Transition

WALL_TOP, WALL_ROWS = 1, 3
"""First row of the wall, and how many rows it has."""
LIVES = 3
MAX_STEPS = 300
BRICK = (220, 90, 80)
LIFE = (240, 240, 240)


class BricksState(NamedTuple):
    """int32 scalars in cells, rows counting downwards."""

    ball_x: jax.Array
    ball_y: jax.Array
    way_x: jax.Array
    """-1 or +1."""
    way_y: jax.Array
    """-1 up or +1 down."""
    paddle: jax.Array
    bricks: jax.Array
    """bool `[WALL_ROWS, CELLS]`."""
    lives: jax.Array
    steps: jax.Array


@functools.cache  # one object per setting, so that programs compiled for it are found again
def bricks(size: int = 32) -> JaxEnv:
    """The game with square frames of `size` pixels.

    Actions: 0 left, 1 stay, 2 right. The ball moves one cell diagonally per step. A brick gives +1
      and turns the ball back. A
    ball that passes the paddle costs one of 3 lives and -1, and a new ball is served. The game ends
    with the last life or the last brick, and is cut after 300 steps. The lives left are shown in
    the top row.
    """
    if size < CELLS:
        raise ValueError(f"bricks needs frames of at least {CELLS} pixels, not {size}")

    def reset(key):
        x, y, way = serve(key)
        state = BricksState(
            x,
            y,
            way,
            jnp.int32(1),
            jnp.int32(CELLS // 2),
            jnp.ones((WALL_ROWS, CELLS), bool),
            jnp.int32(LIVES),
            jnp.int32(0),
        )
        return state, render(state, size)

    def step(state, action, key):
        paddle = jnp.clip(state.paddle + action - 1, HALF_PADDLE, CELLS - 1 - HALF_PADDLE)
        state = state._replace(paddle=paddle, steps=state.steps + 1)
        state, hit = move_ball(state)
        missed = (state.ball_y == CELLS - 1) & (jnp.abs(state.ball_x - paddle) > HALF_PADDLE)
        state = bounce_or_serve(state, missed, key)
        end = missed | ~state.bricks.any()
        dead = (state.lives == 0) | ~state.bricks.any()
        trunc = (state.steps >= MAX_STEPS) & ~dead
        reward = hit.astype(jnp.float32) - missed
        return state, Transition(render(state, size), reward, end, trunc, dead | trunc)

    def truth(state):
        values = (state.ball_x, state.ball_y, state.paddle, state.bricks.sum(), state.lives)
        return jnp.stack([jnp.float32(value) for value in values])

    return JaxEnv(
        "bricks",
        3,
        (size, size, 3),
        reset,
        step,
        truth,
        ("ball x", "ball y", "paddle", "bricks", "lives"),
        ACTIONS,
    )


def serve(key):
    """Column, row and sideways direction of a new ball."""
    key_x, key_way = jax.random.split(key)
    x = jax.random.randint(key_x, (), 1, CELLS - 1)
    return x, jnp.int32(WALL_TOP + WALL_ROWS), 2 * jax.random.randint(key_way, (), 0, 2) - 1


def move_ball(state: BricksState) -> tuple[BricksState, jax.Array]:
    """One cell diagonally; walls and bricks turn the ball. Returns the state and whether a brick
    was hit.
    """
    x = state.ball_x + state.way_x
    way_x = jnp.where((x < 0) | (x >= CELLS), -state.way_x, state.way_x)
    x = state.ball_x + way_x
    y = state.ball_y + state.way_y
    way_y = jnp.where(y < WALL_TOP, 1, state.way_y)
    y = state.ball_y + way_y

    row = jnp.clip(y - WALL_TOP, 0, WALL_ROWS - 1)
    hit = (y >= WALL_TOP) & (y < WALL_TOP + WALL_ROWS) & state.bricks[row, x]
    wall = state.bricks.at[row, x].set(state.bricks[row, x] & ~hit)
    way_y = jnp.where(hit, -way_y, way_y)
    return state._replace(
        ball_x=x, ball_y=jnp.where(hit, state.ball_y, y), way_x=way_x, way_y=way_y, bricks=wall
    ), hit


def bounce_or_serve(state: BricksState, missed: jax.Array, key) -> BricksState:
    """At the bottom row: off the paddle, sideways by where it was hit; or lose a life and serve
    anew.
    """
    at_bottom = state.ball_y == CELLS - 1
    offset = state.ball_x - state.paddle
    bounced = state._replace(
        way_y=jnp.where(at_bottom, -1, state.way_y),
        way_x=jnp.where(at_bottom & (offset != 0), jnp.sign(offset), state.way_x),
    )
    x, y, way = serve(key)
    served = state._replace(
        ball_x=x, ball_y=y, way_x=way, way_y=jnp.int32(1), lives=state.lives - 1
    )
    return jax.tree.map(lambda new, old: jnp.where(missed, new, old), served, bounced)


def render(state: BricksState, size: int) -> jax.Array:
    """uint8 `[size, size, 3]`."""
    cell = size // CELLS
    row, column = jnp.arange(size)[:, None] // cell, jnp.arange(size)[None] // cell
    inside = (row < CELLS) & (column < CELLS)
    wall = jnp.zeros((CELLS, CELLS), bool).at[WALL_TOP : WALL_TOP + WALL_ROWS].set(state.bricks)
    layers = (
        (wall[jnp.minimum(row, CELLS - 1), jnp.minimum(column, CELLS - 1)] & inside, BRICK),
        ((row == 0) & (column < state.lives), LIFE),
        ((row == CELLS - 1) & (jnp.abs(column - state.paddle) <= HALF_PADDLE), PADDLE),
        ((row == state.ball_y) & (column == state.ball_x), BALL),
    )
    frame = jnp.broadcast_to(color(BACKGROUND), (size, size, 3))
    for where, rgb in layers:
        frame = jnp.where(where[..., None], color(rgb), frame)
    return frame
