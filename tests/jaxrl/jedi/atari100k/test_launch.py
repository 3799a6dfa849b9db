"""Launching: order, failures, signals, resumption and locks, with processes that only pretend to
train.
"""

import fcntl
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jaxrl.app.errors import UserError
from jaxrl.jedi.atari100k import launch as launching
from jaxrl.jedi.atari100k.launch import Launch, command, environment, launch, planned
from jaxrl.jedi.atari100k.run_log import commit, last_sentence, noted
from jaxrl.jedi.atari100k.runs import Run, states
from jaxrl.train.metrics import read_metrics
from tests.jaxrl.jedi.atari100k import pretender

RUNS = [Run(game, seed) for seed in (0, 1) for game in ("Pong", "Breakout")]


PATH = str(Path(__file__).parents[4])


@pytest.fixture
def begin(tmp_path):
    """A launch in a process of its own, to be sent signals; none outlives its test."""
    begun = []

    def start(jobs=2, pace=0.02):
        words = [sys.executable, pretender.__file__, "launch", str(tmp_path), str(jobs), str(pace)]
        environment = os.environ | {"PYTHONPATH": PATH}
        begun.append(
            subprocess.Popen(
                words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        )
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def call(monkeypatch, capsys):
    """A launch in this process: exit status and what it said."""
    monkeypatch.setattr(launching, "command", pretender.pretending(command))
    monkeypatch.setenv("PACE", "0.01")
    monkeypatch.setenv("PYTHONPATH", PATH)

    def run(out):
        status = launch(Launch(out, ("Pong", "Breakout"), seeds=2, jobs=2), [])
        return status, capsys.readouterr().out

    return run


def wait_until(true, seconds=240):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def kinds(out):
    return [state.kind for state in states(RUNS, out).values()]


def epochs(out):
    return [state.epoch for state in states(RUNS, out).values()]


def test_all_runs_are_made_and_made_once(call, tmp_path):
    status, said = call(tmp_path)
    assert status == 0 and "4 of 4 runs done; scores: suite collect" in said, said
    assert kinds(tmp_path) == ["done"] * 4 and [
        s.score for s in states(RUNS, tmp_path).values()
    ] == [4.0, 8.0, 4.0, 8.0]
    before = noted(tmp_path)
    assert [[entry["event"] for entry in before[str(run)]] for run in RUNS] == [
        ["waiting", "started", "finished"]
    ] * 4
    status, said = call(tmp_path)
    assert status == 0 and "starts" not in said and noted(tmp_path) == before


def test_one_that_fails_does_not_stop_the_others_and_is_tried_again(call, tmp_path):
    (tmp_path / "Pong.broken").touch()
    status, said = call(tmp_path)
    assert (
        status == 1 and "2 of 4 runs done, 2 failed (the same command tries them again)" in said
    ), said
    found = states(RUNS, tmp_path)
    assert [now.kind for now in found.values()] == ["failed", "done", "failed", "done"]
    assert found[RUNS[0]].sentence == "error: the joystick is broken: buy another one"
    assert (
        "Pong/seed0 failed: error: the joystick is broken: buy another one  "
        f"({tmp_path}/Pong/seed0.log)" in said
    )
    (tmp_path / "Pong.broken").unlink()
    status, said = call(tmp_path)
    assert status == 0 and kinds(tmp_path) == ["done"] * 4 and "Breakout/seed0 starts" not in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_every_run_and_the_same_command_goes_on(number, begin, call, tmp_path):
    for game in ("Pong", "Breakout"):
        (tmp_path / f"{game}.held").touch()
    process = begin()
    wait_until(lambda: runs_known(tmp_path) and min(epochs(tmp_path)[:2]) >= 1)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number and f"stopped by {number.name}, saved" in said, said
    assert kinds(tmp_path) == ["begun", "begun", "waiting", "waiting"]
    assert [noted(tmp_path)[str(run)][-1]["event"] for run in RUNS[:2]] == ["stopped"] * 2
    stood = epochs(tmp_path)
    for game in ("Pong", "Breakout"):
        (tmp_path / f"{game}.held").unlink()
    status, said = call(tmp_path)
    assert status == 0 and f"Pong/seed0 continues after epoch {stood[0]}" in said, said
    for run in RUNS:
        assert [row["epoch"] for row in read_metrics(run.folder(tmp_path))] == list(range(7))


def runs_known(out):
    return len(noted(out)) == 4  # the file is there a moment before its first line


def test_a_second_signal_does_not_wait_for_saving(begin, tmp_path):
    for game in ("Pong", "Breakout"):
        (tmp_path / f"{game}.slow").touch()
    process = begin(pace=0.2)
    wait_until(lambda: runs_known(tmp_path) and min(epochs(tmp_path)[:2]) >= 1)
    process.send_signal(signal.SIGTERM)
    time.sleep(1.0)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=15)
    assert process.returncode == 130
    wait_until(lambda: not any(locked(run.log(tmp_path)) for run in RUNS[:2]), 5)


def locked(path):
    """Whether a process that writes this log lives."""
    with open(path, "ab") as log:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_what_outlives_a_killed_launch_is_not_run_twice(begin, call, tmp_path):
    held = tmp_path / "Pong.held"
    held.touch()
    process = begin(jobs=1)
    wait_until(lambda: runs_known(tmp_path) and epochs(tmp_path)[0] >= 1)
    process.kill()
    process.communicate()
    assert locked(RUNS[0].log(tmp_path))
    threading.Timer(2.0, held.unlink).start()  # the other run of Pong waits for it too
    status, said = call(tmp_path)
    assert status == 0 and "Pong/seed0 is passed over: another launch is busy with it" in said, said
    wait_until(lambda: kinds(tmp_path) == ["done"] * 4)
    assert [row["epoch"] for row in read_metrics(RUNS[0].folder(tmp_path))] == list(range(7))


# ---- parts
# ------------------------------------------------------------


def test_a_dry_run_prints_commands_and_touches_nothing(tmp_path):
    said = []
    settings = Launch(
        tmp_path / "o ut", ("pong",), seeds=2, preset="tiny", mode="pixel", dry_run=True
    )
    assert launch(settings, ["--schedule.env-steps", "96"], said.append) == 0
    assert len(said) == 2 and not any(tmp_path.iterdir())
    assert shlex.split(said[1])[1:] == [
        "-m",
        "jaxrl.jedi",
        "train",
        "--preset",
        "tiny",
        "--mode",
        "pixel",
        "--env",
        "Pong",
        "--seed",
        "1",
        "--run-dir",
        str(tmp_path / "o ut" / "Pong" / "seed1"),
        "--schedule.env-steps",
        "96",
    ]


def test_without_a_mode_none_is_passed_on():
    assert "--mode" not in command(Launch(), Run("Pong", 0), [])
    assert len(planned(Launch(), [])) == 26 * 5


@pytest.mark.parametrize(
    ("settings", "options", "sentence"),
    [
        (Launch(games=("Tennis",)), [], "'Tennis', which is not one of the 26"),
        (Launch(seeds=0), [], "at least one seed"),
        (Launch(jobs=0), [], "--jobs is 0"),
        (Launch(), ["--seed", "3"], "--seed is set by launch .* --seeds and --first-seed"),
        (Launch(), ["--run_dir=x"], "--run-dir is set by launch .* --out"),
    ],
)
def test_bad_settings_are_refused(settings, options, sentence):
    with pytest.raises(UserError, match=sentence):
        planned(settings, options)


def test_jobs_share_gpus_and_their_memory(monkeypatch):
    monkeypatch.delenv("XLA_PYTHON_CLIENT_MEM_FRACTION", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def devices_of(slot, **how):
        return tuple(
            environment(Launch(**how), slot).get(name)
            for name in ("CUDA_VISIBLE_DEVICES", "XLA_PYTHON_CLIENT_MEM_FRACTION")
        )

    assert devices_of(0) == (None, None)
    assert devices_of(1, jobs=2) == (None, "0.450")
    assert [devices_of(slot, jobs=2, gpus=("4", "7")) for slot in (0, 1)] == [
        ("4", None),
        ("7", None),
    ]
    assert [devices_of(slot, jobs=3, gpus=("4", "7")) for slot in range(3)] == [
        ("4", "0.450"),
        ("7", "0.450"),
        ("4", "0.450"),
    ]
    monkeypatch.setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.2")
    assert devices_of(0, jobs=2) == (None, "0.2")


@pytest.mark.parametrize(
    ("log", "status", "sentence"),
    [
        ("a\nerror: no such thing\n", 2, "error: no such thing"),
        (
            "Traceback\n  x\njax.errors.JaxRuntimeError: full\n-----\nFor simplicity, ...\n",
            1,
            "jax.errors.JaxRuntimeError: full",
        ),
        ("epoch 3\nMemoryError\n", 1, "MemoryError"),
        ("epoch 3\n\n", 1, "epoch 3"),
        ("", 3, "nothing, and exit status 3"),
        ("epoch 3\n", -9, "killed by SIGKILL, as happens when memory is used up"),
        ("epoch 3\n", -11, "killed by SIGSEGV"),
    ],
)
def test_the_sentence_of_a_failure(tmp_path, log, status, sentence):
    path = tmp_path / "log"
    path.write_text("error: of a start before\n" + log)
    assert last_sentence(path, len("error: of a start before\n"), status) == sentence


def test_the_commit_is_that_of_this_checkout():
    def git(*words):
        return subprocess.run(
            ["git", "-C", Path(__file__).parent, *words], capture_output=True, text=True
        ).stdout.strip()

    head = git("rev-parse", "--short=12", "HEAD")
    if not head:
        pytest.skip("not a git checkout")
    assert commit().removesuffix("+changes") == head
