"""A run is a folder: config.json, metrics.jsonl, checkpoints/, replay/, report/.

Opening a folder that already holds a run resumes it, if the configuration is the same but for fields that do not touch the past.
"""

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from jaxrl.train.config import differences
from jaxrl.train.errors import Refusal, writing


def open_run(path: str | Path, config: dict[str, Any], free: Collection[str] = ()) -> Path:
    """Create the folder, or check that it belongs to the same configuration; returns its absolute path.

    Args:
      path: the folder.
      config: the configuration as JSON-ready dictionaries.
      free: dotted fields that may differ from the stored ones (the new values are then stored).

    Raises:
      Refusal: the folder cannot be written, or holds a run of another configuration (the fields are named).
    """
    folder = Path(path).expanduser().resolve()
    stored = read_config(folder) if (folder / "config.json").exists() else None
    if stored is not None:
        changed = {name: pair for name, pair in differences(stored, config).items() if name not in free}
        if changed:
            listed = "; ".join(f"{name} is {old!r} there and {new!r} here" for name, (old, new) in changed.items())
            raise Refusal(f"{folder} holds a run of another configuration ({listed}): choose another --run-dir")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "config.json", json.dumps(config, indent=2) + "\n")
    return folder


def read_config(path: str | Path) -> dict[str, Any]:
    """The configuration of the run in a folder.

    Raises:
      Refusal: there is none, or it is damaged.
    """
    file = Path(path).expanduser() / "config.json"
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        raise Refusal(f"{file.parent} holds no run (there is no config.json): name the folder of a run with --run-dir") from None
    except (json.JSONDecodeError, UnicodeDecodeError, NotADirectoryError) as error:
        raise Refusal(f"{file} is damaged ({error}): restore it or choose another --run-dir") from None


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing: to a temporary name in the same folder, then rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    data = content.encode() if isinstance(content, str) else content
    with writing(path):
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
