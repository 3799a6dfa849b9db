"""Closed forms about planted graphs: how many networks hold them, which density holds most, and how
much surplus inputs disturb.

All of these are our own arguments (the paper's theorems are not known to us); every one is tested
by enumeration or simulation.
"""

import math
from typing import NamedTuple

import numpy as np

from reasoning.compositionality.planting import layerize
from reasoning.compositionality.targets.graph import Target


class Placement(NamedTuple):
    """The planted graph in a layered network: what its count depends on."""

    units: tuple[int, ...]
    """n_l of every hidden layer, relays among them."""
    edges: int
    """E, weights of the graph between inputs and hidden units, and up to the outputs."""
    absent: int
    """F, weights into planted units (and outputs) that must be zero."""
    width: int
    """W."""


def placement(target: Target, layers: int, width: int) -> Placement:
    """Place a target in a network with fan-ins n, W, ..., W, W; raises `UserError` if it does not
    fit.
    """
    found = layerize(target, layers, width)
    outputs = len(target.outputs)
    edges = sum(found.edges) + outputs
    possible = target.inputs * found.counts[0] + width * sum(found.counts[1:]) + width * outputs
    return Placement(found.counts, edges, possible - edges, width)


def log_expected_count(where: Placement, density: float) -> float:
    """Log of the expected number of exact placements in a Bernoulli(density) mask.

    E# = prod_l W! / (W - n_l)! * density^E * (1 - density)^F: the ways to choose different units
    for the planted ones of every layer, times the probability that each has exactly its weights.
    """
    if not 0 < density < 1:
        return -math.inf if where.absent or density <= 0 else 0.0
    ways = sum(math.lgamma(where.width + 1) - math.lgamma(where.width - n + 1) for n in where.units)
    return ways + where.edges * math.log(density) + where.absent * math.log1p(-density)


def best_density(where: Placement) -> float:
    """E / (E + F), the maximizer of the expected count: mean arity over mean fan-in, k / W for a
    tree in its hidden layers.
    """
    return where.edges / (where.edges + where.absent)


def log_volume(target: Target, layers: int, width: int, density: float | None = None) -> float:
    """log V(L), the log of the expected count of exact placements over all positions of surplus
    layers.

    Relays stand where `layerize` puts them, after their values; other positions of surplus layers
    are counted by log C(L, D).

    Args:
      target: the graph.
      layers: hidden layers L of the network.
      width: units of a layer.
      density: share of weights in the masks, in [0, 1]; the best one, if left out.

    Returns:
      Natural logarithm; -inf if the target does not fit in `layers`.

    Raises:
      UserError: the target does not fit in `width`.
    """
    if layers < target.layers:
        return -math.inf
    where = placement(target, layers, width)
    spots = (
        math.lgamma(layers + 1)
        - math.lgamma(target.layers + 1)
        - math.lgamma(layers - target.layers + 1)
    )
    return log_expected_count(where, best_density(where) if density is None else density) + spots


def depth_by_volume(target: Target, width: int, most: int = 8, density: float | None = None) -> int:
    """The number of layers with the largest volume (predictor E3).

    Args:
      target: the graph.
      width: units of a layer.
      most: largest number of layers that is tried.
      density: share of weights in the masks; the best one of each depth, if left out.
    """
    return max(range(1, most + 1), key=lambda layers: log_volume(target, layers, width, density))


def relay_cost(arity: int) -> float:
    """log k - k: about what every relayed value adds to log E# per surplus layer at density k / W
    and large W; -1.31 for k = 2.
    """
    return math.log(arity) - arity


def interference(weights: np.ndarray, covariance: np.ndarray, wanted: np.ndarray) -> float:
    """I_j: the share of a unit's variance that comes through unwanted inputs, Var(off) / (Var(on) +
    Var(off)).

    Our choice: the cross term is left out of the sum, which makes the bound below exact.

    Args:
      weights: `[m]`, of one unit.
      covariance: of its inputs, `[m, m]`.
      wanted: bool `[m]`.
    """

    def power(part):
        return float((weights * part) @ covariance @ (weights * part))

    on, off = power(wanted), power(~wanted)
    return off / (on + off) if on + off > 0 else 0.0


def interference_bound(arity: int, surplus: int, ratio: float, coherence: float) -> float:
    """Upper bound of I / (1 - I) for inputs of equal variance.

    ratio^2 * m (1 + (m - 1) mu) / (k (1 - (k - 1) mu)).

    Args:
      arity: k, wanted inputs.
      surplus: m, unwanted inputs.
      ratio: kappa, the largest unwanted weight over the smallest wanted one, in modulus.
      coherence: mu, the largest |r| of two inputs; the bound is infinite if (k - 1) mu >= 1.
    """
    capacity = arity * (1 - (arity - 1) * coherence)
    return (
        ratio**2 * surplus * (1 + (surplus - 1) * coherence) / capacity
        if capacity > 0
        else math.inf
    )


def most_fan_in(arity: int, tolerance: float) -> float:
    """k (1 + tau): the largest fan-in with I / (1 - I) <= tau for equal weights and uncorrelated
    inputs.
    """
    return arity * (1 + tolerance)


class Sparsity(NamedTuple):
    """The record of a compositionally sparse function (arXiv 2507.02550)."""

    nodes: int
    edges: int
    arity: int
    depth: int


def compositional_sparsity(target: Target) -> Sparsity:
    """|V|, |E|, k and D."""
    return Sparsity(
        len(target.nodes), sum(len(n.parents) for n in target.nodes), target.arity, target.depth
    )


def units_needed(target: Target, error: float, smoothness: float) -> tuple[float, float]:
    """Orders of the numbers of units for an error: shallow eps^(-n/m), and of matching depth |V|
    eps^(-k/m).

    The classical rates of Mhaskar and Poggio, without their constants.
    """
    return error ** (-target.inputs / smoothness), len(target.nodes) * error ** (
        -target.arity / smoothness
    )


def simulated_count(
    target: Target, layers: int, width: int, density: float, samples: int, seed: int = 0
) -> tuple[float, float]:
    """Mean number of exact placements in random masks, to test `log_expected_count` with.

    All choices of units are tried, so widths up to 5 and small targets only.

    Args:
      target: the graph.
      layers: hidden layers.
      width: units of a layer.
      density: probability of a weight, in [0, 1].
      samples: random masks.
      seed: seed of the masks.

    Returns:
      `(mean, standard error)`.
    """
    from itertools import permutations, product

    planted, random = layerize(target, layers, width), np.random.default_rng(seed)
    hidden = [
        np.asarray(planted.masks["win"]),
        *np.asarray(planted.masks["wh"])[: layers - 1],
        np.asarray(planted.masks["wo"]),
    ]
    drawn = [random.random((samples, *mask.shape)) < density for mask in hidden]
    outputs, total = np.arange(len(target.outputs)), np.zeros(samples)

    def below(mask, rows):
        return mask[: len(rows)] > 0

    for chosen in product(*(permutations(range(width), n) for n in planted.counts)):
        ends = [np.arange(target.inputs), *map(np.array, chosen)]
        found = np.ones(samples, bool)
        for mask, sample, rows, columns in zip(
            hidden, drawn, ends, [*ends[1:], outputs], strict=True
        ):
            wanted = np.zeros((mask.shape[0], len(columns)), bool)
            wanted[rows] = below(mask, rows)[:, : len(columns)]
            found &= (sample[:, :, columns] == wanted[None]).all((1, 2))
        total += found
    return float(total.mean()), float(total.std() / np.sqrt(samples))
