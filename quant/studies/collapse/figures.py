"""F1 to F5: scatter, codebook sizes, embeddings at the start, capacity, usage over time."""

from pathlib import Path
from typing import Any

import numpy as np

from quant.studies.collapse.config import Cell, CollapseConfig

COLOURS = {
    "untrained": "tab:red",
    "control": "tab:orange",
    "deferred": "tab:green",
    "uniform": "tab:purple",
    "normal": "tab:blue",
    "data": "tab:brown",
}


def draw_all(
    results: Path, report: Path, config: CollapseConfig, found: dict[Cell, dict]
) -> list[str]:
    """Draw what the cells allow; the names of the figures."""
    cells = list(found)
    largest = max(cells, key=lambda c: (c.dim, c.width, c.codes))
    alike = [
        c for c in cells if (c.dim, c.width, c.codes) == (largest.dim, largest.width, largest.codes)
    ]
    drawn = {
        "F1_scatter": scatter(results, alike),
        "F2_codes": sweep(
            found, [c for c in cells if (c.dim, c.width) == (largest.dim, largest.width)], "codes"
        ),
        "F3_embeddings": histogram(results, alike),
        "F4_width": sweep(
            found, [c for c in cells if (c.dim, c.codes) == (largest.dim, largest.codes)], "width"
        ),
        "F5_usage": trajectories(found, alike),
    }
    for name, figure in drawn.items():
        figure.savefig(report / f"{name}.png", dpi=90)
    return list(drawn)


def blank(width: float, height: float) -> Any:
    """An empty figure, inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def plane(rows: np.ndarray):
    """The two directions of largest variance: a function that maps `[N, ...]` to `[N, 2]`."""
    flat = rows.reshape(len(rows), -1)
    center = flat.mean(0)
    axes = np.linalg.svd(flat - center, full_matrices=False)[2][:2]
    axes = (
        np.concatenate([axes, np.zeros((2 - len(axes), axes.shape[1]))]) if len(axes) < 2 else axes
    )
    return lambda other: (other.reshape(len(other), -1) - center) @ axes.T


def scatter(results: Path, cells: list[Cell]) -> Any:
    """F1: data, reconstructions, and codes on embeddings, each in its first two principal
    directions.
    """
    figure = blank(10, 3.2 * len(cells))
    for row, cell in zip(figure.subplots(len(cells), 3, squeeze=False), cells, strict=True):
        with np.load(results / f"{cell.name}.npz") as shown:
            of_data, of_z = plane(shown["x"]), plane(shown["z"])
            panels = {
                "data": of_data(shown["x"]),
                "reconstructions": of_data(shown["back"]),
                "embeddings": of_z(shown["z"]),
            }
            for axes, (name, points) in zip(row, panels.items(), strict=True):
                axes.scatter(*points.T, s=4, alpha=0.4, color="tab:gray")
                axes.set_title(f"{cell.recipe}: {name}", fontsize=10)
            row[1].set(xlim=row[0].get_xlim(), ylim=row[0].get_ylim())
            row[2].scatter(
                *of_z(shown["codes"]).T,
                s=14,
                color=COLOURS[cell.recipe],
                edgecolor="black",
                linewidth=0.3,
            )
            row[2].set_title(f"{cell.recipe}: codes on embeddings", fontsize=10)
    return figure


def sweep(found: dict[Cell, dict], cells: list[Cell], axis: str) -> Any:
    """F2 (over codes) and F4 (over width): means over seeds, with every seed as a dot."""
    names = {
        "mse": "MSE",
        "perplexity": "perplexity",
        "code_cosine": "cosine distance of codes",
        "effective_rank": "effective rank of z",
    }
    figure = blank(13, 3.4)
    for axes, (name, label) in zip(figure.subplots(1, 4), names.items(), strict=True):
        for recipe in dict.fromkeys(c.recipe for c in cells):
            points = sorted(
                ((getattr(c, axis), found[c][name]) for c in cells if c.recipe == recipe),
                key=lambda p: p[0],
            )
            sizes = [size for size, _ in points]
            axes.plot(
                sizes,
                [np.mean(values) for _, values in points],
                "o-",
                color=COLOURS[recipe],
                label=recipe,
            )
            for size, values in points:
                axes.plot(
                    [size] * len(values),
                    values,
                    ".",
                    color=COLOURS[recipe],
                    alpha=0.4,
                    markersize=4,
                )
        axes.set(
            xlabel=f"{axis} of the encoder" if axis == "width" else "codes",
            ylabel=label,
            xscale="log",
        )
        axes.set_xscale("log", base=2)
    axes.legend(fontsize=8)
    return figure


def histogram(results: Path, cells: list[Cell]) -> Any:
    """F3: the embeddings that the codes were put on, along their first principal direction."""
    figure = blank(6, 3.4)
    axes = figure.subplots()
    for cell in cells:
        if cell.recipe in ("untrained", "deferred"):
            with np.load(results / f"{cell.name}.npz") as shown:
                label = "trained encoder" if cell.recipe == "deferred" else "untrained encoder"
                axes.hist(
                    plane(shown["at_start"])(shown["at_start"])[:, 0],
                    60,
                    alpha=0.6,
                    color=COLOURS[cell.recipe],
                    label=label,
                )
    axes.set(xlabel="embedding, first principal direction", ylabel="examples")
    axes.legend(fontsize=8)
    return figure


def trajectories(found: dict[Cell, dict], cells: list[Cell]) -> Any:
    """F5: perplexity of a batch over the updates with codes, a line per seed."""
    figure = blank(7, 3.6)
    axes = figure.subplots()
    for cell in cells:
        for number, curve in enumerate(found[cell]["curves"]["perplexity"]):
            steps = found[cell]["every"] * np.arange(1, len(curve) + 1)
            axes.plot(
                steps,
                curve,
                color=COLOURS[cell.recipe],
                alpha=0.6,
                linewidth=1,
                label=None if number else cell.recipe,
            )
    axes.set(xlabel="updates with codes", ylabel="perplexity of a batch")
    axes.legend(fontsize=8)
    return figure
