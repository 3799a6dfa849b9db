"""The text of the study: a table of all cells, what is claimed of them, and alerts in words."""

from pathlib import Path

import numpy as np

from jaxrl.app.cells import Cells
from quant.diagnostics import Signs, alerts
from quant.studies.collapse import figures
from quant.studies.collapse.config import Cell, CollapseConfig
from quant.studies.intervals import FEWEST, TOO_FEW, mean_and_interval
from quant.studies.page import write_report

COLUMNS = {
    "mse": "MSE",
    "perplexity": "perplexity",
    "usage": "used",
    "code_cosine": "cosine distance",
    "effective_rank": "rank of z",
    "std_at_start": "std of z at start",
    "mode_entropy": "mode entropy",
}


def report(folder: Path, config: CollapseConfig, kept: Cells, found: dict[Cell, dict]) -> Path:
    """Write report/index.html and index.md with their figures; the path of the latter.

    Args:
      folder: the run's.
      config: the study's.
      kept: the grid of cells that the figures read their arrays from.
      found: measures of the finished cells.
    """
    notes = [TOO_FEW] if config.seeds < FEWEST else []
    drawn = figures.draw_all(kept, found)
    return write_report(folder / "report", text(config, found), drawn, notes=notes)


def text(config: CollapseConfig, found: dict[Cell, dict]) -> str:
    """The whole report but for the figures."""
    shown = {
        name: label
        for name, label in COLUMNS.items()
        if all(name in numbers for numbers in found.values())
    }
    lines = [
        f"# Codebook collapse on {config.data}",
        "",
        f"Means over {config.seeds} seeds"
        + (", with the half-width of a 95 % interval." if config.seeds >= FEWEST else "."),
        "",
    ]
    lines += [
        "| " + " | ".join(["dim", "codes", "width", "recipe", *shown.values()]) + " |",
        "|" + "---|" * (4 + len(shown)),
    ]
    for cell, numbers in found.items():
        values = [mean_and_interval(numbers[name]) for name in shown]
        lines.append(
            "| "
            + " | ".join(
                [str(cell.dim or "-"), str(cell.codes), str(cell.width), cell.recipe, *values]
            )
            + " |"
        )
    lines += ["", *comparison(found), "", *warnings(found)]
    return "\n".join(lines) + "\n"


def comparison(found: dict[Cell, dict]) -> list[str]:
    """For every size that has them: the cure against the collapse and against the control, by
    ratios of means over seeds.
    """
    lines = []
    for cell, numbers in found.items():
        pair = Cell(cell.dim, cell.codes, cell.width, "deferred")
        if cell.recipe not in ("untrained", "control") or pair not in found:
            continue

        def ratio(name, a=found[pair], b=numbers):
            return np.mean(a[name]) / np.mean(b[name])

        lines.append(
            f"- {cell.codes} codes, width "
            f"{cell.width}{f', {cell.dim} dimensions' if cell.dim else ''}: deferred over "
            f"{cell.recipe}: "
            f"perplexity x {ratio('perplexity'):.2f}, MSE x {ratio('mse'):.2f}."
        )
    return lines


def warnings(found: dict[Cell, dict]) -> list[str]:
    """The alerts of every cell, on means over seeds."""
    lines = []
    for cell, numbers in found.items():
        mean = {
            name: float(np.mean(values))
            for name, values in numbers.items()
            if name in (*COLUMNS, "embedding_cosine", "std")
        }
        signs = Signs(
            cell.codes,
            numbers["features"],
            mean["perplexity"],
            mean.get("mode_entropy"),
            numbers["modes"],
            mean["code_cosine"],
            mean["embedding_cosine"],
            mean["effective_rank"],
        )
        lines += [
            f"- {cell.name}: {alert.sentence}. Try: {alert.remedy}." for alert in alerts(signs)
        ]
    return ["Alerts:", "", *lines] if lines else ["No alerts."]
