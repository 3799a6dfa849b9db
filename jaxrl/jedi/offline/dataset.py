"""Recorded episodes, from a folder of `.npz` files or an RLDS dataset, made ready for training:
some of them held out.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.envs.resize import check_frame_size, resize_area
from jaxrl.jedi.offline.config import Found, OfflineConfig
from jaxrl.replay.buffer import ReplayConfig, ReplayIndex
from jaxrl.replay.episode_files import (
    ACTIONS_FILE,
    NEEDED,
    OPTIONAL,
    declared_actions,
    episode_files,
    read_arrays,
    read_fields,
)
from jaxrl.replay.episodes import MOST_ACTIONS, Episode, check_episode, pack, room_for
from jaxrl.replay.rlds import Rlds, is_rlds


class Files:
    """The episodes of a folder of `.npz` files, by number."""

    def __init__(self, folder: Path):
        self._files = episode_files(folder)
        self.lengths = [read_fields(path, ("act",))["act"].size for path in self._files]
        """Steps of each episode."""
        names = read_fields(self._files[0], (), ("truth_names",)).get("truth_names", ())
        self.truth_names = tuple(str(name) for name in names)
        self.num_actions = declared_actions(folder)

    def read(self, number: int) -> tuple:
        """Arrays `(obs, act, rew, end, trunc, truth)` of an episode, unchecked."""
        found = read_arrays(self._files[number])
        return tuple(found.get(name) for name in (*NEEDED, *OPTIONAL))

    def where(self, number: int) -> str:
        """Name of an episode in refusals."""
        return str(self._files[number])


@dataclass
class Dataset:
    """Episodes by number, with frames of one size, and which of them are held out."""

    source: Files | Rlds
    frame_size: int
    held_out: list[int]
    learned_from: list[int]

    @property
    def truth_names(self) -> tuple[str, ...]:
        return getattr(self.source, "truth_names", ())

    @property
    def num_actions(self) -> int | None:
        """Number of actions that is stored with the episodes; None if there is none."""
        return getattr(self.source, "num_actions", None)

    @property
    def replay_config(self) -> ReplayConfig:
        """Exactly enough space for the episodes to learn from."""
        return room_for(
            sum(self.source.lengths[i] for i in self.learned_from), len(self.learned_from)
        )

    def __getitem__(self, number: int) -> Episode:
        obs, *rest = self.source.read(number)
        where = self.source.where(number)
        return check_episode(
            to_size(to_rgb(np.asarray(obs), where), self.frame_size), *rest, where=where
        )

    def episodes(self, numbers: list[int]) -> Iterator[Episode]:
        """Some episodes, one in memory at a time."""
        return (self[number] for number in numbers)


def open_dataset(config: OfflineConfig) -> Dataset:
    """The episodes that `config` names; nothing but their lengths and the first frame is read yet.

    Raises:
      UserError: there are none, fewer than two, their frames are not square and no size was named,
        or a setting does not fit them.
    """
    if not config.data:
        raise UserError("no data were named: give the folder of episodes with --data")
    if config.frame_size is not None:
        check_frame_size(config.frame_size)
    folder = Path(config.data).expanduser()
    source = Rlds(folder, config.split, config.observation) if is_rlds(folder) else Files(folder)
    count = len(source.lengths)
    if count < 2:
        raise UserError(
            f"{folder} holds {count} episode: one is held out and one learned from, so cut it into "
            "several"
        )
    if not 0 < config.held_out < 1:
        raise UserError(f"held_out is {config.held_out}: it must lie between 0 and 1")
    held_out = np.random.default_rng(0).permutation(count)[
        : min(max(round(config.held_out * count), 1), count - 1)
    ]
    shape = np.shape(source.read(0)[0])
    if config.frame_size is None and (len(shape) < 3 or shape[1] != shape[2]):
        raise UserError(
            f"frames of {source.where(0)} have shape {list(shape[1:])}, not square: name a size "
            "with --frame-size"
        )
    size = config.frame_size or shape[1]
    chosen = {int(i) for i in held_out}
    learned_from = [i for i in range(count) if i not in chosen]
    dataset = Dataset(source, size, sorted(chosen), learned_from)
    check_num_actions(config, dataset.num_actions)
    return dataset


def check_num_actions(config: OfflineConfig, declared: int | None) -> None:
    """Refuse a `num_actions` that is none, or below the number that is stored with the data."""
    named = config.num_actions
    if named is not None and not 1 <= named <= MOST_ACTIONS:
        raise UserError(
            f"num_actions is {named}: name the number of actions, from 1 to {MOST_ACTIONS}"
        )
    if named is not None and declared is not None and named < declared:
        raise UserError(
            f"num_actions is {named}, but {ACTIONS_FILE} of {config.data} declares {declared}: "
            f"name at least {declared}, or none"
        )


def to_rgb(obs: np.ndarray, where: str) -> np.ndarray:
    """Gray frames `[T, H, W]` or `[T, H, W, 1]` as RGB; RGB as it is."""
    obs = obs[..., None] if obs.ndim == 3 else obs
    if obs.ndim != 4 or obs.shape[-1] not in (1, 3) or obs.dtype != np.uint8:
        raise UserError(
            f"{where}: frames are {obs.dtype} {list(obs.shape[1:])}: they must be uint8, height x "
            "width, gray or RGB"
        )
    if obs.size == 0:
        raise UserError(
            f"{where}: obs has shape {list(obs.shape)}, so it holds no pixel: leave the episode out"
        )
    return np.repeat(obs, 3, axis=-1) if obs.shape[-1] == 1 else obs


def to_size(obs: np.ndarray, size: int) -> np.ndarray:
    """Frames resized by area to `[T, size, size, 3]`."""
    return (
        obs
        if obs.shape[1:3] == (size, size)
        else np.stack([resize_area(frame, size) for frame in obs])
    )


class Contents(NamedTuple):
    """All that a run needs of its data."""

    index: ReplayIndex
    frames: np.ndarray
    """uint8 `[rows, H, W, 3]`, of the episodes to learn from."""
    held_out: list[Episode]
    found: Found


def read_all(dataset: Dataset, config: OfflineConfig) -> Contents:
    """Read every episode once.

    Raises:
      UserError: an episode is wrong, or an action is not below the number of actions that
        `config` names or the data declare.
    """
    digest, most = hashlib.blake2b(digest_size=8), 0

    def seen(numbers):
        nonlocal most
        for episode in dataset.episodes(numbers):
            for array in episode[:5]:
                digest.update(np.ascontiguousarray(array))
            most = max(most, int(episode.act.max()))
            yield episode

    index, frames = pack(seen(dataset.learned_from), dataset.replay_config)
    held_out = list(seen(dataset.held_out))
    known = config.num_actions or dataset.num_actions or most + 1
    if most >= known:
        raise UserError(
            f"{config.data} holds the action {most}, but num_actions is {known}: actions are "
            f"numbered 0 to {known - 1}"
        )
    found = Found(
        len(dataset.learned_from),
        len(held_out),
        int(index.steps),
        known,
        dataset.frame_size,
        digest.hexdigest(),
    )
    return Contents(index, frames, held_out, found)
