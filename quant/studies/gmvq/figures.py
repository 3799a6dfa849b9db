"""The figures of the GM-VQ study."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from quant.studies.collapse.figures import blank
from quant.studies.gmvq.bias import TEMPERATURES, Biases
from quant.studies.gmvq.bounds import bounds_over_spread
from quant.studies.gmvq.config import Cell, GMVQStudyConfig

COLOURS = {"gm-vq": "tab:blue", "gm-vq-elbo": "tab:orange"}
"""Of the methods that are swept."""
SHOWN = {"mse": "MSE", "perplexity": "perplexity"}
SWEPT = {"beta": "beta, weight of the KL", "gamma": "gamma, of the commitment", "batch": "batch"}


def draw_all(
    results: Path,
    report: Path,
    config: GMVQStudyConfig,
    found: dict[Cell, dict],
    bias: Biases | None,
) -> list[str]:
    """PNG files in `report`; their names without the ending."""
    first = {
        method: next(cell for cell in found if cell.method == method)
        for method in dict.fromkeys(c.method for c in found)
    }
    drawn = {
        "G1_methods": methods(found, first),
        "G3_curves": curves(found, first),
        "G5_bounds": bounds(),
    }
    if "gm-vq" in first and any(len(swept(found, first["gm-vq"], axis)) > 1 for axis in SWEPT):
        drawn["G2_sweeps"] = sweeps(found, first)
    if bias:
        drawn["G6_bias"] = biases(bias)
    if len(np.load(results / f"{next(iter(first.values())).name}.npz")["x"].shape) == 4:
        drawn["G4_pictures"] = pictures(results, first)
    for name, figure in drawn.items():
        figure.savefig(report / f"{name}.png", dpi=90)
    return sorted(drawn)


def methods(found: dict[Cell, dict], first: dict[str, Cell]) -> Any:
    """G1: every method at its first settings, a dot per seed."""
    figure = blank(12, 0.6 + 0.35 * len(first))
    names = {"mse": "MSE", "perplexity": "perplexity", "information": "I(x; c), nats"}
    for axes, (name, label) in zip(figure.subplots(1, 3, sharey=True), names.items(), strict=True):
        for row, cell in enumerate(first.values()):
            values = found[cell][name]
            axes.plot(
                values,
                [row] * len(values),
                "o",
                color=COLOURS.get(cell.method, "tab:gray"),
                alpha=0.6,
            )
            axes.plot(np.mean(values), row, "k|", markersize=12)
        axes.set(
            xlabel=label,
            yticks=range(len(first)),
            yticklabels=list(first),
            ylim=(-0.6, len(first) - 0.4),
        )
        axes.grid(axis="x", alpha=0.3)
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
        axis: {m: swept(found, first[m], axis) for m in COLOURS if m in first} for axis in SWEPT
    }
    lines = {axis: of for axis, of in lines.items() if len(of["gm-vq"]) > 1}
    figure = blank(4 * max(len(lines), 1), 6)
    for column, (axis, of) in zip(
        figure.subplots(2, max(len(lines), 1), sharey="row", squeeze=False).T,
        lines.items(),
        strict=False,
    ):
        places = [getattr(cell, axis) for cell in of["gm-vq"]]
        for (method, cells), (axes, (name, label)) in itertools.product(
            of.items(), zip(column, SHOWN.items(), strict=True)
        ):
            at = [places.index(getattr(cell, axis)) for cell in cells]
            axes.plot(
                at,
                [np.mean(found[cell][name]) for cell in cells],
                "o-",
                color=COLOURS[method],
                label=method,
            )
            for place, cell in zip(at, cells, strict=True):
                axes.plot(
                    [place] * len(found[cell][name]),
                    found[cell][name],
                    ".",
                    color=COLOURS[method],
                    alpha=0.5,
                )
            axes.set(
                xticks=range(len(places)),
                xticklabels=[f"{place:g}" for place in places],
                xlabel=SWEPT[axis],
                ylabel=label,
            )
        column[0].legend(fontsize=8)
    return figure


def curves(found: dict[Cell, dict], first: dict[str, Cell]) -> Any:
    """G3: perplexity of a batch and the mean entropy of a row, over the updates, mean
    over seeds.
    """
    figure = blank(11, 3.8)
    names = {"perplexity": "perplexity of a batch", "entropy_row": "H(c given x), nats"}
    for axes, (name, label) in zip(figure.subplots(1, 2), names.items(), strict=True):
        for number, (method, cell) in enumerate(first.items()):
            if name in found[cell]["curves"]:
                mean = np.mean(found[cell]["curves"][name], 0)
                look = {
                    "color": COLOURS.get(method, f"C{2 + number % 8}"),
                    "linestyle": "-" if number < 8 else "--",
                }
                look["linewidth"] = 2.5 if method in COLOURS else 1.2
                axes.plot(
                    found[cell]["every"] * np.arange(1, 1 + len(mean)), mean, label=method, **look
                )
        axes.set(xlabel="updates", ylabel=label)
        axes.legend(fontsize=7)
    return figure


def pictures(results: Path, first: dict[str, Cell]) -> Any:
    """G4: held-out examples and what comes back, of the first seed."""
    shown = {}
    for method, cell in first.items():
        with np.load(results / f"{cell.name}.npz") as arrays:
            shown.setdefault("input", arrays["x"])
            shown[method] = arrays["back"]
    count = len(shown["input"])
    figure = blank(1 + 0.7 * count, 0.75 * len(shown))
    for row, (name, images) in zip(
        figure.subplots(len(shown), count, squeeze=False), shown.items(), strict=True
    ):
        for axes, image in zip(row, images, strict=True):
            axes.imshow(np.clip(image.squeeze(), 0, 1), cmap="gray", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    return figure


def bounds() -> Any:
    """G5: ALBO and ELBO over the width of q(z|x), with log p(x)."""
    found = bounds_over_spread()
    figure = blank(5.5, 3.6)
    axes = figure.subplots()
    axes.plot(found.spread, found.albo, label="ALBO", color="tab:blue")
    axes.plot(found.spread, found.elbo, label="ELBO", color="tab:orange")
    axes.axhline(found.evidence, color="black", linestyle="--", label="log p(x)")
    axes.set(xscale="log", xlabel="spread of q(z given x)", ylabel="nats", ylim=(-8, 1))
    axes.legend()
    return figure


def biases(bias: Biases) -> Any:
    """G6: bias of the gradient over the entropy of the choice, a dot per random network."""
    figure = blank(11, 3.4)
    for row, (axes, tau) in enumerate(
        zip(figure.subplots(1, len(TEMPERATURES)), TEMPERATURES, strict=True)
    ):
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
