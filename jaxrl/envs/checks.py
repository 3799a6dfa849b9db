"""Checks of everything that a game outside JAX returns, at the step that returned it.

A reward that is not a number would otherwise become a class of the reward model, and a frame of
another kind would fail far from its cause, or not at all.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.envs.protocol import GameError, HostEnv, Transition


def finite_reward(value: Any, where: str) -> np.float32:
    """Return a reward as float32.

    Raises:
      GameError: it is no finite number of that range.
    """
    number = _array(value)
    usable = number is not None and number.shape == () and number.dtype.kind in "biuf"
    if not usable or not abs(float(number)) <= float(np.finfo(np.float32).max):
        raise GameError(f"{where} returned the reward {value!r}: it must be one finite number")
    return np.float32(number)


def flag(value: Any, name: str, where: str) -> bool:
    """Return a flag as a bool.

    Raises:
      GameError: it is neither true nor false.
    """
    found = _array(value)
    if found is None or found.shape != () or found.dtype.kind not in "biu" or found not in (0, 1):
        raise GameError(f"{where} returned {name} {value!r}: it must be True or False")
    return bool(found)


def frame_like(value: Any, shape: tuple[int, ...], dtype: Any, where: str) -> np.ndarray:
    """Return an observation as an array of a shape and dtype.

    Args:
      value: the observation as the game returned it.
      shape: shape that the game declares, (H, W, C) for frames.
      dtype: dtype that the game declares.
      where: name of the game and the call, for the message of an error.

    Raises:
      GameError: it has another one.
    """
    frame = _array(value)
    if frame is None or frame.shape != tuple(shape) or frame.dtype != dtype:
        seen = type(value).__name__ if frame is None else f"{frame.dtype} {list(frame.shape)}"
        raise GameError(
            f"{where} returned a frame {seen}, not {np.dtype(dtype)} {list(shape)} as it declares: "
            "return frames as declared"
        )
    return frame


def old_gym(name: str, sign: str) -> UserError:
    """Error for an environment with the interface of gym before version 0.26.

    Args:
      name: of the game.
      sign: what shows it, such as "step returns 4 values".
    """
    return UserError(
        f"{name} follows the old gym API ({sign}): wrap it in a gymnasium.Env whose reset(seed=, "
        "options=) returns (observation, info) and whose step returns (observation, reward, "
        "terminated, truncated, info), as shimmy.GymV21CompatibilityV0 does"
    )


def _array(value: Any) -> np.ndarray | None:
    if value is None:
        return None
    try:
        found = np.asarray(value)
    except (TypeError, ValueError):  # ragged lists, and objects that refuse
        return None
    return None if found.dtype.kind in "OUS" else found


class CheckedGame:
    """A `HostEnv` whose failures become a `GameError` that names the step, and whose frames,
    rewards and flags are checked.
    """

    def __init__(self, env: HostEnv):
        self.env, self.name = env, env.name
        self.num_actions, self.frame_shape = env.num_actions, tuple(env.frame_shape)
        self.action_names = tuple(getattr(env, "action_names", ()))
        self.steps = 0

    def reset(self, seed: int) -> np.ndarray:
        """Begin a game."""
        self.steps = 0
        frame = self._call("reset", lambda: self.env.reset(seed))
        return frame_like(frame, self.frame_shape, np.uint8, f"{self.name}: reset")

    def step(self, action: int) -> Transition:
        """Take one step."""
        self.steps += 1
        where = f"{self.name}: step {self.steps} of a game"
        after = self._call(f"step {self.steps} of a game", lambda: self.env.step(action))
        return Transition(
            frame_like(after.frame, self.frame_shape, np.uint8, where),
            finite_reward(after.reward, where),
            flag(after.end, "end", where),
            flag(after.trunc, "trunc", where),
            flag(after.game_over, "game_over", where),
        )

    def _call(self, what: str, run: Callable[[], Any]) -> Any:
        try:
            return run()
        except UserError:
            raise
        except Exception as error:  # a game of the user may raise anything
            reason = (str(error).strip().splitlines() or ["no message"])[0][:300]
            raise GameError(
                f"{self.name}: {what} raised {type(error).__name__}: {reason}"
            ) from error

    def save(self) -> dict[str, np.ndarray]:
        """All that `restore` needs."""
        return self.env.save()

    def restore(self, saved: dict[str, np.ndarray]) -> None:
        """Continue from a saved point."""
        self.steps = 0
        self._call("restoring a game", lambda: self.env.restore(saved))

    def close(self) -> None:
        """Close the game."""
        self.env.close()


def checked(env: HostEnv) -> CheckedGame:
    """Return a game whose every step is checked; one that is already stays as it is."""
    return env if isinstance(env, CheckedGame) else CheckedGame(env)
