"""A real Atari 2600 game in the Arcade Learning Environment, with the protocol of Atari 100k.

The emulator and its ROMs come with ale-py (GPL-2.0, hence an extra). We talk to the emulator
itself, below Gymnasium, because its state can be taken and put back exactly.
"""

import numpy as np

from jaxrl.app.errors import need
from jaxrl.envs.atari100k import PROTOCOL, Protocol
from jaxrl.envs.protocol import Transition
from jaxrl.envs.resize import resize_area


def emulator():
    """The ale_py package.

    Raises:
      UserError: it is not installed.
    """
    need("ale_py.roms", "atari")
    return need("ale_py", "atari")


def game_names() -> dict[str, str]:
    """ROM ids by game name, e.g. {"MsPacman": "ms_pacman"}; all that the emulator ships."""
    return {
        "".join(map(str.capitalize, rom.split("_"))): rom
        for rom in emulator().roms.get_all_rom_ids()
    }


class Atari:
    """A `HostEnv` on one game, e.g. `Atari("Breakout")`. Minimal action set, raw rewards.

    `end` is a lost life or the end of the game; `trunc` the frame limit; `game_over` either end of
    the game.
    """

    def __init__(
        self, game: str, frame_size: int = PROTOCOL.frame_size, protocol: Protocol = PROTOCOL
    ):
        """Open the game (a key of `game_names`) with RGB frames of `frame_size` pixels."""
        ale_py = emulator()
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self.name, self.protocol = game, protocol
        self._rom = ale_py.roms.get_rom_path(game_names()[game])
        self._ale_py, self._ale = ale_py, ale_py.ALEInterface()
        self._open(seed=0)
        self._actions = self._ale.getMinimalActionSet()
        self.num_actions = len(self._actions)
        self.action_names = tuple(action.name.lower() for action in self._actions)
        self.frame_shape = (frame_size, frame_size, 3)
        self._lives = 0

    def _open(self, seed: int) -> None:
        self._ale.setFloat("repeat_action_probability", self.protocol.sticky)
        self._ale.setInt("max_num_frames_per_episode", self.protocol.max_frames)
        self._ale.setInt("random_seed", seed)
        self._ale.loadROM(self._rom)

    def reset(self, seed: int) -> np.ndarray:
        """A new game after 1 to 30 random frames of doing nothing; both the emulator and that
        number follow the seed.
        """
        noops = int(np.random.default_rng(seed).integers(1, self.protocol.noop_max + 1))
        self._open(seed % 2**31)
        for _ in range(noops):
            self._ale.act(self._ale_py.Action.NOOP)
            if self._ale.game_over():
                self._ale.reset_game()
        self._lives = self._ale.lives()
        return resize_area(self._ale.getScreenRGB(), self.frame_shape[0])

    def step(self, action: int) -> Transition:
        """Hold one of the minimal actions for 4 emulator frames (fewer if the game ends)."""
        reward, screens = 0.0, []
        for _ in range(self.protocol.frame_skip):
            reward += self._ale.act(self._actions[int(action)])
            screens = [*screens[-1:], self._ale.getScreenRGB()]
            if self._ale.game_over():
                break
        trunc = self._ale.game_truncated()
        dead = self._ale.game_over(with_truncation=False)
        lost_life = self._ale.lives() < self._lives
        self._lives = self._ale.lives()
        frame = resize_area(np.max(screens, axis=0), self.frame_shape[0])
        return Transition(
            frame, np.float32(reward), dead or lost_life, trunc and not dead, dead or trunc
        )

    def save(self) -> dict[str, np.ndarray]:
        """The emulator's state, its random numbers included."""
        state = self._ale.cloneState(include_rng=True).serialize()
        return {"emulator": np.frombuffer(state, np.uint8).copy(), "lives": np.int32(self._lives)}

    def restore(self, saved: dict[str, np.ndarray]) -> None:
        """Put a saved state back."""
        state = self._ale_py._ale_py.ALEState(saved["emulator"].tobytes())
        self._ale.restoreState(state)
        self._lives = int(saved["lives"])

    def close(self) -> None:
        """Do nothing: the emulator is freed with the object."""
