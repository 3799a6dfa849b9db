"""Recordings of Minari and DIAMOND's HDF5 files as episode files: `python -m jaxrl.jedi
import-episodes` (extra `minari`).
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.app.errors import UserError, need
from jaxrl.app.files import write_atomic
from jaxrl.envs.resize import resize_area
from jaxrl.replay.episode_files import save_episode


@dataclass(frozen=True)
class ImportConfig:
    """Source of recordings, and the form in which they are written."""

    source: str
    """minari:NAME of a Minari data set on this machine, or an .hdf5 file (or a folder of them) in
    the format of DIAMOND's CS:GO recordings.
    """
    out: Path
    """Folder for the episode files; must not hold any."""
    frame_size: int = 64
    """Frames are resized by area to squares of so many pixels."""
    image_key: str | None = None
    """Name of the image, if observations are dictionaries."""
    most_actions: int = 64
    """Different keyboard and mouse states that become an action of their own, the most frequent
    first; every other one takes the nearest of these. Only for .hdf5 files.
    """


def import_recordings(config: ImportConfig) -> str:
    """Convert, and say in a sentence what was written.

    Raises:
      UserError: the source is not there or of another kind, or the folder holds episodes.
    """
    if config.out.is_dir() and any(config.out.glob("*.npz")):
        raise UserError(f"{config.out} holds episodes already: name a new folder with --out")
    if config.source.startswith("minari:"):
        episodes, note = minari_episodes(config), ""
    else:
        episodes, note = diamond_episodes(config)
    count = steps = 0
    for count, episode in enumerate(episodes, 1):
        save_episode(config.out, *episode, number=count - 1)
        steps += len(episode[1])
    if not count:
        raise UserError(f"{config.source} holds no episode of at least one step")
    return f"{config.out}: {count} episodes with {steps} steps{note}"


def to_frame(image: np.ndarray, size: int, where: str) -> np.ndarray:
    """An image as uint8 `[size, size, 3]`.

    Raises:
      UserError: it is no uint8 image, gray or RGB.
    """
    image = np.asarray(image)
    image = image[..., None] if image.ndim == 2 else image
    if image.ndim == 3 and image.shape[0] in (1, 3) and image.shape[-1] not in (1, 3):
        image = np.moveaxis(image, 0, -1)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] not in (1, 3):
        raise UserError(
            f"{where}: observations are {image.dtype} {list(image.shape)}, not uint8 images, gray "
            "or RGB: record the data set with pixel observations, or name one with --image-key"
        )
    return resize_area(np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image, size)


# ---- Minari
# ------------------------------------------------------------


def minari_episodes(config: ImportConfig) -> Iterator[tuple]:
    """Arrays of each episode of a Minari data set that is on this machine.

    Raises:
      UserError: it is not there, or its observations or actions are of another kind.
    """
    minari, name = need("minari", "minari"), config.source.removeprefix("minari:")
    try:
        dataset = minari.load_dataset(name)
    except (FileNotFoundError, ValueError) as error:
        raise UserError(
            f"there is no Minari data set {name!r} on this machine ({error}): `minari download "
            f"{name}` fetches one, `minari list local` shows those that are there"
        ) from None
    space = dataset.action_space
    if not hasattr(space, "n"):
        raise UserError(
            f"{config.source} has actions {space}: only numbered ones (Discrete) can be learned"
        )
    first = int(getattr(space, "start", 0))
    for episode in dataset.iterate_episodes():
        where = f"{config.source}, episode {episode.id}"
        obs = images(episode.observations, config, where)
        steps = len(episode.actions)
        if steps == 0:
            continue
        last = np.arange(steps) == steps - 1
        end, trunc = (
            last & bool(np.asarray(flags)[-1])
            for flags in (episode.terminations, episode.truncations)
        )
        actions = np.asarray(episode.actions).astype(np.int32) - first
        yield obs, actions, np.asarray(episode.rewards, np.float32), end, trunc & ~end


def images(observations: Any, config: ImportConfig, where: str) -> np.ndarray:
    """Frames uint8 `[T + 1, S, S, 3]` of the observations of an episode."""
    if isinstance(observations, dict):
        shown = [key for key, value in observations.items() if np.ndim(value) >= 3]
        if config.image_key is None and len(shown) != 1:
            raise UserError(
                f"{where}: observations are a dictionary of {', '.join(observations)}: name the "
                "image with --image-key"
            )
        key = config.image_key or shown[0]
        if key not in observations:
            raise UserError(f"{where}: there is no {key!r} among {', '.join(observations)}")
        observations = observations[key]
    return np.stack([to_frame(image, config.frame_size, where) for image in observations])


# ---- DIAMOND's HDF5
# ------------------------------------------------------------


def diamond_episodes(config: ImportConfig) -> tuple[Iterator[tuple], str]:
    """Episodes of .hdf5 files with `frame_<i>_x` (image, BGR), `frame_<i>_y` (keys and mouse as 0
    and 1) and `frame_<i>_helperarr` (a kill, a death); and a note on the actions.

    The action of frame i leads to frame i + 1, whose kill is its reward (our choice) and whose
    death ends the episode.

    Raises:
      UserError: there is no such file, or it is of another kind.
    """
    h5py, source = need("h5py", "minari"), Path(config.source).expanduser()
    files = sorted(source.rglob("*.hdf5")) if source.is_dir() else [source]
    if not files or not files[0].is_file():
        raise UserError(f"there is no .hdf5 file at {source}: name one, or a folder of them")
    actions = [_recorded(h5py, path)[0] for path in files]
    seen = Counter(row.tobytes() for own in actions for row in own)
    kept = [key for key, _ in seen.most_common(config.most_actions)]
    table = np.stack([np.frombuffer(key, np.uint8) for key in kept])
    share = sum(seen[key] for key in kept) / max(sum(seen.values()), 1)
    note = (
        f"; {len(kept)} actions, {share:.1%} of the steps took one of them and the others the "
        f"nearest ({config.out / 'actions.json'} has their keys)"
    )

    def episodes() -> Iterator[tuple]:
        text = json.dumps({"actions": table.tolist(), "share": share}) + "\n"
        write_atomic(config.out / "actions.json", text)
        for path, own in zip(files, actions, strict=True):
            distance = (own[:, None] != table[None]).sum(-1)
            yield from _split(h5py, path, distance.argmin(-1).astype(np.int32), config)

    return episodes(), note


def _recorded(h5py, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Actions `[N, K]` (uint8) and events `[N, 2]` of a file.

    Raises:
      UserError: it is damaged or of another format.
    """
    try:
        with h5py.File(path, "r") as file:
            names = {int(m[1]) for name in file if (m := re.fullmatch(r"frame_(\d+)_x", name))}
            if names != set(range(len(names))) or len(names) < 2:
                raise UserError(
                    f"{path} has no frames frame_0_x, frame_1_x, ...: it is not in the format of "
                    "DIAMOND's recordings"
                )
            rows = [_numbers(file, f"frame_{i}_y", path, 1) for i in range(len(names))]
            events = [
                _numbers(file, f"frame_{i}_helperarr", path, 1)[:2] for i in range(len(names))
            ]
            if len({(len(row), len(event)) for row, event in zip(rows, events, strict=True)}) != 1:
                raise UserError(f"{path}: its frames have keys or events of several lengths")
    except (OSError, KeyError) as error:
        raise UserError(f"{path} is damaged or of another format ({error})") from None
    return (np.stack(rows) > 0.5).astype(np.uint8), np.stack(events) > 0.5


LARGEST = 1 << 26
"""Numbers of one data set of a file, at most."""


def _numbers(file, name: str, path: Path, axes: int) -> np.ndarray:
    """The data set of a name, checked before anything is allocated for it.

    Args:
      file: an open file of h5py.
      name: of the data set.
      path: of the file, for messages.
      axes: number of its axes.

    Raises:
      UserError: it holds no numbers, has another number of axes, or declares too many.
      KeyError: it is not there.
    """
    data = file[name]
    shape, dtype = getattr(data, "shape", None), getattr(data, "dtype", None)
    if not shape or len(shape) != axes or dtype is None or dtype.kind not in "buif":
        raise UserError(f"{path}: {name} is not the array of numbers that the format has there")
    if math.prod(shape) > LARGEST:
        raise UserError(f"{path}: {name} declares {list(shape)} numbers, too many for a frame")
    return np.asarray(data)


def _split(h5py, path: Path, action: np.ndarray, config: ImportConfig) -> Iterator[tuple]:
    """Episodes of a file: they end with a death, and are cut where the file ends."""
    events = _recorded(h5py, path)[1]
    with h5py.File(path, "r") as file:
        obs = np.stack(
            [
                to_frame(
                    _numbers(file, f"frame_{i}_x", path, 3)[..., ::-1], config.frame_size, f"{path}"
                )
                for i in range(len(action))
            ]
        )
    deaths = [t for t in np.flatnonzero(events[:, 1]) if t > 0]
    begins = [0, *deaths]
    for begin, stop in zip(begins, [*deaths, len(action) - 1], strict=True):
        if stop <= begin:
            continue
        steps = np.arange(begin, stop)
        end = (steps == stop - 1) & bool(events[stop, 1])
        yield obs[begin : stop + 1], action[steps], events[steps + 1, 0].astype(np.float32), end
