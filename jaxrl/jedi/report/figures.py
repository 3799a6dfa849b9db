"""The figures of a run's report, as the bytes of PNG and GIF files."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from jaxrl.app.plots import array_to_png, frames_to_gif, new_figure, to_png
from jaxrl.envs.atari100k import SCORES
from jaxrl.jedi.config import JediConfig


def panels(columns: int, rows: int = 1):
    """A figure of small panels, and its axes in reading order."""
    figure, axes = new_figure(4.4 * columns, 2.9 * rows, rows, columns)
    return figure, axes.reshape(-1)


def series(rows: list[dict[str, Any]], name: str) -> tuple[list[float], list[float]]:
    """Environment steps (updates, where nothing was played) and values of a metric, where it was
    logged.
    """
    found = [
        (row["env_steps"] if "env_steps" in row else row["updates"], row[name])
        for row in rows
        if row.get(name) is not None
    ]
    return [x for x, _ in found], [y for _, y in found]


def plot(axis, rows, names: dict[str, str], title: str) -> None:
    """Curves of some metrics, by name and label.

    Args:
      axis: matplotlib axes.
      rows: lines of the log, at least one.
      names: labels by name of the metric; a metric that was never logged is left out.
      title: title of the axes.
    """
    for name, label in names.items():
        x, y = series(rows, name)
        if x:
            axis.plot(x, y, marker=".", label=label)
    axis.set_title(title)
    axis.set_xlabel("environment steps" if "env_steps" in rows[0] else "updates")
    if axis.lines:
        axis.legend(fontsize=8)


def curves(rows, game: str) -> bytes:
    """Returns over environment steps and over time, with the random and human scores of an Atari
    100k game.
    """
    figure, (by_step, by_time) = panels(2)
    x, y = series(rows, "evaluate/return")
    spread = series(rows, "evaluate/std")[1]
    count = series(rows, "evaluate/episodes")[1]
    error = [s / np.sqrt(max(n, 1)) for s, n in zip(spread, count, strict=True)]
    if x:
        by_step.errorbar(
            x, y, yerr=error, marker="o", capsize=3, label="evaluation (bars: standard error)"
        )
    plot(by_step, rows, {"collect/return": "while collecting"}, "return per game")
    for value, label, style in references(rows, game):
        by_step.axhline(value, linestyle=style, color="gray", label=label)
    by_step.legend(fontsize=8)
    minutes = [
        (row["time/total"] / 60, row["evaluate/return"])
        for row in rows
        if row.get("evaluate/return") is not None
    ]
    if minutes:
        by_time.plot(*zip(*minutes, strict=True), marker="o")
    by_time.set_title("evaluation over wall time")
    by_time.set_xlabel("minutes")
    return to_png(figure)


def references(rows, game: str) -> list[tuple[float, str, str]]:
    """Levels worth comparing with: random and human scores if published, else random play as it was
    in the first epoch.
    """
    if game in SCORES:
        random, human = SCORES[game]
        return [(random, "random (published)", ":"), (human, "human (published)", "--")]
    first = rows[0].get("collect/return") if rows[0]["epoch"] == 0 else None
    return [] if first is None else [(first, "random play, this run", ":")]


MONITORS = (
    ("standard deviation of latents", {"monitor/latent_std": "mean over dimensions"}),
    ("participation ratio", {"monitor/participation_ratio": "effective rank"}),
    ("context gain", {"monitor/context_gain": "loss, wrong minus right past"}),
    (
        "imagined ends, open loop",
        {"gate/end_recall": "end recall", "gate/false_alarms": "false alarms"},
    ),
    (
        "imagined rewards, open loop",
        {"gate/reward_accuracy": "all steps", "gate/final_reward_accuracy": "last step"},
    ),
)
"""Panels: title, and label by metric."""


def draw_panels(axes, rows, contents: Iterable[tuple[str, dict[str, str]]]) -> None:
    """Curves of each panel's metrics."""
    for axis, (title, names) in zip(axes, contents, strict=False):
        plot(axis, rows, names, title)


def as_shares(*axes) -> None:
    """Show all of [0, 1]."""
    for axis in axes:
        axis.set_ylim(-0.05, 1.05)


def monitors(rows, config: JediConfig) -> bytes:
    """Panels that show collapse of the latents and errors of imagination."""
    figure, axes = panels(3, 2)
    draw_panels(axes, rows, MONITORS)
    axes[0].axhline(config.agent.world_model.hinge_floor, color="gray", linestyle=":")
    axes[0].set_ylim(bottom=0)
    axes[2].axhline(0, color="gray", linestyle=":")
    as_shares(axes[3], axes[4])
    start = "monitor/probe "
    probes = {name: name.removeprefix(start) for name in rows[-1] if name.startswith(start)}
    if probes:
        plot(axes[5], rows, probes, "linear probe of the true state, R2")
        as_shares(axes[5])
    else:
        axes[5].set_axis_off()
    return to_png(figure)


LOSSES = (
    ("world model", {"world_model/denoising": "denoising", "world_model/hinge": "hinge"}),
    (
        "reward and end model, nats",
        {"reward_end/reward_loss": "reward", "reward_end/end_loss": "end"},
    ),
    (
        "reward and end model, accuracy",
        {"reward_end/reward_accuracy": "reward", "reward_end/end_accuracy": "end"},
    ),
    ("imagined", {"behavior/imagined_return": "return", "behavior/imagined_value": "value"}),
    ("entropy of the policy", {"behavior/entropy": "nats"}),
    ("probe decoder (pictures only)", {"probe/loss": "squared error"}),
)
"""Panels: title, and label by metric."""


def losses(rows) -> bytes:
    """Losses and what the policy sees in imagination."""
    figure, axes = panels(3, 2)
    draw_panels(axes, rows, LOSSES)
    axes[0].set_yscale("log")
    return to_png(figure)


PARTS = (
    "collect",
    "world_model",
    "reward_end",
    "gate",
    "behavior",
    "probe",
    "monitor",
    "evaluate",
    "host",
)


def seconds_by_part(rows) -> dict[str, float]:
    """Wall time of the run by part; "host" is everything between."""
    return {part: sum(row.get(f"time/{part}") or 0.0 for row in rows) for part in PARTS}


def time_bars(rows) -> bytes:
    """Bars of the wall time by part, first epoch and later ones apart."""
    figure, axes = panels(2)
    for axis, title, some in (
        (axes[0], "first epoch (compiles)", rows[:1]),
        (axes[1], "later epochs, together", rows[1:]),
    ):
        parts = seconds_by_part(some)
        axis.barh([part.replace("_", " ") for part in parts][::-1], list(parts.values())[::-1])
        axis.set_title(title)
        axis.set_xlabel("seconds")
    return to_png(figure)


def png_bytes(image) -> bytes:
    """A PIL image as PNG."""
    return array_to_png(image)


def gif_bytes(images: list) -> bytes:
    """PIL images as an animation."""
    return frames_to_gif(images)
