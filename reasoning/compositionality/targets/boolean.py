"""Boolean targets on -1 and 1: gates as multilinear polynomials, so that they have gradients
between the bits.
"""

import numpy as np

from jaxrl.app.errors import UserError
from reasoning.compositionality.targets.graph import Node, Target, Unit
from reasoning.compositionality.targets.trees import product_units

TABLES = {
    "and": (-1, -1, -1, 1),
    "or": (-1, 1, 1, 1),
    "xor": (-1, 1, 1, -1),
    "implies": (1, 1, -1, 1),
    "nand": (1, 1, 1, -1),
}
"""Truth tables over (a, b) = (-1,-1), (-1,1), (1,-1), (1,1)."""


def gate(parents: tuple[int, int], table: tuple[float, float, float, float]) -> Node:
    """A truth table of two inputs as c0 + c1 a + c2 b + c3 a b."""
    ff, ft, tf, tt = table
    c0, c1, c2, c3 = (
        (ff + ft + tf + tt) / 4,
        (-ff - ft + tf + tt) / 4,
        (-ff + ft - tf + tt) / 4,
        (ff - ft - tf + tt) / 4,
    )
    squares, weights = product_units(c3)
    linear = (Unit((c1, c2), 0.0, "identity"),) if c1 or c2 else ()
    if not c3:
        return Node(parents, Unit((c1, c2), c0, "identity"))
    return Node(parents, Unit((1.0,) * len(linear) + weights, c0, "identity"), linear + squares)


def boolean_graph(levels: int, seed: int = 0) -> Target:
    """A random modular circuit after Neural Sculpting (arXiv 2305.18402): pairs of bits, gates in
    levels, one gate used by two outputs.

    Args:
      levels: at least 2; 2^levels bits, a binary tree of random gates, and a second output over two
        gates of the level below.
      seed: of the gates.
    """
    if not 2 <= levels <= 4:
        raise UserError(f"boolean:{levels}: levels must be 2 to 4")
    random, inputs = np.random.default_rng(seed), 2**levels

    def choose():
        return TABLES[list(TABLES)[random.integers(len(TABLES))]]

    nodes, row = [], list(range(inputs))
    while len(row) > 1:
        first, below = inputs + len(nodes), row
        nodes += [gate((row[i], row[i + 1]), choose()) for i in range(0, len(row), 2)]
        row = list(range(first, inputs + len(nodes)))
    nodes.append(gate((below[0], below[1]), TABLES["implies"]))
    return Target(
        f"boolean:{levels}:{seed}", inputs, tuple(nodes), (row[0], inputs + len(nodes) - 1), "bits"
    )


def cmsp(bits: int = 16, size: int = 2) -> Target:
    """Compositional multitask sparse parity (arXiv 2505.15811): the parity of all bits in those of
    four subsets that are switched on.

    Args:
      bits: n, at least 4 * size; the rest are distractors. Four control inputs follow.
      size: bits per subset, 1 or 2. Our choice: small, for two cores.
    """
    if size not in (1, 2) or bits < 4 * size:
        raise UserError(
            f"cmsp: bits is {bits} and size {size}; size is 1 or 2, bits at least 4 * size"
        )
    inputs = bits + 4
    nodes, on = [], []

    def add(node):
        return nodes.append(node) or inputs + len(nodes) - 1

    for subset in range(4):
        inner = (
            size * subset if size == 1 else add(gate((2 * subset, 2 * subset + 1), (1, -1, -1, 1)))
        )
        on.append(add(gate((bits + subset, inner), (1, 1, -1, 1))))
    pairs = [add(gate((on[i], on[i + 1]), (1, -1, -1, 1))) for i in (0, 2)]
    out = add(gate((pairs[0], pairs[1]), (1, -1, -1, 1)))
    return Target(f"cmsp:{bits}", inputs, tuple(nodes), (out,), "codes")
