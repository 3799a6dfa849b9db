"""Figures of the studies, as PNG data."""

from typing import Any

import numpy as np

from jaxrl.app.plots import heatmap, new_figure, to_png
from jaxrl.app.stats import t_interval
from reasoning.e2c.evaluate.scores import crossed
from reasoning.e2c.study import adapt
from reasoning.e2c.study.policies import outcomes

SHOWN = {
    "greedy": "greedy",
    "greedy_plain": "greedy, no plans",
    "sc": "self-consistency",
    "sc_plain": "self-consistency, no plans",
    "e2c_sc": "plans, all executed",
    "select_judge": "select: likeliest",
    "select_clusters": "select: clusters",
    "random_plan": "random plan (control)",
    "combine": "all plans as one",
    "tot": "tree",
    "fot": "forest",
    "tot_official": "tree, official",
    "fot_official": "forest, official",
    "react": "ReAct loop",
}


def draw_all(found: dict[str, Any]) -> dict[str, bytes]:
    """PNG files of everything that was measured, by name."""
    drawn = {"tokens": accuracy_against_tokens(found["policies"])}
    if "adapt" in found:
        drawn["adaptation"] = adaptation(found["adapt"])
    if "rl" in found:
        drawn["reinforcement"] = reinforcement(found["rl"])
    drawn["adherence"] = adherence(found["adherence"])
    return {name: to_png(figure) for name, figure in drawn.items()}


def _plain_ticks(axes, values):
    """Whole numbers at these places of a logarithmic axis, as far as it reaches, and nothing
    between them.
    """
    low, high = axes.get_xlim()
    shown = [value for value in values if low <= value <= high]
    axes.set_xticks(shown, [str(value) for value in shown])
    axes.minorticks_off()


def accuracy_against_tokens(cells: dict[str, dict]):
    """One line per policy over k; log tokens."""
    figure, ((axes,),) = new_figure(8.5, 5)
    for number, (name, label) in enumerate(SHOWN.items()):
        own = [cell for cell in cells if cell.rpartition("-")[0] == name]
        if own:
            style = {
                "marker": "*" if name.startswith("greedy") else "os^vD"[number % 5],
                "linestyle": "--" if "official" in name or name == "random_plan" else "-",
                "markersize": 10 if name.startswith("greedy") else 4,
                "linewidth": 4 if name == "select_judge" else 1.5,  # the ReAct loop may cover it
            }
            x, y = [cells[c]["generated"] for c in own], [np.mean(cells[c]["correct"]) for c in own]
            axes.plot(
                x,
                y,
                label=label,
                color=f"C{number}" if number < 10 else ("black", "0.3", "0.5", "0.7")[number % 4],
                **style,
            )
    if "sc-8" in cells:
        interval = crossed(outcomes(cells["sc-8"]))
        axes.axhspan(
            interval.low, interval.high, color="C0", alpha=0.1, label="self-consistency of 8, 95 %"
        )
        axes.axvline(
            0.25 * cells["sc-8"]["generated"],
            color="gray",
            linewidth=0.8,
            linestyle=":",
            label="a quarter of its tokens",
        )
    axes.set(
        xscale="log",
        xlabel="generated tokens per problem",
        ylabel="accuracy",
        title="Accuracy against tokens",
    )
    _plain_ticks(axes, (20, 30, 50, 100, 200, 300, 500, 1000))
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _band(values: list[float]) -> tuple[float, float, float]:
    """Mean, and the ends of a bar: an interval, or of two draws the draws themselves."""
    found = t_interval(values)
    if len(values) > 2:
        return found.mean, found.low, found.high
    return found.mean, min(values), max(values)


def adaptation(found: dict[str, Any]):
    """Accuracy on both domains over the rows of the new one; the legend tells how many tokens were
    trained, against full SFT.
    """
    figure, (row,) = new_figure(10, 4, 1, 2)
    lines = adapt.table(found)
    for number, method in enumerate(adapt.METHODS):
        own = [line for line in lines if line["method"] == method]
        if not own:
            continue
        label = (
            f"{method.replace('_', ' ')} ({np.mean([line['share'] for line in own]):.0%} of "
            "the tokens)"
        )
        place = [line["rows"] * 1.06 ** (number - 1.5) for line in own]  # side by side
        for axes, side in zip(row, ("new", "old"), strict=True):
            over = [_band(line[side]) for line in own]
            error = [[mean - low for mean, low, _ in over], [high - mean for mean, _, high in over]]
            axes.errorbar(
                place,
                [mean for mean, _, _ in over],
                error,
                label=label,
                marker="o",
                capsize=2,
                color=f"C{number}",
            )
    for axes, side in zip(row, ("new", "old"), strict=True):
        axes.axhline(np.mean(found["before"][side]), color="gray", linestyle=":", label="before")
        axes.set(
            xscale="log",
            xlabel="rows of the new domain",
            ylabel="accuracy",
            title=f"{side} domain",
            ylim=(-0.03, 1.03),
        )
        counts = sorted({line["rows"] for line in lines})
        axes.set_xlim(counts[0] / 1.25, counts[-1] * 1.25)
        _plain_ticks(axes, counts)
    row[0].legend(fontsize=7)
    return figure


def reinforcement(found: dict[str, Any]):
    """Reward and entropies over the updates, one line per run."""
    figure, (row,) = new_figure(12, 3.8, 1, 3)
    curves = [line for cell in found.values() for line in cell.get("curve", [])]
    right = all("correct" in line for line in curves)
    names = ("correct" if right else "reward", "plan_entropy", "execution_entropy")
    offset = max(
        (
            line["step"]
            for name, cell in found.items()
            if "stage1" in name
            for line in cell["curve"]
        ),
        default=0,
    )
    for name, cell in found.items():
        if name.startswith("before"):
            continue
        second = "stage2" in name
        color = "C0" if not second else "C1" if "stage2-1" in name else "C3"
        label = "stage 1" if not second else f"stage 2, lambda {name.split('-')[2]}"
        for axes, what in zip(row, names, strict=True):
            seen = label if name.endswith("-0") else None
            axes.plot(
                [line["step"] + offset * second for line in cell["curve"]],
                [line[what] for line in cell["curve"]],
                color=color,
                label=seen,
            )
    for axes, what in zip(
        row,
        (
            "share of rollouts that are right" if right else "mean reward of rollouts",
            "entropy of plans, nats",
            "entropy of executions, nats",
        ),
        strict=True,
    ):
        axes.set(xlabel="batch of rollouts", title=what)
    row[0].legend(fontsize=7)
    return figure


def adherence(found: dict[str, Any]):
    """Matrix of trainings by what their executions do with a plan."""
    keys = {
        "follows_right": "follows the\nright plan",
        "follows_swapped": "follows a\nswapped plan",
        "order": "its steps\nin order",
        "flips": "answer becomes\nthe swapped plan's",
    }
    values = [[np.mean(cell[key]) for key in keys] for cell in found.values()]
    figure, ((axes,),) = new_figure(6.5, 0.9 + 0.6 * len(found))
    names = [name.replace("_", "-") for name in found]
    image = heatmap(axes, values, names, list(keys.values()), write=".2f", vmin=0, vmax=1)
    axes.set_title("Do executions follow plans? Shares of problems")
    figure.colorbar(image, ax=axes)
    return figure
