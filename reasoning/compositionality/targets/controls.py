"""Controls: the same target with its inputs in another order, with inputs that do nothing, and a
function without parts.
"""

import dataclasses

import numpy as np

from jaxrl.app.errors import UserError
from reasoning.compositionality.targets.graph import Node, Target, Unit


def permuted(target: Target, seed: int = 0) -> Target:
    """Its inputs in a random order."""
    order = np.random.default_rng(seed).permutation(target.inputs)
    return _with_parents(
        target,
        f"permuted:{target.name}",
        target.inputs,
        lambda p: int(order[p]) if p < target.inputs else p,
    )


def distractor(target: Target, extra: int = 2) -> Target:
    """`extra` more inputs, which it does not read."""
    if extra < 1:
        raise UserError(
            f"distractor: the number of inputs that do nothing is {extra}, it must be at least 1"
        )

    def shift(p):
        return p if p < target.inputs else p + extra

    return _with_parents(target, f"distractor:{target.name}", target.inputs + extra, shift)


def _with_parents(target, name, inputs, move) -> Target:
    nodes = tuple(node._replace(parents=tuple(map(move, node.parents))) for node in target.nodes)
    return dataclasses.replace(
        target, name=name, inputs=inputs, nodes=nodes, outputs=tuple(map(move, target.outputs))
    )


def nondecomposable(arity: int, seed: int = 0) -> Target:
    """One node of `arity` inputs that has no parts: a sum of sines of 2 * arity random directions
    (D = 1).
    """
    if arity < 2:
        raise UserError(f"nondecomposable:{arity}: the arity must be at least 2")
    random, count = np.random.default_rng(seed), 2 * arity
    units = [
        Unit(tuple(map(float, random.normal(0, 1.2, arity))), float(random.uniform(-2, 2)), "sin")
        for _ in range(count)
    ]
    node = Node(tuple(range(arity)), Unit((count**-0.5,) * count, 0.0, "identity"), tuple(units))
    return Target(f"nondecomposable:{arity}", arity, (node,), (arity,))
