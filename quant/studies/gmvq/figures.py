"""The figures of the GM-VQ study."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np

from jaxrl.app import plots
from jaxrl.app.cells import Cells
from quant.studies.gmvq.bias import TEMPERATURES, Biases
from quant.studies.gmvq.bounds import bounds_over_spread
from quant.studies.gmvq.config import Cell
from quant.studies.page import Drawn, drawn

COLORS = {"gm-vq": plots.COLORS[0], "gm-vq-elbo": plots.COLORS[1]}
"""Colors of the methods that are swept."""
SHOWN = {"mse": "MSE", "perplexity": "perplexity"}
SWEPT = {"beta": "beta, weight of the KL", "gamma": "gamma, of the commitment", "batch": "batch"}


def draw_all(kept: Cells, found: dict[Cell, dict], bias: Biases | None) -> list[Drawn]:
    """The figures that the cells can fill."""
    first = {
        method: next(cell for cell in found if cell.method == method)
        for method in dict.fromkeys(c.method for c in found)
    }
    made = [
        drawn(
            "G1_methods",
            methods(found, first),
            "Every method at its first settings on held-out examples: a dot per seed, a bar at "
            "their mean. Less error, more perplexity and more information are better.",
        )
    ]
    if "gm-vq" in first and any(len(swept(found, first["gm-vq"], axis)) > 1 for axis in SWEPT):
        made.append(
            drawn(
                "G2_sweeps",
                sweeps(found, first),
                "One setting at a time, others at their first value: means over seeds as lines, "
                "every seed as a dot.",
            )
        )
    made.append(
        drawn(
            "G3_curves",
            curves(found, first),
            "Training: perplexity of a batch, and entropy of the choice of a code for one row, "
            "means over seeds; methods without soft choices have no entropy.",
        )
    )
    if kept.read_arrays(next(iter(first.values())).name)["x"].ndim == 4:
        made.append(
            drawn(
                "G4_pictures",
                pictures(kept, first),
                "Held-out examples and what each method reconstructs, first seed.",
            )
        )
    made.append(
        drawn(
            "G5_bounds",
            bounds(),
            "ALBO and ELBO of a model whose evidence is known, over the spread of q(z given x): "
            "where the ALBO lies above log p(x) it is no lower bound.",
        )
    )
    if bias:
        made.append(
            drawn(
                "G6_bias",
                biases(bias),
                "Bias of Gumbel-softmax gradients over the entropy of the choice, a dot per random "
                "network; debiased: without the noise of the measured mean.",
            )
        )
    return made


WIDE = 10
"""Ratio of errors from which their axis is logarithmic: one bad cell would hide the others."""


def error_scale(errors: list[float]) -> str:
    """Scale of an axis of errors, all above 0."""
    return "log" if min(errors) > 0 and max(errors) > WIDE * min(errors) else "linear"


def methods(found: dict[Cell, dict], first: dict[str, Cell]) -> Any:
    """G1: every method at its first settings, a dot per seed; wide errors logarithmic."""
    figure, grid = plots.new_figure(12, 0.8 + 0.35 * len(first), 1, 3, sharey=True)
    names = {"mse": "MSE", "perplexity": "perplexity", "information": "I(x; c), nats"}
    for axes, (name, label) in zip(grid[0], names.items(), strict=True):
        for row, cell in enumerate(first.values()):
            values = found[cell][name]
            axes.plot(
                values, [row] * len(values), "o", color=COLORS.get(cell.method, "gray"), alpha=0.6
            )
            axes.plot(np.mean(values), row, "k|", markersize=12)
        axes.set(
            xlabel=label,
            yticks=range(len(first)),
            yticklabels=list(first),
            ylim=(-0.6, len(first) - 0.4),
        )
    grid[0, 0].set_xscale(error_scale([e for cell in first.values() for e in found[cell]["mse"]]))
    return figure


def swept(found: dict[Cell, dict], first: Cell, axis: str) -> list[Cell]:
    """The cells that differ from `first` in `axis` alone, in its order."""
    alike = [cell for cell in found if replace(cell, **{axis: getattr(first, axis)}) == first]
    return sorted(alike, key=lambda cell: getattr(cell, axis))


def sweeps(found: dict[Cell, dict], first: dict[str, Cell]) -> Any:
    """G2: over the weight of the KL, the commitment's, and the batch, one at a time, others at
    their first value; big dots are means.
    """
    lines = {
        axis: {m: swept(found, first[m], axis) for m in COLORS if m in first} for axis in SWEPT
    }
    lines = {axis: of for axis, of in lines.items() if len(of["gm-vq"]) > 1}
    figure, grid = plots.new_figure(4 * len(lines), 6, 2, len(lines), sharey="row")
    for column, (axis, of) in zip(grid.T, lines.items(), strict=True):
        places = [getattr(cell, axis) for cell in of["gm-vq"]]
        for (method, cells), (axes, (name, label)) in itertools.product(
            of.items(), zip(column, SHOWN.items(), strict=True)
        ):
            at = [places.index(getattr(cell, axis)) for cell in cells]
            axes.plot(
                at,
                [np.mean(found[cell][name]) for cell in cells],
                "o-",
                color=COLORS[method],
                label=method,
            )
            for place, cell in zip(at, cells, strict=True):
                axes.plot(
                    [place] * len(found[cell][name]),
                    found[cell][name],
                    ".",
                    color=COLORS[method],
                    alpha=0.5,
                )
            axes.set(
                xticks=range(len(places)),
                xticklabels=[f"{place:g}" for place in places],
                xlabel=SWEPT[axis],
                ylabel=label,
            )
        column[0].legend(fontsize=8)
    shown = [cell for of in lines.values() for cells in of.values() for cell in cells]
    grid[0, 0].set_yscale(error_scale([e for cell in shown for e in found[cell]["mse"]]))
    return figure


def curves(found: dict[Cell, dict], first: dict[str, Cell]) -> Any:
    """G3: perplexity of a batch and the mean entropy of a row, over the updates, mean
    over seeds.
    """
    figure, grid = plots.new_figure(11, 3.8, 1, 2)
    names = {"perplexity": "perplexity of a batch", "entropy_row": "H(c given x), nats"}
    for axes, (name, label) in zip(grid[0], names.items(), strict=True):
        for method, cell in first.items():
            if name in found[cell]["curves"]:
                mean = np.mean(found[cell]["curves"][name], 0)
                axes.plot(
                    found[cell]["every"] * np.arange(1, 1 + len(mean)),
                    mean,
                    label=method,
                    **_look_of(method, list(first)),
                )
        axes.set(xlabel="updates", ylabel=label)
        axes.legend(fontsize=7)
    return figure


def _look_of(method, methods):
    """Look of a method's line: no two are alike."""
    if method in COLORS:
        return {"color": COLORS[method], "linewidth": 2.5}
    number = [m for m in methods if m not in COLORS].index(method)
    rest = plots.COLORS[len(COLORS) :]
    style = ("-", "--", ":")[number // len(rest) % 3]
    return {"color": rest[number % len(rest)], "linewidth": 1.2, "linestyle": style}


def pictures(kept: Cells, first: dict[str, Cell]) -> Any:
    """G4: held-out examples and what comes back, of the first seed."""
    shown = {}
    for method, cell in first.items():
        arrays = kept.read_arrays(cell.name)
        shown.setdefault("input", arrays["x"])
        shown[method] = arrays["back"]
    count = len(shown["input"])
    figure, grid = plots.new_figure(1.6 + 0.7 * count, 0.75 * len(shown), len(shown), count)
    for row, (name, images) in zip(grid, shown.items(), strict=True):
        for axes, image in zip(row, images, strict=True):
            axes.imshow(np.clip(image.squeeze(), 0, 1), cmap="gray", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    return figure


def bounds() -> Any:
    """G5: ALBO and ELBO over the width of q(z|x), with log p(x)."""
    found = bounds_over_spread()
    figure, grid = plots.new_figure(5.5, 3.6)
    axes = grid[0, 0]
    axes.plot(found.spread, found.albo, label="ALBO", color=plots.COLORS[0])
    axes.plot(found.spread, found.elbo, label="ELBO", color=plots.COLORS[1])
    axes.axhline(found.evidence, color="black", linestyle="--", label="log p(x)")
    axes.set(xscale="log", xlabel="spread of q(z given x)", ylabel="nats", ylim=(-8, 1))
    axes.legend()
    return figure


def biases(bias: Biases) -> Any:
    """G6: bias of the gradient over the entropy of the choice, a dot per random network."""
    figure, grid = plots.new_figure(11, 3.4, 1, len(TEMPERATURES), sharey=True)
    for row, (axes, tau) in enumerate(zip(grid[0], TEMPERATURES, strict=True)):
        for name in ("measured", "debiased"):
            axes.plot(
                bias.entropy[row],
                getattr(bias, name)[row],
                "o",
                alpha=0.7,
                markersize=5 if name == "measured" else 3,
                label=name,
            )
        axes.set(
            xlabel="entropy of the choice, nats",
            ylabel="bias of the gradient",
            title=f"temperature {tau:g}",
        )
        axes.legend(fontsize=8)
    return figure
