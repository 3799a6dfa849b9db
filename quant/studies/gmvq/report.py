"""The text of the study: a table of all cells, what the sweeps and ablations say, and what the
bound is.
"""

import json
from pathlib import Path

import numpy as np

from jaxrl.app.cells import Cells
from quant.studies.gmvq import figures
from quant.studies.gmvq.bias import TEMPERATURES, Biases, correlations
from quant.studies.gmvq.bounds import table_of_bounds
from quant.studies.gmvq.config import METHODS, Cell, GMVQStudyConfig
from quant.studies.intervals import FEWEST, TOO_FEW, mean_and_interval
from quant.studies.page import write_report

COLUMNS = {
    "mse": "MSE",
    "perplexity": "perplexity",
    "usage": "used",
    "information": "I(x; c)",
    "entropy_row": "H(c given x)",
    "entropy_z": "h(z given x)",
    "code_cosine": "cosine distance",
}


def report(folder: Path, config: GMVQStudyConfig, kept: Cells, found: dict[Cell, dict]) -> Path:
    """Write report/index.html and index.md with their figures; the path of the latter.

    Args:
      folder: the run's.
      config: the study's; with `draws`, results/bias.json is read from the folder.
      kept: the grid of cells that the figures read their arrays from.
      found: measures of the finished cells.
    """
    file = folder / "results" / "bias.json"
    bias = Biases(**json.loads(file.read_text())) if config.draws else None
    notes = [TOO_FEW] if config.seeds < FEWEST else []
    drawn = figures.draw_all(kept, found, bias)
    return write_report(folder / "report", text(config, found, bias), drawn, notes=notes)


def text(config: GMVQStudyConfig, found: dict[Cell, dict], bias: Biases | None) -> str:
    """The whole report but for the figures."""
    lines = [
        f"# GM-VQ compared with other quantizers, on {config.data}",
        "",
        f"{config.codes} codes of {config.latent} features, on held-out examples. Means over "
        f"{config.seeds} seeds"
        + (", with the half-width of a 95 % interval" if config.seeds >= FEWEST else "")
        + "; I, H and h in nats.",
        "",
        "| "
        + " | ".join(["method", "beta", "gamma", "batch", *COLUMNS.values(), "examples/s"])
        + " |",
        "|" + "---|" * (5 + len(COLUMNS)),
    ]
    for cell, numbers in found.items():
        weights = (
            ["-", "-"] if METHODS[cell.method].baseline else [f"{cell.beta:g}", f"{cell.gamma:g}"]
        )
        values = [mean_and_interval(numbers[name]) if name in numbers else "-" for name in COLUMNS]
        speed = f"{numbers['examples_per_second']:.0f}" if numbers["examples_per_second"] else "-"
        lines.append(
            "| " + " | ".join([cell.method, *weights, str(cell.batch), *values, speed]) + " |"
        )
    lines += [
        "",
        *comparisons(found),
        "",
        "## The aggregated bound is none",
        "",
        *table_of_bounds(),
    ]
    if bias:
        lines += ["", "## Bias of Gumbel-softmax gradients", "", *bias_table(bias)]
    return "\n".join(lines) + "\n"


def comparisons(found: dict[Cell, dict]) -> list[str]:
    """Every method against gm-vq at the same settings, and every sweep, seed by seed."""
    first = next((cell for cell in found if cell.method == "gm-vq"), None)
    if first is None:
        return ["gm-vq is not among the methods: nothing is compared."]
    lines = [
        "Differences to gm-vq at its first settings, by seed (mean, and 95 % interval from three "
        "seeds on):",
        "",
    ]
    for cell, numbers in found.items():
        if cell == first:
            continue

        def apart(name, a=numbers):
            return mean_and_interval(list(np.array(a[name]) - np.array(found[first][name])))

        lines.append(
            f"- {cell.name}: MSE {apart('mse')}, perplexity {apart('perplexity')}, I(x; c) "
            f"{apart('information')}."
        )
    return lines


def bias_table(bias: Biases) -> list[str]:
    """Pearson's coefficients, as lines of Markdown."""
    found = correlations(bias)
    rows = zip(TEMPERATURES, found["measured"], found["debiased"], strict=True)
    return [
        "Correlation of the entropy of the choice with the bias of the gradient, over "
        f"{len(bias.entropy[0])} random networks with exact "
        "gradients. The paper finds 0.77, on networks that it does not describe.",
        "",
        "| temperature | bias as measured | without the noise of the mean |",
        "|---|---|---|",
        *(f"| {tau:g} | {measured:.2f} | {debiased:.2f} |" for tau, measured, debiased in rows),
    ]
