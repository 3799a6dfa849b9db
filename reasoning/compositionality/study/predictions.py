"""Predictions for the targets of a sweep, and of the networks that were
trained on them.
"""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.app.errors import UserError
from reasoning.compositionality import network, theory
from reasoning.compositionality.depth import MOST_INPUTS, predict_by_interactions, predict_depth
from reasoning.compositionality.depth.predict import TRAINED
from reasoning.compositionality.study.config import DENSE, SweepConfig
from reasoning.compositionality.study.results import shown_networks
from reasoning.compositionality.targets import target_by_name
from reasoning.compositionality.targets.samples import examples

WELL = 0.99
"""R^2 from which a trained network is asked."""


class Predicted(NamedTuple):
    """Predictions for one target. Depths in layers; None where a predictor does not apply."""

    planted: int
    separability: int | None
    """E1 on the function."""
    ambiguous: bool
    interactions: int | None
    """E2."""
    volume: int
    """E3."""
    trained: tuple[int, ...]
    """E1 on every dense network with R^2 >= 0.99, of the depth in layers next to the planted one
    that was trained.
    """
    asked: int
    """Number of networks that were examined."""


def net(data, x: jax.Array) -> jax.Array:
    """A trained network as a function for the predictor: `data` is (params, depth)."""
    params, depth = data
    return network.outputs(params, x[None], depth)[0]


def predictions(config: SweepConfig, results: Path, name: str) -> Predicted:
    """All predictors on one target of a finished sweep."""
    target = target_by_name(name)
    cost = max(node.layers for node in target.nodes)
    volume = theory.depth_by_volume(target, max(config.width, 40), max(config.depths) + 2)
    if target.inputs > MOST_INPUTS or target.draws == "plane":
        return Predicted(target.layers, None, False, None, volume, (), 0)
    known = predict_depth(target, target.inputs, layers_per_node=cost)
    try:
        pairs = [
            predict_by_interactions(lambda x, o=o: target(x)[o], target.inputs).depth
            for o in range(len(target.outputs))
        ]
    except UserError:  # kinks, which second derivatives do not see
        pairs = []
    found, asked = ask_networks(config, results, name)
    return Predicted(
        target.layers,
        known.layers,
        known.ambiguous,
        cost * max(pairs) if pairs else None,
        volume,
        tuple(cost * d for d in found),
        asked,
    )


def ask_networks(config: SweepConfig, results: Path, name: str) -> tuple[list[int], int]:
    """E1's depth in nodes of every dense network that fits well, one layer deeper than planted, and
    how many were examined.
    """
    target = target_by_name(name)
    nearest = min(config.depths, key=lambda depth: abs(depth - target.layers - 1))
    trained = [
        w
        for cell, w in shown_networks(results, config, name)
        if cell.pruner == DENSE and cell.depth == nearest
    ]
    x, y = examples(target, jax.random.key(11), 2048)
    found = []
    for weights in trained:
        mine = {n: jnp.asarray(weights[n]) for n in ("win", "wh", "wo", "b", "bo")}
        error = float(((network.outputs(mine, x, nearest) - y) ** 2).mean())
        if 1 - error / float(jnp.var(y)) >= WELL:
            found.append(
                predict_depth(
                    net, target.inputs, data=(mine, jnp.int32(nearest)), tolerance=TRAINED
                ).depth
            )
    return found, len(trained)
