"""Several seeds side by side: one figure of their evaluations with intervals, and a page that leads
to the report of each.
"""

import math
from pathlib import Path

from jaxrl.app.errors import UserError
from jaxrl.app.files import resolve_path, write_atomic
from jaxrl.app.html import figure, link, table, write_page
from jaxrl.app.plots import line_with_band, new_figure, to_png
from jaxrl.app.stats import t_interval
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.report.figures import series
from jaxrl.jedi.report.rows import read_rows
from jaxrl.jedi.report.run import write_report
from jaxrl.jedi.training.many_runs import seed_folders
from jaxrl.train.rundir import read_config_as


def sentence(values) -> str:
    """Mean and interval in words."""
    found = t_interval(values)
    spread = (
        f" +- {found.half_width:.2f} (95 % interval of the mean, Student's t)"
        if math.isfinite(found.half_width)
        else ""
    )
    return f"{found.mean:.2f}{spread} over {len(values)} seed{'s' if len(values) != 1 else ''}"


def write_seeds_report(run_dir: str | Path) -> Path:
    """The report of every seed, and `report/index.html` above them; returns its path.

    Raises:
      UserError: the folder holds no seeds, or see `write_report`.
    """
    folder = resolve_path(run_dir)
    seeds = seed_folders(folder)
    if not seeds:
        raise UserError(f"{folder} holds no run and no seeds: name the folder of a training")
    # If none has an epoch, the first says so.
    runs = [run for run in seeds if read_rows(run)] or seeds
    left_out = [run.name for run in seeds if run not in runs]
    unnamed = sorted(path.parent.name for path in folder.glob("seed*/checkpoints"))
    unnamed = [name for name in unnamed if folder / name not in seeds]
    pages = [write_report(run) for run in runs]
    rows = {run.name: read_rows(run) for run in runs}
    out = folder / "report"
    out.mkdir(exist_ok=True)
    picture = returns(rows)
    write_atomic(out / "returns.png", picture)
    config = read_config_as(JediConfig, runs[0])
    last = {name: evaluations(own)[-1:] for name, own in rows.items()}
    final = [value for values in last.values() for value in values]
    lines = [
        (
            link(name, f"../{own.relative_to(folder)}"),
            rows[name][-1]["env_steps"],
            *(f"{value:.2f}" for value in last[name] or [float("nan")]),
        )
        for name, own in zip(rows, pages, strict=True)
    ]
    return write_page(
        out / "index.html",
        f"{config.agent.mode} on {config.env}: {len(rows)} seed{'s' if len(rows) != 1 else ''}",
        figure(picture, "return of every seed over environment steps, and their mean"),
        table(("seed", "environment steps", "last return"), lines, "seeds"),
        lead=f"Last evaluation: {sentence(final) if final else 'none was made'}."
        + different_lengths([own[-1]["env_steps"] for own in rows.values()])
        + (f" Left out, without a finished epoch: {', '.join(left_out)}." if left_out else "")
        + (f" Left out, without config.json: {', '.join(unnamed)}." if unnamed else ""),
    )


def different_lengths(steps: list[int]) -> str:
    """A sentence if the seeds have not made the same number of environment steps."""
    if min(steps) == max(steps):
        return ""
    return (
        f" The seeds have made {min(steps)} to {max(steps)} environment steps, so their last "
        "evaluations are not of the same age: the same command trains the shorter ones on."
    )


def evaluations(rows) -> list[float]:
    """Returns of all evaluations, in order."""
    return [row["evaluate/return"] for row in rows if row.get("evaluate/return") is not None]


def returns(rows: dict[str, list[dict]]) -> bytes:
    """Evaluations of every seed over environment steps, and their mean with its interval where all
    seeds were evaluated.
    """
    drawing, ((axis,),) = new_figure(6.5, 3.6)
    curves = {
        name: dict(zip(*series(own, "evaluate/return"), strict=True)) for name, own in rows.items()
    }
    for name, curve in curves.items():
        axis.plot(list(curve), list(curve.values()), marker=".", alpha=0.5, label=name)
    shared = sorted(set.intersection(*(set(curve) for curve in curves.values())))
    if shared and len(curves) > 1:
        found = [t_interval([curve[x] for curve in curves.values()]) for x in shared]
        style = {"color": "black", "linewidth": 2, "label": "mean, 95 % interval"}
        line_with_band(axis, shared, *zip(*found, strict=True), **style)
    axis.set(title="return per game in evaluation", xlabel="environment steps")
    if axis.lines:
        axis.legend(fontsize=8)
    return to_png(drawing)
