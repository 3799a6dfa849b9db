"""Pruning as an optax transformation around another one; what is pruned, and when, is given as
functions.

In every update: 1. gradients of pruned weights are zeroed before the inner optimizer sees them, 2.
  if a renewal is due, new masks come from the rule (scores, density of the moment, distribution),
  3. pruned weights are moved to exactly zero, their state in the inner optimizer to its beginning.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxrl.app.errors import UserError
from reasoning.compositionality.prune import score as score_functions
from reasoning.compositionality.prune.distributions import (
    Distribution,
    check_density,
    masks_from_scores,
)
from reasoning.compositionality.prune.kernels import (
    Layout,
    Prunable,
    check_same_tree,
    joined,
    kernels,
    layouts,
    ones_like,
    path_name,
    replaced,
    split,
    weights_only,
)
from reasoning.compositionality.prune.merge import merge_similar_units
from reasoning.compositionality.prune.moments import Activation, Moments, moments
from reasoning.compositionality.prune.placement import mask_state, refuse_wrong_place
from reasoning.compositionality.prune.schedules import AT_ONCE
from reasoning.compositionality.prune.score import Seen

Rewind = Literal["none", "init"]


class PruneState(NamedTuple):
    """State of a pruning transformation: a pytree for checkpoints, vmap and pmap."""

    masks: Any
    """Like the parameters, uint8; ones where nothing is pruned."""
    inner_state: Any
    target_sparsities: Any
    """Final share of zeros, float32, by path of the pruned kernels."""
    count: jax.Array
    """Updates so far, int32."""
    scores_ema: Any
    """Moving average of the scores by path; () without."""
    last: jax.Array
    """Count at the last renewal of masks, -1 before the first."""
    beginning: Any
    """The parameters that `rewind="init"` goes back to; () without."""


@dataclass(frozen=True)
class Plan:
    """Settings of a pruning: the leaves, how far and when."""

    density: float = 0.25
    """Final share of weights that is kept, in (0, 1]."""
    schedule: Any = AT_ONCE
    """When masks are renewed, and how the sparsity rises; see schedules.py."""
    prunable: Prunable = weights_only
    """Chooses the leaves that are pruned."""
    rewind: Rewind = "none"
    """ "init": at every renewal the weights that are kept go back to where they began, and the
    inner optimizer starts anew.
    """
    ema: float = 0.0
    """Decay of a moving average of the averaged scores, 0 to 1 exclusive; 0: no average."""
    seed: int = 0
    """Seed of random scores and masks."""
    axis_name: str | None = None
    """Device axis over which the statistics of activations are averaged. Averaging gradients is the
    caller's task.
    """

    def __post_init__(self):
        """Refuse an average that never moves."""
        if not 0 <= self.ema < 1:
            raise UserError(f"ema is {self.ema}: it must be at least 0 and below 1")


class Look(NamedTuple):
    """Arguments of a rule when masks are renewed. Dictionaries by path."""

    weights: dict[str, jax.Array]
    gradients: dict[str, jax.Array]
    """Dense: also of pruned weights."""
    moments: dict[str, Moments]
    masks: dict[str, jax.Array]
    sparsity: jax.Array
    """Sparsity of this moment."""
    count: jax.Array
    key: jax.Array
    scores: dict[str, jax.Array]
    """Averaged ones, if there is an average."""
    params: Any
    layouts: dict[str, Layout]
    """Axes of the kernels."""


class Renewal(NamedTuple):
    """Result of a rule: masks by path, and parameters if they change beyond being masked."""

    masks: dict[str, jax.Array]
    params: Any = None


Rule = Callable[[Look], Renewal]


def scores(
    params: Any,
    activations: dict,
    score: Callable,
    grads: Any = None,
    key=None,
    prunable: Prunable = weights_only,
) -> dict:
    """Scores by path, each of the kernel's shape.

    Args:
      params: any tree.
      activations: by path, `Activation` or `Moments` (from `capture`); {} for scores that need
        none.
      score: a function of `score.py`.
      grads: like `params`, for saliency.
      key: for random scores.
      prunable: which leaves.

    Raises:
      UserError: activations, gradients or a key are missing.
    """
    slopes = {} if grads is None else kernels(grads, prunable)
    known = {
        name: moments(a) if isinstance(a, Activation) else a for name, a in activations.items()
    }
    weights, laid = kernels(params, prunable), layouts(params, prunable, known)
    return _scores(weights, laid, slopes, known, score, key)


def _scores(weights, laid, slopes, known, score, key) -> dict[str, jax.Array]:
    found = {}
    for number, (name, kernel) in enumerate(weights.items()):
        slope = split(slopes[name], laid[name]) if name in slopes else None
        own = None if key is None else jax.random.fold_in(key, number)
        seen = Seen(split(kernel, laid[name]), slope, known.get(name), own, name)
        found[name] = joined(_each_part(score, seen), laid[name], kernel.shape)
    return found


def _each_part(score: Callable, seen: Seen) -> jax.Array:
    """Scores of all matrices of a kernel, `[S, I, J]`."""
    count, known = len(seen.weight), seen.moments
    single = known is None or known.input_before.ndim == 2
    if count == 1:
        slope = None if seen.gradient is None else seen.gradient[0]
        known = known if single else jax.tree.map(lambda a: a[0], known)
        return score(seen._replace(weight=seen.weight[0], gradient=slope, moments=known))[None]
    if known is not None and single:
        raise UserError(
            f"activations of {seen.name} are those of one layer, and the kernel holds {count}: "
            "capture them from the same model"
        )
    keys = None if seen.key is None else jax.random.split(seen.key, count)

    def part(weight, gradient, moments, key):
        return score(Seen(weight, gradient, moments, key, seen.name))

    return jax.vmap(part)(seen.weight, seen.gradient, known, keys)


def by_scores(score: Callable, distribution: Distribution) -> Rule:
    """The rule of one-shot and gradual pruning: the best-scored weights are kept; a weight once
    pruned may come back, from zero.

    Whatever the optimizer adds to a pruned weight (weight decay, momentum, noise) is undone in the
    same update, and every leaf of its state with the shape and place of a pruned kernel is there as
    at the beginning, so that a weight that comes back starts without momentum.
    """

    def rule(look: Look) -> Renewal:
        found = look.scores or _scores(
            look.weights, look.layouts, look.gradients, look.moments, score, look.key
        )
        density = 1 - look.sparsity
        return Renewal(masks_from_scores(found, density, distribution, layouts=look.layouts))

    return rule


def pruning(
    inner: optax.GradientTransformation,
    rule: Rule,
    plan: Plan,
    averaged: Callable | None = None,
    needs_activations: bool = False,
    begin: Callable | None = None,
) -> optax.GradientTransformationExtraArgs:
    """A transformation that prunes by any rule.

    Args:
      inner: the optimizer.
      rule: makes masks from a `Look`.
      plan: what, how far and when.
      averaged: the score that is averaged if the plan has an average.
      needs_activations: True if a renewal waits for an update that is given activations.
      begin: masks by path of the first parameters, `(kernels, key) -> masks`; all ones without.

    It holds for any inner transformation. It must be the last one of a chain: what stands behind
    it would move pruned weights away from zero.

    Returns:
      `update(grads, state, params, activations=None)`: activations by path (see `scores`), or None
      for no renewal by activations.

    Raises:
      UserError: at `init` for a density that empties a kernel, or if a chain continues behind it;
        at `update` for masks of another tree or missing activations.
    """
    inner = optax.with_extra_args_support(inner)
    density, schedule, prunable = plan.density, plan.schedule, plan.prunable
    rewind, ema, seed, axis_name = plan.rewind, plan.ema, plan.seed, plan.axis_name

    def init(params):
        refuse_wrong_place(params)
        chosen = kernels(params, prunable)
        check_density(density, {name: kernel.shape for name, kernel in chosen.items()})
        first = {} if begin is None else begin(chosen, jax.random.key(seed))
        masks = replaced(
            ones_like(params), {name: m.astype(jnp.uint8) for name, m in first.items()}
        )
        averages = {name: jnp.zeros(kernel.shape) for name, kernel in chosen.items()} if ema else ()
        copies = _copied(params) if rewind == "init" else ()
        targets = {name: jnp.float32(1 - density) for name in chosen}
        return PruneState(
            masks,
            _copied(inner.init(params)),
            targets,
            jnp.int32(0),
            averages,
            jnp.int32(-1),
            copies,
        )

    def update(grads, state, params=None, *, activations=None, **more):
        if params is None:
            raise UserError("pruning needs the parameters: call update(grads, state, params)")
        check_same_tree(state.masks, params)
        if jax.tree.structure(grads) != jax.tree.structure(params):
            raise UserError("the gradients are another tree than the parameters: give one per leaf")
        updates, inner_state = inner.update(
            apply_masks(grads, state.masks), state.inner_state, params, **more
        )
        aim = optax.apply_updates(params, updates)
        after = state._replace(inner_state=inner_state)
        if activations is not None or not needs_activations:
            after, aim = _renewed(after, aim, params, grads, activations or {})
        aim = apply_masks(aim, after.masks)
        inner_state = mask_state(after.inner_state, after.masks, inner.init(aim))
        updates = jax.tree.map(lambda new, old: (new - old).astype(old.dtype), aim, params)
        return updates, after._replace(inner_state=inner_state, count=state.count + 1)

    def _renewed(state, aim, params, grads, activations):
        weights = kernels(params, prunable)
        known = {
            n: moments(a, axis_name) if isinstance(a, Activation) else a
            for n, a in activations.items()
        }
        laid = layouts(params, prunable, known)
        key = jax.random.fold_in(jax.random.key(seed), state.count)
        if ema:
            fresh = _scores(weights, laid, _slopes(grads, weights), known, averaged, key)
            mixed = jax.tree.map(
                lambda old, new: jnp.where(state.count == 0, new, ema * old + (1 - ema) * new),
                state.scores_ema,
                fresh,
            )
            state = state._replace(scores_ema=mixed)
        due = schedule.due(state.count, state.last)
        sparsity = schedule.sparsity(state.count, jnp.float32(1 - density))

        def renew():
            old, slopes = kernels(state.masks, prunable), _slopes(grads, weights)
            found = rule(
                Look(
                    weights,
                    slopes,
                    known,
                    old,
                    sparsity,
                    state.count,
                    key,
                    state.scores_ema or {},
                    params,
                    laid,
                )
            )
            masks = replaced(state.masks, {n: m.astype(jnp.uint8) for n, m in found.masks.items()})
            if rewind == "init":
                begun = apply_masks(state.beginning, masks)
                return masks, state.beginning, inner.init(begun), state.count
            return (
                masks,
                aim if found.params is None else found.params,
                state.inner_state,
                state.count,
            )

        masks, aim, inner_state, last = jax.lax.cond(
            due, renew, lambda: (state.masks, aim, state.inner_state, state.last)
        )
        return state._replace(masks=masks, inner_state=inner_state, last=last), aim

    return optax.GradientTransformationExtraArgs(init, update)


def _slopes(grads: Any, weights: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Gradients of the kernels by path; none with a leading axis of examples, as transformations
    with differential privacy take them: a score by those would see them without noise.
    """
    found = {path_name(path): g for path, g in jax.tree_util.tree_leaves_with_path(grads)}
    return {name: found[name] for name, w in weights.items() if found[name].shape == w.shape}


def _copied(tree: Any) -> Any:
    """Arrays of their own, so that a fresh state can be donated together with the parameters."""
    return jax.tree.map(lambda a: jnp.copy(a) if isinstance(a, jax.Array) else a, tree)


def similarity_pruning(
    inner: optax.GradientTransformation,
    *,
    mode: Literal["share", "edge", "node"] = "share",
    density: float = 0.25,
    schedule=AT_ONCE,
    distribution: Distribution = "fan_in",
    rewind: Rewind = "none",
    ema: float = 0.0,
    prunable: Prunable = weights_only,
    layers: tuple[str, ...] = (),
    threshold: float = 0.95,
    axis_name: str | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Similarity-based pruning, in three readings of "similarity" (see score.py and merge.py; which
    is the paper's is not known).

    Args:
      inner: the optimizer.
      mode: "share": weights by the share of their unit's variance that comes through them; "edge":
        weights between units with similar maps; "node": similar units are merged.
      density: share of weights that is kept; for "node", the least share of units that is left in a
        layer.
      schedule: OneShot(at), Periodic(...) or Cubic(...).
      distribution: "fan_in" (every unit keeps as many inputs), "uniform", "erk" or "global".
      rewind: "none" continues from the weights, "init" from where they began.
      ema: decay of averaged scores.
      prunable: which leaves.
      layers: for "node", paths of the modules of a chain of linear layers, from input to output.
      threshold: for "node", the least |r| of units that are merged.
      axis_name: of devices that hold other examples.
    """
    plan = Plan(density, schedule, prunable, rewind, ema, axis_name=axis_name)
    if mode == "node":

        def rule(look):
            return Renewal(
                *merge_similar_units(
                    look.params, look.moments, layers, density, threshold, look.masks
                )
            )

        return pruning(inner, rule, plan, needs_activations=True)
    if mode not in ("share", "edge"):
        raise UserError(f'mode is {mode!r}: choose "share", "edge" or "node"')
    score = getattr(score_functions, mode)
    return pruning(inner, by_scores(score, distribution), plan, score, needs_activations=True)


def apply_masks(tree: Any, masks: Any) -> Any:
    """Leaves with zeros where masks are zero, also in place of NaN and infinity."""
    return jax.tree.map(
        lambda leaf, mask: jnp.where(mask > 0, leaf, jnp.zeros_like(leaf)), tree, masks
    )


def prune_once(
    params: Any,
    activations: dict,
    density: float,
    score: Callable = score_functions.share,
    distribution: Distribution = "fan_in",
    grads: Any = None,
    key=None,
    prunable: Prunable = weights_only,
) -> tuple[Any, Any]:
    """Prune at once, without an optimizer.

    Args:
      params: any tree.
      activations: by path, `Activation` or `Moments` (from `capture`); {} for scores that need
        none.
      density: share of weights that is kept, above 0 and at most 1.
      score: a function of `score.py`.
      distribution: spread of the density over layers and units.
      grads: like `params`, for scores by gradients.
      key: PRNG key, for random scores.
      prunable: chooses the leaves that are pruned.

    Returns:
      `(params with zeros, masks)`, both trees like `params`; masks are 1 on leaves that are not
      pruned.

    Raises:
      UserError: see `scores` and `masks_from_scores`.
    """
    found = scores(params, activations, score, grads, key, prunable)
    laid = layouts(params, prunable, activations)
    new = masks_from_scores(found, density, distribution, layouts=laid)
    masks = replaced(
        ones_like(params), {name: mask.astype(jnp.uint8) for name, mask in new.items()}
    )
    return apply_masks(params, masks), masks
