"""Networks in checkpoints of others: chains of linear layers in safetensors files (PyTorch's or
Flax's names) and in Orbax folders.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrl.app.errors import UserError
from reasoning.compositionality.prune.compact import Layer


class Origin(NamedTuple):
    """Names of one layer in its checkpoint."""

    kernel: str
    bias: str | None
    transposed: bool
    """PyTorch keeps `[units, inputs]`."""


def is_checkpoint(path: Path) -> bool:
    """True for what `read_chain` reads."""
    return path.suffix == ".safetensors" or path.is_dir()


def read_chain(path: Path) -> tuple[list[Layer], list[Origin]]:
    """Read all linear layers, in the natural order of their names.

    Raises:
      UserError: it cannot be read, has no chain of linear layers, or other weights besides, which
        would be ignored.
    """
    arrays = _orbax(path) if path.is_dir() else _safetensors(path)
    layers, origins, used = [], [], set()
    for name in sorted(arrays, key=_natural):
        prefix, _, leaf = name.rpartition(_separator(name))
        if leaf not in ("weight", "kernel") or arrays[name].ndim != 2:
            continue
        bias = f"{prefix}{_separator(name) if prefix else ''}bias"
        transposed = leaf == "weight"
        kernel = arrays[name].T if transposed else arrays[name]
        used |= {name, bias}
        zero = np.zeros(kernel.shape[1], kernel.dtype)
        layers.append(Layer(kernel, arrays.get(bias, zero)))
        origins.append(Origin(name, bias if bias in arrays else None, transposed))
    others = sorted(arrays.keys() - used)
    if len(layers) < 2 or others:
        raise UserError(
            f"{path} holds {len(layers)} linear layers"
            + (f" and {len(others)} other arrays, such as {others[0]}" if others else "")
            + ": a network here is a chain of linear layers alone; prune other models in Python, "
            "by --model"
        )
    return layers, origins


def write_chain(path: Path, layers: list[Layer], origins: list[Origin]) -> None:
    """Write a safetensors file with the names of the checkpoint that was read.

    Raises:
      UserError: the library is missing.
    """
    from jaxrl.app.files import write_atomic

    arrays = {}
    for layer, origin in zip(layers, origins, strict=True):
        kernel = layer.kernel.T if origin.transposed else layer.kernel
        arrays[origin.kernel] = np.ascontiguousarray(kernel)
        if origin.bias is not None:
            arrays[origin.bias] = np.ascontiguousarray(layer.bias)
        elif layer.bias.any():
            raise UserError(
                f"{origin.kernel} has no bias in its checkpoint, and needs one now: write an .npz"
            )
    write_atomic(path, _library().save(arrays))


def _library() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise UserError(
            "safetensors files need the safetensors package: pip install 'latentax[data]'"
        ) from error
    return safetensors.numpy


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    library = _library()
    try:
        return library.load_file(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}): name an existing file") from None
    except Exception as error:  # of Rust, without a public class for all of them
        raise UserError(
            f"{path} cannot be read as safetensors ({error}): it may be damaged, or of a type that "
            "NumPy does not have; save it as float32"
        ) from None


def _orbax(path: Path) -> dict[str, np.ndarray]:
    import jax
    import orbax.checkpoint as ocp

    from reasoning.compositionality.prune.kernels import path_name

    try:
        with ocp.StandardCheckpointer() as checkpointer:
            tree = checkpointer.restore(path.absolute())
    except (OSError, ValueError, KeyError, TypeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise UserError(
            f"{path} is no Orbax checkpoint of arrays ({first}): name the folder that "
            "StandardCheckpointer saved the parameters to"
        ) from None
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {path_name(place): np.asarray(leaf) for place, leaf in leaves}


def _separator(name: str) -> str:
    return "/" if "/" in name else "."


def _natural(name: str) -> list:
    """Order in which layer 10 stands behind layer 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
