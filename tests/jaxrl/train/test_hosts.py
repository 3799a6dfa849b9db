"""Processes that train together: when they meet, how they agree; and a rehearsal with two of them
on this machine.
"""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.train import hosts
from jaxrl.train.metrics import read_metrics
from jaxrl.train.signals import StopRequest
from tests.jaxrl.jedi.command import SMALL


@pytest.mark.parametrize(
    ("when", "environment", "expected"),
    [
        ("auto", {}, False),
        ("auto", {"JAX_COORDINATOR_ADDRESS": "a:1"}, True),
        ("auto", {"SLURM_NTASKS": "1"}, False),
        ("auto", {"SLURM_NTASKS": "4"}, True),
        ("auto", {"OMPI_COMM_WORLD_SIZE": "2"}, True),
        ("auto", {"OMPI_COMM_WORLD_SIZE": "two"}, False),
        ("on", {}, True),
        ("off", {"JAX_COORDINATOR_ADDRESS": "a:1", "SLURM_NTASKS": "4"}, False),
    ],
)
def test_when_to_join(when, environment, expected):
    assert hosts.wanted(when, environment) is expected


def test_alone_nothing_needs_agreement():
    hosts.join("off")
    assert hosts.is_first() and not hosts.several()
    assert hosts.from_first(7) == 7
    assert hosts.any_of(True) is True and hosts.any_of(False) is False


def test_a_coordinator_that_cannot_be_found_is_refused(monkeypatch):
    def fail(*_):
        raise ValueError("coordinator_address should be defined.\nMore lines.")

    monkeypatch.setattr("jax.distributed.initialize", fail)
    with pytest.raises(
        UserError,
        match=r"not found \(coordinator_address should be defined.\): set JAX_COORDINATOR_ADDRESS, "
        r"",
    ) as refusal:
        hosts.join("on")
    assert "\n" not in str(refusal.value)


def test_a_stop_anywhere_is_a_stop_everywhere(monkeypatch):
    own, other = StopRequest(), [False]
    monkeypatch.setattr(hosts, "any_of", lambda flag: flag or other[0])
    stop = hosts.SharedStop(own)
    assert not stop and stop.signal is None
    other[0] = True
    assert stop and stop.signal == signal.SIGTERM
    other[0] = False
    assert stop  # it stays
    own.signal = signal.SIGINT
    assert hosts.SharedStop(own).signal == signal.SIGINT


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_together(count: int, devices: int, *arguments) -> list[subprocess.Popen]:
    """The training command in `count` processes with so many CPU devices each."""
    address, started = f"127.0.0.1:{free_port()}", []
    for number in range(count):
        settings = {
            "JAX_PLATFORMS": "cpu",
            "JAX_NUM_CPU_DEVICES": str(devices),
            "JAX_DEFAULT_MATMUL_PRECISION": "highest",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # most of the time would go into compiling
            "JAX_COORDINATOR_ADDRESS": address,
            "JAX_NUM_PROCESSES": str(count),
            "JAX_PROCESS_ID": str(number),
            "PYTHONPATH": str(Path(__file__).parents[3]),
        }
        command = [sys.executable, "-m", "jaxrl.jedi", "train", *map(str, arguments)]
        started.append(
            subprocess.Popen(
                command,
                env=os.environ | settings,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return started


def finish(processes) -> list[str]:
    outcomes = [process.communicate(timeout=1500) for process in processes]
    if any(process.returncode for process in processes):
        pytest.fail(
            "\n\n".join(
                f"status {p.returncode}\n{err[-3000:]}"
                for p, (_, err) in zip(processes, outcomes, strict=True)
            )
        )
    said = [
        [line for line in out.splitlines() if not line.startswith("[Gloo]")] for out, _ in outcomes
    ]
    return ["\n".join(lines).strip() for lines in said]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["jit", "pmap"])
def test_two_processes_train_as_one(tmp_path, form):
    """The whole command, resumed in the middle; two processes of two devices, and one process of
    four.
    """
    common = [*SMALL, "--parallel", form]
    finish(
        start_together(
            1, 4, *common, "--devices", 4, "--schedule.env-steps", 96, "--run-dir", tmp_path / "one"
        )
    )
    for steps in (80, 96):
        first, second = finish(
            start_together(
                2, 2, *common, "--schedule.env-steps", steps, "--run-dir", tmp_path / "two"
            )
        )
        assert "report: " in first and second == ""
    one, two = read_metrics(tmp_path / "one"), read_metrics(tmp_path / "two")
    assert [row["env_steps"] for row in two] == [row["env_steps"] for row in one] == [64, 80, 96]
    names = [
        name
        for name in one[-1]
        if name.split("/")[0]
        in ("world_model", "reward_end", "behavior", "probe", "monitor", "evaluate")
    ]
    assert len(names) > 20
    for mine, theirs in zip(one, two, strict=True):
        for name in names:
            np.testing.assert_allclose(mine[name], theirs[name], rtol=5e-3, atol=1e-3, err_msg=name)
