"""Tables, heat-maps and sentences from the numbers of the study; everything lies in report/ of the
run folder.
"""

import csv
import io
from pathlib import Path

import numpy as np

from jaxrl.app import plots
from jaxrl.app.files import write_atomic
from jaxrl.app.stats import Interval, t_interval
from quant.studies.estimators.verdict import chosen_on_others, diagonal_verdict, finite
from quant.studies.page import drawn, write_report

KINDS = {"plain": "gradients as they are", "normalized": "gradients times tau_b"}
SHOWN = {
    "bias_rel_debiased": "bias",
    "std_rel": "spread",
    "cosine": "cosine",
    "mse_rel": "squared error",
    "gap_z_rel": "gap at the value",
    "gap_theta_rel": "gap at the logits",
}
"""Measures of fidelity that are drawn and tabled, by what they are called there."""


def report(folder: Path, found: dict[str, dict]) -> Path:
    """Write report/index.html, report.md, their pictures and .csv files from results by task;
    returns the path of the text.
    """
    out = folder / "report"
    out.mkdir(exist_ok=True)
    files = {"grid.csv": grid_table(found), "rows.csv": rows_table(found)}
    figures = [
        drawn(
            name,
            grid_figure(result),
            f"{name}: {result['measure']}, mean over seeds, for every pair of temperatures; cross: "
            "least, line: equal temperatures.",
        )
        for name, result in found.items()
    ]
    if "fidelity" in found.get("vae", {}):
        fidelity, taus = found["vae"]["fidelity"], found["vae"]["taus"]
        files["fidelity.csv"] = fidelity_table(fidelity)
        figures.append(
            drawn(
                "fidelity",
                fidelity_figure(fidelity["grid"], taus),
                "Gradients of decoupled straight-through Gumbel-softmax in the trained VAE against "
                "the exact ones, a panel per measure; cross: best.",
            )
        )
    for name, content in files.items():
        write_atomic(out / name, content)
    return write_report(out, text(found), figures, "report.md")


def text(found: dict[str, dict]) -> str:
    """The report in Markdown."""
    lines = [
        "# Temperatures and estimators",
        "",
        "Intervals: 95 %, Student's t over seeds. Settings are chosen on the other seeds.",
    ]
    for name, result in found.items():
        seeds = len(result["seeds"])
        lines += ["", f"## {name}", "", f"Test loss: {result['measure']}; {seeds} seeds.", ""]
        lines += [
            f"- {label}: {verdict_of(result, kind).sentence()}" for kind, label in KINDS.items()
        ]
        lines += ["", "| estimator | test loss | interval | temperature |", "|---|---|---|---|"]
        lines += [
            f"| {row} | {i.mean:.4g} | {i.low:.4g} to {i.high:.4g} | {tau} |"
            for row, i, tau in ranking(result)
        ]
    if "fidelity" in found.get("vae", {}):
        lines += [
            "",
            "## Bias and variance of gradients in the trained VAE",
            "",
            *fidelity_lines(found["vae"]["fidelity"]),
        ]
    return "\n".join(lines) + "\n"


def losses_of(result: dict, kind: str) -> np.ndarray:
    """Test losses of the grid, `[S, F, B]`."""
    return np.array(result["grid"][kind]["test_loss"], np.float64)


def verdict_of(result: dict, kind: str):
    """Verdict on whether equal temperatures are best."""
    return diagonal_verdict(losses_of(result, kind), np.array(result["taus"]))


def ranking(result: dict) -> list[tuple[str, Interval, str]]:
    """Every estimator with the loss of its best setting and that setting, the best first."""
    taus, rows = result["taus"], []
    for kind in KINDS:
        losses = losses_of(result, kind)
        flat = losses.reshape(len(losses), -1)
        f, b = np.unravel_index(finite(flat).mean(0).argmin(), losses.shape[1:])
        name = "decoupled" if kind == "plain" else "decoupled, normalized"
        rows.append((name, t_interval(chosen_on_others(flat)[0]), f"{taus[f]:g}, {taus[b]:g}"))
    equal = losses_of(result, "plain")[:, np.eye(len(taus), dtype=bool)]
    rows.append(
        (
            "st_gs, noise after",
            t_interval(chosen_on_others(equal)[0]),
            f"{taus[finite(equal).mean(0).argmin()]:g}",
        )
    )
    for name, row in result["rows"].items():
        losses = np.array(row["test_loss"], np.float64)
        tau = "" if name == "identity" else f"{row['taus'][int(finite(losses).mean(0).argmin())]:g}"
        rows.append((name, t_interval(chosen_on_others(losses)[0]), tau))
    return sorted(rows, key=lambda row: row[1].mean)


def fidelity_rows(fidelity: dict):
    """`(estimator, tau, {measure: mean over images})`; None where a measure has no meaning."""
    for name, by_tau in fidelity["rows"].items():
        for tau, measures in by_tau.items():
            yield (
                name,
                tau,
                {
                    key: None if None in values else float(np.mean(values))
                    for key, values in measures.items()
                },
            )


def fidelity_lines(fidelity: dict) -> list[str]:
    """A table in Markdown."""
    lines = [
        "| estimator | temperature | " + " | ".join(SHOWN.values()) + " |",
        "|---|---|" + "---|" * len(SHOWN),
    ]
    for name, tau, measures in fidelity_rows(fidelity):
        cells = ["" if measures[key] is None else f"{measures[key]:.3g}" for key in SHOWN]
        lines.append(f"| {name} | {tau} | " + " | ".join(cells) + " |")
    return lines


def table(header: list[str], rows) -> str:
    """Comma-separated values."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()


def grid_table(found: dict[str, dict]) -> str:
    """One line per task, scale, seed and pair of temperatures."""
    rows = (
        (
            task,
            kind,
            result["seeds"][s],
            result["taus"][f],
            result["taus"][b],
            losses_of(result, kind)[s, f, b],
        )
        for task, result in found.items()
        for kind in KINDS
        for s, f, b in np.ndindex(losses_of(result, kind).shape)
    )
    return table(["task", "gradients", "seed", "tau_f", "tau_b", "test_loss"], rows)


def rows_table(found: dict[str, dict]) -> str:
    """One line per task, estimator, temperature and seed."""
    rows = (
        (task, name, row["taus"][t], result["seeds"][s], row["test_loss"][s][t])
        for task, result in found.items()
        for name, row in result["rows"].items()
        for s, t in np.ndindex(len(result["seeds"]), len(row["taus"]))
    )
    return table(["task", "estimator", "tau", "seed", "test_loss"], rows)


def fidelity_table(fidelity: dict) -> str:
    """One line per estimator and temperature."""
    rows = list(fidelity_rows(fidelity))
    names = list(rows[0][2])
    return table(
        ["estimator", "tau", *names],
        [(name, tau, *(measures[key] for key in names)) for name, tau, measures in rows],
    )


def heat_map(
    figure, axes, values: np.ndarray, taus: list[float], title: str, low_is_good: bool = True
) -> None:
    """Draw `[F, B]` with tau_f upwards and tau_b to the right; a cross marks the best cell, a line
    the equal temperatures.

    Args:
      figure: of matplotlib, for the color bar.
      axes: those to draw on.
      values: `[F, B]`, one per pair of temperatures.
      taus: temperatures, the same on both axes, so F = B.
      title: of the axes.
      low_is_good: the best cell is the smallest.
    """
    labels = [f"{tau:g}" for tau in taus]
    cmap = f"{plots.COLOR_MAP}_r" if low_is_good else plots.COLOR_MAP
    # One cell may be far larger than all others, which would then look alike.
    wide = values.min() > 0 and values.max() > 30 * np.median(values)
    style = {"origin": "lower", "aspect": "equal", "norm": "log" if wide else "linear"}
    image = plots.heatmap(axes, values, labels, labels, cmap=cmap, **style)
    ends = [-0.5, len(taus) - 0.5]
    axes.plot(ends, ends, color="white", linewidth=0.8, alpha=0.7)
    f, b = np.unravel_index(values.argmin() if low_is_good else values.argmax(), values.shape)
    axes.plot(b, f, "x", color=plots.COLORS[1], markersize=9, markeredgewidth=2)
    axes.set(title=title, xlabel="backward temperature tau_b", ylabel="forward temperature tau_f")
    figure.colorbar(image, ax=axes, shrink=0.8)


def grid_figure(result: dict):
    """Mean test losses of the grid, plain and normalized, next to each other."""
    figure, grid = plots.new_figure(9.5, 4.2, 1, 2)
    for axes, (kind, label) in zip(grid[0], KINDS.items(), strict=True):
        heat_map(figure, axes, finite(losses_of(result, kind)).mean(0), result["taus"], label)
    return figure


def fidelity_figure(values: dict, taus: list[float]):
    """The measures of fidelity over both temperatures."""
    figure, grid = plots.new_figure(13.5, 7.6, 2, 3)
    for axes, (key, label) in zip(grid.reshape(-1), SHOWN.items(), strict=True):
        shown = np.array(values[key], np.float64)
        heat_map(figure, axes, shown, taus, label, low_is_good=key != "cosine")
    return figure
