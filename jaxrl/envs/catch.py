"""Catch: a ball falls, a paddle at the bottom must be under it. 9 steps, +1 or -1 at the end. Pure
JAX, RGB frames.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.app.old_names import attributes
from jaxrl.envs.protocol import JaxEnv, Transition

CELLS = 10
"""Rows and columns of the field."""
HALF_PADDLE = 1
"""Cells on each side of the paddle's middle."""
ACTIONS = ("left", "stay", "right")
BACKGROUND, BALL, PADDLE = (20, 20, 40), (255, 220, 60), (90, 200, 255)


class CatchState(NamedTuple):
    """int32 scalars, in cells; rows count downwards."""

    ball_x: jax.Array
    ball_y: jax.Array
    drift: jax.Array
    """-1, 0 or +1 cells per step, sideways; turns round at the walls."""
    paddle: jax.Array


@functools.cache  # one object per setting, so that programs compiled for it are found again
def catch(size: int = 32, drift: bool = False) -> JaxEnv:
    """The game with square frames of `size` pixels (at least one per cell); `drift` lets the ball
    move sideways too.

    Actions: 0 left, 1 stay, 2 right. The ball falls one cell per step; at the last row the game
      ends with reward +1 if the ball
    lies on the paddle (3 cells wide), else -1.
    """
    if size < CELLS:
        raise ValueError(f"catch needs frames of at least {CELLS} pixels, not {size}")

    def reset(key):
        key_x, key_paddle, key_drift = jax.random.split(key, 3)
        way = jax.random.randint(key_drift, (), -1, 2) if drift else jnp.int32(0)
        state = CatchState(
            jax.random.randint(key_x, (), 0, CELLS),
            jnp.int32(0),
            way,
            CELLS // 2 + jax.random.randint(key_paddle, (), -1, 2),
        )
        return state, render(state, size)

    def step(state, action, key):
        del key  # the game is deterministic after its reset
        x = state.ball_x + state.drift
        way = jnp.where((x < 0) | (x >= CELLS), -state.drift, state.drift)
        state = CatchState(
            state.ball_x + way,
            state.ball_y + 1,
            way,
            jnp.clip(state.paddle + action - 1, HALF_PADDLE, CELLS - 1 - HALF_PADDLE),
        )
        over = state.ball_y == CELLS - 1
        caught = jnp.abs(state.ball_x - state.paddle) <= HALF_PADDLE
        reward = jnp.where(over, jnp.where(caught, 1.0, -1.0), 0.0)
        return state, Transition(render(state, size), reward, over, jnp.zeros_like(over), over)

    def truth(state):
        return jnp.stack([state.ball_x, state.ball_y, state.paddle]).astype(jnp.float32)

    name = "catch-drift" if drift else "catch"
    return JaxEnv(
        name, 3, (size, size, 3), reset, step, truth, ("ball x", "ball y", "paddle"), ACTIONS
    )


def render(state: CatchState, size: int) -> jax.Array:
    """uint8 `[size, size, 3]`; cells of `size // 10` pixels, the rest of the frame is border."""
    cell = size // CELLS
    row, column = jnp.arange(size)[:, None] // cell, jnp.arange(size)[None] // cell
    paddle = (row == CELLS - 1) & (jnp.abs(column - state.paddle) <= HALF_PADDLE)
    ball = (row == state.ball_y) & (column == state.ball_x)
    frame = jnp.where(paddle[..., None], color(PADDLE), color(BACKGROUND))
    return jnp.where(ball[..., None], color(BALL), frame)


def color(rgb: tuple[int, int, int]) -> jax.Array:
    """uint8 `[1, 1, 3]`."""
    return jnp.asarray(rgb, jnp.uint8)[None, None]


__getattr__ = attributes(__name__, {"colour": "jaxrl.envs.catch:color"})  # old name
