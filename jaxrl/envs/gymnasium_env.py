"""Any Gymnasium environment with image observations and discrete actions, as a `HostEnv`."""

import numpy as np

from jaxrl.app.errors import UserError, first_line
from jaxrl.envs.checks import finite_reward, flag, old_gym, raised
from jaxrl.envs.observations import rgb_from
from jaxrl.envs.protocol import GameError, NotReproducible, Transition
from jaxrl.envs.resize import resize_area


class GymnasiumEnv:
    """`gymnasium.make(id)` with uint8 RGB frames of one size; `observations.py` makes them.

    A Gymnasium environment cannot be copied in general, so it is saved as the seed and the actions
    of the current game, and restored by playing them again. If the game does not come out the same,
    `restore` raises `NotReproducible`.
    """

    def __init__(self, env_id: str, frame_size: int = 64, env=None, image_key: str | None = None):
        """Make the environment, or take `env`, one that somebody else made and calls `env_id`.

        Args:
          env_id: Gymnasium's id, or a name for `env`.
          frame_size: side of the square frames, pixels.
          env: the environment, if it is made already.
          image_key: the image among dictionary observations.

        Raises:
          UserError: Gymnasium or the environment is missing, or its observations or actions are of
            another kind.
        """
        self.name = env_id
        self._env = _made(env_id) if env is None else env
        self._check_actions()
        self._rgb = rgb_from(self._env.observation_space, env_id, image_key)
        self.num_actions = int(self._env.action_space.n)
        meanings = getattr(self._env.unwrapped, "get_action_meanings", tuple)()
        self.action_names = tuple(str(name).lower() for name in meanings)
        self.frame_shape = (frame_size, frame_size, 3)
        self._seed, self._actions, self._frame = 0, [], None

    def _check_actions(self):
        from gymnasium.spaces import Discrete

        acts = self._env.action_space
        if not isinstance(acts, Discrete):
            raise UserError(
                f"{self.name} has actions {acts}; only discrete actions are supported: "
                "map numbers to them by a gymnasium.ActionWrapper with a Discrete action_space"
            )

    def _see(self, observation, where: str) -> np.ndarray:
        self._frame = resize_area(self._rgb(observation, where), self.frame_shape[0])
        return self._frame

    def reset(self, seed: int) -> np.ndarray:
        """A new game.

        Raises:
          UserError: the environment has the interface of old versions of gym.
        """
        self._seed, self._actions = int(seed) % 2**31, []
        try:
            result = self._env.reset(seed=self._seed)
        except TypeError as error:
            if "unexpected keyword argument 'seed'" not in str(error):
                raise
            raise old_gym(self.name, "reset takes no seed") from None
        if not isinstance(result, tuple) or len(result) != 2:
            raise old_gym(self.name, "reset returns no info")
        return self._see(result[0], f"{self.name}: reset")

    def step(self, action: int) -> Transition:
        """One step; `terminated` is an end, `truncated` a cut."""
        self._actions.append(int(action))
        start = int(getattr(self._env.action_space, "start", 0))
        result = self._env.step(start + int(action))
        where = f"{self.name}: step {len(self._actions)} of a game"
        if isinstance(result, tuple) and len(result) == 4:
            raise old_gym(self.name, "step returns 4 values, not 5")
        if not isinstance(result, tuple) or len(result) != 5:
            size = f" of {len(result)}" if isinstance(result, tuple) else ""
            raise GameError(
                f"{where} returned a {type(result).__name__}{size}: return (observation, reward, "
                "terminated, truncated, info)"
            )
        observation, reward, terminated, truncated, _ = result
        end, trunc = flag(terminated, "terminated", where), flag(truncated, "truncated", where)
        return Transition(
            self._see(observation, where), finite_reward(reward, where), end, trunc, end or trunc
        )

    def save(self) -> dict[str, np.ndarray]:
        """Seed and actions of the current game, and the frame it has come to."""
        return {
            "seed": np.int64(self._seed),
            "actions": np.asarray(self._actions, np.int64),
            "frame": self._frame.copy(),
        }

    def restore(self, saved: dict[str, np.ndarray]) -> None:
        """Play the saved game again.

        Raises:
          NotReproducible: it came out differently; the environment does not follow its seed.
        """
        self.reset(int(saved["seed"]))
        for action in saved["actions"]:
            self.step(int(action))
        if not np.array_equal(self._frame, saved["frame"]):
            raise NotReproducible(f"{self.name} does not play the same game from the same seed")

    def close(self) -> None:
        """Close the environment."""
        self._env.close()


def _made(env_id: str):
    try:
        import gymnasium
    except ImportError:
        raise UserError(f'{env_id} needs Gymnasium: pip install "latentax[atari]"') from None
    if env_id.startswith("ALE/") or "NoFrameskip" in env_id:
        from jaxrl.envs.atari import emulator

        gymnasium.register_envs(emulator())
    try:
        return gymnasium.make(env_id)
    except gymnasium.error.Error as error:
        raise UserError(
            f"Gymnasium cannot make {env_id} ({first_line(error)}): check the id and install its "
            "package"
        ) from None
    except ImportError as error:
        raise UserError(
            f"{env_id} needs a package that is not installed ({first_line(error)})"
        ) from None
    except Exception as error:  # its constructor may raise anything
        raise raised(f"{env_id}: gymnasium.make", error) from error
