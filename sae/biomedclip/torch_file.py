"""Tensors of a file that `torch.save` wrote, without PyTorch: a zip archive with a pickle of names
and one file per storage.

The pickle may name only what state dictionaries need; anything else is refused, so that a file
cannot run code.
"""

import collections
import importlib.util
import math
import pickle
import pickletools
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.app.errors import UserError

STORAGES = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
"""Names of PyTorch's storages, and what their bytes are."""


MOST_PICKLE = 64 * 2**20
"""Bytes of the pickle of names beyond which a file is refused."""
MOST_RATIO = 200
"""Inflated size of a file, relative to its size on disk, beyond which it is refused; PyTorch does
not compress at all. Our choice.
"""
MOST_EXPANDED = 2**20
"""Numbers of a tensor that repeats its storage (strides of 0) beyond which it is refused."""


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """Read all tensors of a state dictionary by name, each a copy: by PyTorch's own restricted
    reader where it is installed, else by ours, with the same limits on sizes.

    Raises:
      UserError: not such a file, its pickle asks for something else, or its sizes do not agree.
    """
    if importlib.util.find_spec("torch") is not None:
        return _by_torch(path)
    return read_without_torch(path)


def _by_torch(path: Path) -> dict[str, np.ndarray]:
    """Read with `torch.load(weights_only=True)`; see `read_torch`."""
    import torch

    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                inside = next((n for n in archive.namelist() if n.endswith("data.pkl")), None)
                if inside is not None:
                    _check_sizes(archive, path, inside)
                    _check_pickle(archive.read(inside))
        found = torch.load(path, map_location="cpu", weights_only=True)
        tensors = _dictionary(found, path)
        return {k: _plain(v) for k, v in tensors.items() if isinstance(v, torch.Tensor)}
    except UserError:
        raise
    except Exception as error:  # damage shows itself in many ways
        raise _unreadable(path, error) from None


def _plain(tensor) -> np.ndarray:
    """A tensor as an array of its own; bfloat16, which NumPy lacks, as float32."""
    import torch

    held = tensor.untyped_storage().nbytes() // max(tensor.element_size(), 1)
    if tensor.numel() > max(held, MOST_EXPANDED):
        raise ValueError(f"a tensor of {tensor.numel():,} numbers repeats a storage of {held:,}")
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy().copy()


def _unreadable(path, error) -> UserError:
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    return UserError(
        f"{path} cannot be read as a file of torch.save ({reason}): download it again, or use its "
        ".safetensors form"
    )


def _dictionary(found: Any, path: Path) -> dict[str, Any]:
    """The state dictionary in what a file holds.

    Raises:
      UserError: there is none.
    """
    tensors = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(tensors, dict):
        raise UserError(
            f"{path} holds a {type(tensors).__name__}, not a dictionary of tensors: save the "
            "model's state_dict"
        )
    return tensors


def read_without_torch(path: Path) -> dict[str, np.ndarray]:
    """Read with our own reader; see `read_torch`."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            inside = next((n for n in names if n.endswith("/data.pkl") or n == "data.pkl"), None)
            if inside is None:
                raise UserError(
                    f"{path} is no file of torch.save (there is no data.pkl inside): download it "
                    "again"
                )
            _check_sizes(archive, path, inside)
            _check_pickle(archive.read(inside))
            found = _Reader(archive, inside.removesuffix("data.pkl")).load()
    except UserError:
        raise
    except Exception as error:  # the pickle machine fails in many ways on crafted files
        raise _unreadable(path, error) from None
    tensors = _dictionary(found, path)
    return {name: value for name, value in tensors.items() if isinstance(value, np.ndarray)}


def _check_sizes(archive: zipfile.ZipFile, path: Path, inside: str) -> None:
    """Refuse archives that inflate far beyond their size, before anything is inflated."""
    total = sum(info.file_size for info in archive.infolist())
    if total > MOST_RATIO * max(path.stat().st_size, 1) or (
        archive.getinfo(inside).file_size > MOST_PICKLE
    ):
        raise ValueError(f"it inflates to {total:,} bytes from {path.stat().st_size:,}")


def _check_pickle(data: bytes) -> None:
    """Refuse pickles whose instructions claim more memory than they have bytes."""
    for opcode, argument, _ in pickletools.genops(data):
        if "PUT" in opcode.name and isinstance(argument, int) and argument > len(data):
            raise ValueError(f"its pickle has a memo of {argument:,} entries")


def rebuilt(
    storage: np.ndarray, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> np.ndarray:
    """Rebuild a tensor of a storage, as torch._utils._rebuild_tensor_v2 takes it.

    Args:
      storage: `[n]`, numbers of the storage.
      offset: place of the tensor's first number in it.
      size: of the tensor.
      stride: numbers between neighbors along each axis.
      *_: further arguments of torch, which say nothing about the numbers.

    Returns:
      A copy, of shape `size`.

    Raises:
      ValueError: it reaches out of its storage, on either side, or is much larger.
    """
    size, stride = tuple(size), tuple(stride)
    whole = all(type(n) is int for n in (offset, *size, *stride))
    if not whole or len(size) != len(stride) or min((offset, *size, *stride)) < 0:
        raise ValueError(f"a tensor of size {size}, stride {stride} and offset {offset}")
    count = math.prod(size)
    if count > max(len(storage), MOST_EXPANDED):
        raise ValueError(
            f"a tensor of {count:,} numbers repeats a storage of {len(storage):,} numbers"
        )
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if count and last >= len(storage):
        raise ValueError(
            f"a tensor of size {size} reaches beyond its storage of {len(storage)} numbers"
        )
    if not count:
        return np.zeros(size, storage.dtype)
    steps = tuple(s * storage.itemsize for s in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps).copy()


class _Call:
    """A function without attributes that a pickle could change."""

    __slots__ = ("_function",)

    def __init__(self, function):
        self._function = function

    def __call__(self, *arguments):
        return self._function(*arguments)


def _first(tensor, *_):
    """Take the tensor of a parameter."""
    return tensor


class _Reader(pickle.Unpickler):
    """Knows ordered dictionaries, tensors and storages; nothing else."""

    def __init__(self, archive: zipfile.ZipFile, prefix: str):
        super().__init__(archive.open(prefix + "data.pkl"))
        self._archive, self._prefix = archive, prefix

    def find_class(self, module: str, name: str):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Call(rebuilt)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _Call(_first)
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise pickle.UnpicklingError(f"its pickle asks for {module}.{name}, which no model needs")

    def persistent_load(self, pid):
        kind, dtype, key, _, count = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"an unknown reference {kind!r}")
        name = f"{self._prefix}data/{key}"
        size = self._archive.getinfo(name).file_size  # known before anything is inflated
        if size != count * np.dtype(dtype).itemsize:
            raise ValueError(f"storage {key} has {size:,} bytes, but says {count:,} numbers")
        return np.frombuffer(self._archive.read(name), dtype)
