"""From the graph of a target to a network that computes it exactly: layers by longest path, relays
for values that are needed later.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from reasoning.compositionality import activations, network
from reasoning.compositionality.targets.graph import Target, Unit
from reasoning.compositionality.targets.samples import scale

Source = tuple[str, int]
"""("input", i) or ("unit", u)."""


class Planted(NamedTuple):
    """A target as weights, masks and functions of units, in a network of `depth` layers."""

    params: network.Params
    masks: network.Masks
    codes: jax.Array
    """int32 `[L, W]`, see `activations.by_code`; unused units are tanh."""
    depth: int
    places: np.ndarray
    """Layer (from 0) and unit of every node, int `[V, 2]`."""
    counts: tuple[int, ...]
    """Units per used layer, relays among them."""
    edges: tuple[int, ...]
    """Weights into the units of every used layer."""
    relays: int
    """Units that only carry a value on."""


class _Graph(NamedTuple):
    """Units in an order in which sources come first."""

    sources: list[tuple[Source, ...]]
    units: list[Unit]
    of_node: list[int]


def _expand(target: Target) -> _Graph:
    """Nodes with hidden blocks become several units."""
    sources, units, of_node = [], [], []
    for node in target.nodes:

        def named(p):
            return ("input", p) if p < target.inputs else ("unit", of_node[p - target.inputs])

        read = tuple(named(p) for p in node.parents)
        for unit in node.hidden:
            sources.append(read)
            units.append(unit)
        inner = tuple(("unit", len(units) - len(node.hidden) + i) for i in range(len(node.hidden)))
        of_node.append(len(units))
        sources.append(inner or read)
        units.append(node.out)
    return _Graph(sources, units, of_node)


def _levels(graph: _Graph) -> list[int]:
    """Layer of every unit by longest path; the first is 1, inputs have 0."""
    found: list[int] = []
    for read in graph.sources:
        found.append(1 + max(0 if kind == "input" else found[number] for kind, number in read))
    return found


def layerize(
    target: Target, layers: int, width: int, most: int | None = None, key: jax.Array | None = None
) -> Planted:
    """Plant a target in a network of `layers` hidden layers.

    Every unit stands as early as it can; identity units carry values on to where they are read
    (after the code of arXiv 2505.11581), and outputs to the last layer. The output weights
    standardize.

    Args:
      target: what to plant.
      layers: hidden layers, at least `target.layers`.
      width: W.
      most: L of the arrays; `layers` by default.
      key: puts the units of every layer in a random order; without, they stand first.

    Raises:
      UserError: too few layers, or a layer needs more than `width` units.
    """
    graph, most = _expand(target), most or layers
    if not target.layers <= layers <= most:
        raise UserError(
            f"{target.name} needs {target.layers} layers, and {layers} of at most {most} were "
            "asked for: give it more"
        )
    level = _levels(graph)
    outs = [graph.of_node[o - target.inputs] for o in target.outputs]
    until = _needed_until(graph, level, outs, layers)
    slots = _slots(until, level, layers, width, target.name, key)
    return _filled(target, graph, level, slots, outs, (layers, most, width))


def _needed_until(graph, level, outs, layers) -> dict[Source, int]:
    """The layer up to which every value must be carried."""
    until: dict[Source, int] = {("unit", u): layers for u in outs}
    for unit, read in enumerate(graph.sources):
        for source in read:
            until[source] = max(until.get(source, 0), level[unit] - 1)
    return until


def _slots(until, level, layers, width, name, key) -> list[dict[Source, int]]:
    """Per layer, the unit that every value stands in."""
    found = []
    for layer in range(1, layers + 1):

        def begins(source):
            return 0 if source[0] == "input" else level[source[1]]

        here = [s for s in sorted(until) if begins(s) <= layer <= until[s]]
        if len(here) > width:
            raise UserError(
                f"{name} needs {len(here)} units in layer {layer}, and the width is {width}: make "
                "it wider"
            )
        random = (
            None if key is None else jax.random.permutation(jax.random.fold_in(key, layer), width)
        )
        found.append({s: i if random is None else int(random[i]) for i, s in enumerate(here)})
    return found


def _filled(target, graph, level, slots, outs, sizes) -> Planted:
    layers, most, width = sizes
    shape = network.Shape(target.inputs, len(outs), width, most)
    params = {
        name: np.zeros(a.shape, np.float32)
        for name, a in jax.eval_shape(lambda k: network.init(k, shape), jax.random.key(0)).items()
    }
    codes = np.full((most, width), activations.code("tanh"), np.int32)
    for layer, here in enumerate(slots):
        weights = params["win"] if layer == 0 else params["wh"][layer - 1]
        below = {("input", i): i for i in range(target.inputs)} if layer == 0 else slots[layer - 1]
        for source, slot in here.items():
            new = source[0] == "unit" and level[source[1]] == layer + 1
            read = graph.sources[source[1]] if new else (source,)
            unit = graph.units[source[1]] if new else Unit((1.0,), 0.0, "identity")
            for start, weight in zip(read, unit.weights, strict=True):
                weights[below[start], slot] += weight
            params["b"][layer, slot], codes[layer, slot] = (
                unit.bias,
                activations.code(unit.activation),
            )
    known = scale(target)
    for number, unit in enumerate(outs):
        params["wo"][slots[-1]["unit", unit], number] = 1 / known.std[number]
    params["bo"][:] = -np.asarray(known.mean) / np.asarray(known.std)
    masks = {name: jnp.asarray((params[name] != 0).astype(np.float32)) for name in network.WEIGHTS}
    places = np.array([[level[u] - 1, slots[level[u] - 1]["unit", u]] for u in graph.of_node])
    counts = tuple(map(len, slots))
    edges = [
        int(masks["win"].sum()),
        *(int(masks["wh"][layer].sum()) for layer in range(layers - 1)),
    ]
    arrays = {name: jnp.asarray(a) for name, a in params.items()}
    return Planted(
        arrays,
        masks,
        jnp.asarray(codes),
        layers,
        places,
        counts,
        tuple(edges),
        sum(counts) - len(graph.units),
    )


def masks_for(target: Target, layers: int, shape: network.Shape, key: jax.Array) -> network.Masks:
    """The planted connectivity at random places, with all weights of unused layers kept, as the
    oracle pruner keeps them.

    Args:
      target: the graph to plant.
      layers: hidden layers that it is planted in.
      shape: sizes of the network, at least `layers` deep.
      key: PRNG key of the places.

    Returns:
      Masks of the network's weights.

    Raises:
      UserError: the target does not fit.
    """
    return layerize(target, layers, shape.width, shape.layers, key).masks


def compute(planted: Planted, x: jax.Array) -> network.Maps:
    """Evaluate a planted network on `[B, n]`."""
    return network.forward(planted.params, x, planted.depth, activations.by_code, planted.codes)
