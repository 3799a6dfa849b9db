"""The game of a configuration."""

from jaxrl.envs.make import make
from jaxrl.envs.protocol import HostEnv, JaxEnv
from jaxrl.jedi.config import JediConfig


def make_game(config: JediConfig) -> JaxEnv | HostEnv:
    """Open the game that a run plays, as `config.game` asks for it.

    Raises:
      UserError: see `make`.
    """
    game = config.game
    return make(config.env, game.frame_size, game.image_key, game.frame_skip)
