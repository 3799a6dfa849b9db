"""A game in pure JAX, played one step at a time from Python."""

import functools

import jax
import numpy as np

from jaxrl.envs.protocol import HostEnv, JaxEnv, Transition


@functools.cache
def _programs(env: JaxEnv):
    return jax.jit(env.reset), jax.jit(env.step)


class SingleGame:
    """A `HostEnv` view of a `JaxEnv`."""

    def __init__(self, env: JaxEnv):
        self.name, self.num_actions, self.frame_shape = env.name, env.num_actions, env.frame_shape
        self.action_names = env.action_names
        self._reset, self._step = _programs(env)
        self._state, self._key, self._time = None, None, 0

    def reset(self, seed: int) -> np.ndarray:
        """A new game."""
        self._key, self._time = jax.random.key(seed), 0
        self._state, frame = self._reset(self._key)
        return np.asarray(frame)

    def step(self, action: int) -> Transition:
        """One step."""
        self._time += 1
        self._state, after = self._step(
            self._state, np.int32(action), jax.random.fold_in(self._key, self._time)
        )
        return jax.tree.map(np.asarray, after)

    def save(self) -> dict[str, np.ndarray]:
        """State and time as arrays."""
        leaves = {
            f"state.{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(self._state))
        }
        return leaves | {
            "key": np.asarray(jax.random.key_data(self._key)),
            "time": np.int64(self._time),
        }

    def restore(self, saved: dict[str, np.ndarray]) -> None:
        """Continue from `saved`."""
        self._key, self._time = jax.random.wrap_key_data(saved["key"]), int(saved["time"])
        structure = jax.tree.structure(jax.eval_shape(self._reset, self._key)[0])
        self._state = structure.unflatten(
            [saved[f"state.{i}"] for i in range(structure.num_leaves)]
        )

    def close(self) -> None:
        """Do nothing."""


def as_host(env: JaxEnv | HostEnv) -> HostEnv:
    """Any game as one that is played step by step."""
    return SingleGame(env) if isinstance(env, JaxEnv) else env
