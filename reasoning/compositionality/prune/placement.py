"""Place of parameters in the state of an optimizer, and of a pruning in a chain."""

import sys
from types import FrameType
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxrl.app.errors import UserError

FRAMES = 64
"""Callers that are searched for transformations around a pruning."""
TRANSPARENT = (
    *("chain", "named_chain", "masked", "partition", "multi_transform", "selective_transform"),
    *("conditionally_mask", "apply_if_finite", "MultiSteps", "with_extra_args_support"),
    *("inject_hyperparams", "inject_stateful_hyperparams", "split_real_and_imaginary"),
)
"""Transformations of optax that apply the updates of one inside them as they are, or none."""


def mask_state(state: Any, masks: Any, fresh: Any) -> Any:
    """The state with pruned weights as at the beginning, in leaves with the shape and place of a
    parameter.

    A leaf has the place of a parameter if its path ends with the parameter's; of several, the
    longest counts. Factored moments (Adafactor), memories (L-BFGS) and covers (SM3) have other
    shapes or places, and stay as they are: the next gradients are zero there anyway. Moments begin
    at zero, but not everything does: a zero for COCOB's largest gradient would be divided by.

    Args:
      state: of the inner optimizer, any tree.
      masks: like the parameters, uint8.
      fresh: the state with which the inner optimizer begins at these parameters.
    """
    by_path = {tuple(path): mask for path, mask in jax.tree_util.tree_leaves_with_path(masks)}
    begun = {tuple(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(fresh)}
    longest = max(map(len, by_path), default=0)

    def masked(path, leaf):
        for length in range(min(longest, len(path)), -1, -1):
            mask = by_path.get(tuple(path[len(path) - length :]))
            if mask is not None:
                fits = _is_numeric(leaf) and jnp.shape(leaf) == mask.shape
                return _reset(leaf, mask, begun.get(tuple(path))) if fits else leaf
        return leaf

    return jax.tree_util.tree_map_with_path(masked, state)


def _reset(leaf: jax.Array, mask: jax.Array, first: Any) -> jax.Array:
    same = _is_numeric(first) and jnp.shape(first) == jnp.shape(leaf)
    return jnp.where(mask > 0, leaf, first.astype(leaf.dtype) if same else jnp.zeros_like(leaf))


def _is_numeric(leaf: Any) -> bool:
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and (
        jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, jnp.bool_)
    )


def refuse_wrong_place(params: Any) -> None:
    """Refuse a pruning around which other transformations would move pruned weights.

    optax gives a transformation no view of its neighbors, so they are found among the callers of
    `init`. Those of another library are not seen.

    Args:
      params: of the model.

    Raises:
      UserError: naming the transformation around it, or how many follow it in a chain.
    """
    if isinstance(params, optax.LookaheadParams):
        raise UserError(
            "optax.lookahead keeps two copies of the weights, and a mask holds for one: prune "
            "without it, or average the pruned weights yourself"
        )
    frame = sys._getframe(1)
    for _ in range(FRAMES):
        if frame is None:
            return
        frame, below = frame.f_back, frame
        if frame is None or frame.f_globals.get("__name__", "").split(".")[0] != "optax":
            continue
        follow = _followers(frame, below)
        if follow:
            raise UserError(
                f"{follow} transformation(s) stand behind the pruning in optax.chain and would "
                "move pruned weights away from zero: put them into the pruning's inner optimizer, "
                "or before it"
            )
        wrapper = frame.f_code.co_qualname.split(".")[0]
        if not wrapper.startswith("tree_") and wrapper not in TRANSPARENT:
            raise UserError(
                f"optax's {wrapper} does not apply the updates of the pruning inside it as they "
                f"are, so pruned weights would move away from zero: {_instead(wrapper)}"
            )


def _instead(wrapper: str) -> str:
    if wrapper == "conditionally_transform":
        return "use conditionally_mask"
    if wrapper == "lookahead":
        return "prune without it"
    return f"prune outside of it, pruning({wrapper}(optimizer))"


def _followers(frame: FrameType, below: FrameType) -> int:
    """Transformations behind the one that is being initialized, if the frame is that of a chain.

    Args:
      frame: of a function of optax.
      below: the frame that it called, which a chain's `init` gives to a generator.
    """
    variables = frame.f_locals
    if "init_fns" in variables:
        inits, now = list(variables["init_fns"]), below.f_locals.get("fn")
    elif isinstance(variables.get("transforms"), list) and "tx" in variables:  # named_chain
        inits = [transformation.init for _, transformation in variables["transforms"]]
        now = variables["tx"].init
    else:
        return 0
    # The same transformation twice counts by its first place. Of an optax that names its variables
    # otherwise, the first is taken, so that a chain is refused and not misread.
    place = next((n for n, init in enumerate(inits) if init is now), 0)
    return len(inits) - place - 1
