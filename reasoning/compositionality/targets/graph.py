"""A target: a directed acyclic graph of small functions, each of one unit, or of a block of hidden
units and a unit that reads them.

Since every part is written as units, a target is evaluated, differentiated and planted in a network
from the same numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from reasoning.compositionality.activations import FUNCTIONS

Draws = Literal["uniform", "bits", "codes", "plane"]
"""Distribution of inputs; see `samples.draw`."""


class Unit(NamedTuple):
    """`activation(sum_i weights_i v_i + bias)`."""

    weights: tuple[float, ...]
    bias: float = 0.0
    activation: str = "tanh"

    def __call__(self, v: jax.Array) -> jax.Array:
        """`[K] -> []`."""
        return FUNCTIONS[self.activation](
            jnp.dot(jnp.asarray(self.weights, v.dtype), v) + self.bias
        )


class Node(NamedTuple):
    """One sub-function: what it reads, and how it is computed."""

    parents: tuple[int, ...]
    """Numbers below n are inputs; n + v is node v, which must stand before this one."""
    out: Unit
    """Reads the hidden units, or the parents if there are none."""
    hidden: tuple[Unit, ...] = ()
    """Each reads all parents."""

    @property
    def layers(self) -> int:
        """Layers of a network that it takes: 1, or 2 with a hidden block."""
        return 2 if self.hidden else 1

    def __call__(self, values: jax.Array) -> jax.Array:
        """Values of the parents, `[K] -> []`."""
        return self.out(
            jnp.stack([unit(values) for unit in self.hidden]) if self.hidden else values
        )


@dataclass(frozen=True)
class Target:
    """A function of `inputs` numbers with known parts. Hashable, so it may be a static argument of
    jit.
    """

    name: str
    inputs: int
    """n."""
    nodes: tuple[Node, ...]
    """Nodes in an order in which parents come first."""
    outputs: tuple[int, ...]
    """Numbers as in `Node.parents`, of nodes only."""
    draws: Draws = "uniform"
    """Distribution of inputs."""

    def __post_init__(self):
        """Refuse what is no graph."""
        for place, node in enumerate(self.nodes):
            late = [p for p in node.parents if not 0 <= p < self.inputs + place]
            if late or not node.parents:
                raise UserError(
                    f"target {self.name}: node {place} reads {late or 'nothing'}, which must be "
                    "inputs or earlier nodes"
                )
            last = len(node.hidden) or len(node.parents)
            if len(node.out.weights) != last or any(
                len(u.weights) != len(node.parents) for u in node.hidden
            ):
                raise UserError(
                    f"target {self.name}: node {place} has weights for another number of parents "
                    "than it reads"
                )
        if not self.outputs or any(
            not self.inputs <= o < self.inputs + len(self.nodes) for o in self.outputs
        ):
            raise UserError(
                f"target {self.name}: outputs {self.outputs} must be nodes of the graph"
            )
        read = {p for node in self.nodes for p in node.parents} | set(self.outputs)
        unread = [v for v in range(len(self.nodes)) if self.inputs + v not in read]
        if unread:
            raise UserError(
                f"target {self.name}: nothing reads node {unread[0]}: leave it out, or make it an "
                "output"
            )

    @property
    def arity(self) -> int:
        """k, the most that one node reads."""
        return max(len(node.parents) for node in self.nodes)

    @property
    def levels(self) -> tuple[int, ...]:
        """Depth of every node in nodes: 1 + that of the deepest parent; inputs have 0."""
        return self._longest(lambda node: 1)

    @property
    def depth(self) -> int:
        """D, of the deepest output in nodes."""
        return max(self.levels[o - self.inputs] for o in self.outputs)

    @property
    def layers(self) -> int:
        """Layers of the shallowest network that holds it: as `depth`, but a node with a hidden
        block counts twice.
        """
        return max(self._longest(lambda node: node.layers)[o - self.inputs] for o in self.outputs)

    def _longest(self, cost) -> tuple[int, ...]:
        found = [0] * self.inputs
        for node in self.nodes:
            found.append(cost(node) + max(found[p] for p in node.parents))
        return tuple(found[self.inputs :])

    @property
    def supports(self) -> np.ndarray:
        """The inputs that every node depends on, bool `[V, n]`."""
        rows = list(np.eye(self.inputs, dtype=bool))
        for node in self.nodes:
            rows.append(np.any([rows[p] for p in node.parents], axis=0))
        return np.stack(rows[self.inputs :])

    def values(self, x: jax.Array) -> jax.Array:
        """Inputs and all nodes of one example, `[n] -> [n + V]`."""
        found = [x[i] for i in range(self.inputs)]
        for node in self.nodes:
            found.append(node(jnp.stack([found[p] for p in node.parents])))
        return jnp.stack(found)

    def parts(self, x: jax.Array) -> jax.Array:
        """The planted sub-functions of one example, `[n] -> [V]`."""
        return self.values(x)[self.inputs :]

    def __call__(self, x: jax.Array) -> jax.Array:
        """The outputs of one example, as they are (see `samples.Scale` for standardized ones), `[n]
        -> [m]`.
        """
        return self.values(x)[jnp.asarray(self.outputs)]


def without_unread(
    inputs: int, nodes: Iterable[Node], outputs: Iterable[int]
) -> tuple[tuple[Node, ...], tuple[int, ...]]:
    """Nodes with a path to an output, renumbered, and the outputs."""
    nodes, outputs = list(nodes), list(outputs)
    needed, waiting = set(), list(outputs)
    while waiting:
        number = waiting.pop()
        if number >= inputs and number not in needed:
            needed.add(number)
            waiting += nodes[number - inputs].parents
    new = {old: inputs + i for i, old in enumerate(sorted(needed))} | {i: i for i in range(inputs)}
    kept = [nodes[old - inputs] for old in sorted(needed)]
    return tuple(n._replace(parents=tuple(new[p] for p in n.parents)) for n in kept), tuple(
        new[o] for o in outputs
    )


def ordered(
    target_name: str, parents: dict[str, Iterable[str]], inputs: Iterable[str]
) -> list[str]:
    """Names of nodes in an order in which parents come first.

    Raises:
      UserError: there is a cycle, or a parent that does not exist.
    """
    done, order, waiting = set(inputs), [], {name: set(above) for name, above in parents.items()}
    unknown = {p for above in waiting.values() for p in above} - done - set(waiting)
    if unknown:
        raise UserError(
            f"{target_name}: nodes read {sorted(unknown)}, which do not exist: correct the links"
        )
    while waiting:
        ready = [name for name, above in waiting.items() if above <= done]
        if not ready:
            raise UserError(
                f"{target_name} is not a directed acyclic graph: {sorted(waiting)} lie on a cycle "
                "or behind one; remove the cycle"
            )
        order += ready
        done |= set(ready)
        for name in ready:
            del waiting[name]
    return order
