"""States in the layout of jaxpruner: the same four fields, `None` where nothing is pruned.
jaxpruner itself is not needed.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.train.errors import Refusal
from reasoning.compositionality.prune.kernels import (
    Prunable,
    kernels,
    ones_like,
    path_name,
    weights_only,
)
from reasoning.compositionality.prune.transform import PruneState


class SparseState(NamedTuple):
    """The fields of jaxpruner's state, by name and order."""

    masks: Any = None
    """Like the parameters, uint8; None where nothing is pruned."""
    inner_state: Any = None
    target_sparsities: Any = None
    """Like the parameters, floats; None where nothing is pruned."""
    count: Any = None


def to_jaxpruner(state: PruneState) -> SparseState:
    """What jaxpruner's functions read; averages, the renewal's count and the beginning are not part
    of it.
    """
    chosen = state.target_sparsities

    def pruned(value):
        return jax.tree_util.tree_map_with_path(
            lambda path, leaf: value(path_name(path), leaf), state.masks
        )

    masks = pruned(lambda name, leaf: leaf if name in chosen else None)
    return SparseState(
        masks, state.inner_state, pruned(lambda name, leaf: chosen.get(name)), state.count
    )


def from_jaxpruner(state: Any, params: Any, prunable: Prunable = weights_only) -> PruneState:
    """From any object with the four fields, for a `pruning` without average and rewinding.

    Args:
      state: jaxpruner's, or a `SparseState`. Masks must not be packed into bits.
      params: which the masks belong to.
      prunable: as in the transformation that goes on.

    Raises:
      Refusal: a pruned kernel has no mask, or one of another shape.
    """
    masks = {path_name(p): m for p, m in jax.tree_util.tree_leaves_with_path(state.masks)}
    targets = {
        path_name(p): t for p, t in jax.tree_util.tree_leaves_with_path(state.target_sparsities)
    }
    chosen = kernels(params, prunable)
    for name, kernel in chosen.items():
        if name not in masks or jnp.shape(masks[name]) != kernel.shape:
            raise Refusal(
                f"the state has no mask of shape {kernel.shape} for {name}: it is of another "
                "model, or its masks are packed"
            )
    full = jax.tree_util.tree_map_with_path(
        lambda p, leaf: jnp.asarray(masks.get(path_name(p), leaf), jnp.uint8), ones_like(params)
    )
    wanted = {name: jnp.float32(targets.get(name, 0.0)) for name in chosen}
    return PruneState(
        full, state.inner_state, wanted, jnp.asarray(state.count, jnp.int32), (), jnp.int32(-1), ()
    )
