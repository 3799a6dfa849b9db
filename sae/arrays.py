"""Files of named arrays (.npz): written whole or not at all, read with one kind of error for all
that can be wrong with them.
"""

import contextlib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.train.errors import writing


def write_arrays(path: Path, arrays: Mapping[str, Any], packed: bool = False) -> None:
    """Write to a temporary name next to `path`, then rename; folders are made. `packed` compresses.

    Raises:
      Refusal: `path` cannot be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp.npz")
        try:
            (np.savez_compressed if packed else np.savez)(
                temporary, **{name: np.asarray(a) for name, a in arrays.items()}
            )
            temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file.

    Raises:
      FileNotFoundError: it is not there.
      ValueError: it is damaged, cannot be read, or holds something else; with the reason.
    """
    try:
        with open(path, "rb") as file:  # NumPy leaves a damaged file open
            held = np.load(file, allow_pickle=False)
            if isinstance(held, np.ndarray):
                raise ValueError("a single array, not an .npz of several")
            return dict(held.items())
    except FileNotFoundError:
        raise
    except (
        OSError,
        EOFError,
        KeyError,
        NotImplementedError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ValueError(str(error) or type(error).__name__) from None
