"""Folders of files in MNIST's format, IDX: MNIST, Fashion-MNIST, KMNIST, EMNIST."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from jaxrl.app.errors import UserError
from quant.data.loaders import Data, Split, from_arrays

DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""Types of numbers, by the third byte of a file."""
PARTS = {"train": "train", "test": "t10k"}
"""Splits, by the beginning of their files' names."""


def idx_folder(path: str | Path, name: str | None = None, keep_bytes: bool = False) -> Data:
    """Images and labels of a folder that holds `train-images-idx3-ubyte` and so on, gzipped or not.

    Args:
      path: the folder.
      name: for reports.
      keep_bytes: as for `from_arrays`.

    Raises:
      UserError: there is no such folder, no training images, or a file that is damaged.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: name one that holds train-images-idx3-ubyte.gz")
    splits = {}
    for split, start in PARTS.items():
        images = _find(folder, f"{start}-images")
        labels = _find(folder, f"{start}-labels")
        if images is not None:
            splits[split] = Split(read_idx(images), None if labels is None else read_idx(labels))
    if "train" not in splits:
        raise UserError(f"{folder} holds no train-images-idx3-ubyte, gzipped or not")
    train = splits["train"]
    return from_arrays(
        *train, name=name or f"images in {folder}", test=splits.get("test"), keep_bytes=keep_bytes
    )


def _find(folder: Path, start: str) -> Path | None:
    found = sorted(f for f in folder.iterdir() if f.name.replace(".", "-").startswith(start))
    return found[0] if found else None


def read_idx(file: Path) -> np.ndarray:
    """The array of one file.

    Raises:
      UserError: it is damaged, or no IDX file.
    """
    try:
        data = file.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{file} cannot be read ({error})") from None
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in DTYPES:
        raise UserError(f"{file} is no IDX file: it does not begin with its magic number")
    begin = 4 + 4 * data[3]
    if len(data) < begin:
        raise UserError(f"{file} ends within its header: download it again")
    shape = struct.unpack(f">{data[3]}I", data[4:begin])
    dtype = np.dtype(DTYPES[data[2]])
    if len(data) - begin != math.prod(shape) * dtype.itemsize:
        raise UserError(
            f"{file} holds {len(data) - begin} bytes of data, not those of {shape}: download it "
            "again"
        )
    values = np.frombuffer(data, dtype, offset=begin).reshape(shape)
    return values.astype(dtype.newbyteorder("="))
