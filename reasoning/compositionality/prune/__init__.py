"""Pruning as a gradient transformation of optax, for any Flax model: by similarity of activations,
and by the usual baselines.

    tx = similarity_pruning(optax.adam(1e-3), density=0.25, schedule=OneShot(at=1000))
    state = tx.init(params)
    updates, state = tx.update(grads, state, params, activations=capture(module.apply, params, x))

`state.masks` is a tree like the parameters. `activations` may be left out of every step in which no
mask is due.
"""

from reasoning.compositionality.prune.baselines import (
    l1_pruning,
    lottery_ticket,
    magnitude_pruning,
    oracle_pruning,
    random_pruning,
    rigl,
    saliency_pruning,
    set_pruning,
    snip,
    static_random,
)
from reasoning.compositionality.prune.capture import capture
from reasoning.compositionality.prune.compact import compact
from reasoning.compositionality.prune.distributions import masks_from_scores
from reasoning.compositionality.prune.kernels import Layout
from reasoning.compositionality.prune.moments import Activation, Moments
from reasoning.compositionality.prune.schedules import Cubic, OneShot, Periodic
from reasoning.compositionality.prune.summary import summarize_sparsity
from reasoning.compositionality.prune.transform import (
    Plan,
    PruneState,
    apply_masks,
    prune_once,
    pruning,
    scores,
    similarity_pruning,
)

__all__ = [
    "Activation",
    "Cubic",
    "Layout",
    "Moments",
    "OneShot",
    "Periodic",
    "Plan",
    "PruneState",
    "apply_masks",
    "capture",
    "compact",
    "l1_pruning",
    "lottery_ticket",
    "magnitude_pruning",
    "masks_from_scores",
    "oracle_pruning",
    "prune_once",
    "pruning",
    "random_pruning",
    "rigl",
    "saliency_pruning",
    "scores",
    "set_pruning",
    "similarity_pruning",
    "snip",
    "static_random",
    "summarize_sparsity",
]
