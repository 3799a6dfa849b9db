"""The other prunings, each in the shape of `similarity_pruning`: `f(inner, density=...,
schedule=..., distribution=...)`.
"""

import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from jaxrl.app.errors import UserError
from reasoning.compositionality.prune import score as scoring
from reasoning.compositionality.prune.distributions import Distribution
from reasoning.compositionality.prune.grow import growing, random_masks
from reasoning.compositionality.prune.kernels import (
    Prunable,
    check_same_tree,
    kernels,
    path_name,
    weights_only,
)
from reasoning.compositionality.prune.schedules import (
    AT_ONCE,
    LATER,
    OFTEN,
    Never,
    OneShot,
    Periodic,
)
from reasoning.compositionality.prune.transform import (
    Look,
    Plan,
    Renewal,
    Rewind,
    by_scores,
    pruning,
)


def _scored(
    score,
    inner: optax.GradientTransformation,
    *,
    density: float = 0.25,
    schedule=AT_ONCE,
    distribution: Distribution = "fan_in",
    rewind: Rewind = "none",
    prunable: Prunable = weights_only,
    seed: int = 0,
) -> optax.GradientTransformationExtraArgs:
    plan = Plan(density, schedule, prunable, rewind, seed=seed)
    return pruning(inner, by_scores(score, distribution), plan)


magnitude_pruning = functools.partial(_scored, scoring.magnitude)
"""Keeps the largest weights; with distribution="global", the largest of all kernels together."""
saliency_pruning = functools.partial(_scored, scoring.saliency)
"""Keeps the largest |w dL/dw|."""
random_pruning = functools.partial(_scored, scoring.random)
"""Keeps weights at random."""


def snip(
    inner,
    *,
    density: float = 0.25,
    distribution: Distribution = "global",
    prunable: Prunable = weights_only,
):
    """SNIP (Lee et al. 2019): saliency in the very first update, before any training.

    Args:
      inner: the optimizer.
      density: share of weights that is kept, above 0 and at most 1.
      distribution: spread of the density over layers: "fan_in", "uniform", "erk" or "global".
      prunable: chooses the leaves that are pruned.

    Returns:
      A transformation as from `pruning`.
    """
    return saliency_pruning(
        inner, density=density, schedule=OneShot(0), distribution=distribution, prunable=prunable
    )


def lottery_ticket(
    inner,
    *,
    density: float,
    rounds: int = 3,
    length: int = 1000,
    distribution: Distribution = "global",
    prunable: Prunable = weights_only,
):
    """Iterative magnitude pruning (Frankle and Carbin 2019): `rounds` times train for `length`
    updates, prune, and rewind.

    The density falls geometrically from round to round.

    Args:
      inner: the optimizer.
      density: share of weights that is kept at the end, above 0 and at most 1.
      rounds: rounds of training and pruning, at least 1.
      length: updates of a round, at least 1.
      distribution: spread of the density over layers: "fan_in", "uniform", "erk" or "global".
      prunable: chooses the leaves that are pruned.

    Returns:
      A transformation as from `pruning`.

    Raises:
      UserError: `rounds` or `length` is below 1.
    """
    if rounds < 1 or length < 1:
        raise UserError(f"rounds is {rounds} and length {length}: both must be at least 1")
    return magnitude_pruning(
        inner,
        density=density,
        schedule=_Geometric(length, rounds * length, length),
        distribution=distribution,
        rewind="init",
        prunable=prunable,
    )


class _Geometric(Periodic):
    """The density, not the sparsity, falls by the same factor at every renewal."""

    def sparsity(self, count: jax.Array, target: jax.Array) -> jax.Array:
        done = jnp.clip((count - self.start) // self.every + 1, 1, self.stop // self.every)
        return 1 - (1 - target) ** (done / (self.stop // self.every))


def _growing(
    by: Literal["gradient", "random"],
    inner,
    *,
    density: float = 0.25,
    schedule=OFTEN,
    distribution: Distribution = "erk",
    drop: float = 0.3,
    prunable: Prunable = weights_only,
    seed: int = 0,
) -> optax.GradientTransformationExtraArgs:
    rule, begin = growing(by, drop, schedule.stop), random_masks(density, distribution)
    return pruning(inner, rule, Plan(density, schedule, prunable, seed=seed), begin=begin)


rigl = functools.partial(_growing, "gradient")
"""RigL (Evci et al. 2020): begins sparse at random; weak weights are dropped, those with the
largest gradient grown.
"""
set_pruning = functools.partial(_growing, "random")
"""SET (Mocanu et al. 2018): as RigL, but grown at random."""


def static_random(
    inner,
    *,
    density: float = 0.25,
    distribution: Distribution = "erk",
    prunable: Prunable = weights_only,
    seed: int = 0,
):
    """Prune by random masks from the beginning, which stay.

    Args:
      inner: the optimizer.
      density: share of weights that is kept, above 0 and at most 1.
      distribution: spread of the density over layers: "fan_in", "uniform", "erk" or "global".
      prunable: chooses the leaves that are pruned.
      seed: seed of the masks.

    Returns:
      A transformation as from `pruning`.
    """
    plan = Plan(density, Never(), prunable, seed=seed)
    begin = random_masks(density, distribution)
    return pruning(inner, _as_they_are, plan, needs_activations=True, begin=begin)


def _as_they_are(look: Look) -> Renewal:
    return Renewal(look.masks)


def l1_pruning(
    inner,
    *,
    density: float = 0.25,
    strength: float = 1e-4,
    schedule=LATER,
    distribution: Distribution = "fan_in",
    prunable: Prunable = weights_only,
) -> optax.GradientTransformationExtraArgs:
    """Penalize the kernels by L1 until the masks are due, which keep the largest weights.

    Args:
      inner: the optimizer.
      density: share of weights that is kept, above 0 and at most 1.
      strength: coefficient of the penalty, added to the gradients as `strength * sign(weight)`.
      schedule: OneShot(at), Periodic(...) or Cubic(...).
      distribution: spread of the density over layers: "fan_in", "uniform", "erk" or "global".
      prunable: chooses the leaves that are pruned.

    Returns:
      A transformation as from `pruning`.
    """
    penalty = optax.GradientTransformation(
        lambda params: (), lambda g, s, p: (_with_penalty(g, p, strength, prunable), s)
    )
    return magnitude_pruning(
        optax.chain(penalty, inner),
        density=density,
        schedule=schedule,
        distribution=distribution,
        prunable=prunable,
    )


def _with_penalty(grads, params, strength, prunable):
    chosen = kernels(params, prunable)

    def leaf(path, g, p):
        return g + strength * jnp.sign(p) if path_name(path) in chosen else g

    return jax.tree_util.tree_map_with_path(leaf, grads, params)


def oracle_pruning(
    inner, masks: Any, *, prunable: Prunable = weights_only
) -> optax.GradientTransformationExtraArgs:
    """Given masks from the beginning, a tree like the parameters.

    Raises:
      UserError: at `init`, if the masks are of another tree.
    """
    given = kernels(masks, prunable)

    def begin(chosen, key):
        check_same_tree(given, chosen)
        return given

    plan = Plan(1.0, Never(), prunable)
    return pruning(inner, _as_they_are, plan, needs_activations=True, begin=begin)
