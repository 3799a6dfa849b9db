"""The figures of a run's report, as the bytes of PNG and GIF files."""

import io
from typing import Any

import numpy as np

from jaxrl.envs.atari100k import SCORES
from jaxrl.jedi.config import JediConfig


def new_figure(columns: int, rows: int = 1):
    """A figure that no window shows, and its axes in reading order."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.4 * columns, 2.9 * rows), layout="constrained")
    return figure, np.atleast_1d(figure.subplots(rows, columns)).reshape(-1)


def figure_bytes(figure) -> bytes:
    """As PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


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
    """Curves of some metrics, by name and label."""
    for name, label in names.items():
        x, y = series(rows, name)
        if x:
            axis.plot(x, y, marker=".", label=label)
    axis.set_title(title)
    axis.set_xlabel("environment steps" if "env_steps" in rows[0] else "updates")
    axis.grid(alpha=0.3)
    if axis.lines:
        axis.legend(fontsize=8)


def curves(rows, game: str) -> bytes:
    """Returns over environment steps and over time, with the random and human scores of an Atari
    100k game.
    """
    figure, (by_step, by_time) = new_figure(2)
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
    by_time.grid(alpha=0.3)
    return figure_bytes(figure)


def references(rows, game: str) -> list[tuple[float, str, str]]:
    """Levels worth comparing with: random and human scores if published, else random play as it was
    in the first epoch.
    """
    if game in SCORES:
        random, human = SCORES[game]
        return [(random, "random (published)", ":"), (human, "human (published)", "--")]
    first = rows[0].get("collect/return") if rows[0]["epoch"] == 0 else None
    return [] if first is None else [(first, "random play, this run", ":")]


def monitors(rows, config: JediConfig) -> bytes:
    """Panels that show collapse of the latents and errors of imagination."""
    figure, axes = new_figure(3, 2)
    plot(
        axes[0],
        rows,
        {"monitor/latent_std": "mean over dimensions"},
        "standard deviation of latents",
    )
    axes[0].axhline(config.agent.world_model.hinge_floor, color="gray", linestyle=":")
    axes[0].set_ylim(bottom=0)
    plot(axes[1], rows, {"monitor/participation_ratio": "effective rank"}, "participation ratio")
    plot(axes[2], rows, {"monitor/context_gain": "loss, wrong minus right past"}, "context gain")
    axes[2].axhline(0, color="gray", linestyle=":")
    plot(
        axes[3],
        rows,
        {"gate/end_recall": "end recall", "gate/false_alarms": "false alarms"},
        "imagined ends, open loop",
    )
    axes[3].set_ylim(-0.05, 1.05)
    plot(
        axes[4],
        rows,
        {"gate/reward_accuracy": "all steps", "gate/final_reward_accuracy": "last step"},
        "imagined rewards, open loop",
    )
    axes[4].set_ylim(-0.05, 1.05)
    probes = {
        name: name.removeprefix("monitor/probe ")
        for name in rows[-1]
        if name.startswith("monitor/probe ")
    }
    if probes:
        plot(axes[5], rows, probes, "linear probe of the true state, R2")
        axes[5].set_ylim(-0.05, 1.05)
    else:
        axes[5].set_axis_off()
    return figure_bytes(figure)


def losses(rows) -> bytes:
    """Losses and what the policy sees in imagination."""
    figure, axes = new_figure(3, 2)
    plot(
        axes[0],
        rows,
        {"world_model/denoising": "denoising", "world_model/hinge": "hinge"},
        "world model",
    )
    axes[0].set_yscale("log")
    plot(
        axes[1],
        rows,
        {"heads/reward_loss": "reward", "heads/end_loss": "end"},
        "reward and end model, nats",
    )
    plot(
        axes[2],
        rows,
        {"heads/reward_accuracy": "reward", "heads/end_accuracy": "end"},
        "reward and end model, accuracy",
    )
    plot(
        axes[3],
        rows,
        {"behaviour/imagined_return": "return", "behaviour/imagined_value": "value"},
        "imagined",
    )
    plot(axes[4], rows, {"behaviour/entropy": "nats"}, "entropy of the policy")
    plot(axes[5], rows, {"probe/loss": "squared error"}, "probe decoder (pictures only)")
    return figure_bytes(figure)


PARTS = (
    "collect",
    "world_model",
    "heads",
    "judge",
    "behaviour",
    "probe",
    "monitor",
    "evaluate",
    "host",
)


def seconds_by_part(rows) -> dict[str, float]:
    """Wall time of the run by part; "host" is everything between."""
    return {part: sum(row.get(f"time/{part}") or 0.0 for row in rows) for part in PARTS}


def time_bars(rows) -> bytes:
    """Where the wall time went, first epoch and later ones apart."""
    figure, axes = new_figure(2)
    for axis, title, some in (
        (axes[0], "first epoch (compiles)", rows[:1]),
        (axes[1], "later epochs, together", rows[1:]),
    ):
        parts = seconds_by_part(some)
        axis.barh([part.replace("_", " ") for part in parts][::-1], list(parts.values())[::-1])
        axis.set_title(title)
        axis.set_xlabel("seconds")
    return figure_bytes(figure)


def png_bytes(image) -> bytes:
    """A PIL image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def gif_bytes(images: list) -> bytes:
    """PIL images as an animation."""
    buffer = io.BytesIO()
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=120, loop=0)
    return buffer.getvalue()
