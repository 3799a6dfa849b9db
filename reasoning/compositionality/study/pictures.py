"""Figures 4 and 5: the planted graph next to what was recovered, and maps of units next to maps of
parts.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app import plots
from reasoning.compositionality import network
from reasoning.compositionality.planting import layerize
from reasoning.compositionality.structure import correlations
from reasoning.compositionality.study.config import DENSE, Cell, SweepConfig
from reasoning.compositionality.study.results import shown_networks
from reasoning.compositionality.targets import target_by_name
from reasoning.compositionality.targets.graph import Target
from reasoning.compositionality.targets.samples import draw, plane

SIDE = 48
"""Points of a map along each side."""


_maps_of = jax.jit(lambda params, x, depth: network.forward(params, x, depth).h)
_correlations = jax.jit(correlations)


def _likeness(h: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """|r| of units and parts, `[L, N, W]` and `[N, V] -> [L, W, V]`."""
    return np.asarray(_correlations(jnp.asarray(h), jnp.asarray(parts))[0])


def draw_all(results: Path, config: SweepConfig, rows: list[dict]) -> dict[str, Any]:
    """Draw for every target; figures by caption."""
    drawn = {}
    for name in config.targets:
        target, shown = target_by_name(name), shown_networks(results, config, name)
        chosen = best_shown(shown, target, rows)
        if chosen is None:
            continue
        dense = next(
            (
                weights
                for cell, weights in shown
                if cell.pruner == DENSE and cell.depth == chosen[0].depth
            ),
            None,
        )
        drawn[f"4. {name}: planted and recovered graph"] = graphs(target, *chosen, config.width)
        drawn[f"5. {name}: maps of parts and units"] = maps(target, *chosen, dense)
    return drawn


def best_shown(shown, target: Target, rows: list[dict]) -> tuple[Cell, dict] | None:
    """The share-pruned network of the first seed (any pruned one, without) nearest the planted
    depth that scores, or else fits, best.
    """
    pruned = [item for item in shown if item[0].pruner == "share"] or [
        item for item in shown if item[0].pruner != DENSE
    ]
    if not pruned:
        return None
    known = {
        Cell(*(row[name] for name in Cell._fields)): (row["score"], row["fit"]) for row in rows
    }
    near = min(abs(cell.depth - target.layers) for cell, _ in pruned)
    return max(
        (item for item in pruned if abs(item[0].depth - target.layers) == near),
        key=lambda item: known[item[0]],
    )


def unit_order(h: np.ndarray, parts: np.ndarray) -> list[np.ndarray]:
    """Units of every layer, those matched to parts first and in their order; from maps `[L, N, W]`
    and parts `[N, V]`.
    """
    from scipy.optimize import linear_sum_assignment

    r = _likeness(h, parts)
    orders = []
    for layer in r:
        units, to = linear_sum_assignment(-layer)
        strong = [
            u
            for u, v in sorted(zip(units, to, strict=True), key=lambda pair: pair[1])
            if layer[u, v] > 0.5
        ]
        orders.append(np.array(strong + [u for u in range(layer.shape[0]) if u not in strong]))
    return orders


def graphs(target: Target, cell: Cell, weights: dict, width: int) -> Any:
    """Draw F4: weights of the planted and of the recovered network; units matched to parts stand
    lowest.

    Args:
      target: the planted function.
      cell: depth, density and pruner of the network.
      weights: its arrays: weights, biases, and masks as "mask_NAME".
      width: units of a layer; the planted graph is drawn in at least 40.
    """
    figure, (axes,) = plots.new_figure(10, 4, 1, 2)
    planted = layerize(target, max(cell.depth, target.layers), max(width, 40))
    plain = {n: np.asarray(a) for n, a in planted.params.items()}
    _graph(axes[0], plain, planted.depth, [np.arange(count) for count in planted.counts])
    axes[0].set_title(f"{target.name}, planted in {planted.depth} layers", fontsize=10)
    x = draw(target, jax.random.key(3), 512)
    arrays = {n: jnp.asarray(weights[n]) for n in ("win", "wh", "wo", "b", "bo")}
    h = np.asarray(_maps_of(arrays, x, cell.depth))[: cell.depth]
    live = np.asarray(
        network.live_units(
            {n: jnp.asarray(weights[f"mask_{n}"]) for n in network.WEIGHTS}, cell.depth
        )
    )
    order = [
        np.array([u for u in o if live[i, u]])
        for i, o in enumerate(unit_order(h, np.asarray(jax.vmap(target.parts)(x))))
    ]
    _graph(axes[1], weights, cell.depth, order)
    axes[1].set_title(
        f"{cell.pruner}, density {cell.density:g}, {cell.depth} layers: live units", fontsize=10
    )
    return figure


def _graph(axes, params, depth, order):
    layers = [params["win"], *params["wh"][: depth - 1], params["wo"]]
    ends = [np.arange(params["win"].shape[0]), *order, np.arange(params["wo"].shape[1])]

    def place(count):
        return (np.arange(count) + 0.5) / max(count, 1)

    for level, kernel in enumerate(layers):
        low, high = place(len(ends[level])), place(len(ends[level + 1]))
        kernel = np.nan_to_num(kernel, posinf=0.0, neginf=0.0)  # of networks that diverged
        strongest = max(np.abs(kernel).max(), 1e-9)
        for a, i in enumerate(ends[level]):
            for b, j in enumerate(ends[level + 1]):
                if kernel[i, j]:
                    color = "tab:red" if kernel[i, j] > 0 else "tab:blue"
                    axes.plot(
                        [level, level + 1],
                        [low[a], high[b]],
                        color=color,
                        alpha=0.25 + 0.75 * abs(kernel[i, j]) / strongest,
                        linewidth=1,
                    )
    axes.grid(False)
    for level, units in enumerate(ends):
        axes.plot([level] * len(units), place(len(units)), "o", color="black", markersize=4)
    axes.set_xticks(range(len(ends)), ["inputs", *map(str, range(1, depth + 1)), "outputs"])
    axes.set_yticks([])


def maps(target: Target, cell: Cell, weights: dict, dense: dict | None) -> Any:
    """Draw F5: every part as a map over two inputs, and the unit that resembles it most in the
    dense and in the pruned network. At most 8 parts are drawn.

    Args:
      target: the planted function.
      cell: depth and pruner of the network.
      weights: arrays of the pruned network.
      dense: arrays of the dense network; None: it is left out.
    """
    points, rows = grid_points(target), {"planted": None, "dense": dense, cell.pruner: weights}
    parts = np.asarray(jax.vmap(target.parts)(points))
    x = draw(target, jax.random.key(3), 1024)
    known = np.asarray(jax.vmap(target.parts)(x))
    rows = {name: w for name, w in rows.items() if name == "planted" or w is not None}
    count = min(parts.shape[1], 8)
    figure, panels = plots.new_figure(1.5 * count, 1.7 * len(rows), len(rows), count)
    for row, (name, w) in zip(panels, rows.items(), strict=True):
        for part in range(count):
            picture, title = parts[:, part], f"part {part}"
            if w is not None:
                picture, r = _unit_like(w, cell.depth, x, known[:, part], points)
                title = f"|r| {r:.2f}"
            row[part].imshow(picture.reshape(SIDE, SIDE), cmap="RdBu", origin="lower")
            row[part].set(xticks=[], yticks=[])
            row[part].set_title(title, fontsize=8)
        row[0].set_ylabel(name, fontsize=8)
    return figure


def grid_points(target: Target) -> jax.Array:
    """Inputs over a square, `[SIDE * SIDE, n]`: the plane itself, or the first and last input with
    the others at 0.3.
    """
    a, b = jnp.meshgrid(jnp.linspace(-1, 1, SIDE), jnp.linspace(-1, 1, SIDE), indexing="ij")
    if target.draws == "plane":
        return plane(jnp.stack([a.reshape(-1), b.reshape(-1)], -1))
    others = jnp.full((SIDE * SIDE, target.inputs), 0.3)
    return others.at[:, 0].set(a.reshape(-1)).at[:, -1].set(b.reshape(-1))


def _unit_like(weights, depth, x, part, points) -> tuple[np.ndarray, float]:
    arrays = {n: jnp.asarray(weights[n]) for n in ("win", "wh", "wo", "b", "bo")}
    h = np.asarray(_maps_of(arrays, x, depth))
    r = _likeness(h, part[:, None])[:, :, 0]
    layer, unit = np.unravel_index(r.argmax(), r.shape)
    sign = np.sign(np.cov(h[layer, :, unit], part)[0, 1]) or 1.0
    return sign * np.asarray(_maps_of(arrays, points, depth))[layer, :, unit], float(r.max())
