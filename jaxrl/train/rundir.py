"""A run is a folder: config.json, metrics.jsonl, checkpoints/, replay/, report/. On this machine,
or in a bucket (gs://bucket/run).

Opening a folder that already holds a run resumes it, if the configuration is the same but for
fields that do not touch the past.
"""

import contextlib
import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, TypeVar

from jaxrl.app.errors import UserError, reaching, writing
from jaxrl.app.files import resolve_path, write_atomic
from jaxrl.train.config import differences, from_dict

T = TypeVar("T")
SHOWN = 5
"""Fields of another configuration that a sentence lists."""

place, write_atomically = resolve_path, write_atomic  # old names


def open_run(
    path: str | Path,
    config: dict[str, Any],
    free: Collection[str] = (),
    write: bool = True,
    complete: Callable[[dict[str, Any]], dict[str, Any]] = lambda stored: stored,
) -> Path:
    """Create the folder, or check that it belongs to the same configuration; returns its absolute
    path.

    Args:
      path: the folder.
      config: the configuration as JSON-ready dictionaries.
      free: dotted fields that may differ from the stored ones (the new values are then stored).
      write: False only checks.
      complete: gives a stored configuration of an earlier version the fields that it lacks.

    Raises:
      UserError: the folder cannot be written, or holds a run of another configuration (the fields
        are named).
    """
    folder = resolve_path(path)
    stored = stored_config(folder)
    if stored is not None:
        with naming(folder):
            stored = complete(stored)
        changed = {
            name: pair for name, pair in differences(stored, config).items() if name not in free
        }
        if changed:
            raise UserError(
                f"{folder} holds a run of another configuration ({_listed(changed)}): choose "
                "another --run-dir"
            )
    if write:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / "config.json", json.dumps(config, indent=2) + "\n")
    return folder


def _listed(changed: dict[str, tuple[Any, Any]]) -> str:
    """Fields with both values, the outermost first; of many, only the number."""
    names = sorted(changed, key=lambda name: (name.count("."), name))
    shown = names if len(names) <= SHOWN + 1 else names[:SHOWN]
    parts = [
        f"{name} is {changed[name][0]!r} there and {changed[name][1]!r} here" for name in shown
    ]
    if len(shown) < len(names):
        parts.append(f"{len(names) - len(shown)} other fields differ")
    return "; ".join(parts)


@contextlib.contextmanager
def naming(folder: Path) -> Iterator[None]:
    """Put the path of a run's config.json in front of what is wrong with it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{folder / 'config.json'}: {error}") from None


def read_config_as(kind: type[T], path: str | Path) -> T:
    """The configuration of the run in a folder, as its dataclass.

    Raises:
      UserError: see `read_config` and `from_dict`.
    """
    data = read_config(path)
    with naming(resolve_path(path)):
        return from_dict(kind, data)


def read_config(path: str | Path) -> dict[str, Any]:
    """The configuration of the run in a folder.

    Raises:
      UserError: there is none, or it is damaged.
    """
    stored = stored_config(resolve_path(path))
    if stored is None:
        raise UserError(
            f"{path} holds no run (there is no config.json): name the folder of a run with "
            "--run-dir"
        )
    return stored


def stored_config(folder: Path) -> dict[str, Any] | None:
    """The configuration of the run in a folder (from `resolve_path`); None only if there certainly
    is none.

    Raises:
      UserError: it is damaged, or the bucket cannot be reached.
    """
    file = folder / "config.json"
    try:
        with reaching(file):
            found = json.loads(file.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{file} is damaged ({error}): restore it or choose another --run-dir"
        ) from None
    if not isinstance(found, dict):
        raise UserError(
            f"{file} is damaged (it holds {str(found)[:40]}, no settings): restore it or choose "
            "another --run-dir"
        )
    return found
