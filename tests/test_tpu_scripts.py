"""The scripts for Cloud TPU, as far as they go without one: what they would do, and that nothing is
done in a dry run.
"""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from jaxrl.jedi.cli.options import Train, parse

SCRIPTS = Path(__file__).parents[1] / "scripts" / "tpu"


def call(name, *arguments, **settings):
    """Run a script: status, output lines, errors."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/")} | settings
    done = subprocess.run(
        ["bash", SCRIPTS / name, *arguments], env=environment, capture_output=True, text=True
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize(
    ("name", "beginnings"),
    [
        (
            "create.sh",
            [
                "gcloud compute tpus queued-resources create a --node-id=a --zone=z "
                "--accelerator-type=t"
            ],
        ),
        (
            "setup.sh",
            [
                "gcloud compute tpus tpu-vm scp ",
                *["gcloud compute tpus tpu-vm ssh a --zone=z --worker=all"] * 2,
            ],
        ),
        ("run.sh", ["gcloud compute tpus tpu-vm ssh a --zone=z --worker=all"]),
        ("delete.sh", ["gcloud compute tpus queued-resources delete a --zone=z --force"]),
    ],
)
def test_a_dry_run_prints_the_commands(name, beginnings):
    status, lines, errors = call(name, DRY_RUN="1", BUCKET="b", NAME="a", ZONE="z", TYPE="t")
    assert status == 0, errors
    commands = [line for line in lines if line.startswith("gcloud")]
    assert len(commands) == len(beginnings)
    for command, beginning in zip(commands, beginnings, strict=True):
        assert command.startswith(beginning)
    assert ("--spot" in lines[0]) is False


def test_spot_machines():
    _, lines, _ = call("create.sh", DRY_RUN="1", BUCKET="b", SPOT="1")
    assert shlex.split(lines[0])[-1] == "--spot"


def test_what_is_started_on_the_workers_is_a_command_of_ours():
    given = ["--preset", "atari100k", "--env", "Pong", "--run-dir", "gs://b/my pong"]
    _, lines, _ = call("run.sh", *given, DRY_RUN="1", BUCKET="b")
    remote = shlex.split(lines[0])[-1].removeprefix("--command=")
    words = shlex.split(remote.split(" nohup ")[1].split(" > ")[0])
    assert words[:4] == [".venv/bin/python", "-m", "jaxrl.jedi", "train"]
    command = parse(words[3:])
    assert (
        isinstance(command, Train)
        and command.run_dir == "gs://b/my pong"
        and command.config.env == "Pong"
    )


def test_without_a_bucket_it_fails():
    status, lines, errors = call("create.sh", DRY_RUN="1")
    assert status != 0 and not lines and "set BUCKET" in errors


def test_a_command_that_fails_ends_the_script(tmp_path):
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(f"#!/bin/sh\necho called >> {tmp_path}/calls\nexit 7\n")
    gcloud.chmod(0o755)
    status, *_ = call("setup.sh", BUCKET="b", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert status == 7 and (tmp_path / "calls").read_text() == "called\n"
