"""The safetensors format, read and written with NumPy alone: eight bytes of length, a JSON header,
the numbers.
"""

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path

import ml_dtypes
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.files import write_atomic

DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
    "BOOL": "|b1",
    "BF16": ml_dtypes.bfloat16,
}


MOST_HEADER = 100 * 2**20
"""Bytes of a header beyond which a file is refused, as in the reference implementation."""


def write_safetensors(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """A file of named arrays, whole or not at all."""
    names = {np.dtype(code): name for name, code in DTYPES.items()}
    header, bodies, offset = {}, [], 0
    for name, array in arrays.items():
        body = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": names[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + len(body)],
        }
        bodies.append(body)
        offset += len(body)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    write_atomic(path, len(text).to_bytes(8, "little") + text + b"".join(bodies))


def kept(array) -> np.ndarray:
    """An array in its own dtype if that is a floating one, else in float32."""
    array = np.asarray(array)
    names = ("float16", "bfloat16", "float32", "float64")
    return array if array.dtype.name in names else array.astype(np.float32)


def read_safetensors(path: Path, widen: bool = True) -> dict[str, np.ndarray]:
    """All arrays of a file; with `widen`, bfloat16 becomes float32.

    Raises:
      UserError: it is damaged.
      FileNotFoundError: it is not there.
    """
    data = path.read_bytes()
    try:
        size = int.from_bytes(data[:8], "little")
        if size > min(len(data) - 8, MOST_HEADER):
            raise ValueError(f"a header of {size:,} bytes in a file of {len(data):,}")
        header = json.loads(data[8 : 8 + size])
        if not isinstance(header, dict):
            raise ValueError("its header is no dictionary")
        return {
            name: _array(data, 8 + size, entry, widen)
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path} is no safetensors file ({error}): write or download it again"
        ) from None


def _array(data, start, entry, widen):
    low, high = entry["data_offsets"]
    shape = entry["shape"]
    if any(type(n) is not int or n < 0 for n in (low, high, *shape)) or not (
        low <= high <= len(data) - start
    ):
        raise ValueError(f"an array of shape {shape} at bytes {low} to {high}")
    width = np.dtype(DTYPES[entry["dtype"]]).itemsize
    if math.prod(shape) * width != high - low:
        raise ValueError(f"an array of shape {shape} in {high - low:,} bytes")
    body = data[start + low : start + high]
    if entry["dtype"] == "BF16" and widen:
        wide = np.frombuffer(body, "<u2").astype(np.uint32) << 16
        return wide.view(np.float32).reshape(entry["shape"])
    return np.frombuffer(body, DTYPES[entry["dtype"]]).reshape(entry["shape"]).copy()


def refuse_others(arrays: Mapping[str, np.ndarray], known: Collection[str]) -> None:
    """Refuse arrays that a reader would not use: what they do would be missing from the result.

    Raises:
      UserError: naming them.
    """
    others = sorted(set(arrays) - set(known))
    if others:
        raise UserError(
            f"the file holds {', '.join(others)}, which is not read here: the result would not be "
            "what its library computes"
        )


def refuse_missing(arrays: Mapping[str, np.ndarray], wanted: Collection[str]) -> None:
    """Refuse a file without an array that a reader needs.

    Raises:
      UserError: naming all that are missing.
    """
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise UserError(f"the file lacks {', '.join(missing)}: write or download it again")


def refuse(reason: str | None) -> None:
    """Refuse a transcoder that a layout cannot say.

    Raises:
      UserError: there is a reason.
    """
    if reason:
        raise UserError(f"{reason}: export another format")
