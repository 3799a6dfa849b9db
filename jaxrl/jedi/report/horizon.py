"""The command `horizon`: table, JSON and figure of the error of imagination over the horizon, for
one or several runs.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.files import resolve_path, write_atomic
from jaxrl.app.plots import COLORS, line_with_band, new_figure, to_png
from jaxrl.envs.protocol import MakeEnv
from jaxrl.jedi.diagnostics.horizon import (
    HorizonConfig,
    Record,
    Starts,
    count,
    draw_starts,
    play_real,
    steps_left,
    with_bands,
)
from jaxrl.jedi.diagnostics.sampler import AS_TRAINED, SamplerChoice, describe_sampler, with_sampler
from jaxrl.jedi.training.checkpoints import Runs, draws_pictures, open_runs

STEPS = 15
"""Imagined steps if none are asked for and games last as long."""


DEFAULT = HorizonConfig()


def measure_runs(
    run_dirs: Sequence[str | Path],
    config: HorizonConfig = DEFAULT,
    out: Path | None = None,
    choice: SamplerChoice = AS_TRAINED,
    make_env: MakeEnv | None = None,
) -> str:
    """Play, imagine, write `out` (.png; default: report/horizon.png of the first run) and the same
    as .json; returns the table.

    All runs imagine the same stretches of the same games.

    Args:
      run_dirs: folders of runs of the same game; the policy of the first plays.
      config: amount of play and of imagination.
      out: file of the figure, .png in a folder that exists; None: the default.
      choice: changes to the sampler, the same for all runs.
      make_env: makes the game, if the runs' `config.env` cannot name it.

    Returns:
      The table as text, and the names of the files written.

    Raises:
      UserError: something does not fit.
    """
    check(config)
    if out is not None and out.suffix != ".png":
        raise UserError(
            f"--out {out} must end in .png; the figures are written next to it as .json"
        )
    if out is not None and not out.absolute().parent.is_dir():
        raise UserError(f"--out {out} lies in a folder that does not exist: make it first")
    runs = open_runs(run_dirs, make_env)
    if out is None:
        out = resolve_path(run_dirs[0]) / "report" / "horizon.png"
        out.parent.mkdir(exist_ok=True)
    result = measure(runs, config, choice)
    write_atomic(out.with_suffix(".json"), json.dumps(result, indent=1) + "\n")
    write_atomic(out, figure(result))
    return f"{table(result)}\n{out} and {out.with_suffix('.json').name} are written"


def check(config: HorizonConfig) -> None:
    """Refuse numbers that mean nothing."""
    for name, least in (("steps", 1), ("games", 2), ("game_steps", 1), ("starts", 1)):
        value = getattr(config, name)
        if value is not None and value < least:
            why = ": the bands come from comparing games" if name == "games" else ""
            raise UserError(
                f"--{name.replace('_', '-')} is {value}: it must be at least {least}{why}"
            )
    if not 0 <= config.epsilon <= 1:
        raise UserError(f"--epsilon is {config.epsilon}: it is a share, from 0 to 1")


def measure(
    runs: Runs, config: HorizonConfig, choice: SamplerChoice = AS_TRAINED
) -> dict[str, Any]:
    """All figures, JSON-ready: {"game", "horizon", "starts", ..., "runs": {name: {"figures": {name:
    {"mean", "low", "high"}}}}}.
    """
    player = next(iter(runs.agents.values()))
    record = play_real(runs.env, runs.make_env, player, config)
    starts = draw_starts(record, config.starts, config.seed)
    horizon = settled_horizon(config, record, starts)
    key = jax.random.key(config.seed)
    found = {}
    for name, agent in runs.agents.items():
        agent = with_sampler(agent, choice)
        pictures = draws_pictures(agent)
        sums = jax.device_get(count(agent, record, starts, key, horizon, pictures))
        found[name] = {
            "mode": getattr(agent.spec.config, "mode", "jedi"),
            "env_steps": runs.env_steps[name],
            "sampler": describe_sampler(agent.spec.config.sampler),
            "figures": _json_ready(with_bands(sums)),
        }
    return {
        "game": runs.env.name,
        "horizon": horizon,
        "counted": sums["count"].sum(0).astype(int).tolist(),
        "starts": len(starts.t),
        "games": config.games,
        "game_steps": config.game_steps,
        "epsilon": config.epsilon,
        "seed": config.seed,
        "runs": found,
    }


def settled_horizon(config: HorizonConfig, record: Record, starts: Starts) -> int:
    """The steps asked for, or 15 or fewer.

    Raises:
      UserError: no game lasted for as long as was asked for.
    """
    longest = int(steps_left(record)[starts.lane, starts.t].max())
    if config.steps is None:
        return min(STEPS, longest)
    if config.steps > longest:
        raise UserError(
            f"--steps is {config.steps}, but no game lasted for more than {longest} steps after a "
            "start: choose at most "
            f"{longest}, or play longer with --game-steps"
        )
    return config.steps


def _json_ready(bands):
    """Lists of floats rounded to six digits; None for NaN."""

    def number(x):
        return None if np.isnan(x) else float(f"{x:.6g}")

    return {
        name: {key: [number(x) for x in value] for key, value in band.items()}
        for name, band in bands.items()
    }


# ---- table
# ------------------------------------------------------------

COLUMNS = (
    ("reward right", "reward_accuracy"),
    ("base", "reward_accuracy_base"),
    ("recall", "reward_recall"),
    ("rate", "reward_rate"),
    ("nats gain", "reward_nats_gain"),
    ("end recall", "end_recall"),
    ("false", "end_false_alarms"),
    ("rate", "end_rate"),
    ("frame mse", "frame_error"),
    ("probe", "frame_probe_error"),
    ("still", "frame_still_error"),
    ("latent mse", "latent_error"),
    ("still", "latent_still_error"),
)
"""Heading and figure."""


def table(result: dict[str, Any]) -> str:
    """For a terminal, one block per run. "base": the most frequent class; "rate": nonzero rewards,
    or ends; "still": no motion.
    """
    lines = [
        f"{result['game']}: {result['starts']} starts in {result['games']} games of "
        f"{result['game_steps']} steps; base is the most "
        "frequent class, rate the share of nonzero rewards (of ends), still a world in which "
        "nothing moves"
    ]
    for name, run in result["runs"].items():
        shown = [
            (head, run["figures"][key]["mean"]) for head, key in COLUMNS if key in run["figures"]
        ]
        lines += [
            "",
            f"{name} (mode {run['mode']}, {run['env_steps']} steps of training, {run['sampler']})",
        ]
        lines.append("step  counted  " + "  ".join(f"{head:>7}" for head, _ in shown))
        for h in range(result["horizon"]):
            cells = (f"{_cell(values[h]):>{max(7, len(head))}}" for head, values in shown)
            lines.append(f"{h + 1:>4}  {result['counted'][h]:>7}  " + "  ".join(cells))
        if "frame_error" not in run["figures"]:
            lines.append("(no pictures: this run was trained without the probe decoder)")
    return "\n".join(lines)


def _cell(value):
    return "-" if value is None else f"{value:.4f}" if abs(value) < 0.1 else f"{value:.3f}"


# ---- figure
# ------------------------------------------------------------

PANELS = (
    (
        "imagined reward right",
        "reward_accuracy",
        (("reward_accuracy_base", "most frequent class"),),
    ),
    (
        "surprise at rewards, nats",
        "reward_nats",
        (("reward_nats_base", "knowing only the shares"),),
    ),
    ("nonzero rewards found", "reward_recall", ()),
    ("ends found", "end_recall", (("end_false_alarms", "false alarms"),)),
    (
        "picture against real frame, mse",
        "frame_error",
        (("frame_probe_error", "probe alone"), ("frame_still_error", "standing still")),
    ),
    (
        "latent against real latent, mse",
        "latent_error",
        (("latent_still_error", "standing still"),),
    ),
)
"""Title, figure with its band, and the references drawn with it, dashed or dotted."""


def figure(result: dict[str, Any], dpi: int = 100) -> bytes:
    """A PNG of 13 x 6.4 inches with six panels over the horizon; shaded: 95 % of a bootstrap over
    games.
    """
    from matplotlib.ticker import MaxNLocator

    drawing, axes = new_figure(13, 6.4, 2, 3)
    for axis, (title, key, references) in zip(axes.flat, PANELS, strict=True):
        for number, (name, run) in enumerate(result["runs"].items()):
            if key in run["figures"]:
                shared = references if number == 0 else own_references(references)
                _draw(axis, run["figures"], key, shared, COLORS[number % len(COLORS)], name)
        axis.set(title=title, xlabel="imagined step")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        if axis.lines:
            axis.legend(fontsize=7)
    drawing.suptitle(f"{result['game']}: open-loop imagination from {result['starts']} real starts")
    return to_png(drawing, dpi)


def _draw(axis, figures, key, references, color, name):
    band = {part: np.array(figures[key][part], float) for part in ("mean", "low", "high")}
    step = np.arange(1, len(band["mean"]) + 1)
    line_with_band(axis, step, **band, label=name, marker=".", color=color)
    for style, (other, label) in zip(("--", ":"), references, strict=False):
        own = other in OWN
        values = np.array(figures[other]["mean"], float)
        shown, color_of = (f"{name}: {label}", color) if own else (label, "gray")
        axis.plot(step, values, style, color=color_of, label=shown)


OWN = ("end_false_alarms", "frame_probe_error", "latent_still_error")
"""References that each run has of its own; the others are the game's and the same for all."""


def own_references(references):
    """Those that each run has of its own."""
    return [reference for reference in references if reference[0] in OWN]
