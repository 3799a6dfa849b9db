"""A game of your own by its Python path: `my_package.my_game:make`."""

import importlib
import inspect
import os
import re
import sys
import weakref

import jax
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.envs.checks import attempt, old_gym, raised, saved_arrays
from jaxrl.envs.protocol import HostEnv, JaxEnv, Transition

_jax_games: dict[tuple[str, int], JaxEnv] = {}
"""Games in JAX already made: one object each, so that programs compiled for it are found again."""
_given = weakref.WeakValueDictionary()
"""Environments that factories returned, by id, while they live."""


def is_python_path(name: str) -> bool:
    """Return True if a game's name has the form `module:attribute` (Gymnasium's `module:Game-v0`
    has not).
    """
    return re.fullmatch(r"[\w.]+:[\w.]+", name) is not None


def load(path: str, frame_size: int, image_key: str | None = None) -> JaxEnv | HostEnv:
    """Call the factory at `path` and make sure that it returned a game with frames of `frame_size`
    pixels.

    The module is looked for in the current directory too. The factory is given `frame_size` if it
    has an argument of that name. It returns a `JaxEnv`, something with the methods of `HostEnv`, or
    a `gymnasium.Env` (its images are resized), a new one at every call.

    Raises:
      UserError: there is no such module or attribute, it fails, or what it returns is no game with
        such frames.
    """
    if (path, frame_size) in _jax_games:
        return _jax_games[path, frame_size]
    factory = _find(path)
    given = {"frame_size": frame_size} if _takes(factory, "frame_size") else {}
    game = attempt(f"{path}: making the game", lambda: factory(**given))
    if game is None:
        raise UserError(f"{path} returned nothing: it must return the game")
    if isinstance(game, JaxEnv):
        _check_jax(path, game, frame_size)
        return _jax_games.setdefault((path, frame_size), game)
    _check_new(path, game)
    if _is_gymnasium(game):
        from jaxrl.envs.gymnasium_env import GymnasiumEnv

        return GymnasiumEnv(path, frame_size, game, image_key)
    _refuse_gym(path, game)
    _check_host(path, game, frame_size)
    return game


def _find(path: str):
    module, _, attribute = path.partition(":")
    if not all(part.isidentifier() for part in module.split(".")):
        raise UserError(f"{path}: {module!r} is not a module's name: write package.module:function")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(error.name + ".")):
            raise UserError(
                f"{path}: there is no module {error.name} in {os.getcwd()} or among the installed "
                "packages"
            ) from None
        raise UserError(
            f"{path}: {module} needs the module {error.name}, which is not installed"
        ) from None
    except SyntaxError as error:
        raise UserError(
            f"{path}: {error.filename}, line {error.lineno}, is no Python ({error.msg})"
        ) from None
    except Exception as error:  # a module of the user may raise anything
        raise raised(f"{path}: importing {module}", error) from error
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise UserError(
                f"{path}: {module} has no {attribute}: name a function there that returns the game"
            )
        found = getattr(found, name)
    if not callable(found):
        raise UserError(
            f"{path} is a {type(found).__name__}: name a function that returns the game"
        )
    return found


def _takes(factory, name: str) -> bool:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(parameter.name == name for parameter in parameters)


def _is_gymnasium(game) -> bool:
    gymnasium = sys.modules.get("gymnasium")  # who returns one has imported it
    return gymnasium is not None and isinstance(game, gymnasium.Env)


def _refuse_gym(path: str, game) -> None:
    """Refuse an environment that looks like Gymnasium's and is none: most are of gym, which came
    before.
    """
    names = ("observation_space", "action_space", "reset", "step")
    if not all(hasattr(game, name) for name in names) or hasattr(game, "num_actions"):
        return
    if hasattr(game, "num_envs"):
        raise UserError(
            f"{path} returned a {type(game).__name__}, a vector of environments: return one "
            "environment; --game.num-envs says how many are played at once"
        )
    found = attempt(f"{path}: reset", game.reset)
    if not isinstance(found, tuple) or len(found) != 2:
        raise old_gym(f"{path} returned a {type(game).__name__}, which", "reset returns no info")
    raise UserError(
        f"{path} returned a {type(game).__name__}, which is no gymnasium.Env: derive it from that "
        "class, or wrap it by shimmy.GymV26CompatibilityV0"
    )


def _check_new(path: str, game) -> None:
    """Several games are played side by side, so the factory must not return the same one twice."""
    if _given.get(id(game)) is game:
        raise UserError(
            f"{path} returned the same game twice: it must make a new one at every call"
        )
    try:
        _given[id(game)] = game
    except TypeError:  # an object without weak references
        return


HOST = ("num_actions", "frame_shape", "reset", "step", "save", "restore", "close")


def _check_host(path: str, game, frame_size: int) -> None:
    missing = [name for name in ("name", *HOST) if not hasattr(game, name)]
    if missing:
        raise UserError(
            f"{path} returned a {type(game).__name__} without {missing[0]}, which is no game: "
            "return a JaxEnv, a HostEnv "
            "(jaxrl/envs/protocol.py) or a gymnasium.Env"
        )
    frame = np.asarray(attempt(f"{path}: reset", lambda: game.reset(0)))
    _check_frame(path, game, frame.shape, frame.dtype, frame_size)
    where = f"{path}: save"
    saved_arrays(attempt(where, game.save), where)


def _check_jax(path: str, game: JaxEnv, frame_size: int) -> None:
    key, action = jax.eval_shape(lambda: jax.random.key(0)), jax.ShapeDtypeStruct((), np.int32)
    state, frame = _traced_pair(f"{path}: reset", game.reset, key)
    _check_frame(path, game, frame.shape, frame.dtype, frame_size)
    after_state, after = _traced_pair(f"{path}: step", game.step, state, action, key)
    _check_transition(path, after)

    def shapes(tree):
        return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)

    if shapes(after_state) != shapes(state) or jax.tree.structure(
        after_state
    ) != jax.tree.structure(state):
        raise UserError(
            f"{path}: step returns a state of another structure, shape or dtype than reset: they "
            "must be alike"
        )
    _check_frame(path, game, after.frame.shape, after.frame.dtype, frame_size)


def _traced_pair(what: str, function, *arguments):
    """Shapes and dtypes of the two things that a function of a `JaxEnv` returns."""
    found = attempt(what, lambda: jax.eval_shape(function, *arguments))
    if not isinstance(found, tuple) or len(found) != 2:
        raise UserError(
            f"{what} returns a {type(found).__name__}: it must return the state and "
            "what is seen (JaxEnv in jaxrl/envs/protocol.py)"
        )
    return found


def _check_transition(path: str, after) -> None:
    if not all(hasattr(after, name) for name in Transition._fields):
        raise UserError(
            f"{path}: step returns a {type(after).__name__} with the state: return a Transition "
            "(jaxrl/envs/protocol.py)"
        )
    for name in ("reward", "end", "trunc", "game_over"):
        value, number = getattr(after, name), name == "reward"
        if value.shape != () or value.dtype.kind not in ("fi" if number else "b"):
            raise UserError(
                f"{path}: step returns {name} {value.dtype} {list(value.shape)}: it must be "
                f"{'float32' if number else 'bool'} []"
            )


def _check_frame(path: str, game, shape, dtype, frame_size: int) -> None:
    if not isinstance(game.num_actions, int | np.integer) or game.num_actions < 1:
        raise UserError(
            f"{path}: num_actions is {game.num_actions!r}: it must be a number of discrete actions"
        )
    if dtype != np.uint8 or len(shape) != 3 or shape[0] != shape[1] or shape[2] != 3:
        raise UserError(
            f"{path}: frames are {dtype} {list(shape)}: they must be uint8 [size, size, 3]"
        )
    if tuple(game.frame_shape) != tuple(shape):
        raise UserError(
            f"{path}: frame_shape is {tuple(game.frame_shape)}, but frames have shape "
            f"{tuple(shape)}: make them agree"
        )
    if shape[0] != frame_size:
        raise UserError(
            f"{path}: frames are {shape[0]}x{shape[0]}, not {frame_size}x{frame_size}: give the "
            "factory an argument frame_size, or set "
            f"--game.frame-size {shape[0]}"
        )
