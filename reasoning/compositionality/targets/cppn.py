"""Compositional pattern networks: images as functions of a point, by small random graphs or by
genomes that a user has.
"""

import numpy as np

from jaxrl.app.errors import UserError
from reasoning.compositionality.targets.graph import Node, Target, Unit, without_unread

RANDOM = ("tanh", "sin", "cos", "gaussian", "sigmoid")


def random_cppn(seed: int = 0, levels: int = 4, per_level: int = 3, outputs: int = 1) -> Target:
    """A sparse random pattern network: every node reads two of the level below, or one of those and
    an older one.

    Args:
      seed: of graph, functions and weights.
      levels: depth of the outputs, at least 2.
      per_level: nodes of every level but the last, at least 2.
      outputs: nodes of the last level.
    """
    if levels < 2 or per_level < 2:
        raise UserError(
            f"cppn: levels is {levels} and per_level {per_level}, both must be at least 2"
        )
    random = np.random.default_rng(seed)
    nodes, below, older = [], [0, 1, 2], [3]
    for level in range(levels):
        count, first = outputs if level == levels - 1 else per_level, 4 + len(nodes)
        nodes += [_random_node(random, below, older) for _ in range(count)]
        older, below = older + below, list(range(first, 4 + len(nodes)))
    return Target(f"cppn:{seed}:{levels}", 4, *without_unread(4, nodes, below), "plane")


def _random_node(random, below, older) -> Node:
    first = int(random.choice(below))
    second = int(random.choice([p for p in below + older if p != first]))
    weights = tuple(float(w) for w in random.choice([-1, 1], 2) * random.uniform(0.8, 2.2, 2))
    return Node((first, second), Unit(weights, 0.0, RANDOM[random.integers(len(RANDOM))]))
