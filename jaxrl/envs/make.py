"""From the name on the command line to a game."""

import difflib
import re
from dataclasses import replace

from jaxrl.app.errors import UserError
from jaxrl.envs.atari100k import GAMES, PROTOCOL
from jaxrl.envs.bricks import bricks
from jaxrl.envs.catch import catch
from jaxrl.envs.gymnax_env import PREFIX, gymnax_env
from jaxrl.envs.protocol import HostEnv, JaxEnv
from jaxrl.envs.user_env import is_python_path, load

TOYS = {
    "catch": lambda size: catch(size),
    "catch-drift": lambda size: catch(size, drift=True),
    "bricks": lambda size: bricks(size),
}


def canonical(name: str) -> str:
    """The proper spelling of a game's name: capitals and underscores of Atari games do not matter.
    Others stay as they are.
    """
    if is_python_path(name) or name.startswith(PREFIX):
        return name
    plain = name.replace("_", "").lower()
    known = {game.lower(): game for game in GAMES}
    if name in TOYS or "/" in name or plain in known:
        return name if name in TOYS or "/" in name else known[plain]
    try:
        from jaxrl.envs.atari import game_names

        return {game.lower(): game for game in game_names()}.get(plain, name)
    except UserError:
        return name


def file_name(name: str) -> str:
    """A game's name as part of a file name: "ALE/Pong-v5" becomes "ale-pong-v5", "games.mine:make"
    "games.mine-make".
    """
    return re.sub(r"[^\w.-]+", "-", name).strip("-.").lower() or "game"


def make(
    name: str, frame_size: int, image_key: str | None = None, frame_skip: int = PROTOCOL.frame_skip
) -> JaxEnv | HostEnv:
    """Open a game by name, with frames of `frame_size` pixels.

    Args:
      name: a toy ("catch", "catch-drift", "bricks"), an Atari game ("Breakout"; capitals and
        underscores do not matter), a Gymnasium id ("ALE/Pong-v5", "MyGame-v0"), the Python path of
        a factory of your own ("my_package.my_game:make"), or a game of gymnax
        ("gymnax:Breakout-MinAtar").
      frame_size: height and width of the frames, pixels.
      image_key: name of the image among the dictionary observations of a Gymnasium environment.
      frame_skip: emulator frames for which an Atari game holds an action, at least 1.

    Raises:
      UserError: nothing of that name (names near to it are listed), something is not installed, or
        another frame skip for a game that has none.
    """
    if frame_skip < 1 or not (names_atari(name) or frame_skip == PROTOCOL.frame_skip):
        raise UserError(
            f"game.frame_skip is {frame_skip}: it must be at least 1, and only Atari games by name "
            f"have one; leave it at {PROTOCOL.frame_skip} for {name}"
        )
    if name in TOYS:
        try:
            return TOYS[name](frame_size)
        except ValueError as error:
            raise UserError(f"{error}: choose a larger --game.frame-size") from None
    if name.startswith(PREFIX):
        return gymnax_env(name, frame_size)
    if is_python_path(name):
        return load(name, frame_size, image_key)
    if _is_gymnasium(name):
        from jaxrl.envs.gymnasium_env import GymnasiumEnv

        return GymnasiumEnv(name, frame_size, image_key=image_key)
    return _atari(name, frame_size, replace(PROTOCOL, frame_skip=frame_skip))


def names_atari(name: str) -> bool:
    """Return True if a name is neither that of a toy nor of a Gymnasium environment nor a Python
    path: it must then be that of an Atari game.
    """
    return not (
        name in TOYS or name.startswith(PREFIX) or is_python_path(name) or _is_gymnasium(name)
    )


def _is_gymnasium(name: str) -> bool:
    return "/" in name or re.search(r"-v\d+$", name) is not None


def _atari(name, frame_size, protocol):
    from jaxrl.envs.atari import Atari, game_names

    def plain(text):
        return text.replace("_", "").lower()

    known = {plain(game): game for game in GAMES}
    if plain(name) in known or plain(name) not in TOYS:
        try:
            known |= {plain(game): game for game in game_names()}
        except UserError:
            if plain(name) in known:
                raise
    if plain(name) in known:
        return Atari(known[plain(name)], frame_size, protocol)
    spelled = {**known, **{plain(toy): toy for toy in TOYS}}
    near = [
        spelled[match] for match in difflib.get_close_matches(plain(name), spelled, n=4, cutoff=0.5)
    ]
    hint = (
        f"did you mean {', '.join(near)}?"
        if near
        else f"toys are {', '.join(TOYS)}; Atari games are named like Breakout"
    )
    raise UserError(f"there is no game called {name!r}: {hint}")
