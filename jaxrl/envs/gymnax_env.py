"""Games of gymnax (extra `gymnax`) as a `JaxEnv`: `--env gymnax:Breakout-MinAtar`.

MinAtar's observations are maps of cells, one channel a kind of object. Here every channel gets a
color and every cell a square of pixels.
"""

import difflib

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.envs.checks import attempt
from jaxrl.envs.protocol import JaxEnv, Transition

PREFIX = "gymnax:"
COLORS = np.array(
    [
        (90, 200, 255),
        (255, 220, 60),
        (150, 90, 40),
        (240, 90, 90),
        (90, 240, 120),
        (200, 120, 240),
        (240, 240, 240),
        (120, 120, 120),
        (255, 140, 0),
        (0, 140, 255),
    ],
    np.float32,
)
"""RGB colors of the channels, 0 to 255; a cell where several meet has their mean, so that none of
them hides another. Our choice.
"""


def gymnax_env(name: str, frame_size: int) -> JaxEnv:
    """A gymnax environment with maps of cells as observations, drawn as `frame_size` pixels.

    Args:
      name: as gymnax knows it, for example "Breakout-MinAtar"; gymnax:... as well.
      frame_size: a multiple of the number of cells gives squares of one size.

    Raises:
      UserError: gymnax is not installed, has no such environment, or its observations or actions
        are of another kind.
    """
    env, params = _made(name.removeprefix(PREFIX))
    name = name.removeprefix(PREFIX)
    shape, actions = env.observation_space(params).shape, env.action_space(params)
    if len(shape) != 3 or shape[-1] > len(COLORS):
        raise UserError(
            f"{PREFIX}{name} has observations of shape {list(shape)}, not maps [rows, columns, "
            f"channels] with at most {len(COLORS)} channels: write a JaxEnv that draws it "
            "(docs/your_data.md)"
        )
    if not hasattr(actions, "n"):
        raise UserError(f"{PREFIX}{name} has continuous actions: only numbered ones can be learned")
    if frame_size < max(shape[:2]):
        raise UserError(
            f"{PREFIX}{name} has {shape[0]}x{shape[1]} cells, more than frames of {frame_size} "
            "pixels can show: choose a larger --game.frame-size"
        )
    rows, columns = ((np.arange(frame_size) * cells) // frame_size for cells in shape[:2])

    def draw(observation):
        present = (jnp.asarray(observation, jnp.float32) > 0).astype(jnp.int32)
        sums = present @ COLORS[: shape[-1]].astype(np.int32)
        mixed = sums // jnp.maximum(present.sum(-1, keepdims=True), 1)
        return mixed.astype(jnp.uint8)[rows][:, columns]

    def reset(key):
        observation, state = env.reset_env(key, params)
        return _strong(state), draw(observation)

    def step(state, action, key):
        observation, after, reward, terminated, *_ = env.step_env(key, state, action, params)
        end = jnp.asarray(terminated, bool)
        cut = jnp.asarray(env.is_truncated(after, params), bool) & ~end
        after = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), after, state)
        return after, Transition(draw(observation), jnp.float32(reward), end, cut, end | cut)

    frame_shape = (frame_size, frame_size, 3)
    return JaxEnv(
        PREFIX + name, int(actions.n), frame_shape, reset, step, lambda state: jnp.zeros(0), ()
    )


def _strong(state):
    """The state with arrays that have the same types in every step."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.asarray(leaf).dtype), state)


def _made(name: str):
    try:
        import gymnax
    except ImportError:
        raise UserError(
            f'{PREFIX}{name} needs gymnax: pip install "latentax[gymnax]" first'
        ) from None
    if name not in gymnax.registered_envs:
        near = difflib.get_close_matches(name, gymnax.registered_envs, n=4, cutoff=0.3)
        drawn = [known for known in gymnax.registered_envs if known.endswith("MinAtar")]
        raise UserError(
            f"gymnax has no environment {name!r}: did you mean {', '.join(near or drawn)}?"
        )
    env, params = attempt(f"{PREFIX}{name}: gymnax.make", lambda: gymnax.make(name))
    if not hasattr(env, "is_truncated"):
        raise UserError(
            "this gymnax is older than 1.0, which does not tell an end from a time limit: "
            'pip install "gymnax>=1.0"'
        )
    return env, params
