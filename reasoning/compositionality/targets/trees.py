"""Trees and chains of one repeated part."""

from jaxrl.app.errors import UserError
from reasoning.compositionality.targets.graph import Node, Target, Unit

LARGEST = 64
"""Inputs of the largest tree."""


def tanh_unit(arity: int) -> Unit:
    """tanh(2.2 a - 1.8 b + 0.3); with more inputs the signs alternate (Our choice)."""
    return Unit(tuple((2.2, -1.8)[i % 2] for i in range(arity)), 0.3, "tanh")


def product_units(scale: float = 1.0) -> tuple[tuple[Unit, Unit], tuple[float, float]]:
    """Hidden units (a + b)^2 and (a - b)^2, and the weights with which they give `scale * a b`."""
    return (Unit((1.0, 1.0), 0.0, "square"), Unit((1.0, -1.0), 0.0, "square")), (
        scale / 4,
        -scale / 4,
    )


def tanh_tree(depth: int, arity: int = 2) -> Target:
    """Complete tree of `tanh_unit`s: n = arity^depth inputs in U(-1, 1), one unit per node.

    Args:
      depth: D, at least 1.
      arity: k, at least 2. With k > 2 a node is a function of a sum, so its arity is no property of
        the function.
    """
    return _tree(
        f"tanh_tree:{depth}" + (f":{arity}" if arity != 2 else ""),
        depth,
        arity,
        lambda p: Node(p, tanh_unit(arity)),
    )


def mix_tree(depth: int) -> Target:
    """Complete binary tree of 0.9 sin(2(a + b)) + 0.4 a b, whose nodes need a hidden layer each."""
    squares, weights = product_units(0.4)
    hidden = (Unit((2.0, 2.0), 0.0, "sin"), *squares)
    return _tree(
        f"mix_tree:{depth}",
        depth,
        2,
        lambda p: Node(p, Unit((0.9, *weights), 0.0, "identity"), hidden),
    )


def chain(depth: int) -> Target:
    """s(s(s(x0, x1), x2), x3)... with `tanh_unit`: n = D + 1 inputs, so depth is not the logarithm
    of n.
    """
    _positive("chain", depth)
    nodes = [Node((0, 1), tanh_unit(2))]
    nodes += [Node((depth + 1 + i - 1, i + 1), tanh_unit(2)) for i in range(1, depth)]
    return Target(f"chain:{depth}", depth + 1, tuple(nodes), (2 * depth,))


def reuse(depth: int, outputs: int = 3) -> Target:
    """One tree of depth D - 1 feeds several outputs, each with an input of its own: a part that is
    used again.
    """
    if depth < 2:
        raise UserError(f"reuse:{depth}: the depth must be at least 2, a part and what uses it")
    inner = 2 ** (depth - 1)
    inputs = inner + outputs
    nodes, row = [], list(range(inner))
    while len(row) > 1:
        row = _next_row(nodes, row, 2, inputs, lambda p: Node(p, tanh_unit(2)))
    first = inputs + len(nodes)
    uses = ((2.2, -1.8), (-2.0, 1.6), (1.4, 2.4))
    nodes += [
        Node((row[0], inner + o), Unit(uses[o % 3], 0.3 - 0.3 * o, "tanh")) for o in range(outputs)
    ]
    return Target(f"reuse:{depth}", inputs, tuple(nodes), tuple(range(first, first + outputs)))


def _tree(name, depth, arity, make) -> Target:
    _positive(name, depth)
    if arity < 2 or arity**depth > LARGEST:
        raise UserError(
            f"{name}: arity must be at least 2 and arity^depth at most {LARGEST}, not "
            f"{arity}^{depth}"
        )
    inputs = arity**depth
    nodes, row = [], list(range(inputs))
    while len(row) > 1:
        row = _next_row(nodes, row, arity, inputs, make)
    return Target(name, inputs, tuple(nodes), (row[0],))


def _next_row(nodes, row, arity, inputs, make) -> list[int]:
    first = inputs + len(nodes)
    nodes += [make(tuple(row[i : i + arity])) for i in range(0, len(row), arity)]
    return list(range(first, inputs + len(nodes)))


def _positive(name, depth):
    if depth < 1:
        raise UserError(f"{name}: the depth is {depth}, it must be at least 1")
