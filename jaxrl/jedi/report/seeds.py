"""Several seeds side by side: one figure of their evaluations with intervals, and a page that leads
to the report of each.
"""

import html
import math
from pathlib import Path

import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.files import resolve_path, write_atomic
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.report.figures import figure_bytes, new_figure, series
from jaxrl.jedi.report.run import write_report
from jaxrl.jedi.training.many_runs import seed_folders
from jaxrl.train.config import from_dict
from jaxrl.train.metrics import read_metrics
from jaxrl.train.rundir import read_config


def mean_interval(values, level: float = 0.95) -> tuple[float, float]:
    """Mean of independent values and the half width of its confidence interval by Student's t;
    infinite for a single value.
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return float(values.mean()), math.inf
    from scipy.stats import t

    return float(values.mean()), float(
        t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    )


def sentence(values) -> str:
    """Mean and interval in words."""
    mean, half = mean_interval(values)
    spread = (
        f" +- {half:.2f} (95 % interval of the mean, Student's t)" if math.isfinite(half) else ""
    )
    return f"{mean:.2f}{spread} over {len(values)} seed{'s' if len(values) != 1 else ''}"


def write_seeds_report(run_dir: str | Path) -> Path:
    """The report of every seed, and `report/index.html` above them; returns its path.

    Raises:
      UserError: the folder holds no seeds, or see `write_report`.
    """
    folder = resolve_path(run_dir)
    runs = seed_folders(folder)
    if not runs:
        raise UserError(f"{folder} holds no run and no seeds: name the folder of a training")
    pages = [write_report(run) for run in runs]
    rows = {run.name: read_metrics(run) for run in runs}
    out = folder / "report"
    out.mkdir(exist_ok=True)
    write_atomic(out / "returns.png", returns(rows))
    config = from_dict(JediConfig, read_config(runs[0]))
    write_atomic(out / "index.html", page(config, folder, rows, pages))
    return out / "index.html"


def returns(rows: dict[str, list[dict]]) -> bytes:
    """Evaluations of every seed over environment steps, and their mean with its interval where all
    seeds were evaluated.
    """
    figure, (axis,) = new_figure(1)
    curves = {
        name: dict(zip(*series(own, "evaluate/return"), strict=True)) for name, own in rows.items()
    }
    for name, curve in curves.items():
        axis.plot(list(curve), list(curve.values()), marker=".", alpha=0.5, label=name)
    shared = sorted(set.intersection(*(set(curve) for curve in curves.values())))
    if shared and len(curves) > 1:
        middle = [mean_interval([curve[x] for curve in curves.values()]) for x in shared]
        mean, half = map(np.array, zip(*middle, strict=True))
        axis.plot(shared, mean, color="black", linewidth=2, label="mean")
        axis.fill_between(
            shared, mean - half, mean + half, color="black", alpha=0.15, label="95 % interval"
        )
    axis.set_title("return per game in evaluation")
    axis.set_xlabel("environment steps")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return figure_bytes(figure)


def page(config: JediConfig, folder: Path, rows: dict[str, list[dict]], pages: list[Path]) -> str:
    """The HTML."""
    last = {
        name: [row["evaluate/return"] for row in own if row.get("evaluate/return") is not None]
        for name, own in rows.items()
    }
    final = [values[-1] for values in last.values() if values]
    lines = "".join(
        f'<tr><td><a href="../{link.relative_to(folder)}">{name}</a></td><td>{rows[name][-1]["env_steps"]:,}</td>'
        f"<td>{f'{last[name][-1]:.2f}' if last[name] else '-'}</td></tr>"
        for name, link in zip(rows, pages, strict=True)
    )
    title = f"{config.agent.mode} on {html.escape(config.env)}: {len(rows)} seeds"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 900px; margin: 2em auto; padding: 0 1em; color: #222; }}
img {{ max-width: 100%; }} td, th {{ padding: .2em 1.2em .2em 0; text-align: left; }}
</style></head><body><h1>{title}</h1>
<p>Last evaluation: {sentence(final) if final else "none was made"}.</p>
<img alt="returns" src="returns.png">
<table><tr><th>seed</th><th>environment steps</th><th>last return</th></tr>{lines}</table>
</body></html>
"""
