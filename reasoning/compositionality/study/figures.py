"""Figures 1, 2, 3, 6, 7 and 8: heat-maps, curves, scatters, and the counts of the theory."""

from typing import Any

import numpy as np

from jaxrl.app import plots
from reasoning.compositionality import theory
from reasoning.compositionality.study.config import DENSE, SweepConfig
from reasoning.compositionality.study.verdict import average, grid, over_depth, resample
from reasoning.compositionality.targets import target_by_name

COLORS = {
    "dense": "black",
    "share": "tab:red",
    "edge": "tab:orange",
    "node": "tab:brown",
    "magnitude": "tab:blue",
    "global_magnitude": "tab:cyan",
    "saliency": "tab:purple",
    "random": "tab:gray",
    "snip": "tab:olive",
    "lottery": "tab:pink",
    "rigl": "gold",
    "set": "yellowgreen",
    "static_random": "silver",
    "l1": "teal",
    "oracle": "tab:green",
}
MAPS = {
    "score": "score C",
    "alignment": "alignment A",
    "support": "support S",
    "fracture": "fracture Fr",
    "fit": "R² (0 if below)",
}


def draw_all(config: SweepConfig, rows, known, depths) -> dict[str, Any]:
    """Draw all figures.

    Args:
      config: settings of the sweep.
      rows: measures of all networks, as dictionaries.
      known: predictions by target.
      depths: peaks over depth by target and pruner.

    Returns:
      Figures by caption.
    """
    drawn = {
        f"1. {name}: measures over depth and density": heatmap(config, rows, name)
        for name in config.targets
        if min(config.densities) < 1
    }
    drawn["2. Score over depth at the best density"] = curves(config, rows)
    drawn["3. Predicted and best depth"] = predicted(config, known, depths)
    drawn["6. Fit and fracture"] = scatter(
        rows, ("mse", "mean squared error"), ("fracture", "fracture Fr: there, but split"), "log"
    )
    if config.withhold:
        fitting = [row for row in rows if row["fits"] and np.isfinite(row["gap"])]
        axes = ("score", "score C (networks that fit)"), ("gap", "R² − R² in the withheld corner")
        drawn["7. Score and compositional gap"] = scatter(fitting, *axes, "linear")
    drawn["8. How many networks hold the graph"] = counts(config)
    return drawn


def heatmap(config: SweepConfig, rows, name: str) -> Any:
    """F1: measures over depth and density, a column per pruner; a cross where the graph was
    planted, dots on the ridge of volume (E3).
    """
    columns, target = list(config.pruners), target_by_name(name)
    size = 2.1 + 2.5 * len(columns), 2.2 * len(MAPS)
    figure, panels = plots.new_figure(*size, len(MAPS), len(columns), sharex=True)
    for row, (measure, label) in zip(panels, MAPS.items(), strict=True):
        for axes, pruner in zip(row, columns, strict=True):
            found = np.clip(grid(rows, config, name, pruner, measure), 0, 1)
            means = average(found)
            image = plots.heatmap(axes, means, vmin=0, vmax=1)
            _annotate(axes, config, rows, name, pruner, target)
            axes.set_title(pruner if measure == "score" else "", fontsize=10)
        row[0].set_ylabel(f"{label}\ndensity (mean fan-in)", fontsize=8)
        figure.colorbar(image, ax=row[-1])
    for axes in panels[-1]:
        axes.set_xlabel("hidden layers")
    figure.suptitle(
        f"{name}: planted at {target.layers} layers\n(cross: fan-in nearest arity {target.arity}; "
        "dots: largest volume)",
        fontsize=9,
    )
    return figure


def _annotate(axes, config, rows, name, pruner, target):
    fan_in = average(grid(rows, config, name, pruner, "fan_in").reshape(len(config.densities), -1))

    def label(rho, mean):
        return f"{rho:g} ({mean:.1f})" if np.isfinite(mean) else f"{rho:g}"

    axes.set_xticks(range(len(config.depths)), [str(d) for d in config.depths], fontsize=8)
    axes.set_yticks(
        range(len(config.densities)), list(map(label, config.densities, fan_in)), fontsize=7
    )
    if target.layers in config.depths and np.isfinite(fan_in).any():
        axes.plot(
            config.depths.index(target.layers),
            int(np.nanargmin(np.abs(fan_in - target.arity))),
            "x",
            color="white",
            markersize=9,
        )
    ridge = [_ridge(target, config, rho) for rho in config.densities]
    axes.plot(
        [r for r in ridge if r is not None],
        [i for i, r in enumerate(ridge) if r is not None],
        "w.",
        markersize=4,
    )


def _ridge(target, config, density) -> int | None:
    """Place on the axis of the depth with the largest volume at a density."""
    if density >= 1:
        return None
    values = [
        theory.log_volume(target, depth, max(config.width, 40), density) for depth in config.depths
    ]
    return int(np.argmax(values)) if np.isfinite(values).any() else None


def curves(config: SweepConfig, rows) -> Any:
    """F2: score over depth at the best density, with 95 % bands."""
    figure, panels = plots.new_figure(*_panels(len(config.targets)))
    for axes, name in zip(panels.flat, config.targets, strict=False):
        for pruner in ([DENSE] if 1.0 in config.densities else []) + list(config.pruners):
            if pruner != DENSE and min(config.densities) == 1:
                continue
            values = over_depth(rows, config, name, pruner)
            low, high = np.quantile(
                values[:, resample(config.seeds)].mean(-1), [0.025, 0.975], axis=1
            )
            style = {"marker": "o", "color": COLORS[pruner], "label": pruner, "markersize": 3}
            plots.line_with_band(axes, config.depths, values.mean(1), low, high, **style)
        axes.axvline(target_by_name(name).layers, color="gray", linestyle=":")
        axes.set(
            title=name,
            xlabel="hidden layers (dotted: planted)",
            ylabel="score C at the best density",
            ylim=(-0.02, 1.02),
        )
    axes.legend(fontsize=7)
    return figure


def predicted(config: SweepConfig, known, depths) -> Any:
    """F3: predicted depth and best depth of every target, with the interval of the best one."""
    figure, ((axes,),) = plots.new_figure(5.5, 4.2)
    most = max([*config.depths, *(k.planted for k in known.values())])
    axes.plot([0.5, most + 0.5], [0.5, most + 0.5], color="lightgray")
    marks = {"separability": "o", "interactions": "s", "volume": "^", "planted": "x"}
    for number, name in enumerate(config.targets):
        chosen = next(
            (
                p
                for p in ("share", DENSE, *depths[name])
                if p in depths[name] and depths[name][p].answer != "nothing fits"
            ),
            None,
        )
        if chosen is None:
            continue
        best = depths[name][chosen]
        for place, (predictor, mark) in enumerate(marks.items()):
            value = getattr(known[name], predictor)
            if value is not None:
                x = value + 0.08 * (place - 1.5) + 0.03 * number
                axes.errorbar(
                    x,
                    best.place,
                    [[best.place - best.low], [best.high - best.place]],
                    fmt=mark,
                    color=f"C{number}",
                    capsize=2,
                    markersize=6,
                )
        axes.plot([], [], "-", color=f"C{number}", label=f"{name} ({chosen})")
    for predictor, mark in marks.items():
        axes.plot(
            [],
            [],
            mark,
            color="black",
            label={
                "separability": "E1",
                "interactions": "E2",
                "volume": "E3",
                "planted": "planted",
            }[predictor],
        )
    axes.set(xlabel="predicted hidden layers", ylabel="best depth, 95 % interval")
    axes.legend(fontsize=7)
    return figure


def _panels(count: int) -> tuple[float, float, int, int]:
    """Width, height, rows and columns of a figure with a panel per target, three in a row."""
    columns = min(count, 3)
    rows = -(-count // columns)
    return 4.2 * columns, 3.4 * rows, rows, columns


def scatter(rows, x: tuple[str, str], y: tuple[str, str], scale: str) -> Any:
    """Draw F6 or F7: a dot per network, colored by pruner, and a panel per target.

    Args:
      rows: measures of networks, as dictionaries; none: an empty panel.
      x: a measure and its label.
      y: a measure and its label.
      scale: scale of the x axis, "linear" or "log".
    """
    targets = list(dict.fromkeys(row["target"] for row in rows)) or ["no network fits"]
    figure, panels = plots.new_figure(*_panels(len(targets)))
    for axes, name in zip(panels.flat, targets, strict=False):
        for pruner in dict.fromkeys(row["pruner"] for row in rows):
            mine = [row for row in rows if row["target"] == name and row["pruner"] == pruner]
            axes.plot(
                [row[x[0]] for row in mine],
                [row[y[0]] for row in mine],
                ".",
                color=COLORS[pruner],
                alpha=0.4,
                markersize=4,
                label=pruner,
            )
        axes.set(title=name, xlabel=x[1], ylabel=y[1], xscale=scale)
    if rows:
        axes.legend(fontsize=7, markerscale=2)
    return figure


def counts(config: SweepConfig) -> Any:
    """F8: expected number of exact placements over density, closed form and simulated masks, and
    the volume over depth.
    """
    figure, ((left, right),) = plots.new_figure(9, 3.4, 1, 2)
    small, densities = target_by_name("tanh_tree:2"), np.linspace(0.1, 0.9, 9)
    for number, width in enumerate((3, 4)):
        where = theory.placement(small, 2, width)
        left.plot(
            densities,
            [np.exp(theory.log_expected_count(where, d)) for d in densities],
            color=f"C{number}",
            label=f"closed form, W = {width}",
        )
        found = [theory.simulated_count(small, 2, width, d, 8_000) for d in densities]
        left.errorbar(
            densities,
            [m for m, _ in found],
            [1.96 * e for _, e in found],
            fmt="o",
            color=f"C{number}",
            markersize=3,
            label="simulated",
        )
        left.axvline(theory.best_density(where), color=f"C{number}", linestyle=":")
    left.set(
        xlabel="density of a random mask", ylabel="exact placements of tanh_tree:2", yscale="log"
    )
    left.legend(fontsize=7)
    for name in config.targets:
        target, layers = target_by_name(name), range(1, max(config.depths) + 3)
        values = np.array([theory.log_volume(target, n, max(config.width, 40)) for n in layers])
        right.plot(
            np.array(layers)[np.isfinite(values)],
            values[np.isfinite(values)],
            "o-",
            markersize=3,
            label=name,
        )
    right.set(
        xlabel="hidden layers",
        ylabel=f"log volume at the best density, W = {max(config.width, 40)}",
    )
    right.legend(fontsize=7)
    return figure
