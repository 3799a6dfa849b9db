"""A run is a folder: config.json, metrics.jsonl, checkpoints/, replay/, report/. On this machine,
or in a bucket (gs://bucket/run).

Opening a folder that already holds a run resumes it, if the configuration is the same but for
fields that do not touch the past.
"""

import importlib.util
import json
import logging
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from jaxrl.train.config import differences
from jaxrl.train.errors import Refusal, is_remote, reaching, writing


def place(path: str | Path) -> Path:
    """An absolute path: pathlib's on this machine; for gs://, etils' with the same methods
    (reading, writing, listing, deleting).

    Raises:
      Refusal: another kind of address, or what reads buckets is not installed.
    """
    if not is_remote(path):
        return Path(path).expanduser().resolve()
    if not str(path).startswith("gs://") or len(str(path)) == len("gs://"):
        raise Refusal(
            f"{path} is no run folder: name a folder of this machine, or gs://bucket/folder"
        )
    if any(importlib.util.find_spec(name) is None for name in ("etils", "gcsfs")):
        raise Refusal(
            f"{path} lies in a bucket, and what reads buckets is not installed: pip install "
            "'latentax[gcs]'"
        )
    logging.getLogger("gcsfs").setLevel(
        logging.CRITICAL
    )  # failures are raised; gcsfs prints them as well, with tracebacks
    from etils import epath

    return epath.Path(str(path))


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
      Refusal: the folder cannot be written, or holds a run of another configuration (the fields are
        named).
    """
    folder = place(path)
    stored = stored_config(folder)
    if stored is not None:
        changed = {
            name: pair
            for name, pair in differences(complete(stored), config).items()
            if name not in free
        }
        if changed:
            listed = "; ".join(
                f"{name} is {old!r} there and {new!r} here" for name, (old, new) in changed.items()
            )
            raise Refusal(
                f"{folder} holds a run of another configuration ({listed}): choose another "
                "--run-dir"
            )
    if write:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / "config.json", json.dumps(config, indent=2) + "\n")
    return folder


def read_config(path: str | Path) -> dict[str, Any]:
    """The configuration of the run in a folder.

    Raises:
      Refusal: there is none, or it is damaged.
    """
    stored = stored_config(place(path))
    if stored is None:
        raise Refusal(
            f"{path} holds no run (there is no config.json): name the folder of a run with "
            "--run-dir"
        )
    return stored


def stored_config(folder: Path) -> dict[str, Any] | None:
    """The configuration of the run in a folder (from `place`); None only if there certainly is
    none.

    Raises:
      Refusal: it is damaged, or the bucket cannot be reached.
    """
    file = folder / "config.json"
    try:
        with reaching(file):
            return json.loads(file.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Refusal(
            f"{file} is damaged ({error}): restore it or choose another --run-dir"
        ) from None


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing: to a temporary name in the same folder, then rename. An object
    of a bucket is whole anyway.
    """
    data = content.encode() if isinstance(content, str) else content
    if is_remote(path):
        with writing(path):
            path.write_bytes(data)
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
