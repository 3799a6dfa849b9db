"""The command line in a process of its own, on a small run."""

import os
import subprocess
import sys
from pathlib import Path

SMALL = [
    "--preset",
    "tiny",
    "--env",
    "catch",
    "--game.frame-size",
    "16",
    "--game.num-envs",
    "4",
    "--agent.encoder.widths",
    "8",
    "8",
    "--agent.encoder.channels",
    "4",
    "--agent.denoiser.widths",
    "8",
    "--agent.denoiser.cond-width",
    "8",
    "--agent.reward-end.widths",
    "8",
    "--agent.reward-end.cond-width",
    "8",
    "--agent.reward-end.lstm-width",
    "8",
    "--agent.actor-critic.widths",
    "8",
    "--agent.actor-critic.lstm-width",
    "8",
    "--agent.world-model.batch",
    "4",
    "--agent.heads.batch",
    "4",
    "--agent.heads.length",
    "5",
    "--agent.behaviour.batch",
    "4",
    "--agent.behaviour.horizon",
    "3",
    "--agent.probe.batch",
    "4",
    "--agent.probe.widths",
    "8",
    "8",
    "--schedule.initial-steps",
    "64",
    "--schedule.initial-extra",
    "16",
    "--schedule.initial-limit",
    "64",
    "--schedule.steps-per-epoch",
    "16",
    "--schedule.first.world-model",
    "3",
    "--schedule.first.heads",
    "3",
    "--schedule.first.behaviour",
    "2",
    "--schedule.first.probe",
    "2",
    "--schedule.steady.world-model",
    "2",
    "--schedule.steady.heads",
    "2",
    "--schedule.steady.behaviour",
    "2",
    "--schedule.steady.probe",
    "1",
    "--gate.end-recall",
    "0",
    "--gate.horizon",
    "3",
    "--gate.segments",
    "8",
    "--monitor.segments",
    "8",
    "--monitor.probe-states",
    "16",
    "--evaluation.episodes",
    "4",
    "--evaluation.final-episodes",
    "4",
    "--evaluation.max-steps",
    "20",
    "--checkpoint.minutes",
    "0",
]


def environment() -> dict[str, str]:
    """Of the child: one CPU device, the shared cache of compiled programs, this checkout."""
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "JAX_PLATFORMS": "cpu"}


def start(*arguments: str, **options) -> subprocess.Popen:
    """Begin `python -m jaxrl.jedi ...`."""
    command = [sys.executable, "-u", "-m", "jaxrl.jedi", *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )  # fmt: skip


def call(*arguments: str) -> tuple[int, str, str]:
    """Run it to its end: exit status, output, errors."""
    process = start(*arguments)
    out, err = process.communicate()
    return process.returncode, out, err
