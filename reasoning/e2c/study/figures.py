"""Figures of the study, as PNG files."""

from pathlib import Path
from typing import Any

import numpy as np

from reasoning.e2c.evaluate.scores import bootstrap, over_seeds
from reasoning.e2c.study import adapt

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


def draw_all(report: Path, found: dict[str, Any]) -> list[str]:
    """Everything that was measured; names of the files."""
    import matplotlib

    matplotlib.use("agg")
    drawn = [_save(report, "tokens", accuracy_against_tokens(found["policies"]))]
    if "adapt" in found:
        drawn.append(_save(report, "adaptation", adaptation(found["adapt"])))
    if "rl" in found:
        drawn.append(_save(report, "reinforcement", reinforcement(found["rl"])))
    return [*drawn, _save(report, "adherence", adherence(found["adherence"]))]


def _save(report: Path, name: str, figure) -> str:
    import matplotlib.pyplot as plt

    figure.savefig(report / f"{name}.png", dpi=110, bbox_inches="tight")
    plt.close(figure)
    return name


def _axes(width=7.5, height=4.6, columns=1):
    import matplotlib.pyplot as plt

    return plt.subplots(1, columns, figsize=(width, height), squeeze=False)


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
    figure, ((axes,),) = _axes(8.5, 5)
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
        interval = bootstrap(cells["sc-8"]["correct"])
        axes.axhspan(
            interval.low, interval.high, color="C0", alpha=0.1, label="self-consistency of 8, 95 %"
        )
        axes.axvline(
            0.25 * cells["sc-8"]["generated"],
            color="grey",
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


def adaptation(found: dict[str, Any]):
    """Accuracy on both domains over the rows of the new one; the legend tells how many tokens were
    trained, against full SFT.
    """
    figure, (row,) = _axes(10, 4, 2)
    lines = adapt.table(found)
    for number, method in enumerate(adapt.METHODS):
        own = [line for line in lines if line["method"] == method]
        label = (
            f"{method.replace('_', ' ')} ({np.mean([line['share'] for line in own]):.0%} of "
            "the tokens)"
        )
        place = [line["rows"] * 1.06 ** (number - 1.5) for line in own]  # side by side
        for axes, side in zip(row, ("new", "old"), strict=True):
            over = [over_seeds(line[side]) for line in own]
            error = [[i.mean - i.low for i in over], [i.high - i.mean for i in over]]
            axes.errorbar(
                place,
                [i.mean for i in over],
                error,
                label=label,
                marker="o",
                capsize=2,
                color=f"C{number}",
            )
    for axes, side in zip(row, ("new", "old"), strict=True):
        axes.axhline(np.mean(found["before"][side]), color="grey", linestyle=":", label="before")
        axes.set(
            xscale="log",
            xlabel="rows of the new domain",
            ylabel="accuracy",
            title=f"{side} domain",
            ylim=(-0.03, 1.03),
        )
        _plain_ticks(axes, sorted({line["rows"] for line in lines}))
    row[0].legend(fontsize=7)
    return figure


def reinforcement(found: dict[str, Any]):
    """Reward and entropies over the updates, one line per run."""
    figure, (row,) = _axes(12, 3.8, 3)
    names = ("correct", "plan_entropy", "execution_entropy")
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
        if name == "before":
            continue
        second = "stage2" in name
        colour = "C0" if not second else "C1" if "stage2-1" in name else "C3"
        label = "stage 1" if not second else f"stage 2, lambda {name.split('-')[2]}"
        for axes, what in zip(row, names, strict=True):
            seen = label if name.endswith("-0") else None
            axes.plot(
                [line["step"] + offset * second for line in cell["curve"]],
                [line[what] for line in cell["curve"]],
                color=colour,
                label=seen,
            )
    for axes, what in zip(
        row,
        (
            "share of rollouts that are right",
            "entropy of plans, nats",
            "entropy of executions, nats",
        ),
        strict=True,
    ):
        axes.set(xlabel="update", title=what)
    row[0].legend(fontsize=7)
    return figure


def adherence(found: dict[str, Any]):
    """Share of executions that follow the right and the swapped plan."""
    figure, ((axes,),) = _axes(6.5, 3.8)
    keys = {
        "follows_right": "the right plan",
        "follows_swapped": "a swapped plan",
        "flips": "answer flips",
    }
    for number, (key, label) in enumerate(keys.items()):
        intervals = [bootstrap(cell[key]) for cell in found.values()]
        error = [[i.mean - i.low for i in intervals], [i.high - i.mean for i in intervals]]
        axes.bar(
            np.arange(len(found)) + 0.27 * (number - 1),
            [i.mean for i in intervals],
            0.25,
            yerr=error,
            capsize=2,
            label=label,
        )
    axes.set_xticks(range(len(found)), [name.replace("_", "-") for name in found])
    axes.set(
        ylabel="share of problems",
        ylim=(0, 1.2),
        title="Executions that do exactly what the plan says",
    )
    axes.legend(fontsize=7, loc="upper center", ncols=3)
    return figure
