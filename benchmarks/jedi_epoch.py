"""Time of an epoch of JEDI by its parts, measured by running the trainer for a few epochs in a
temporary folder.

`python -m benchmarks.jedi_epoch --preset tiny --env catch` writes
`results/jedi_epoch-tiny-catch.json`. The run is a short one of the preset: it begins with few
random steps and steady numbers of updates, its gate is open, and it evaluates after every epoch, so
that all programs are compiled at once and each epoch has all parts. `--updates` makes the epochs of
a large preset short enough for a slow machine; the time of a whole epoch is then extrapolated from
the time per update.
"""

import dataclasses
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jax

from benchmarks import command
from benchmarks.recording import Claim, record, slug
from jaxrl.app.errors import UserError
from jaxrl.envs.make import TOYS, make
from jaxrl.jedi.agent import init
from jaxrl.jedi.cli.plan import cost_of, made_up_replay
from jaxrl.jedi.config import JediConfig, Updates
from jaxrl.jedi.learn.loops import PHASES
from jaxrl.jedi.presets import PRESETS
from jaxrl.jedi.report.rows import read_rows
from jaxrl.jedi.training.loop import train

OTHER_PARTS = ("collect", "gate", "monitor", "evaluate", "host")
"""Parts of an epoch besides the `PHASES`; "host" is what no part accounts for: bookkeeping,
logging, saving.
"""
SETTLING = 2
"""Epochs before those that are measured: the first, and the first steady one, in which the last
programs are compiled.
"""


@dataclass(frozen=True)
class Settings:
    """Settings of the measurement."""

    preset: Literal["tiny", "small", "atari100k"] = "tiny"
    """Sizes and schedule."""
    env: str = "catch"
    """The game."""
    epochs: int = 5
    """Epochs that are measured, after the first two."""
    updates: int | None = None
    """Most updates of each kind in an epoch; without it, those of the preset."""


def short_run(config: JediConfig, epochs: int, most: int | None) -> JediConfig:
    """A run of `SETTLING + epochs` epochs with at most `most` updates of each kind, from little
    experience, with an open gate.
    """
    schedule, evaluation = config.schedule, config.evaluation
    steady = Updates(
        **{
            name: min(count, most or count)
            for name, count in dataclasses.asdict(schedule.per_epoch).items()
        }
    )
    longest = (
        max(config.agent.reward_end_learning.length, config.agent.context + config.gate.horizon)
        * config.game.num_envs
    )
    initial = -(-longest // schedule.steps_per_epoch) * schedule.steps_per_epoch
    steps = initial + (SETTLING + epochs - 1) * schedule.steps_per_epoch
    return replace(
        config,
        schedule=replace(
            schedule,
            env_steps=steps,
            initial_steps=initial,
            initial_limit=initial,
            first_epoch=steady,
            per_epoch=steady,
            final_epochs=0,
        ),
        gate=replace(config.gate, end_recall=0.0),
        evaluation=replace(evaluation, every=1, final_episodes=evaluation.episodes),
    )


def summarize(rows: list[dict[str, Any]], config: JediConfig) -> dict[str, Any]:
    """Figures from the metrics of the measured epochs, for the steady epoch that `config` asks for.

    Returns:
      "parts": seconds per measured epoch; "seconds_per_update" and "updates_per_second" of the
      `PHASES`; "epoch_seconds": what an epoch of `config` takes, all parts together; "host_share"
      of it; "compilations" in all measured epochs.
    """

    def average(name):
        return sum(row.get(name, 0.0) for row in rows) / len(rows)

    parts = {name: average(f"time/{name}") for name in (*PHASES, *OTHER_PARTS)}
    done = {name: average(f"{name}/updates") for name in PHASES}
    pace = {name: parts[name] / done[name] for name in PHASES if done[name]}
    wanted = dataclasses.asdict(config.schedule.per_epoch)
    every = max(config.evaluation.every, 1)
    epoch = {name: pace.get(name, 0.0) * wanted[name] for name in PHASES} | {
        name: parts[name] for name in OTHER_PARTS
    }
    epoch["evaluate"] /= every
    return {
        "parts": parts,
        "updates": done,
        "seconds_per_update": pace,
        "updates_per_second": {name: 1 / seconds for name, seconds in pace.items()},
        "epoch_parts": epoch,
        "epoch_seconds": sum(epoch.values()),
        "host_share": epoch["host"] / sum(epoch.values()),
        "compilations": sum(row["compile/count"] for row in rows),
        "learning_is_one_program": "time/learn" in rows[0],
    }


def compile_seconds(config: JediConfig) -> dict[str, float]:
    """Seconds to compile the updates of each part, nothing being found in a cache."""
    env = make(config.env, config.game.frame_size)
    agent = init(config.agent, env.num_actions, env.frame_shape, jax.random.key(0))
    replay = made_up_replay(config, env.num_actions, env.frame_shape)
    return {name: cost_of(phase, agent, replay).compile_seconds for name, phase in PHASES.items()}


def claims(figures: dict[str, Any], settings: Settings) -> list[Claim]:
    """Claims from the figures. Small games leave the host the least time, so its share is claimed
    for them.
    """
    where = f"JEDI, {settings.preset} on {settings.env}: "
    found = [
        Claim(
            where + "programs compiled after the first steady epoch",
            0,
            "<=",
            figures["compilations"],
        )
    ]
    if settings.env in TOYS and settings.updates is None:
        found.append(
            Claim(
                where + "share of a steady epoch spent between its parts",
                0.05,
                "<=",
                figures["host_share"],
            )
        )
    return found


def measure(settings: Settings) -> Path:
    """Run, print, and write the result; returns its path.

    Raises:
      UserError: there is no such game, or something is not installed.
    """
    if settings.epochs < 1 or (settings.updates is not None and settings.updates < 1):
        raise UserError(
            f"--epochs ({settings.epochs}) and --updates ({settings.updates}) must be at least 1"
        )
    jax.config.update("jax_enable_compilation_cache", False)
    config = PRESETS[settings.preset](settings.env)
    with tempfile.TemporaryDirectory() as folder:
        result = train(short_run(config, settings.epochs, settings.updates), folder)
        rows = read_rows(Path(folder))
    if not result.finished:
        raise UserError(f"stopped by {result.signal.name}: nothing is recorded")
    figures = summarize(rows[SETTLING:], config)
    figures["compile_seconds"] = compile_seconds(config) | {
        "all of the first epoch": rows[0]["compile/seconds"],
        "all of the first steady epoch": rows[1]["compile/seconds"],
    }
    asked = dataclasses.asdict(settings) | {
        "devices": config.devices,
        "steady_updates": dataclasses.asdict(config.schedule.per_epoch),
    }
    found = claims(figures, settings)
    show(figures, found)
    return record(f"jedi_epoch-{settings.preset}-{slug(settings.env)}", asked | figures, found)


def show(figures: dict[str, Any], found: list[Claim]) -> None:
    """A table in Markdown."""
    total = figures["epoch_seconds"]
    print(f"{'part':<12}{'s/epoch':>10}{'share':>8}{'updates/s':>11}{'compile s':>11}")
    for name, seconds in figures["epoch_parts"].items():
        pace, compiling = (
            figures["updates_per_second"].get(name),
            figures["compile_seconds"].get(name),
        )
        columns = (f"{value:.1f}" if value is not None else "" for value in (pace, compiling))
        print(
            f"{name:<12}{seconds:>10.3f}{seconds / total:>8.1%}"
            + "".join(f"{text:>11}" for text in columns)
        )
    print(f"{'epoch':<12}{total:>10.3f}")
    for claim in found:
        print(f"{claim.claim}: {claim.measured:.3g} (goal {claim.direction} {claim.goal:g})")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print the path of the record; 2 if refused."""
    return command.run("jedi_epoch", Settings, measure, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
