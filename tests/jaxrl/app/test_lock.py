import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from jaxrl.app import lock
from jaxrl.app.errors import UserError
from jaxrl.app.lock import lock_run, locked, owner_of

HOLD = """
import sys, time
from pathlib import Path
from jaxrl.app.lock import lock_run
with lock_run(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of tmp_path."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_process_is_refused_and_told_whose_it_is(tmp_path, holder):
    here = socket.gethostname()
    sentence = f"{tmp_path} is in use by process {holder.pid} on {here} since .*: wait for it"
    with pytest.raises(UserError, match=sentence), lock_run(tmp_path):
        pass
    assert owner_of(tmp_path / ".lock")["pid"] == holder.pid


def test_the_lock_of_a_killed_process_is_stale(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / ".lock").exists()
    with lock_run(tmp_path):
        assert owner_of(tmp_path / ".lock")["pid"] == os.getpid()
    assert not (tmp_path / ".lock").exists()


def test_it_is_removed_after_errors_too_and_may_be_entered_again(tmp_path):
    with pytest.raises(KeyError), lock_run(tmp_path), lock_run(tmp_path):
        raise KeyError
    assert not list(tmp_path.iterdir())
    with lock_run(tmp_path / "new" / "run"):
        assert (tmp_path / "new" / "run" / ".lock").exists()


def test_only_one_of_many_gets_it(tmp_path):
    script = HOLD.replace("time.sleep(60)", "time.sleep(3)")
    many = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(6)
    ]
    outs = [process.communicate()[0] for process in many]
    assert outs.count(b"held\n") >= 1
    assert sorted(process.returncode for process in many).count(0) == outs.count(b"held\n")


def foreign(path, age):
    path.write_text(json.dumps({"pid": 7, "host": "elsewhere", "started": "today"}))
    then = time.time() - age
    os.utime(path, (then, then))


def test_another_machine_counts_while_it_shows_signs_of_life(tmp_path):
    path = tmp_path / ".lock"
    foreign(path, 10)
    with pytest.raises(
        UserError, match=r"process 7 on elsewhere since today \(last sign of life 1"
    ):
        lock_run(tmp_path).__enter__()
    foreign(path, lock.STALE + 1)
    with lock_run(tmp_path):
        assert owner_of(path)["host"] == socket.gethostname()


def test_the_holder_shows_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT", 0.05)
    with lock_run(tmp_path):
        os.utime(tmp_path / ".lock", (0, 0))
        deadline = time.monotonic() + 10
        while os.stat(tmp_path / ".lock").st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert os.stat(tmp_path / ".lock").st_mtime > 0


def test_without_kernel_locks_a_living_owner_counts(tmp_path, monkeypatch, holder):
    def unsupported(*_):
        raise OSError(lock.errno.EOPNOTSUPP, "no locks here")

    monkeypatch.setattr(lock.fcntl, "flock", unsupported)
    with pytest.raises(UserError, match=f"process {holder.pid}"):
        lock_run(tmp_path).__enter__()
    holder.kill()
    holder.wait()
    with lock_run(tmp_path):
        pass


def test_a_damaged_file_is_no_owner(tmp_path):
    (tmp_path / ".lock").write_bytes(b"\xff[")
    with lock_run(tmp_path):
        pass


def test_any_file_can_be_locked_and_a_folder_that_cannot_be_written_is_named(tmp_path):
    with locked(tmp_path / "target.db.lock", "target.db"):
        assert (tmp_path / "target.db.lock").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be created"), lock_run(tmp_path / "file" / "run"):
        pass


class Bucket:
    """An object store with one object, as a path."""

    def __init__(self):
        self.held = None

    def __truediv__(self, name):
        return self

    def __str__(self):
        return "gs://bucket/run/.lock"

    def read_text(self):
        if self.held is None:
            raise FileNotFoundError
        return self.held

    def write_text(self, text):
        self.held = text

    def unlink(self):
        self.held = None


def test_an_object_of_a_bucket_is_a_lock():
    bucket = Bucket()
    with lock_run(bucket):
        assert json.loads(bucket.held)["pid"] == os.getpid()
    assert bucket.held is None
    bucket.held = json.dumps({"pid": 7, "host": "elsewhere", "beat": time.time()})
    with pytest.raises(UserError, match="process 7 on elsewhere"):
        lock_run(bucket).__enter__()
    bucket.held = json.dumps({"pid": 7, "host": "elsewhere", "beat": time.time() - 1000})
    with lock_run(bucket):
        assert json.loads(bucket.held)["pid"] == os.getpid()
