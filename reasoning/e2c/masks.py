"""Tokens of the plan and tokens of its execution: masks and weights, without a loop
over rows.

A response is `plan </EXPLORATION> <EXECUTION> steps </EXECUTION>`; the opening tag of the plan
stands in the prompt.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

SHORTEST_PLAN = 5
"""Tokens of a plan that coefficients are given to, at least (the authors' code)."""
Missing = Literal["one", "weighted", "zero"]


class Markers(NamedTuple):
    """Token ids of the tags that part a response."""

    close_plan: int
    """</EXPLORATION>"""
    open_execution: int
    """<EXECUTION>"""


def phase_boundary(ids: jax.Array, markers: Markers, mask: jax.Array | None = None) -> jax.Array:
    """Index of the first token after the plan: int `[..., T]` gives int32 `[...]`.

    It is that of the first `</EXPLORATION>`, else of the first `<EXECUTION>`, else T (the authors'
    code, dp_actor.py). With `mask` (`[..., T]`), tags outside of it (a prompt's) do not count.
    """
    counted = jnp.ones(ids.shape, bool) if mask is None else mask.astype(bool)
    close, opened = (_first(counted & (ids == marker)) for marker in markers)
    return jnp.where(close < ids.shape[-1], close, opened)


def _first(hits: jax.Array) -> jax.Array:
    """Index of the first true value on the last axis, its length if there is none."""
    return jnp.where(hits.any(-1), jnp.argmax(hits, -1), hits.shape[-1]).astype(jnp.int32)


def has_boundary(ids: jax.Array, markers: Markers, mask: jax.Array | None = None) -> jax.Array:
    """True if a tag was found: bool `[...]`."""
    return phase_boundary(ids, markers, mask) < ids.shape[-1]


def phase_masks(
    ids: jax.Array, mask: jax.Array, markers: Markers, include_close: bool = False
) -> tuple[jax.Array, jax.Array]:
    """`(plan, execution)`: two bool masks `[..., T]`, disjoint, whose union is `mask`.

    Args:
      ids: tokens.
      mask: true for tokens that are trained on.
      markers: the tags.
      include_close: False: the tag at the boundary belongs to the execution (reinforcement
        learning, as the authors); True: it belongs to the plan (EF-SFT, where the closing tag is a
        target).
    """
    boundary = phase_boundary(ids, markers, mask)[..., None]
    place = jnp.arange(ids.shape[-1]).reshape((1,) * (ids.ndim - 1) + (-1,))
    plan = (place <= boundary) if include_close else (place < boundary)
    mask = mask.astype(bool)
    return plan & mask, ~plan & mask


def phase_weights(
    ids: jax.Array, mask: jax.Array, markers: Markers, plan_weight: float, missing: Missing = "one"
) -> jax.Array:
    """Weights of the policy gradient: `plan_weight` (the paper's lambda) before the boundary, 1
    after it.

    Args:
      ids: int32 `[..., T]`.
      mask: bool `[..., T]`, response tokens.
      markers: token ids that part plan and execution.
      plan_weight: weight of the plan's tokens.
      missing: weight of rows without any tag. "one" weighs them like an execution, "weighted" gives
        the whole row `plan_weight`, as the authors' code does, "zero" leaves them out. Our choice:
        "one", since the authors' rule pulls twice as hard on malformed rows.

    Returns:
      float32 `[..., T]`.
    """
    plan, _ = phase_masks(ids, mask, markers)
    weights = jnp.where(plan, jnp.float32(plan_weight), jnp.float32(1.0))
    if missing == "weighted":
        return weights
    alone = jnp.float32(1.0 if missing == "one" else 0.0)
    return jnp.where(has_boundary(ids, markers, mask)[..., None], weights, alone)


def phase_coefficients(
    ids: jax.Array,
    mask: jax.Array,
    markers: Markers,
    before: float,
    after: float,
    official: bool = False,
) -> jax.Array:
    """Coefficients of an entropy bonus or a KL term before and after the boundary.

    Rows without a tag, or with a plan of fewer than SHORTEST_PLAN tokens, get 0 (the authors'
    code).

    Args:
      ids: int32 `[..., T]`.
      mask: bool `[..., T]`, response tokens.
      markers: token ids that part plan and execution.
      before: coefficient of the plan's tokens.
      after: coefficient of the execution's tokens.
      official: repeat the authors' cast to the mask's integer type, which turns fractional
        coefficients into 0.

    Returns:
      `[..., T]`, 0 outside `mask`; float32, or int32 with `official`.
    """
    plan, execution = phase_masks(ids, mask, markers)
    boundary = phase_boundary(ids, markers, mask)
    counted = has_boundary(ids, markers, mask) & (
        boundary - jnp.argmax(mask.astype(bool), -1) >= SHORTEST_PLAN
    )
    values = jnp.where(plan, before, 0.0) + jnp.where(execution, after, 0.0)
    values = jnp.where(counted[..., None], values, 0.0)
    return values.astype(jnp.int32) if official else values.astype(jnp.float32)
