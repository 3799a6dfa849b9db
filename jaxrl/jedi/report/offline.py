"""The report of a run that learned from recorded episodes."""

import html
import shlex
from pathlib import Path

import numpy as np

from jaxrl.app.errors import UserError, is_remote
from jaxrl.app.files import resolve_path, write_atomic
from jaxrl.app.progress import duration
from jaxrl.jedi.diagnostics.open_loop import Comparison
from jaxrl.jedi.offline.config import Found, OfflineConfig, data_name, read_offline, shared
from jaxrl.jedi.report.figures import (
    figure_bytes,
    gif_bytes,
    losses,
    monitors,
    new_figure,
    plot,
    png_bytes,
    time_bars,
)
from jaxrl.jedi.report.film import animation, film_strip
from jaxrl.jedi.report.recorded import compare_recorded, held_out_episode, restore
from jaxrl.jedi.report.run import DRAWN, NAMES, STEPS, document, picture, times, verdict
from jaxrl.train.metrics import read_metrics


def write_offline_report(run_dir: str | Path) -> Path:
    """Write `report/index.html` and its pictures from what lies in the run folder and the data;
    returns the page's path.

    Raises:
      UserError: the folder holds no such run, or one without a finished epoch, or the data are
        gone.
    """
    folder = resolve_path(run_dir)
    config, found = read_offline(folder)
    rows = read_metrics(folder)
    if not rows:
        raise UserError(f"{folder} has no finished epoch yet, so there is nothing to report")
    comparison = compare_recorded(
        restore(folder), held_out_episode(config, 0), STEPS, None, config.seed
    )
    common = shared(config, found)
    pictures = {
        "held_out.png": held_out(rows),
        "monitors.png": monitors(rows, common),
        "losses.png": losses(rows),
        "time.png": time_bars(rows),
        "film.png": png_bytes(film_strip(comparison)),
        "imagined.gif": gif_bytes(animation(comparison)),
    }
    out = folder / "report"
    out.mkdir(exist_ok=True)
    for name, data in pictures.items():
        write_atomic(out / name, data)
    write_atomic(out / "index.html", page(config, found, folder, rows, comparison, pictures))
    return out / "index.html"


def held_out(rows) -> bytes:
    """Losses on what was learned from and on what was held out."""
    figure, axes = new_figure(3)
    plot(
        axes[0],
        rows,
        {"world_model/denoising": "learned from", "held_out/denoising": "held out"},
        "denoising loss",
    )
    axes[0].set_yscale("log")
    names = {
        "held_out/reward_accuracy": "reward",
        "held_out/end_accuracy": "end",
        "held_out/reward_recall": "rewards not 0, found",
    }
    plot(axes[1], rows, names, "one step ahead, held out")
    axes[1].set_ylim(-0.05, 1.05)
    names = {
        "imagined/end_recall": "end recall",
        "imagined/false_alarms": "false alarms",
        "imagined/reward_accuracy": "rewards right",
    }
    plot(axes[2], rows, names, "imagined, open loop, held out")
    axes[2].set_ylim(-0.05, 1.05)
    return figure_bytes(figure)


def page(
    config: OfflineConfig,
    found: Found,
    folder: Path,
    rows,
    comparison: Comparison,
    pictures: dict[str, bytes],
) -> str:
    """The HTML."""
    title, show = (
        f"{NAMES[config.agent.mode]} on {html.escape(data_name(config.data))}",
        lambda name, text: picture(pictures, name, text),
    )
    return document(
        title,
        f"""
<p class="note">{summary(config, found, rows)}</p>
<h2>On episodes it never saw</h2><p>{generalisation(rows)}</p>{show("held_out.png", "held-out measures")}
<h2>Recorded against imagined</h2>
<p>{imagination(config.agent.mode, comparison)}</p>
{show("imagined.gif", "real and imagined")}<br>{show("film.png", "film strip")}
<h2>Has it collapsed?</h2><p>{verdict(shared(config, found), rows)}</p>{show("monitors.png", "monitors")}
<h2>Training</h2>{show("losses.png", "losses")}
<h2>Where the time went</h2>{times(rows)}{show("time.png", "time by part")}
<h2>Going on</h2>{going_on(config, folder)}
<h2>Configuration</h2><details><summary>config.json</summary><pre>{html.escape((folder / "config.json").read_text())}</pre></details>
""",
    )


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


def generalisation(rows) -> str:
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
        f"Denoising loss {last['held_out/denoising']:.4f}{comparison}. One step ahead, the reward's "
        "sign was right at "
        f"{last['held_out/reward_accuracy']:.1%} of the steps (at "
        f"{last['held_out/reward_recall']:.1%} of those with a reward), the end "
        f"at {last['held_out/end_accuracy']:.1%}. {tried}"
    )


def imagination(mode: str, comparison: Comparison) -> str:
    """Caption of the film."""
    right = (np.sign(comparison.reward) == comparison.imagined_reward).mean()
    return (
        f"The same {len(comparison.action)} actions in a held-out episode and, without looking at "
        "it again, inside the world model. "
        f"{DRAWN[mode]} Imagined rewards were right at {right:.0%} of the steps."
    )


def going_on(config: OfflineConfig, folder: Path) -> str:
    """Commands for the next steps."""
    near = not is_remote(folder) and folder.is_relative_to(Path.cwd())
    shown = shlex.quote(str(folder.relative_to(Path.cwd()) if near else folder))
    commands = f"""# watch another held-out episode
python -m jaxrl.jedi imagine --run-dir {shown} --seed 1 --out imagined.gif

# play a game with the policy, if one was learned (--updates.behaviour) and there is a game
python -m jaxrl.jedi evaluate --run-dir {shown} --env my_package.my_game:make"""
    return f"<pre>{html.escape(commands)}</pre>"
