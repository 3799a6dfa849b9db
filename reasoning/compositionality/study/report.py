"""The page of a sweep: the answer first, then every question for every target with its interval,
and the figures.
"""

import json
from pathlib import Path

import numpy as np

from jaxrl.app import html, plots
from jaxrl.app.files import write_json
from reasoning.compositionality.study import figures, pictures
from reasoning.compositionality.study.config import DENSE, SweepConfig
from reasoning.compositionality.study.predictions import Predicted, predictions
from reasoning.compositionality.study.results import read_rows
from reasoning.compositionality.study.verdict import (
    Peak,
    average,
    difference,
    grid,
    interval,
    move,
    over_density,
    over_depth,
    peak,
    sign,
)
from reasoning.compositionality.targets import target_by_name

TITLE = "When do networks become compositional?"
Depths = dict[str, dict[str, Peak]]
"""Peaks of every pruner's score over depth, by target."""


def write_report(folder: Path, config: SweepConfig) -> tuple[Path, str]:
    """Write report/index.html and the answers as answers.json: the path of the page, and its first
    sentences.
    """
    results, report = folder / "results", folder / "report"
    report.mkdir(exist_ok=True)
    rows = read_rows(results, config)
    known = {name: predictions(config, results, name) for name in config.targets}
    depths = {
        name: {
            p: peak(over_depth(rows, config, name, p), list(config.depths)) for p in pruners(config)
        }
        for name in config.targets
    }
    drawn = figures.draw_all(config, rows, known, depths)
    drawn |= pictures.draw_all(results, config, rows)
    page = report / "index.html"
    lead = answer(config, rows, depths)
    shown = [
        html.figure(plots.to_png(figure, dpi=100), caption, caption)
        for caption, figure in drawn.items()
    ]
    sections = [
        *_settings(config, rows),
        *(of_target(config, rows, name, known[name], depths[name]) for name in config.targets),
    ]
    if len(config.targets) > 1:
        moved = html.bullets(moves(config, rows))
        sections.append(html.section("Does the peak move with the target?", moved))
    html.write_page(page, TITLE, *sections, html.section("Figures", *shown), lead=lead)
    answers = {
        name: {p: found._asdict() for p, found in each.items()} for name, each in depths.items()
    }
    predicted = {name: found._asdict() for name, found in known.items()}
    write_json(
        report / "answers.json", json.loads(json.dumps({"depth": answers, "predicted": predicted}))
    )
    return page, lead


def pruners(config: SweepConfig) -> list[str]:
    """Pruners of the sweep, the dense networks first."""
    return ([DENSE] if 1.0 in config.densities else []) + (
        list(config.pruners) if min(config.densities) < 1 else []
    )


def answer(config: SweepConfig, rows, depths: Depths) -> str:
    """The answer of the sweep in a few sentences, also if it is no.

    Asked is the claim of the paper: that share finds a sweet spot in depth and in connectivity, and
    that it is better than the obvious, magnitude and random.
    """
    chosen = "share" if "share" in config.pruners else next(iter(pruners(config)), DENSE)
    names, count = config.targets, len(config.targets)
    deep = [depths[name][chosen].answer for name in names if chosen in depths[name]]
    sentences = [f"Sweet spot in depth with {chosen}: {_tally(deep, count)}."]
    if min(config.densities) < 1 and len(config.densities) > 1:
        spots = [
            peak(over_density(rows, config, name, chosen), list(config.densities)).answer
            for name in names
        ]
        sentences.append(f"In connectivity: {_tally(spots, count)}.")
    for other in ("magnitude", "random"):
        if {"share", other} <= set(config.pruners):
            signs = [sign(difference(rows, config, name, "share", other)) for name in names]
            sentences.append(f"Share better than {other}: {_tally(signs, count)}.")
    return " ".join(sentences)


def _tally(answers: list[str], count: int) -> str:
    """One word if all targets agree, else how many say what."""
    kinds = {kind: answers.count(kind) for kind in dict.fromkeys(answers)}
    if len(kinds) == 1:
        word = next(iter(kinds))
        return word if count == 1 else f"{word}, on all {count} targets"
    return ", ".join(f"{kind} on {n} of {count} targets" for kind, n in kinds.items())


def _settings(config: SweepConfig, rows) -> list:
    return [
        html.paragraph(
            f"{len(rows)} networks of {config.width} units per layer, {config.seeds} seeds, "
            f"{config.steps} + {config.finetune} updates of {config.batch} fresh examples. "
            f"{sum(r['fits'] for r in rows)} of them fit (R² at least 0.95); the others have "
            "score 0. Intervals are 95 % bootstrap intervals over seeds. A peak, and the density "
            "or depth that it is taken at, is chosen on other seeds than the one it is judged by. "
            "“no” means that some end of the axis is as good as the best place.",
            "note",
        )
    ]


def of_target(config, rows, name, known: Predicted, depths: dict[str, Peak]):
    """Make the part of the page that answers the questions for one target.

    Args:
      config: settings of the sweep.
      rows: measures of all networks, as dictionaries.
      name: name of the target.
      known: predictions for it.
      depths: peaks over depth by pruner.

    Returns:
      HTML.
    """
    target = target_by_name(name)
    header = ("pruner", "best score", "fits", "at depth", "at density", "mean fan-in there")
    parts = [
        html.paragraph(
            f"Planted: {target.depth} levels of nodes, {target.layers} layers, arity "
            f"{target.arity}, {target.inputs} inputs, {len(target.nodes)} parts."
        ),
        html.table(header, [_best_row(config, rows, name, pruner) for pruner in depths]),
        html.section("Is there a sweet spot in depth?", _peaks(depths), level=3),
    ]
    if min(config.densities) < 1 and len(config.densities) > 1:
        over = {
            p: peak(over_density(rows, config, name, p), list(config.densities))
            for p in config.pruners
            if p != "oracle"
        }
        parts.append(html.section("Is there one in connectivity (density)?", _peaks(over), level=3))
    others = [p for p in config.pruners if p != "share"]
    if "share" in config.pruners and others:
        compared = [_compared(config, rows, name, other) for other in others]
        note = html.paragraph("Differences at equal depth, density and training, all settings.")
        columns = ("share above", "answer", "score", "R²")
        table = html.table(columns, compared)
        parts.append(html.section("Does share find it better?", note, table, level=3))
    lines = html.bullets(_predicted(known, depths))
    return html.section(name, *parts, html.section("Do the predictors find it?", lines, level=3))


def _peaks(found: dict[str, Peak]):
    rows = [
        (
            pruner,
            p.answer,
            *(
                ("", "", "")
                if p.answer == "nothing fits"
                else (f"{p.place:g} [{p.low:g}, {p.high:g}]", str(p.over_first), str(p.over_last))
            ),
        )
        for pruner, p in found.items()
    ]
    header = ("pruner", "answer", "best at", "gain over the first", "gain over the last")
    return html.table(header, rows)


def _best_row(config, rows, name, pruner) -> tuple:
    found = grid(rows, config, name, pruner)
    found = (
        found
        if pruner == DENSE
        else np.where(np.array(config.densities)[:, None, None] < 1, found, np.nan)
    )
    fits = grid(rows, config, name, pruner, "fits")[np.isfinite(found)]
    means = np.nan_to_num(np.where(np.isfinite(found), found, 0).mean(-1))
    if not means.max():
        return pruner, "none fits", f"{100 * fits.mean():.0f} %", "", "", ""
    i, j = np.unravel_index(means.argmax(), means.shape)
    fan_in = average(grid(rows, config, name, pruner, "fan_in")[i, j])
    share, score = f"{100 * fits.mean():.0f} %", str(interval(found[i, j]))
    return pruner, score, share, config.depths[j], f"{config.densities[i]:g}", f"{fan_in:.2f}"


def _compared(config, rows, name, other) -> tuple:
    score, fit = (
        difference(rows, config, name, "share", other, measure) for measure in ("score", "fit")
    )
    if not np.isfinite(score.mean):
        return other, "no setting has both", "", ""
    return other, sign(score), str(score), str(fit)


def _predicted(known: Predicted, depths: dict[str, Peak]) -> list[str]:
    def inside(depth):
        return ", ".join(
            p
            for p, found in depths.items()
            if found.answer != "nothing fits" and found.low <= depth <= found.high
        )

    stated = {
        "planted depth": known.planted,
        "separability of the function (E1)": known.separability,
        "interactions (E2)": known.interactions,
        "volume (E3)": known.volume,
    }
    lines = []
    if not any(found.answer == "yes" for found in depths.values()):
        lines = [
            "No pruner has a clear sweet spot in depth (see above): there is none to find, and "
            "lying in an interval says little."
        ]
    for predictor, depth in stated.items():
        within = "does not apply to these inputs"
        if depth is not None:
            found = inside(depth) or "no pruner"
            within = f"{depth} layers; inside the interval of the best depth of: {found}"
        lines.append(f"{predictor}: {within}.")
    if known.ambiguous:
        lines.append(
            "the separability is ambiguous: overlapping sets of inputs act through one number, so "
            "this is the least depth."
        )
    if known.trained:
        right = sum(d == known.separability for d in known.trained)
        lines.append(
            f"separability of {len(known.trained)} dense networks with R² of at least 0.99 (of "
            f"{known.asked}): {right} have its depth "
            f"({100 * right / len(known.trained):.0f} %)."
        )
    elif known.separability is not None:
        lines.append(
            f"separability of trained networks: none of {known.asked} dense networks reaches R² "
            "0.99."
        )
    return lines


def moves(config, rows) -> list[str]:
    """Every pair of targets with different planted depths, by pruner."""
    lines = []
    for i, one in enumerate(config.targets):
        for other in config.targets[i + 1 :]:
            apart = target_by_name(other).layers - target_by_name(one).layers
            for pruner in pruners(config) if apart else []:
                if pruner == "oracle":
                    continue
                found = move(
                    over_depth(rows, config, one, pruner),
                    over_depth(rows, config, other, pruner),
                    config.depths,
                    apart,
                )
                lines.append(f"{one} to {other}, {pruner}: {found}.")
    return lines or ["No two targets differ in their planted depth."]
