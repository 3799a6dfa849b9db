"""Frames on disk: append-only shards, so that a checkpoint costs only what is new since the last.

A shard `frames-<step>.npz` holds the rows that were written since the shard before it. A
checkpoint's record lists the shards it stands on; shards that no checkpoint lists any more are
removed. Every shard is written whole or not at all.
"""

from pathlib import Path

import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.files import read_npz, write_npz
from jaxrl.replay.buffer import ReplayIndex
from jaxrl.train.parallel import platform


def rows_since(
    head: np.ndarray, saved: np.ndarray, rows_per_lane: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of every lane from the newest saved one (whose step has been filled in since) to the
    newest: `(lane [n], number [n])`.

    `head` and `saved` are the newest row numbers now and when last saved, int `[L]`, -1 for an
    empty lane; rows already overwritten are left out.
    """
    numbers = [
        np.arange(max(old, new - rows_per_lane + 1, 0), new + 1)
        for old, new in zip(saved, head, strict=True)
    ]
    lanes = [np.full(len(number), lane) for lane, number in enumerate(numbers)]
    return np.concatenate(lanes), np.concatenate(numbers)


def write_shard(folder: Path, step: int, index: ReplayIndex, frames, saved: np.ndarray) -> str:
    """Write what is new in `frames [L * R, D]` (on the device or host) since `saved`; returns the
    shard's name.

    Args:
      folder: folder of the shards; it is made.
      step: number of the checkpoint, part of the shard's name.
      index: the replay's, for the newest rows.
      frames: uint8 `[L * R, D]`, all storage rows.
      saved: int `[L]`, the newest row number of each lane when last saved; -1 for an empty lane.
    """
    lane, number = rows_since(np.asarray(index.head), saved, index.rows_per_lane)
    storage = lane * index.rows_per_lane + number % index.rows_per_lane
    name = f"frames-{step}.npz"
    arrays = {"lane": lane, "number": number, "frames": _take(frames, storage)}
    write_npz(folder / name, arrays, compress=True)
    return name


def _take(frames, rows: np.ndarray) -> np.ndarray:
    """`frames[rows]` on the host; on an accelerator in few different sizes, each of which is
    compiled once.
    """
    if isinstance(frames, np.ndarray):
        return frames[rows]
    if platform() == "cpu":
        return np.asarray(frames)[rows]
    padded = np.zeros(1 << max(len(rows) - 1, 0).bit_length(), rows.dtype)
    padded[: len(rows)] = rows
    return np.asarray(frames[padded])[: len(rows)]


def read_shards(folder: Path, names: list[str], index: ReplayIndex, frame_size: int) -> np.ndarray:
    """The frames uint8 `[L * R, D]` that the shards hold, later ones over earlier ones; zeros where
    nothing was written.

    Args:
      folder: folder of the shards.
      names: file names of the shards, oldest first.
      index: the replay's, for its size.
      frame_size: bytes of a frame, D = H * W * C.

    Raises:
      UserError: a shard is missing or damaged.
    """
    frames = np.zeros((index.action.shape[0], frame_size), np.uint8)
    largest = frames.nbytes + 16 * len(frames) + 2**20  # two numbers for every row, and headers
    for name in names:
        try:
            shard = read_npz(folder / name, largest)
            storage = shard["lane"] * index.rows_per_lane + shard["number"] % index.rows_per_lane
            frames[storage] = shard["frames"]
        except Exception as error:
            raise UserError(
                f"replay shard {folder / name} is missing or damaged ({type(error).__name__}): "
                "restore it, or remove the "
                "checkpoints that need it"
            ) from error
    return frames


def still_needed(folder: Path, names: list[str], index: ReplayIndex) -> list[str]:
    """The shards of `names` that hold at least one row not overwritten since."""
    if int(np.max(index.head)) < index.rows_per_lane:
        return list(names)  # the ring has not wrapped

    def alive(name):
        shard = read_npz(folder / name, names=("lane", "number"))
        oldest = np.asarray(index.head)[shard["lane"]] - index.rows_per_lane
        return bool((shard["number"] > oldest).any())

    return [name for name in names if alive(name)]


def remove_orphans(folder: Path, listed: set[str]) -> None:
    """Delete shards that nobody lists."""
    for file in (*folder.glob("frames-*.npz"), *folder.glob("games-*.npz")):
        if file.name not in listed:
            file.unlink(missing_ok=True)
