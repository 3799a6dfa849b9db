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
    """Read all linear layers, in the order that their numbers or shapes give.

    Raises:
      UserError: it cannot be read, has no chain of linear layers, an order that neither numbers nor
        shapes say, or other weights besides, which would be ignored.
    """
    arrays = _orbax(path) if path.is_dir() else _safetensors(path)
    found, used = {}, set()
    for name in sorted(arrays, key=_natural):
        prefix, _, leaf = name.rpartition(_separator(name))
        if leaf not in ("weight", "kernel") or arrays[name].ndim != 2:
            continue
        if arrays[name].dtype.kind in "iu":
            raise UserError(
                f"{path}: {name} is of type {arrays[name].dtype}, whose scale is not in it: save "
                "the weights as float32"
            )
        bias = f"{prefix}{_separator(name) if prefix else ''}bias"
        transposed = leaf == "weight"
        kernel = arrays[name].T if transposed else arrays[name]
        used |= {name, bias}
        zero = np.zeros(kernel.shape[1], kernel.dtype)
        origin = Origin(name, bias if bias in arrays else None, transposed)
        found[name] = Layer(kernel, arrays.get(bias, zero)), origin
    others = sorted(arrays.keys() - used)
    if len(found) < 2 or others:
        raise UserError(
            f"{path} holds {len(found)} linear layers"
            + (f" and {len(others)} other arrays, such as {others[0]}" if others else "")
            + ": a network here is a chain of linear layers alone; prune other models in Python, "
            "by --model"
        )
    order = _order(path, {name: layer.kernel.shape for name, (layer, _) in found.items()})
    return [found[name][0] for name in order], [found[name][1] for name in order]


def _order(path: Path, shapes: dict[str, tuple[int, int]]) -> list[str]:
    """Layers from the inputs to the outputs: names that differ by their numbers alone in natural
    order, and these sequences so that the shapes of all layers fit, if there is one such order.
    """
    runs: dict[str, list[str]] = {}
    for name in sorted(shapes, key=_natural):
        runs.setdefault(re.sub(r"\d+", "#", name), []).append(name)
    if len(runs) == 1:
        return next(iter(runs.values()))  # whether they fit is checked with all other networks
    fitting: list[list[str]] = []

    def extend(order: list[str], left: tuple[tuple[str, ...], ...]) -> None:
        if len(fitting) > 1:
            return
        if not any(left):
            fitting.append(order)
        for place, run in enumerate(left):
            if run and (not order or shapes[order[-1]][1] == shapes[run[0]][0]):
                extend([*order, run[0]], (*left[:place], run[1:], *left[place + 1 :]))

    extend([], tuple(map(tuple, runs.values())))
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(run[0] for run in runs.values())
    raise UserError(
        f"{path}: "
        + ("no order" if not fitting else "more than one order")
        + f" of its layers fits their shapes, and the names ({names}) do not say which is first: "
        "number them, such as 0.weight, 1.weight"
    )


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
    # A state of NNX keeps every array as the `value` of its variable.
    return {path_name(place).removesuffix("/value"): np.asarray(leaf) for place, leaf in leaves}


def _separator(name: str) -> str:
    return "/" if "/" in name else "."


def _natural(name: str) -> list:
    """Order in which layer 10 stands behind layer 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
