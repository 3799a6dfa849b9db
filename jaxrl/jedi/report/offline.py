"""The report of a run that learned from recorded episodes."""

from pathlib import Path

import numpy as np

from jaxrl.app.cli import program
from jaxrl.app.errors import UserError
from jaxrl.app.files import resolve_path, write_atomic
from jaxrl.app.html import code, paragraph, section, write_page
from jaxrl.app.plots import to_png
from jaxrl.app.progress import duration
from jaxrl.jedi.diagnostics.open_loop import Comparison, Stretch
from jaxrl.jedi.offline.config import Found, OfflineConfig, data_name, read_offline, shared
from jaxrl.jedi.report.figures import as_shares, draw_panels, panels
from jaxrl.jedi.report.recorded import compare_recorded, held_out_episode, restore
from jaxrl.jedi.report.rows import read_rows
from jaxrl.jedi.report.run import (
    DRAWN,
    NAMES,
    STEPS,
    common_pictures,
    common_sections,
    configuration,
    from_here,
    shown,
)


def write_offline_report(run_dir: str | Path) -> Path:
    """Write `report/index.html` and its pictures from what lies in the run folder and the data;
    returns the page's path.

    Raises:
      UserError: the folder holds no such run, or one without a finished epoch, or the data are
        gone.
    """
    folder = resolve_path(run_dir)
    config, found = read_offline(folder)
    rows = read_rows(folder)
    if not rows:
        raise UserError(f"{folder} has no finished epoch yet, so there is nothing to report")
    comparison = compare_recorded(
        restore(folder), held_out_episode(config, 0), Stretch(STEPS, seed=config.seed)
    )
    common = shared(config, found)
    pictures = {"held_out.png": held_out(rows), **common_pictures(common, rows, comparison)}
    out = folder / "report"
    out.mkdir(exist_ok=True)
    for name, data in pictures.items():
        write_atomic(out / name, data)
    return write_page(
        out / "index.html",
        f"{NAMES[config.agent.mode]} on {data_name(config.data)}",
        section(
            "On episodes it never saw",
            paragraph(generalization(rows)),
            shown(pictures, "held_out.png", "held-out measures"),
        ),
        section(
            "Recorded against imagined",
            paragraph(imagination(config.agent.mode, comparison)),
            shown(pictures, "imagined.gif", "recorded and imagined frames, animated"),
            shown(pictures, "film.png", "film strip of recorded and imagined frames"),
        ),
        *common_sections(common, rows, pictures),
        section("Next steps", code(next_steps(folder))),
        configuration(folder),
        lead=summary(config, found, rows),
    )


def held_out(rows) -> bytes:
    """Losses on what was learned from and on what was held out."""
    figure, axes = panels(3)
    draw_panels(axes, rows, HELD_OUT)
    axes[0].set_yscale("log")
    as_shares(axes[1], axes[2])
    return to_png(figure)


HELD_OUT = (
    ("denoising loss", {"world_model/denoising": "learned from", "held_out/denoising": "held out"}),
    (
        "one step ahead, held out",
        {
            "held_out/reward_accuracy": "reward",
            "held_out/end_accuracy": "end",
            "held_out/reward_recall": "rewards not 0, found",
        },
    ),
    (
        "imagined, open loop, held out",
        {
            "imagined/end_recall": "end recall",
            "imagined/false_alarms": "false alarms",
            "imagined/reward_accuracy": "rewards right",
        },
    ),
)
"""Panels: title, and label by metric."""


def summary(config: OfflineConfig, found: Found, rows) -> str:
    """One paragraph: what was run."""
    last = rows[-1]
    return (
        f"Seed {config.seed}; learned from {found.episodes:,} episodes with {found.steps:,} steps, "
        f"{found.held_out:,} held out; "
        f"{found.num_actions} actions; {len(rows)} epochs, {last['updates']:,} updates; "
        f"{duration(last['time/total'])} of wall time, "
        f"peak memory of the process {last['memory/process_bytes'] / 2**30:.1f} GiB."
    )


def generalization(rows) -> str:
    """The held-out figures of the last epoch in words."""
    last = rows[-1]
    trained = last.get("world_model/denoising")
    comparison = (
        f" (on the episodes it learned from, over the last epoch: {trained:.4f})"
        if trained is not None
        else ""
    )
    tried = (
        "Imagination, open loop over real endings, ended at the right step in "
        f"{last['imagined/end_recall']:.0%} of "
        f"{last['imagined/tried']:.0f} cases, with {last['imagined/false_alarms']:.1%} false "
        "alarms."
        if last["imagined/tried"]
        else "No held-out episode ends, so imagined ends could not be tried."
    )
    return (
        f"Denoising loss {last['held_out/denoising']:.4f}{comparison}. One step ahead, the "
        "reward's sign was right at "
        f"{last['held_out/reward_accuracy']:.1%} of the steps (at "
        f"{last['held_out/reward_recall']:.1%} of those with a reward), the end "
        f"at {last['held_out/end_accuracy']:.1%}. {tried}"
    )


def imagination(mode: str, comparison: Comparison) -> str:
    """Caption of the film."""
    right = (np.sign(comparison.reward) == comparison.imagined_reward).mean()
    return (
        f"The same {len(comparison.action)} actions in a held-out episode and, without seeing "
        "it again, inside the world model. "
        f"{DRAWN[mode]} Imagined rewards were right at {right:.0%} of the steps."
    )


def next_steps(folder: Path) -> str:
    """Commands for the next steps."""
    start, folder = program("jaxrl.jedi"), from_here(folder)
    return f"""# watch another held-out episode
{start} imagine --run-dir {folder} --seed 1 --out imagined.gif

# play a game with the policy, if one was learned (--updates.behavior) and there is a game
{start} evaluate --run-dir {folder} --env my_package.my_game:make"""
