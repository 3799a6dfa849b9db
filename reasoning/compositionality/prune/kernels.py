"""Leaves of a tree of parameters that are pruned, and moving between trees and dictionaries of
kernels by path.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.app.errors import UserError

Prunable = Callable[[tuple[str, ...], jax.Array], Any]
"""True for the leaves that are pruned, by path of names; or a `Layout`, where the axes of the
kernel are not inputs and one axis of units.
"""


def weights_only(path: tuple[str, ...], leaf: jax.Array) -> bool:
    """Leaves called "kernel" with at least two axes: of linear and convolution layers in Flax."""
    return path[-1] == "kernel" and leaf.ndim >= 2


def any_matrix(path: tuple[str, ...], leaf: jax.Array) -> bool:
    """Every leaf with at least two axes."""
    return leaf.ndim >= 2


def path_name(path) -> str:
    """A path as "encoder/hidden_0/kernel"; the variables of flax.nnx hold their array as "value",
    which is left out.
    """
    if len(path) > 1 and path[-1] == jax.tree_util.GetAttrKey("value"):
        path = path[:-1]
    return "/".join(jax.tree_util.keystr((key,), simple=True) for key in path)


def kernels(tree: Any, prunable: Prunable = weights_only) -> dict[str, jax.Array]:
    """The leaves that are pruned, by path.

    Raises:
      UserError: there are none.
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    found = {
        path_name(p): leaf for p, leaf in leaves if prunable(tuple(path_name(p).split("/")), leaf)
    }
    if not found:
        raise UserError(
            "nothing to prune: no leaf of the parameters is a kernel; pass prunable=any_matrix, or "
            "a rule of your own"
        )
    return found


def replaced(tree: Any, new: dict[str, jax.Array]) -> Any:
    """`tree` with some leaves replaced by path."""
    return jax.tree_util.tree_map_with_path(lambda path, leaf: new.get(path_name(path), leaf), tree)


def ones_like(tree: Any) -> Any:
    """Masks (uint8) that keep everything."""
    return jax.tree.map(lambda leaf: jnp.ones(leaf.shape, jnp.uint8), tree)


class Layout(NamedTuple):
    """Axes of a kernel, `[*stack, *inputs, *units]`."""

    stack: int = 0
    """Leading axes over layers of their own, as nn.scan makes them."""
    units: int = 1
    """Trailing axes of units; attention projections to heads have two."""
    groups: int = 1
    """Groups of units that read different channels."""


PROJECTIONS = ("query", "key", "value")
"""Names that Flax gives to the projections of attention, `[features, heads, units]`."""


def layout_of(name: str, shape: tuple[int, ...], known: Any = None) -> Layout:
    """Layout of a kernel.

    Args:
      name: its path.
      shape: its shape.
      known: shape of captured moments `[I, J]` or `[S, I, J]`, or None: then by the name, and if
        that says nothing all axes but the last are inputs.
    """
    if known is not None:
        *many, inputs, units = known
        count = math.prod(many)
        if math.prod(shape[:-1]) == inputs and shape[-1] == count * units:
            return Layout(groups=count)
        for stack in range(len(shape) - 1) if many else (0,):
            for last in range(1, len(shape) - stack):
                middle = shape[stack : len(shape) - last]
                sizes = math.prod(shape[:stack]), math.prod(middle), math.prod(shape[-last:])
                layers, rows, columns = sizes
                groups = count // max(layers, 1)
                if layers * groups == count and rows == inputs and columns == groups * units:
                    return Layout(stack, last, groups)
    path = name.split("/")
    heads = len(shape) == 3 and len(path) > 1 and path[-2] in PROJECTIONS
    return Layout(units=2) if heads else Layout()


def layouts(tree: Any, prunable: Prunable = weights_only, known: Any = None) -> dict[str, Layout]:
    """Layouts by path: those that `prunable` gives, or see `layout_of`; `known` are moments."""
    found = {}
    for name, kernel in kernels(tree, prunable).items():
        given = prunable(tuple(name.split("/")), kernel)
        seen = (known or {}).get(name)
        shape = seen.input_before.shape if hasattr(seen, "input_before") else None
        found[name] = given if isinstance(given, Layout) else layout_of(name, kernel.shape, shape)
    return found


def split(kernel: jax.Array, layout: Layout) -> jax.Array:
    """`[S, I, J]`: one matrix per layer of a stack and group."""
    layers = math.prod(kernel.shape[: layout.stack])
    columns = math.prod(kernel.shape[kernel.ndim - layout.units :])
    parts = kernel.reshape(layers, -1, layout.groups, columns // layout.groups)
    return jnp.moveaxis(parts, 2, 1).reshape(-1, parts.shape[1], parts.shape[3])


def joined(parts: jax.Array, layout: Layout, shape: tuple[int, ...]) -> jax.Array:
    """The inverse of `split`."""
    rows = parts.reshape(-1, layout.groups, *parts.shape[1:])
    return jnp.moveaxis(rows, 1, 2).reshape(shape)


def matrix(kernel: jax.Array) -> jax.Array:
    """All axes but the last made one: `[..., J] -> [I, J]`."""
    return kernel.reshape(-1, kernel.shape[-1])


def check_same_tree(masks: Any, params: Any) -> None:
    """Refuse masks of another tree.

    Raises:
      UserError: naming the first leaf that differs.
    """

    def shapes(tree):
        return {
            path_name(p): jnp.shape(leaf) for p, leaf in jax.tree_util.tree_leaves_with_path(tree)
        }

    ours, theirs = shapes(masks), shapes(params)
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            raise UserError(
                f"the masks are of another tree: {name} is {ours.get(name, 'missing')} there and "
                f"{theirs.get(name, 'missing')} in the "
                "parameters; call init with these parameters"
            )
