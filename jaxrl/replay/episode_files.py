"""Episodes in a folder, one `.npz` file each, in the order of their names. The format is described
in docs/your_data.md.

Arrays of a file: `version` (1), `obs` uint8 `[T + 1, H, W, 3]`, `act` integer `[T]`, `rew` numbers
`[T]`, `end` bool `[T]`; and, if
there are any, `trunc` bool `[T]`, `truth` numbers `[T + 1, D]`, `truth_names` strings `[D]`. Other
arrays are ignored. A file `actions.json` next to them may declare how many actions there are.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from jaxrl.app.errors import UserError, writing
from jaxrl.app.files import read_json, read_npz, write_npz
from jaxrl.replay.episodes import MOST_ACTIONS, Episode, check_episode

VERSION = 1
NEEDED, OPTIONAL = ("obs", "act", "rew", "end"), ("trunc", "truth")
ACTIONS_FILE = "actions.json"
"""An object in JSON; `num_actions` of it is the number of actions, also of those never taken."""


def save_episode(
    folder: str | Path,
    obs,
    act,
    rew,
    end,
    trunc=None,
    truth=None,
    truth_names: Sequence[str] = (),
    number: int | None = None,
) -> Path:
    """Check an episode and write it as `episode-<number>.npz`, whole or not at all; returns the
    file's path.

    Args:
      folder: is made if it does not exist.
      obs, act, rew, end, trunc, truth: see `Episode`; `trunc` and `truth` may be left out.
      truth_names: a name for each column of `truth`.
      number: place among the episodes; by default behind the last one there (for one writer at a
        time).

    Raises:
      UserError: the arrays do not fit together, or the folder cannot be written.
    """
    folder = Path(folder)
    episode = check_episode(obs, act, rew, end, trunc, truth)
    if episode.truth is not None and len(truth_names) != episode.truth.shape[1]:
        raise UserError(
            f"truth has {episode.truth.shape[1]} columns and {len(truth_names)} truth_names: name "
            "every column"
        )
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: value for name, value in episode._asdict().items() if value is not None}
    if episode.truth is not None:
        arrays["truth_names"] = np.array(list(truth_names))
    path = folder / f"episode-{_next(folder) if number is None else number:06d}.npz"
    write_npz(path, {"version": np.int32(VERSION), **arrays}, compress=True)
    return path


def _next(folder: Path) -> int:
    numbers = [
        int(found[1])
        for path in folder.glob("episode-*.npz")
        if (found := re.fullmatch(r"episode-(\d+)\.npz", path.name))
    ]
    return max(numbers, default=-1) + 1


def episode_files(folder: str | Path) -> list[Path]:
    """The episode files of a folder in order.

    Raises:
      UserError: there is no such folder, or no file in it.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}: name one that holds episodes")
    files = sorted(path for path in folder.glob("*.npz") if not path.name.startswith("."))
    if not files:
        raise UserError(
            f"{folder} holds no episodes (.npz files): write some with "
            "jaxrl.replay.episode_files.save_episode"
        )
    return files


def declared_actions(folder: str | Path) -> int | None:
    """Number of actions that `actions.json` of a folder declares; None without a declaration.

    Raises:
      UserError: the file is damaged, or the number is none of actions.
    """
    path = Path(folder).expanduser() / ACTIONS_FILE
    try:
        found = read_json(path, "restore or remove it")
    except FileNotFoundError:
        return None
    if not isinstance(found, dict) or "num_actions" not in found:
        return None
    number = found["num_actions"]
    if type(number) is not int or not 1 <= number <= MOST_ACTIONS:
        raise UserError(
            f"{path} declares {number!r} as num_actions: it must be a whole number from 1 to "
            f"{MOST_ACTIONS}"
        )
    return number


def load_episodes(folder: str | Path) -> Iterator[Episode]:
    """The episodes of a folder, one in memory at a time."""
    return (read_episode(path) for path in episode_files(folder))


def read_episode(path: Path) -> Episode:
    """One checked episode.

    Raises:
      UserError: the file is damaged, of another version, or its arrays do not fit together.
    """
    return check_episode(**read_arrays(path), where=str(path))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an episode by name, unchecked.

    Raises:
      UserError: the file is damaged, lacks an array, or is of another version.
    """
    found = read_fields(path, ("version", *NEEDED), OPTIONAL)
    if found.pop("version").tolist() != VERSION:
        raise UserError(
            f"{path} is of another version of the episode format, not {VERSION}: write it again "
            "with save_episode"
        )
    return found


def read_fields(
    path: Path, needed: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Some arrays of a file; the others are not read.

    Raises:
      UserError: the file is damaged, or has no array of a name in `needed`.
    """
    try:
        found = read_npz(path, names=(*needed, *optional))
    except (OSError, UserError) as error:
        raise UserError(f"{path} is missing or damaged ({error}): restore or remove it") from error
    missing = [name for name in needed if name not in found]
    if missing:
        raise UserError(
            f"{path} has no array {missing[0]}: an episode file holds version, obs, act, rew and "
            "end"
        )
    return found
