"""The report of a run: one HTML page that needs nothing else, and its pictures as files
next to it.
"""

import base64
import html
import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np

from jaxrl.app.errors import UserError, is_remote
from jaxrl.app.files import resolve_path, write_atomic
from jaxrl.app.progress import duration
from jaxrl.envs.atari100k import human_normalized
from jaxrl.envs.protocol import MakeEnv
from jaxrl.envs.single import as_host
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.diagnostics.open_loop import Comparison, compare_policy
from jaxrl.jedi.play.game import make_game
from jaxrl.jedi.presets import options_for
from jaxrl.jedi.report.figures import (
    curves,
    gif_bytes,
    losses,
    monitors,
    png_bytes,
    references,
    seconds_by_part,
    time_bars,
)
from jaxrl.jedi.report.film import animation, film_strip
from jaxrl.jedi.report.outcome import outcome
from jaxrl.jedi.training.checkpoints import restore_agent
from jaxrl.train.config import from_dict
from jaxrl.train.metrics import read_metrics
from jaxrl.train.rundir import read_config

NAMES = {"jedi": "JEDI", "pixel": "Pixel diffusion", "separate": "Separately trained latents"}
"""By mode."""
DRAWN = {
    "jedi": "Imagined latents are drawn by a probe decoder that never trains the encoder; the "
    "middle row is its view of the real ones.",
    "pixel": "The latents are the frames themselves.",
    "separate": "Imagined latents are drawn by the decoder they were trained with; the middle row "
    "is its view of the real ones.",
}
"""How latents become pictures, by mode."""
STEPS = 40
"""Length of the imagined stretch that is shown."""


def write_report(run_dir: str | Path, make_env: MakeEnv | None = None) -> Path:
    """Write `report/index.html` and its pictures from what lies in the run folder; returns the
    page's path.

    `make_env` makes the game, if the run's `config.env` cannot name it.

    Raises:
      UserError: the folder holds no run, or one without a finished epoch.
    """
    folder = resolve_path(run_dir)
    config = from_dict(JediConfig, read_config(folder))
    rows = read_metrics(folder)
    if not rows:
        raise UserError(f"{folder} has no finished epoch yet, so there is nothing to report")
    env = make_game(config) if make_env is None else make_env()
    agent, env_steps = restore_agent(folder, config, env)
    comparison = compare_policy(agent, as_host(env), STEPS, None, config.seed)
    pictures = {
        "curves.png": curves(rows, env.name),
        "monitors.png": monitors(rows, config),
        "losses.png": losses(rows),
        "time.png": time_bars(rows),
        "film.png": png_bytes(film_strip(comparison)),
        "imagined.gif": gif_bytes(animation(comparison)),
    }
    out = folder / "report"
    out.mkdir(exist_ok=True)
    if (out / "horizon.png").exists() and (
        out / "horizon.json"
    ).exists():  # from the command horizon
        pictures["horizon.png"] = (out / "horizon.png").read_bytes()
    for name, data in pictures.items():
        write_atomic(out / name, data)
    write_atomic(
        out / "index.html", page(config, env.name, folder, rows, env_steps, comparison, pictures)
    )
    return out / "index.html"


def page(
    config: JediConfig,
    game: str,
    folder: Path,
    rows,
    env_steps: int,
    comparison: Comparison,
    pictures: dict[str, bytes],
) -> str:
    """The HTML."""

    def show(name, text):
        return picture(pictures, name, text)

    title = f"{NAMES[config.agent.mode]} on {html.escape(config.env)}"
    return document(
        title,
        f"""
<p class="note">{summary(config, rows)}</p>
<p>{outcome(rows) or ""}</p>
{scores(game, rows)}
<h2>Learning curves</h2>{show("curves.png", "learning curves")}
<h2>Real against imagined</h2>
<p>{imagination(config.agent.mode, comparison, env_steps)}</p>
{show("imagined.gif", "real and imagined")}<br>{show("film.png", "film strip")}
{over_the_horizon(folder, show) if "horizon.png" in pictures else ""}
<h2>Has it collapsed?</h2><p>{verdict(config, rows)}</p>{show("monitors.png", "monitors")}
<h2>Training</h2>{show("losses.png", "losses")}
<h2>Where the time went</h2>{times(rows)}{show("time.png", "time by part")}
<h2>Going on</h2>{going_on(config, folder)}
<h2>Configuration</h2><details><summary>config.json</summary><pre>{html.escape((folder / "config.json").read_text())}</pre></details>
""",
    )


def picture(pictures: dict[str, bytes], name: str, text: str) -> str:
    """One of the pictures as an element that needs no file."""
    data = base64.b64encode(pictures[name]).decode()
    return f'<img alt="{text}" src="data:image/{name.rsplit(".", 1)[1]};base64,{data}">'


def document(title: str, body: str) -> str:
    """A whole page."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #222; }}
h1 {{ margin-bottom: 0; }} h2 {{ margin-top: 2em; border-bottom: 1px solid #ddd; }}
img {{ max-width: 100%; }} table {{ border-collapse: collapse; }} td, th {{ padding: .2em .9em .2em 0; text-align: left; }}
td.n {{ text-align: right; }} pre {{ background: #f5f5f5; padding: .8em; overflow-x: auto; }} .note {{ color: #666; }}
img[alt^="film"], img[alt^="real"] {{ image-rendering: pixelated; }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""


def over_the_horizon(folder: Path, show) -> str:
    """Figure of the command `horizon` in the folder, with the number of steps at which it was
    measured.
    """
    saved = json.loads((folder / "report" / "horizon.json").read_text())
    measured = ", ".join(
        f"{html.escape(name)} after {run['env_steps']:,} environment steps"
        for name, run in saved["runs"].items()
    )
    note = (
        f"Error over the imagined steps, from {saved['starts']:,} starts in {saved['games']} "
        f"real games: {measured}."
    )
    return (
        "<h3>How far can it be "
        f"trusted?</h3><p>{note}</p>{show('horizon.png', 'error of imagination over the horizon')}"
    )


def summary(config: JediConfig, rows) -> str:
    """One paragraph: what was run."""
    last = rows[-1]
    updates = ", ".join(
        f"{sum(row.get(f'{part}/updates') or 0 for row in rows):,} {part.replace('_', ' ')}"
        for part in ("world_model", "heads", "behaviour")
    )
    return (
        f"Seed {config.seed}, {last['env_steps']:,} environment steps, {len(rows)} epochs, "
        f"updates: {updates}; "
        f"{duration(last['time/total'])} of wall time, peak memory of the process "
        f"{last['memory/process_bytes'] / 2**30:.1f} GiB, "
        f"replay {last['replay/bytes'] / 2**20:.0f} MiB."
    )


def scores(game: str, rows) -> str:
    """Table of evaluations, with human-normalised scores where they exist."""
    found = [row for row in rows if row.get("evaluate/return") is not None]
    if not found:
        return "<p>No evaluation was made.</p>"
    lines = []
    for row in found:
        normalised = human_normalized(game, row["evaluate/return"])
        cells = (
            f"{row['env_steps']:,}",
            f"{row['evaluate/return']:.2f}",
            f"{row['evaluate/std']:.2f}",
            f"{row['evaluate/min']:.1f}",
            f"{row['evaluate/max']:.1f}",
            str(row["evaluate/episodes"]),
            "" if normalised is None else f"{normalised:.3f}",
        )
        lines.append("<tr>" + "".join(f'<td class="n">{cell}</td>' for cell in cells) + "</tr>")
    heads = ("steps", "mean return", "std", "min", "max", "games", "human-normalised")
    cut = sum(row.get("evaluate/cut") or 0 for row in found)
    known = "; ".join(f"{label} {value:.2f}" for value, label, _ in references(rows, game))
    table = (
        f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{''.join(lines)}</table>"
    )
    return (
        f"<h2>Scores</h2>{table}<p class='note'>For comparison: {known or 'no reference'}. "
        f"{_cut(cut)}</p>"
    )


def _cut(games: int) -> str:
    return (
        f"{games} games were cut after evaluation.max_steps; their returns count as they stood."
        if games
        else ""
    )


def imagination(mode: str, comparison: Comparison, env_steps: int) -> str:
    """Caption of the film, in words and figures."""
    right = (np.sign(comparison.reward) == comparison.imagined_reward).mean()
    rewards = int(np.abs(np.sign(comparison.reward)).sum())
    return (
        f"The same {len(comparison.action)} actions in the real game and, without looking at it "
        "again, inside the world model (agent after "
        f"{env_steps:,} steps). {DRAWN[mode]} Imagined rewards were right at {right:.0%} of the "
        f"steps; {rewards} of the real ones were "
        "not zero."
    )


def verdict(config: JediConfig, rows) -> str:
    """A sentence on collapse from the last epoch's monitors."""
    last = rows[-1]
    std, rank, gain = (
        last.get(f"monitor/{name}") or 0.0
        for name in ("latent_std", "participation_ratio", "context_gain")
    )
    healthy = std > 0.4 * config.agent.world_model.hinge_floor and rank > 2 and gain > 0.01
    judged = (
        "No sign of collapse" if healthy else "The latents look collapsed, or the past is not used"
    )
    floor = (
        f"; the hinge's floor is {config.agent.world_model.hinge_floor}"
        if config.agent.mode == "jedi"
        else ""
    )
    if config.agent.mode == "pixel":
        judged, floor = (
            ("The past is used" if gain > 0.01 else "The past is not used"),
            "; of frames, not of latents",
        )
    opened = next((row["epoch"] for row in rows if row["gate/open"]), None)
    gate = (
        "The behaviour gate never opened."
        if opened is None
        else f"The behaviour gate opened in epoch {opened + 1}"
    )
    if opened is not None:
        by_time = (
            ", because its latest epoch had come: imagination does not yet end where the game does."
        )
        gate += by_time if last.get("gate/forced") else ", when imagination passed its test."
    return (
        f"{judged}: standard deviation {std:.3f} (0 when "
        f"collapsed{floor if config.agent.mode != 'separate' else ''}), "
        f"participation ratio {rank:.1f} directions, context gain {gain:.3f} (0 when the past is "
        f"ignored). {gate} "
        f"Open-loop end recall {last['gate/end_recall']:.2f}."
    )


def times(rows) -> str:
    """Table of seconds by part."""
    parts = seconds_by_part(rows)
    total = sum(parts.values()) or 1.0
    lines = "".join(
        f'<tr><td>{part.replace("_", " ")}</td><td class="n">{value:.1f} s</td><td '
        f'class="n">{value / total:.0%}</td></tr>'
        for part, value in parts.items()
    )
    compiled = sum(row["compile/count"] for row in rows)
    later = sum(row["compile/count"] for row in rows[2:])
    return (
        f"<table>{lines}</table><p class='note'>{compiled} programs were compiled, {later} of them "
        "after the second epoch. "
        "Compiling and waiting for it count to the part that needed the program.</p>"
    )


def going_on(config: JediConfig, folder: Path) -> str:
    """Commands for the next steps."""
    near = not is_remote(folder) and folder.is_relative_to(Path.cwd())
    shown = folder.relative_to(Path.cwd()) if near else folder
    longer = replace(
        config, schedule=replace(config.schedule, env_steps=2 * config.schedule.env_steps)
    )
    options, shown = shlex.join(options_for(longer)), shlex.quote(str(shown))
    commands = f"""# the full benchmark, on a GPU or TPU (see first what it takes: plan)
python -m jaxrl.jedi plan --preset atari100k --mode {config.agent.mode} --env {config.env}
python -m jaxrl.jedi train --preset atari100k --mode {config.agent.mode} --env {config.env}

# continue this run
python -m jaxrl.jedi train {options} --run-dir {shown}

# play 100 games, watch imagination from another start
python -m jaxrl.jedi evaluate --run-dir {shown} --episodes 100
python -m jaxrl.jedi imagine --run-dir {shown} --seed 1 --out imagined.gif

# measure how far imagination can be trusted
python -m jaxrl.jedi horizon --run-dir {shown}"""
    return f"<pre>{html.escape(commands)}</pre>"
