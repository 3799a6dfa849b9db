"""Where parameters are in the state of an optimizer, and where a pruning stands in a chain."""

import sys
from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.app.errors import UserError

FRAMES = 12
"""Callers that are searched for a chain."""


def mask_state(state: Any, masks: Any) -> Any:
    """The state with zeros at pruned weights, in leaves with the shape and place of a parameter.

    A leaf has the place of a parameter if its path ends with the parameter's; of several, the
    longest counts. Factored moments (Adafactor), memories (L-BFGS) and covers (SM3) have other
    shapes or places, and stay as they are: the next gradients are zero there anyway.

    Args:
      state: of the inner optimizer, any tree.
      masks: like the parameters, uint8.
    """
    by_path = {tuple(path): mask for path, mask in jax.tree_util.tree_leaves_with_path(masks)}
    longest = max(map(len, by_path), default=0)

    def masked(path, leaf):
        for length in range(min(longest, len(path)), -1, -1):
            mask = by_path.get(tuple(path[len(path) - length :]))
            if mask is not None:
                fits = _is_numeric(leaf) and jnp.shape(leaf) == mask.shape
                return leaf * mask.astype(leaf.dtype) if fits else leaf
        return leaf

    return jax.tree_util.tree_map_with_path(masked, state)


def _is_numeric(leaf: Any) -> bool:
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and (
        jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, jnp.bool_)
    )


def refuse_followers() -> None:
    """Refuse a pruning that is not the last transformation of an optax chain.

    optax gives a transformation no view of its neighbors, so the chain is found among the callers
    of `init`. A chain of another library is not seen.

    Raises:
      UserError: naming how many transformations follow.
    """
    frame, callers = sys._getframe(1), []
    for _ in range(FRAMES):
        if frame is None:
            return
        callers.append(frame)
        frame = frame.f_back
        if frame is None or not frame.f_code.co_filename.endswith("_combining.py"):
            continue
        follow = _followers(frame.f_locals, [caller.f_code for caller in callers])
        if follow:
            raise UserError(
                f"{follow} transformation(s) stand behind the pruning in optax.chain and would "
                "move pruned weights away from zero: put them into the pruning's inner optimizer, "
                "or before it"
            )


def _followers(variables: dict[str, Any], codes: list) -> int:
    """Transformations behind the one that is being initialized, in the frame of a chain."""
    if "init_fns" in variables:
        inits = list(variables["init_fns"])
    elif isinstance(variables.get("transforms"), list):  # named_chain
        inits = [transformation.init for _, transformation in variables["transforms"]]
    else:
        return 0
    ours = [n for n, init in enumerate(inits) if getattr(init, "__code__", None) in codes]
    behind = list(inits[ours[-1] + 1 :]) if ours else []
    return sum("identity" not in getattr(init, "__qualname__", "") for init in behind)
