"""F1 to F5: scatter, codebook sizes, embeddings at the start, capacity, usage over time; those that
the cells of a run can fill.
"""

from typing import Any, Literal

import numpy as np

from jaxrl.app import plots
from jaxrl.app.cells import Cells
from quant.studies.collapse.config import Cell
from quant.studies.page import Drawn, drawn

RECIPES = ("untrained", "control", "deferred", "uniform", "normal", "data")
COLORS = dict(zip(RECIPES, plots.COLORS, strict=False))
MEASURES = {
    "mse": "MSE on held-out examples",
    "perplexity": "perplexity of the codebook",
    "code_cosine": "mean cosine distance of codes",
    "effective_rank": "effective rank of embeddings",
}


def draw_all(kept: Cells, found: dict[Cell, dict]) -> list[Drawn]:
    """The figures that the cells allow; a sweep over one size is none."""
    cells = list(found)
    largest = max(cells, key=lambda c: (c.dim, c.width, c.codes))
    alike = [
        c for c in cells if (c.dim, c.width, c.codes) == (largest.dim, largest.width, largest.codes)
    ]
    where = f"{largest.codes} codes, encoder of width {largest.width}"
    sizes = [c for c in cells if (c.dim, c.width) == (largest.dim, largest.width)]
    widths = [c for c in cells if (c.dim, c.codes) == (largest.dim, largest.codes)]

    def over(name: str, varied: list[Cell], field: Literal["codes", "width"], said: str):
        if len({getattr(cell, field) for cell in varied}) < 2:
            return []
        seeds = "means over seeds as lines, every seed as a dot"
        return [drawn(name, sweep(found, varied, field), f"Each measure over {said}: {seeds}.")]

    made = [
        drawn(
            "F1_scatter",
            scatter(kept, alike),
            f"First seed of each recipe, {where}: held-out data, what the autoencoder makes of it, "
            "and codes (colored) on embeddings (gray), each in its first two principal directions. "
            "A collapsed codebook reconstructs fewer clusters than the data has.",
        )
    ]
    made += over("F2_codes", sizes, "codes", "the number of codes")
    if {"untrained", "deferred"} <= {c.recipe for c in alike}:
        made.append(
            drawn(
                "F3_embeddings",
                histogram(kept, alike),
                "Embeddings that the codes were put on, along their first principal direction: an "
                "untrained encoder gives k-means a narrow cloud, a trained one the clusters.",
            )
        )
    made += over("F4_width", widths, "width", "the width of the encoder, its capacity")
    made.append(
        drawn(
            "F5_usage",
            trajectories(found, alike),
            f"Perplexity of a training batch over the updates with codes, {where}: a line a seed.",
        )
    )
    return made


def plane(rows: np.ndarray):
    """The two directions of largest variance: a function that maps `[N, ...]` to `[N, 2]`."""
    flat = rows.reshape(len(rows), -1)
    center = flat.mean(0)
    axes = np.linalg.svd(flat - center, full_matrices=False)[2][:2]
    axes = (
        np.concatenate([axes, np.zeros((2 - len(axes), axes.shape[1]))]) if len(axes) < 2 else axes
    )
    return lambda other: (other.reshape(len(other), -1) - center) @ axes.T


def scatter(kept: Cells, cells: list[Cell]) -> Any:
    """F1: data, reconstructions, and codes on embeddings, each in its first two principal
    directions.
    """
    figure, grid = plots.new_figure(10, 3.2 * len(cells), len(cells), 3)
    for row, cell in zip(grid, cells, strict=True):
        shown = kept.read_arrays(cell.name)
        of_data, of_z = plane(shown["x"]), plane(shown["z"])
        panels = {
            "data": of_data(shown["x"]),
            "reconstructions": of_data(shown["back"]),
            "codes on embeddings": of_z(shown["z"]),
        }
        for axes, (name, points) in zip(row, panels.items(), strict=True):
            axes.scatter(*points.T, s=4, alpha=0.4, color="gray")
            axes.set_title(f"{cell.recipe}: {name}", fontsize=10)
            axes.set(xlabel="1st direction", ylabel="2nd direction")
        row[1].set(xlim=row[0].get_xlim(), ylim=row[0].get_ylim())
        row[2].scatter(
            *of_z(shown["codes"]).T,
            s=14,
            color=COLORS[cell.recipe],
            edgecolor="black",
            linewidth=0.3,
        )
    return figure


def sweep(found: dict[Cell, dict], cells: list[Cell], axis: str) -> Any:
    """F2 (over codes) and F4 (over width): a panel per measure, means over seeds, every seed as a
    dot.
    """
    figure, grid = plots.new_figure(8.5, 6, 2, 2)
    for axes, (name, label) in zip(grid.reshape(-1), MEASURES.items(), strict=True):
        for recipe in dict.fromkeys(c.recipe for c in cells):
            points = sorted(
                ((getattr(c, axis), found[c][name]) for c in cells if c.recipe == recipe),
                key=lambda p: p[0],
            )
            sizes = [size for size, _ in points]
            means = [np.mean(values) for _, values in points]
            plots.line_with_band(
                axes, sizes, means, color=COLORS[recipe], label=recipe, marker="o", markersize=4
            )
            for size, values in points:
                axes.plot([size] * len(values), values, ".", color=COLORS[recipe], alpha=0.4)
        axes.set(xlabel="width of the encoder" if axis == "width" else "codes", ylabel=label)
        axes.set_xscale("log", base=2)
    grid[0, 0].legend(fontsize=8)
    return figure


def histogram(kept: Cells, cells: list[Cell]) -> Any:
    """F3: the embeddings that the codes were put on, along their first principal direction."""
    figure, grid = plots.new_figure(6, 3.4)
    axes = grid[0, 0]
    for cell in cells:
        if cell.recipe in ("untrained", "deferred"):
            start = kept.read_arrays(cell.name)["at_start"]
            label = "trained encoder" if cell.recipe == "deferred" else "untrained encoder"
            color = COLORS[cell.recipe]
            axes.hist(plane(start)(start)[:, 0], 60, alpha=0.6, color=color, label=label)
    axes.set(xlabel="embedding, first principal direction", ylabel="examples")
    axes.legend(fontsize=8)
    return figure


def trajectories(found: dict[Cell, dict], cells: list[Cell]) -> Any:
    """F5: perplexity of a batch over the updates with codes, a line per seed."""
    figure, grid = plots.new_figure(7, 3.6)
    axes = grid[0, 0]
    for cell in cells:
        for number, curve in enumerate(found[cell]["curves"]["perplexity"]):
            steps = found[cell]["every"] * np.arange(1, len(curve) + 1)
            label = None if number else cell.recipe
            axes.plot(steps, curve, color=COLORS[cell.recipe], alpha=0.6, linewidth=1, label=label)
    axes.set(xlabel="updates with codes", ylabel="perplexity of a batch")
    axes.legend(fontsize=8)
    return figure
