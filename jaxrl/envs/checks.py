"""Checks of everything that a game outside JAX returns, at the step that returned it.

A reward that is not a number would otherwise become a class of the reward model, and a frame of
another kind would fail far from its cause, or not at all.
"""

import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxrl.app.errors import UserError, first_line
from jaxrl.app.progress import log
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


def attempt(what: str, run: Callable[[], Any]) -> Any:
    """Run code of a game; whatever it raises becomes a sentence.

    Args:
      what: the game and the call, for the message.
      run: the call.

    Raises:
      UserError: what `run` raised, if it was one.
      GameError: it raised anything else, `SystemExit` too.
    """
    try:
        return run()
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # a game of the user may raise anything
        raise raised(what, error) from error


def raised(what: str, error: BaseException) -> GameError:
    """Error that says what a call of a game raised, and where."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return GameError(
        f"{what} raised {type(error).__name__}: {first_line(error)} ({last.filename}, "
        f"line {last.lineno})"
    )


def transition(after: Any, where: str) -> Transition:
    """Return the result of a step whose kind and flags are right; its frame is not looked at.

    Raises:
      GameError: a field is missing, the reward is no finite number, a flag is neither true nor
        false, or a game is over with neither end nor trunc.
    """
    missing = [name for name in Transition._fields if not hasattr(after, name)]
    if missing:
        raise GameError(
            f"{where} returned a {type(after).__name__} without {missing[0]}: return a Transition "
            "(jaxrl/envs/protocol.py)"
        )
    end, trunc = flag(after.end, "end", where), flag(after.trunc, "trunc", where)
    over = flag(after.game_over, "game_over", where)
    if over and not (end or trunc):
        raise GameError(
            f"{where} returned game_over with neither end nor trunc: set end where the game is "
            "lost or won, trunc where it was only cut"
        )
    return Transition(after.frame, finite_reward(after.reward, where), end, trunc, over)


def saved_arrays(saved: Any, where: str) -> dict[str, np.ndarray]:
    """Return what a game saved, as arrays by name.

    Raises:
      GameError: it is no dictionary of arrays by name.
    """
    if isinstance(saved, dict) and all(isinstance(name, str) for name in saved):
        arrays = {name: np.asarray(value) for name, value in saved.items()}
        if all(array.dtype != object for array in arrays.values()):
            return arrays
    raise GameError(f"{where} returned a {type(saved).__name__}: return a dictionary of arrays")


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
        where = f"{self.name}: reset"
        frame = attempt(where, lambda: self.env.reset(seed))
        return frame_like(frame, self.frame_shape, np.uint8, where)

    def step(self, action: int) -> Transition:
        """Take one step."""
        self.steps += 1
        where = f"{self.name}: step {self.steps} of a game"
        after = transition(attempt(where, lambda: self.env.step(action)), where)
        return after._replace(frame=frame_like(after.frame, self.frame_shape, np.uint8, where))

    def save(self) -> dict[str, np.ndarray]:
        """All that `restore` needs."""
        where = f"{self.name}: save"
        return saved_arrays(attempt(where, self.env.save), where)

    def restore(self, saved: dict[str, np.ndarray]) -> None:
        """Continue from a saved point."""
        self.steps = 0
        attempt(f"{self.name}: restoring a game", lambda: self.env.restore(saved))

    def close(self) -> None:
        """Close the game; a failure is only worth a warning, since all is done."""
        try:
            attempt(f"{self.name}: close", self.env.close)
        except UserError as error:
            log(f"warning: {error}")


def checked(env: HostEnv) -> CheckedGame:
    """Return a game whose every step is checked; one that is already stays as it is."""
    return env if isinstance(env, CheckedGame) else CheckedGame(env)
