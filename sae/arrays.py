"""Files of named arrays (.npz): written whole or not at all, read with one kind of error for all
that can be wrong with them.
"""

import contextlib
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.app.errors import writing


def write_arrays(path: Path, arrays: Mapping[str, Any], packed: bool = False) -> None:
    """Write to a temporary name next to `path`, then rename; folders are made. `packed` compresses.

    Raises:
      UserError: `path` cannot be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not by `jaxrl.app.files.write_npz`: embeddings of an archive need not fit in memory twice.
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
            if zipfile.is_zipfile(file):
                _check_members(file, path)
            file.seek(0)
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


MOST_RATIO = 200
"""Size of all arrays, relative to the file, beyond which a file above `ALWAYS` is refused."""
ALWAYS = 2**30
"""Bytes of all arrays that no ratio is asked of: arrays of zeros compress a thousand times."""


def _check_members(file, path: Path) -> None:
    """Refuse arrays whose declared shapes do not fit their bytes, and archives that inflate far
    beyond their size, before anything is allocated.

    Raises:
      ValueError: naming the array.
    """
    with zipfile.ZipFile(file) as archive:
        total = sum(info.file_size for info in archive.infolist())
        if total > max(ALWAYS, MOST_RATIO * path.stat().st_size):
            raise ValueError(f"it inflates to {total:,} bytes from {path.stat().st_size:,}")
        for info in archive.infolist():
            if not info.filename.endswith(".npy"):
                continue
            with archive.open(info) as member:
                version = np.lib.format.read_magic(member)
                read = (
                    np.lib.format.read_array_header_1_0
                    if version == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                shape, _, dtype = read(member)
                body = info.file_size - member.tell()
            if not dtype.hasobject and math.prod(shape) * dtype.itemsize != body:
                raise ValueError(
                    f"array {info.filename} declares shape {shape} of {dtype}, but has {body:,} "
                    "bytes"
                )
