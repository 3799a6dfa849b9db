"""Processes that train together: when they meet, how they agree; and a rehearsal with two of them
on this machine.
"""

import functools
import signal

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.train import hosts
from jaxrl.train.metrics import read_metrics
from jaxrl.train.signals import StopRequest
from tests.jaxrl.jedi.command import SMALL
from tests.processes import finish, start_together


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


LATE = """
import time
from jaxrl.train import hosts
hosts.join("on")
import jax
import numpy as np
if jax.process_index() == 1:
    time.sleep(40)  # collectives on CPUs alone wait for 30
print(hosts.any_of(jax.process_index() == 1), *(int(a["x"]) for a in hosts.arrays_from_all(
    {"x": np.int32(jax.process_index())}
)))
"""


@pytest.mark.slow
def test_a_process_that_comes_late_is_waited_for():
    assert finish(start_together(2, 1, "-c", LATE)) == ["True 0 1", "True 0 1"]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["jit", "pmap"])
def test_two_processes_train_as_one(tmp_path, form):
    """The whole command, resumed in the middle; two processes of two devices, and one process of
    four.
    """
    # Most of the time would go into compiling.
    train = functools.partial(start_together, JAX_DISABLE_MOST_OPTIMIZATIONS="1")
    common = ["-m", "jaxrl.jedi", "train", *SMALL, "--parallel", form]
    finish(
        train(
            1, 4, *common, "--devices", 4, "--schedule.env-steps", 96, "--run-dir", tmp_path / "one"
        )
    )
    for steps in (80, 96):
        first, second = finish(
            train(2, 2, *common, "--schedule.env-steps", steps, "--run-dir", tmp_path / "two")
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
