"""The report of a run: one HTML page that needs nothing else, and its pictures as files
next to it.
"""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np

from jaxrl.app.cli import program
from jaxrl.app.errors import UserError, is_remote
from jaxrl.app.files import resolve_path, write_atomic
from jaxrl.app.html import code, details, figure, paragraph, section, table, write_page
from jaxrl.app.progress import duration
from jaxrl.envs.atari100k import human_normalized
from jaxrl.envs.protocol import MakeEnv
from jaxrl.envs.single import as_host
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.diagnostics.open_loop import Comparison, Stretch, compare_policy
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
from jaxrl.jedi.report.rows import read_rows
from jaxrl.jedi.training.checkpoints import restore_agent
from jaxrl.train.rundir import read_config_as

NAMES = {"jedi": "JEDI", "pixel": "Pixel diffusion", "separate": "Separately trained latents"}
"""By mode."""
DRAWN = {
    "jedi": "Imagined latents are drawn by a probe decoder that never trains the encoder; the "
    "middle row is its view of the real ones.",
    "pixel": "The latents are the frames themselves.",
    "separate": "Imagined latents are drawn by the decoder they were trained with; the middle row "
    "is its view of the real ones.",
}
"""Sentence on how latents become pictures, by mode."""
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
    config = read_config_as(JediConfig, folder)
    rows = read_rows(folder)
    if not rows:
        raise UserError(f"{folder} has no finished epoch yet, so there is nothing to report")
    env = make_game(config) if make_env is None else make_env()
    agent, env_steps = restore_agent(folder, config, env)
    comparison = compare_policy(agent, as_host(env), Stretch(STEPS, seed=config.seed))
    pictures = {"curves.png": curves(rows, env.name), **common_pictures(config, rows, comparison)}
    out = folder / "report"
    out.mkdir(exist_ok=True)
    if (out / "horizon.png").exists() and (
        out / "horizon.json"
    ).exists():  # from the command horizon
        pictures["horizon.png"] = (out / "horizon.png").read_bytes()
    for name, data in pictures.items():
        write_atomic(out / name, data)
    title, said = f"{NAMES[config.agent.mode]} on {config.env}", outcome(rows)
    return write_page(
        out / "index.html",
        title,
        section("Scores", *([paragraph(said)] if said else ()), *scores(env.name, rows)),
        section("Learning curves", shown(pictures, "curves.png", "learning curves")),
        section(
            "Real against imagined",
            paragraph(imagination(config.agent.mode, comparison, env_steps)),
            shown(pictures, "imagined.gif", "real and imagined frames, animated"),
            shown(pictures, "film.png", "film strip of real and imagined frames"),
            over_the_horizon(folder, pictures) if "horizon.png" in pictures else "",
        ),
        *common_sections(config, rows, pictures),
        section("Next steps", code(next_steps(config, folder))),
        configuration(folder),
        lead=summary(config, rows),
    )


def shown(pictures: dict[str, bytes], name: str, alt: str):
    """One of the pictures, inside the page; frames of games without smoothing."""
    return figure(pictures[name], alt, pixelated=name in ("imagined.gif", "film.png"))


def common_pictures(config: JediConfig, rows, comparison: Comparison) -> dict[str, bytes]:
    """Pictures of `common_sections`, and real against imagined frames."""
    return {
        "monitors.png": monitors(rows, config),
        "losses.png": losses(rows),
        "time.png": time_bars(rows),
        "film.png": png_bytes(film_strip(comparison)),
        "imagined.gif": gif_bytes(animation(comparison)),
    }


def common_sections(config: JediConfig, rows, pictures: dict[str, bytes]) -> tuple:
    """Collapse, losses and time: what every kind of run has."""
    return (
        section(
            "Has it collapsed?",
            paragraph(verdict(config, rows)),
            shown(pictures, "monitors.png", "monitors of the latents"),
        ),
        section("Training", shown(pictures, "losses.png", "losses")),
        section(
            "Where the time went", *times(rows), shown(pictures, "time.png", "seconds by part")
        ),
    )


def configuration(folder: Path):
    """All settings of the run, folded."""
    text = (folder / "config.json").read_text()
    return section("Configuration", details("config.json", code(text)))


def over_the_horizon(folder: Path, pictures: dict[str, bytes]):
    """Figure of the command `horizon` in the folder, with the number of steps at which it was
    measured.
    """
    saved = json.loads((folder / "report" / "horizon.json").read_text())
    measured = ", ".join(
        f"{name} after {run['env_steps']:,} environment steps"
        for name, run in saved["runs"].items()
    )
    note = (
        f"Error over the imagined steps, from {saved['starts']:,} starts in {saved['games']} "
        f"real games: {measured}."
    )
    drawn = shown(pictures, "horizon.png", "error of imagination over the horizon")
    return section("How far can it be trusted?", paragraph(note), drawn, level=3)


def summary(config: JediConfig, rows) -> str:
    """One paragraph: what was run."""
    last = rows[-1]
    updates = ", ".join(
        f"{sum(row.get(f'{part}/updates') or 0 for row in rows):,} {part.replace('_', ' ')}"
        for part in ("world_model", "reward_end", "behavior")
    )
    return (
        f"Seed {config.seed}, {last['env_steps']:,} environment steps, {len(rows)} epochs, "
        f"updates: {updates}; "
        f"{duration(last['time/total'])} of wall time, peak memory of the process "
        f"{last['memory/process_bytes'] / 2**30:.1f} GiB, "
        f"replay {last['replay/bytes'] / 2**20:.0f} MiB."
    )


def scores(game: str, rows) -> list:
    """Table of evaluations, with human-normalized scores where they exist."""
    found = [row for row in rows if row.get("evaluate/return") is not None]
    if not found:
        return [paragraph("No evaluation was made.")]
    names = ("return", "std", "min", "max", "episodes")
    lines = []
    for row in found:
        normalized = human_normalized(game, row["evaluate/return"])
        measured = (row[f"evaluate/{name}"] for name in names)
        lines.append(
            (row["env_steps"], *(_cell(x) for x in measured))
            + (() if normalized is None else (f"{normalized:.3f}",))
        )
    heads = ("steps", "mean return", "std", "min", "max", "games", "human-normalized")
    cut = sum(row.get("evaluate/cut") or 0 for row in found)
    known = "; ".join(f"{label} {value:.2f}" for value, label, _ in references(rows, game))
    note = f"For comparison: {known or 'no reference'}. {_cut(cut)}"
    return [table(heads[: len(lines[0])], lines, "evaluations"), paragraph(note, "note")]


def _cell(value: float | int) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


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
        f"The same {len(comparison.action)} actions in the real game and, without seeing it "
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
        "The behavior gate never opened."
        if opened is None
        else f"The behavior gate opened in epoch {opened + 1}"
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


def times(rows) -> list:
    """Table of seconds by part."""
    parts = seconds_by_part(rows)
    total = sum(parts.values()) or 1.0
    lines = [
        (part.replace("_", " "), f"{value:.1f}", f"{value / total:.0%}")
        for part, value in parts.items()
    ]
    compiled = sum(row["compile/count"] for row in rows)
    later = sum(row["compile/count"] for row in rows[2:])
    note = (
        f"{compiled} programs were compiled, {later} of them after the second epoch. Compiling and "
        "waiting for it count to the part that needed the program."
    )
    heads = ("part", "seconds", "share")
    return [table(heads, lines, "wall time", row_heads=True), paragraph(note, "note")]


def from_here(folder: Path) -> str:
    """The folder as one writes it in a command."""
    near = not is_remote(folder) and folder.is_relative_to(Path.cwd())
    return shlex.quote(str(folder.relative_to(Path.cwd()) if near else folder))


def next_steps(config: JediConfig, folder: Path) -> str:
    """Commands for the next steps."""
    longer = replace(
        config, schedule=replace(config.schedule, env_steps=2 * config.schedule.env_steps)
    )
    options, folder = shlex.join(options_for(longer)), from_here(folder)
    start, full = program("jaxrl.jedi"), f"--preset atari100k --mode {config.agent.mode}"
    env = shlex.quote(config.env)
    return f"""# the full benchmark, on a GPU or TPU (see first what it takes: plan)
{start} plan {full} --env {env}
{start} train {full} --env {env}

# continue this run
{start} train {options} --run-dir {folder}

# play 100 games, watch imagination from another start
{start} evaluate --run-dir {folder} --episodes 100
{start} imagine --run-dir {folder} --seed 1 --out imagined.gif

# measure how far imagination can be trusted
{start} horizon --run-dir {folder}"""
