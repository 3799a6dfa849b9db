"""The page of a sweep: every question, answered in words for every target, with its interval; then
the figures.
"""

import json
from pathlib import Path

import numpy as np

from jaxrl.train.rundir import write_atomically
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


def write_report(folder: Path, config: SweepConfig) -> Path:
    """report/index.md, the answers as answers.json, and the figures next to them; the path of the
    page.
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
    names = figures.draw_all(report, config, rows, known, depths) + pictures.draw_all(
        report, results, config, rows
    )
    page = (
        "\n".join(text(config, rows, known, depths))
        + "\n"
        + "".join(f"\n![{name}]({name}.png)\n" for name in names)
    )
    answers = {
        name: {p: found._asdict() for p, found in each.items()} for name, each in depths.items()
    }
    write_atomically(
        report / "answers.json",
        json.dumps(
            {"depth": answers, "predicted": {n: k._asdict() for n, k in known.items()}}, indent=1
        ),
    )
    write_atomically(report / "index.md", page)
    return report / "index.md"


def pruners(config: SweepConfig) -> list[str]:
    """Of the sweep, the dense networks first."""
    return ([DENSE] if 1.0 in config.densities else []) + (
        list(config.pruners) if min(config.densities) < 1 else []
    )


def text(
    config: SweepConfig, rows, known: dict[str, Predicted], depths: dict[str, dict[str, Peak]]
) -> list[str]:
    """All lines of the page but for the figures."""
    count = len(rows)
    lines = [
        "# When do networks become compositional?",
        "",
        f"{count} networks of {config.width} units per layer, {config.seeds} seeds, {config.steps} "
        f"+ {config.finetune} updates of "
        f"{config.batch} fresh examples. {sum(r['fits'] for r in rows)} of them fit (R^2 >= 0.95); "
        "the others have score 0. "
        "Intervals are 95 % bootstrap intervals over seeds; a peak, and the density or depth that "
        "it is taken at, is chosen on other seeds "
        'than the one it is judged by. "no" means that some end of the axis is as good as the best '
        "place.",
        "",
    ]
    for name in config.targets:
        lines += [f"## {name}", "", *of_target(config, rows, name, known[name], depths[name]), ""]
    if len(config.targets) > 1:
        lines += ["## Does the peak move with the target?", "", *moves(config, rows), ""]
    return lines


def of_target(config, rows, name, known: Predicted, depths: dict[str, Peak]) -> list[str]:
    """The answers for one target."""
    target = target_by_name(name)
    lines = [
        f"Planted: {target.depth} levels of nodes, {target.layers} layers, arity {target.arity}, "
        f"{target.inputs} inputs, "
        f"{len(target.nodes)} parts.",
        "",
        "| pruner | fits | best score | at depth | at density | mean fan-in there |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_best_row(config, rows, name, pruner) for pruner in depths]
    lines += ["", "Is there a sweet spot in depth?", ""]
    lines += [f"- {pruner}: {found}." for pruner, found in depths.items()]
    if min(config.densities) < 1 and len(config.densities) > 1:
        lines += ["", "Is there one in connectivity (density)?", ""]
        some = [p for p in config.pruners if p != "oracle"]
        lines += [
            f"- {p}: {peak(over_density(rows, config, name, p), list(config.densities))}."
            for p in some
        ]
        lines += [
            "",
            "Does similarity-based pruning find it? Differences at equal depth and density, all "
            "settings together:",
            "",
        ]
        lines += [
            line
            for other in config.pruners
            if other != "share" and "share" in config.pruners
            for line in _compared(config, rows, name, other)
        ]
    return [*lines, "", "Do the predictors find it?", "", *_predicted(known, depths)]


def _best_row(config, rows, name, pruner) -> str:
    found = grid(rows, config, name, pruner)
    found = (
        found
        if pruner == DENSE
        else np.where(np.array(config.densities)[:, None, None] < 1, found, np.nan)
    )
    fits = grid(rows, config, name, pruner, "fits")[np.isfinite(found)]
    means = np.nan_to_num(np.where(np.isfinite(found), found, 0).mean(-1))
    i, j = np.unravel_index(means.argmax(), means.shape)
    fan_in = average(grid(rows, config, name, pruner, "fan_in")[i, j])
    score = interval(found[i, j])
    return (
        f"| {pruner} | {100 * fits.mean():.0f} % | {score} | {config.depths[j]} | "
        f"{config.densities[i]:g} | {fan_in:.2f} |"
    )


def _compared(config, rows, name, other) -> list[str]:
    score, fit = (
        difference(rows, config, name, "share", other, measure) for measure in ("score", "fit")
    )
    if not np.isfinite(score.mean):
        return [f"- share against {other}: no setting has both."]
    return [f"- share above {other}? {sign(score)}: score {score}, R^2 {fit}."]


def _predicted(known: Predicted, depths: dict[str, Peak]) -> list[str]:
    def inside(depth):
        return ", ".join(
            p
            for p, found in depths.items()
            if found.answer != "nothing fits" and found.low <= depth <= found.high
        )

    stated = {
        "separability of the function (E1)": known.separability,
        "interactions (E2)": known.interactions,
        "volume (E3)": known.volume,
    }
    lines = []
    if not any(found.answer == "yes" for found in depths.values()):
        lines = [
            "No pruner has a clear sweet spot in depth (see above): there is none to find, and "
            "lying in an interval says little.",
            "",
        ]
    lines += [
        f"- planted depth: {known.planted} layers; inside the interval of the best depth of: "
        f"{inside(known.planted) or 'no pruner'}."
    ]
    for predictor, depth in stated.items():
        if depth is None:
            lines.append(f"- {predictor}: does not apply to these inputs.")
        else:
            lines.append(
                f"- {predictor}: {depth} layers; inside the interval of the best depth of: "
                f"{inside(depth) or 'no pruner'}."
            )
    if known.ambiguous:
        lines.append(
            "- the separability is ambiguous: overlapping sets of inputs act through one number, "
            "so this is the least depth."
        )
    if known.trained:
        right = sum(d == known.separability for d in known.trained)
        lines.append(
            f"- separability of {len(known.trained)} dense networks with R^2 >= 0.99 (of "
            f"{known.asked}): {right} have its depth "
            f"({100 * right / len(known.trained):.0f} %)."
        )
    elif known.separability is not None:
        lines.append(
            f"- separability of trained networks: none of {known.asked} dense networks reaches R^2 "
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
                lines.append(f"- {one} to {other}, {pruner}: {found}.")
    return lines or ["No two targets differ in their planted depth."]
