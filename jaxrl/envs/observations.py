"""Observations of Gymnasium environments as RGB frames: adapted where there is one way to do it,
refused with the wrapper to write where there are several.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.envs.checks import frame_like
from jaxrl.envs.protocol import GameError

ToFrame = Callable[[Any, str], np.ndarray]
"""`(observation, where) -> uint8 [H, W, 3]`; `where` names the step in refusals."""


def rgb_from(space, name: str, image_key: str | None = None) -> ToFrame:
    """Return the function that makes RGB frames of the observations of a space.

    Args:
      space: of gymnasium; an image, or a `Dict` with one.
      name: of the environment, for messages.
      image_key: the image among the entries of a `Dict`; needed where several are images.

    Raises:
      UserError: there is no image, or more than one way to see it.
    """
    from gymnasium.spaces import Dict

    if isinstance(space, Dict):
        return _from_dictionary(space, name, image_key)
    if image_key:
        raise UserError(f"{name} observes no dictionary, but {space}: leave out --game.image-key")
    return _from_image(space, name)


def _from_dictionary(space, name: str, image_key: str | None) -> ToFrame:
    images = [key for key, part in space.spaces.items() if _is_image(part)]
    if image_key is None and len(images) != 1:
        listed = ", ".join(map(str, images or space.spaces))
        kind = "several images" if images else "no image"
        raise UserError(
            f"{name} observes a dictionary with {kind} ({listed}): name the image with "
            "--game.image-key"
        )
    key = images[0] if image_key is None else image_key
    if key not in space.spaces:
        listed = ", ".join(map(str, space.spaces))
        raise UserError(f"{name} observes {listed}, no {key!r}: name one with --game.image-key")
    inner = _from_image(space.spaces[key], f"{name}, observation {key!r}", f"o[{key!r}]")

    def to_frame(observation, where):
        if not isinstance(observation, dict) or key not in observation:
            raise GameError(f"{where} returned an observation without {key!r}: return all entries")
        return inner(observation[key], where)

    return to_frame


def _is_image(space) -> bool:
    from gymnasium.spaces import Box

    if not isinstance(space, Box) or len(space.shape) not in (2, 3) or min(space.shape) < 1:
        return False
    return len(space.shape) == 3 or min(space.shape) > 4  # a small matrix is no gray image


def _from_image(space, name: str, seen: str = "o") -> ToFrame:
    """The function for one image; `seen` says in Python where observation `o` has it."""
    from gymnasium.spaces import Box

    shape, dtype = getattr(space, "shape", None) or (), getattr(space, "dtype", None)
    if not isinstance(space, Box) or len(shape) not in (2, 3):
        raise UserError(
            f"{name} observes {space}, not images (height x width x 3): wrap it, "
            "gymnasium.wrappers.AddRenderObservation(env), under an id or function of your own, or "
            "choose another environment"
        )
    if not _is_pixels(space):
        raise UserError(
            f"{name} observes {space}, numbers of another range than images (uint8 from 0 to 255, "
            f"or floats from 0 to 1): if it is an image, wrap it, {_to_pixels(space, seen)}"
        )
    channels_first = len(shape) == 3 and shape[-1] not in (1, 3) and shape[0] in (1, 3)
    if len(shape) == 3 and shape[-1] not in (1, 3) and not channels_first:
        raise UserError(f"{name} observes {space}: {_several_ways(shape, np.dtype(dtype), seen)}")
    floats = np.dtype(dtype).kind == "f"

    def to_frame(observation, where):
        image = frame_like(observation, shape, dtype, where)
        if floats:
            if not (np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1):
                raise GameError(f"{where} returned a frame with values outside of 0 to 1")
            image = np.rint(image * 255).astype(np.uint8)
        image = image[..., None] if image.ndim == 2 else image
        image = np.moveaxis(image, 0, -1) if channels_first else image
        return np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image

    return to_frame


def _is_pixels(space) -> bool:
    low, high = _range_of(space)
    if space.dtype == np.uint8:
        return high == 255  # a map of small numbers would be black
    return np.dtype(space.dtype).kind == "f" and low == 0 and high == 1


def _range_of(space) -> tuple[float, float]:
    return float(np.min(space.low)), float(np.max(space.high))


def _to_pixels(space, seen: str) -> str:
    """Call of the wrapper that brings an image of another range to uint8."""
    low, high = _range_of(space)
    bounded = np.isfinite([low, high]).all() and high > low and (low, high) != (0, 255)
    scaled = f"({seen} - {low:g}) * {255 / (high - low):g}" if bounded else seen
    frame = f"gymnasium.spaces.Box(0, 255, {space.shape}, np.uint8)"
    values = f"np.clip({scaled}, 0, 255).astype(np.uint8)"
    return f"gymnasium.wrappers.TransformObservation(env, lambda o: {values}, {frame})"


def _several_ways(shape: tuple[int, ...], dtype: np.dtype, seen: str) -> str:
    """Sentence with the wrapper for frames of neither 1 nor 3 channels."""
    first = shape[0] <= 16 and shape[0] < shape[-1]
    count, sides = (shape[0], shape[1:]) if first else (shape[-1], shape[:-1])
    high = 255 if dtype == np.uint8 else 1

    def wrapper(picks: str, channels: int) -> str:
        size = (*((channels, *sides) if first else (*sides, channels)),)
        space = f"gymnasium.spaces.Box(0, {high}, {size}, np.{dtype})"
        call = "gymnasium.wrappers.TransformObservation"
        return f"{call}(env, lambda o: {seen}[{picks}], {space})"

    newest = wrapper("-1:" if first else "..., -1:", 1)
    if count != 4:
        return f"{count} channels are no frame; keep the newest one, {newest}"
    color = wrapper(":3" if first else "..., :3", 3)
    return (
        f"4 channels may be RGBA or a stack of gray frames; write {color} for RGBA, or {newest} "
        "for a stack (the world model keeps its own history)"
    )
