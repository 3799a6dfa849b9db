"""Recordings of Minari and DIAMOND's HDF5 files as episode files: `python -m jaxrl.jedi
import-episodes` (extra `minari`).
"""

import contextlib
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrl.app.errors import UserError, first_line, need
from jaxrl.app.files import new_folder, write_json
from jaxrl.envs.resize import check_frame_size, resize_area
from jaxrl.replay.episode_files import ACTIONS_FILE, save_episode
from jaxrl.replay.episodes import MOST_ACTIONS, Episode, check_episode


@dataclass(frozen=True)
class ImportConfig:
    """Source of recordings, and the form in which they are written."""

    source: str
    """minari:NAME of a Minari data set on this machine, or an .hdf5 file (or a folder of them) in
    the format of DIAMOND's CS:GO recordings.
    """
    out: Path
    """Folder for the episode files; must be new or empty."""
    frame_size: int = 64
    """Frames are resized by area to squares of so many pixels."""
    image_key: str | None = None
    """Name of the image, if observations are dictionaries."""
    most_actions: int = 64
    """Different keyboard and mouse states that become an action of their own, the most frequent
    first; every other one takes the nearest of these. Only for .hdf5 files.
    """


class Recordings(NamedTuple):
    """Recordings that were opened."""

    episodes: Iterator[Episode]
    """Checked, and read one at a time."""
    actions: dict[str, Any]
    """Contents of actions.json: `num_actions`, and possibly more."""
    note: str = ""
    """End of the sentence that says what was written."""


def import_recordings(config: ImportConfig) -> str:
    """Convert, and say in a sentence what was written: everything, or nothing after an error.

    Raises:
      UserError: the source is not there, damaged or of another kind, or the folder holds files.
    """
    check_frame_size(config.frame_size)
    if config.most_actions < 1:
        raise UserError(f"--most-actions is {config.most_actions}: it must be at least 1")
    opened = minari_recordings if config.source.startswith("minari:") else diamond_recordings
    count = steps = 0
    with new_folder(config.out) as folder:
        episodes, actions, note = opened(config)
        for count, episode in enumerate(episodes, 1):
            save_episode(folder, *episode[:5], number=count - 1)
            steps += len(episode.act)
        if not count:
            raise UserError(f"{config.source} holds no episode of at least one step")
        write_json(folder / ACTIONS_FILE, actions, indent=None)
    return f"{config.out}: {count} episodes with {steps} steps{note}"


def to_frame(image: np.ndarray, size: int, where: str) -> np.ndarray:
    """An image as uint8 `[size, size, 3]`.

    Raises:
      UserError: it is no uint8 image, gray or RGB, or has no pixel.
    """
    image = np.asarray(image)
    image = image[..., None] if image.ndim == 2 else image
    if image.ndim == 3 and image.shape[0] in (1, 3) and image.shape[-1] not in (1, 3):
        image = np.moveaxis(image, 0, -1)
    colored = image.ndim == 3 and image.shape[-1] in (1, 3)
    if image.dtype != np.uint8 or not colored or image.size == 0:
        raise UserError(
            f"{where}: observations are {image.dtype} {list(image.shape)}, not uint8 images, gray "
            "or RGB: record the data set with pixel observations, or name one with --image-key"
        )
    return resize_area(np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image, size)


# ---- Minari
# ------------------------------------------------------------


def minari_recordings(config: ImportConfig) -> Recordings:
    """The episodes of a Minari data set that is on this machine, and its number of actions.

    Raises:
      UserError: it is not there or damaged, or its observations or actions are of another kind.
    """
    minari, source = need("minari", "minari"), config.source
    discrete = need("gymnasium.spaces", "minari").Discrete
    dataset = _load(minari, source.removeprefix("minari:"))
    space = dataset.action_space
    if not isinstance(space, discrete):
        raise UserError(
            f"{source} has actions {space}: only numbered ones (Discrete) can be learned"
        )
    first, number = int(space.start), int(space.n)
    if number > MOST_ACTIONS:
        raise UserError(
            f"{source} declares {number} actions: at most {MOST_ACTIONS} can be learned, so record "
            "it with fewer"
        )
    episodes = (
        _checked(episode, range(first, first + number), config)
        for episode in _stored(dataset, source)
        if np.size(episode.actions) or np.size(episode.rewards)  # else it has no step
    )
    return Recordings(episodes, {"num_actions": number})


def _load(minari, name: str):
    """The Minari data set of a name.

    Raises:
      UserError: it is not there, damaged, or of another version.
    """
    try:
        return minari.load_dataset(name)
    except FileNotFoundError as error:
        raise UserError(
            f"there is no Minari data set {name!r} on this machine ({error}): `minari download "
            f"{name}` fetches one, `minari list local` shows those that are there"
        ) from None
    except Exception as error:  # Minari raises many kinds, AssertionError among them
        raise UserError(
            f"the Minari data set {name!r} cannot be read, it or its metadata.json may be damaged "
            f"({first_line(error)}): download or record it again"
        ) from error


def _stored(dataset, source: str) -> Iterator[Any]:
    """The episodes of a Minari data set as Minari gives them.

    Raises:
      UserError: one cannot be read; the sentence has its number if others were read before.
    """
    number = 0
    try:
        for episode in dataset.iterate_episodes():
            yield episode
            number += 1
    except Exception as error:  # of h5py, Arrow, Pillow and Minari itself
        # Arrow opens all episodes before the first one is read.
        where = f"{source}, episode {number}," if number else source
        raise UserError(
            f"{where} is damaged or lacks an array ({first_line(error)}): "
            "download or record the data set again"
        ) from error


def _checked(episode, declared: range, config: ImportConfig) -> Episode:
    """An episode of Minari, checked; its actions are counted from the first declared one.

    Raises:
      UserError: an array is of another kind or length, or the episode finishes before its last
        step.
    """
    where = f"{config.source}, episode {episode.id}"
    actions, rewards = _numbered(episode.actions, declared, where), np.asarray(episode.rewards)
    end, trunc = (
        _flags(getattr(episode, name), f"{where}: {name}", len(actions))
        for name in ("terminations", "truncations")
    )
    return check_episode(
        images(episode.observations, config, where),
        actions,
        rewards.astype(np.float32) if rewards.dtype == bool else rewards,
        end,
        trunc & ~end,
        where=where,
    )


def _numbered(actions: Any, declared: range, where: str) -> np.ndarray:
    """Actions as int64 `[T]`, from 0.

    Raises:
      UserError: they are no single numbers, or one of them is not declared.
    """
    actions = np.asarray(actions)
    if actions.ndim != 1 or actions.dtype.kind not in "buif":
        raise UserError(
            f"{where}: actions are {actions.dtype} {list(actions.shape)}: they must be whole "
            "numbers, one per step"
        )
    inside = (actions >= declared.start) & (actions < declared.stop)
    wrong = ~inside | (np.floor(actions) != actions)
    if wrong.any():
        step = int(np.argmax(wrong))
        raise UserError(
            f"{where}: the action at step {step} is {actions[step]}, but the data set declares "
            f"whole numbers from {declared[0]} to {declared[-1]}: correct its actions or its space"
        )
    return actions.astype(np.int64) - declared.start


def _flags(values: Any, what: str, steps: int) -> np.ndarray:
    """Flags as bool `[T]`, True at most at the last step.

    Raises:
      UserError: they are no flags, not one per step, or True before the last step.
    """
    flags = np.asarray(values)
    if flags.shape != (steps,) or not ((flags == 0) | (flags == 1)).all():
        raise UserError(
            f"{what} are {flags.dtype} {list(flags.shape)}: they must be true or false (0 or 1), "
            f"one for each of the {steps} steps"
        )
    if flags[:-1].any():
        raise UserError(
            f"{what} are true at step {np.argmax(flags != 0)} of {steps}, before the last one: "
            "split the recording into episodes there"
        )
    return flags.astype(bool)


def images(observations: Any, config: ImportConfig, where: str) -> np.ndarray:
    """Frames uint8 `[T + 1, S, S, 3]` of the observations of an episode.

    Raises:
      UserError: there are none, or it is not clear which they are.
    """
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
    if not isinstance(observations, np.ndarray) or observations.ndim < 3 or len(observations) == 0:
        raise UserError(
            f"{where}: observations are no images: record the data set with pixel observations, or "
            "name one with --image-key"
        )
    return np.stack([to_frame(image, config.frame_size, where) for image in observations])


# ---- DIAMOND's HDF5
# ------------------------------------------------------------


class Inputs(NamedTuple):
    """The small arrays of a file of N frames."""

    path: Path
    keys: np.ndarray
    """uint8 `[N, K]`, 1 for each key or mouse movement that was on."""
    events: np.ndarray
    """bool `[N, 2]`: a kill, a death."""


def diamond_recordings(config: ImportConfig) -> Recordings:
    """Episodes of .hdf5 files with `frame_<i>_x` (image, BGR), `frame_<i>_y` (keys and mouse as 0
    and 1) and `frame_<i>_helperarr` (a kill, a death); and the table of their actions.

    The action of frame i leads to frame i + 1, whose kill is its reward (our choice) and whose
    death ends the episode.

    Raises:
      UserError: there is no such file, or it is damaged or of another kind.
    """
    h5py, source = need("h5py", "minari"), Path(config.source).expanduser()
    files = sorted(source.rglob("*.hdf5")) if source.is_dir() else [source]
    if not files or not files[0].is_file():
        raise UserError(f"there is no .hdf5 file at {source}: name one, or a folder of them")
    inputs = [_inputs(h5py, path) for path in files]
    for path, keys, _ in inputs:
        if (here := keys.shape[1]) != (others := inputs[0].keys.shape[1]):
            raise UserError(
                f"{path} has {here} keys a frame and {files[0]} has {others}: import them into "
                "folders of their own"
            )
    table, share = _table([one.keys for one in inputs], config.most_actions)
    note = (
        f"; {len(table)} actions, {share:.1%} of the steps took one of them and the others the "
        f"nearest ({config.out / ACTIONS_FILE} has their keys)"
    )
    episodes = (episode for one in inputs for episode in _split(h5py, one, table, config))
    actions = {"num_actions": len(table), "actions": table.tolist(), "share": share}
    return Recordings(episodes, actions, note)


def _table(keys: list[np.ndarray], most: int) -> tuple[np.ndarray, float]:
    """The `most` most frequent rows of all files, uint8 `[A, K]`, and their share of all rows."""
    seen = Counter(row.tobytes() for own in keys for row in own)
    kept = [row for row, _ in seen.most_common(most)]
    table = np.stack([np.frombuffer(row, np.uint8) for row in kept])
    return table, sum(seen[row] for row in kept) / sum(seen.values())


@contextlib.contextmanager
def _opened(h5py, path: Path) -> Iterator[Any]:
    """An open .hdf5 file; its damage becomes a `UserError`."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} is damaged or of another format ({first_line(error)}): restore it or leave it "
            "out"
        ) from error


def _inputs(h5py, path: Path) -> Inputs:
    """Keys and events of a file.

    Raises:
      UserError: it is damaged or of another format.
    """
    with _opened(h5py, path) as file:
        names = {int(m[1]) for name in file if (m := re.fullmatch(r"frame_(\d+)_x", name))}
        if names != set(range(len(names))) or len(names) < 2:
            raise UserError(
                f"{path} has no frames frame_0_x, frame_1_x, ...: it is not in the format of "
                "DIAMOND's recordings"
            )
        keys, events = (_rows(file, path, part, len(names)) for part in ("y", "helperarr"))
    known = (keys == 0) | (keys == 1) | (keys == 255)
    _refuse(path, "y", keys, ~known, "a key is 0 or 1 (or 255)")
    if events.shape[1] < 2:
        raise UserError(
            f"{path}: frame_0_helperarr holds one number, not a kill and a death: it is not in the "
            "format of DIAMOND's recordings"
        )
    events = events[:, :2]
    wrong = ~(np.isfinite(events) & (events >= 0))
    _refuse(path, "helperarr", events, wrong, "a kill or a death is 0 or 1")
    return Inputs(path, (keys != 0).astype(np.uint8), events > 0.5)


def _rows(file, path: Path, part: str, count: int) -> np.ndarray:
    """The arrays `frame_<i>_<part>` of `count` frames, numbers `[count, K]`."""
    rows = [_numbers(file, f"frame_{i}_{part}", path, 1) for i in range(count)]
    if len({len(row) for row in rows}) != 1:
        raise UserError(f"{path}: its frames have keys or events of several lengths")
    return np.stack(rows)


def _refuse(path: Path, part: str, values: np.ndarray, wrong: np.ndarray, rule: str) -> None:
    """Refuse a file for the first wrong one of its values `[N, K]`, if there is any."""
    if wrong.any():
        frame, column = np.argwhere(wrong)[0]
        raise UserError(
            f"{path}: frame_{frame}_{part} holds {values[frame, column]}, but {rule}: restore the "
            "file or leave it out"
        )


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
    is_numbers = dtype is not None and dtype.kind in "buif"
    if not shape or len(shape) != axes or 0 in shape or not is_numbers:
        raise UserError(f"{path}: {name} is not the array of numbers that the format has there")
    if math.prod(shape) > LARGEST:
        raise UserError(f"{path}: {name} declares {list(shape)} numbers, too many for a frame")
    return np.asarray(data)


def _frame(file, number: int, path: Path, size: int) -> np.ndarray:
    """A frame as RGB, uint8 `[size, size, 3]`.

    Raises:
      UserError: it is no image.
    """
    name = f"frame_{number}_x"
    image = _numbers(file, name, path, 3)
    if image.shape[-1] not in (1, 3):
        raise UserError(
            f"{path}: {name} has shape {list(image.shape)}, not height x width x colors: it is not "
            "in the format of DIAMOND's recordings"
        )
    return to_frame(image[..., ::-1], size, f"{path}: {name}")


def _split(h5py, recorded: Inputs, table: np.ndarray, config: ImportConfig) -> Iterator[Episode]:
    """Episodes of a file: they end with a death, and are cut where the file ends.

    Raises:
      UserError: its frames are damaged or no images.
    """
    path, keys, events = recorded
    action = (keys[:, None] != table[None]).sum(-1).argmin(-1).astype(np.int32)
    with _opened(h5py, path) as file:
        obs = np.stack([_frame(file, i, path, config.frame_size) for i in range(len(keys))])
    deaths = [int(t) for t in np.flatnonzero(events[:, 1]) if t > 0]
    begins = [0, *deaths]
    for begin, stop in zip(begins, [*deaths, len(action) - 1], strict=True):
        if stop <= begin:
            continue
        steps = np.arange(begin, stop)
        end = (steps == stop - 1) & bool(events[stop, 1])
        reward = events[steps + 1, 0].astype(np.float32)
        where = f"{path}, frames {begin} to {stop}"
        yield check_episode(obs[begin : stop + 1], action[steps], reward, end, where=where)
