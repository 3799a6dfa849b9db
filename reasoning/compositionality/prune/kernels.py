"""Which leaves of a tree of parameters are pruned, and moving between trees and dictionaries of
kernels by path.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.app.errors import UserError

Prunable = Callable[[tuple[str, ...], jax.Array], bool]
"""Whether the leaf at a path of names is pruned."""


def weights_only(path: tuple[str, ...], leaf: jax.Array) -> bool:
    """Leaves called "kernel" with at least two axes: of linear and convolution layers in Flax."""
    return path[-1] == "kernel" and leaf.ndim >= 2


def any_matrix(path: tuple[str, ...], leaf: jax.Array) -> bool:
    """Every leaf with at least two axes."""
    return leaf.ndim >= 2


def path_name(path) -> str:
    """A path as "encoder/hidden_0/kernel"."""
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
