"""Tensors of a file that `torch.save` wrote, without PyTorch: a zip archive with a pickle of names
and one file per storage.

The pickle may name only what state dictionaries need; anything else is refused, so that a file
cannot run code.
"""

import collections
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.train.errors import Refusal

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


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """All tensors of a state dictionary by name, each a copy.

    Raises:
      Refusal: not such a file, or its pickle asks for something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            inside = next(
                (
                    name
                    for name in archive.namelist()
                    if name.endswith("/data.pkl") or name == "data.pkl"
                ),
                None,
            )
            if inside is None:
                raise Refusal(
                    f"{path} is no file of torch.save (there is no data.pkl inside): download it "
                    "again"
                )
            found = _Reader(archive, inside.removesuffix("data.pkl")).load()
    except (
        zipfile.BadZipFile,
        pickle.UnpicklingError,
        EOFError,
        KeyError,
        ValueError,
        OSError,
    ) as error:
        raise Refusal(
            f"{path} cannot be read as a file of torch.save ({error}): download it again, or use "
            "its .safetensors form"
        ) from None
    tensors = found.get("state_dict", found)
    return {name: value for name, value in tensors.items() if isinstance(value, np.ndarray)}


def rebuilt(
    storage: np.ndarray, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> np.ndarray:
    """A tensor of a storage, as torch._utils._rebuild_tensor_v2 takes it."""
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if size else offset
    if min((*size, 1)) > 0 and last >= len(storage):
        raise ValueError(
            f"a tensor of size {tuple(size)} reaches beyond its storage of {len(storage)} numbers"
        )
    steps = tuple(s * storage.itemsize for s in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps).copy()


class _Reader(pickle.Unpickler):
    """Knows ordered dictionaries, tensors and storages; nothing else."""

    def __init__(self, archive: zipfile.ZipFile, prefix: str):
        super().__init__(archive.open(prefix + "data.pkl"))
        self._archive, self._prefix = archive, prefix

    def find_class(self, module: str, name: str):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return rebuilt
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *_: tensor
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise pickle.UnpicklingError(f"its pickle asks for {module}.{name}, which no model needs")

    def persistent_load(self, pid):
        kind, dtype, key, *_ = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"an unknown reference {kind!r}")
        return np.frombuffer(self._archive.read(f"{self._prefix}data/{key}"), dtype)
