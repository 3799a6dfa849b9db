"""A run folder in a bucket, reached by the real clients (gcsfs, orbax by tensorstore) on a server
of this machine.
"""

import importlib.util
import json
import logging
import sys

import jax.numpy as jnp
import numpy as np
import pytest

if importlib.util.find_spec("gcsfs") is None:
    pytest.skip("the extra gcs is not installed", allow_module_level=True)

from jaxrl.app.errors import UserError
from jaxrl.app.files import resolve_path, write_atomic
from jaxrl.jedi.__main__ import main
from jaxrl.jedi.offline.config import learned_from_data
from jaxrl.replay import buffer
from jaxrl.replay.buffer import ReplayConfig
from jaxrl.replay.disk import read_shards, remove_orphans, still_needed, write_shard
from jaxrl.train.checkpoint import Checkpoints
from jaxrl.train.metrics import MetricsLog, read_metrics
from jaxrl.train.rundir import open_run, read_config
from tests.bucket import bucket_on_this_machine
from tests.jaxrl.jedi.command import SMALL

CONFIG = {"seed": 1, "schedule": {"steps": 100}}


@pytest.fixture(scope="module")
def bucket():
    with bucket_on_this_machine() as bucket:
        yield bucket


def test_a_run_is_made_found_again_and_compared(bucket):
    folder = open_run("gs://bucket/a/run", CONFIG)
    assert str(folder) == "gs://bucket/a/run" and resolve_path(folder) == folder
    assert json.loads(bucket.objects["a/run/config.json"].data) == CONFIG
    assert (
        open_run("gs://bucket/a/run", CONFIG) == folder
        and read_config("gs://bucket/a/run") == CONFIG
    )
    with pytest.raises(
        UserError,
        match=r"gs://bucket/a/run holds a run of another configuration \(seed is 1 there and 2 "
        r"here\)",
    ):
        open_run("gs://bucket/a/run", CONFIG | {"seed": 2})
    with pytest.raises(UserError, match="gs://bucket/b holds no run"):
        read_config("gs://bucket/b")
    assert set(bucket.objects) == {"a/run/config.json"}  # no temporary names


def test_what_is_read_is_what_was_written_last(bucket):
    path = resolve_path("gs://bucket/c/x.bin")
    for content in (b"\x00\xff" * 10, "text: ä", b""):
        write_atomic(path, content)
        assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)


def test_metrics_are_written_anew_but_not_for_every_line(bucket):
    folder = resolve_path("gs://bucket/m")
    log = MetricsLog(folder)
    for step in range(3):
        log.write(step, {"loss": 0.5})
    assert "m/metrics.jsonl" not in bucket.objects and log.lines == 3
    log.flush()
    log.flush()
    assert bucket.writes.count("m/metrics.jsonl") == 1
    assert [row["step"] for row in read_metrics(folder)] == [0, 1, 2]
    log.write(3, {})
    log.PATIENCE = -1.0
    log.write(4, {})
    assert [row["step"] for row in read_metrics(folder)] == [0, 1, 2, 3, 4]
    log.close()
    again = MetricsLog(folder, 2)
    again.write(9, {})
    again.close()
    assert [row["step"] for row in read_metrics(folder)] == [0, 1, 9]
    assert read_metrics(resolve_path("gs://bucket/nowhere")) == []


def test_checkpoints_come_back_and_old_ones_go(bucket):
    folder = resolve_path("gs://bucket/k/checkpoints")
    store = Checkpoints(folder)
    for step in (1, 2, 3, 4):
        store.save(
            step, {"a": jnp.full(3, float(step))}, {"step": step}, score=9.0 if step == 2 else 1.0
        )
        store.wait()
    store.close()
    again = Checkpoints(folder, read_only=True)
    assert (again.steps(), again.best()) == ([2, 3, 4], 2)
    tree, record = again.restore({"a": np.zeros(3, np.float32)})
    np.testing.assert_array_equal(tree["a"], 4.0)
    assert record == {"step": 4} and (folder / "4").exists() and not (folder / "1").exists()
    again.close()


def test_an_unfinished_checkpoint_is_never_taken_for_one(bucket):
    folder = resolve_path("gs://bucket/u/checkpoints")
    store = Checkpoints(folder)
    for step in (1, 2):
        store.save(step, {"a": jnp.zeros(3)}, {"step": step})
        store.wait()
    store.close()
    del bucket.objects["u/checkpoints/2/commit_success.txt"]
    again = Checkpoints(folder, read_only=True)
    assert again.steps() == [1]
    again.close()


def test_replay_shards(bucket):
    folder, index = resolve_path("gs://bucket/r/replay"), buffer.init_index(ReplayConfig(8, 4), 2)
    index = index.replace(head=jnp.array([2, 1]))
    frames = np.arange(24, dtype=np.uint8).reshape(8, 3)
    name = write_shard(folder, 5, index, frames, np.array([-1, -1]))
    kept = read_shards(folder, [name], index, 3)
    np.testing.assert_array_equal(kept[[0, 1, 2, 4, 5]], frames[[0, 1, 2, 4, 5]])
    assert still_needed(folder, [name], index.replace(head=jnp.array([9, 1]))) == [name]
    write_atomic(folder / "games-1.npz", b"old")
    remove_orphans(folder, {name})
    assert [key for key in bucket.objects if key.startswith("r/")] == [f"r/replay/{name}"]
    with pytest.raises(UserError, match=r"gs://bucket/r/replay/frames-9.npz is missing or damaged"):
        read_shards(folder, ["frames-9.npz"], index, 3)


@pytest.mark.parametrize(
    "act", [lambda: read_config("gs://bucket/x"), lambda: open_run("gs://bucket/x", CONFIG)]
)
def test_a_bucket_that_does_not_let_us_in_is_one_sentence(bucket, act):
    bucket.closed = True
    try:
        with pytest.raises(
            UserError, match=r"^gs://bucket/x.* cannot be reached \(.*\): check .* your credentials"
        ) as refusal:
            act()
    finally:
        bucket.closed = False
    assert "\n" not in str(refusal.value)


def test_a_bucket_that_does_not_exist_is_one_sentence(bucket):
    with pytest.raises(UserError, match=r"gs://no-such-bucket/x.* cannot be reached"):
        open_run("gs://no-such-bucket/x", CONFIG)


def test_the_command_prints_one_sentence(bucket, capsys):
    bucket.closed = True
    try:
        assert main(["train", *SMALL, "--run-dir", "gs://bucket/closed"]) == 2
    finally:
        bucket.closed = False
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: gs://bucket/closed/") and "cannot be reached" in line


def test_failures_are_raised_and_not_printed_as_well(caplog):
    """Without a network gcsfs logs a traceback, besides raising."""
    resolve_path("gs://bucket/run")
    logging.getLogger("gcsfs").exception("out of retries")
    assert not caplog.records


@pytest.mark.parametrize("path", ["s3://bucket/run", "http://example.org/run", "gs://"])
def test_other_addresses_are_refused(path):
    with pytest.raises(UserError, match="name a folder of this machine, or gs://bucket/folder"):
        open_run(path, CONFIG)


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'latentax\[gcs\]'"):
        resolve_path("gs://bucket/run")


@pytest.mark.slow
def test_a_whole_run_in_a_bucket_resumes_as_on_disk(bucket, tmp_path, monkeypatch):
    from jaxrl.jedi.report.run import write_report
    from jaxrl.jedi.training.loop import train
    from tests.jaxrl.jedi import small_run

    monkeypatch.setitem(sys.modules, "tensorboardX", None)

    def silent(line):
        return None

    for folder in ("gs://bucket/whole", tmp_path):
        for steps in (80, 96):
            assert train(small_run.until(small_run.CONFIG, steps), folder, say=silent).finished

    def timeless(rows):
        return [
            {k: v for k, v in r.items() if k.split("/")[0] not in ("time", "compile", "memory")}
            for r in rows
        ]

    there, here = (
        timeless(read_metrics(resolve_path("gs://bucket/whole"))),
        timeless(read_metrics(tmp_path)),
    )
    assert len(there) == len(here) == 3
    for mine, theirs in zip(there, here, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-6)  # sums over calls, which the clock cuts
    page = write_report("gs://bucket/whole")
    assert (
        str(page) == "gs://bucket/whole/report/index.html"
        and b"gs://bucket/whole" in bucket.objects["whole/report/index.html"].data
    )
    replay = {key for key in bucket.objects if key.startswith("whole/replay/games")}
    steps = {key.split("/")[2] for key in bucket.objects if key.startswith("whole/checkpoints/")}
    assert len(replay) == len(steps) > 0


def test_which_kind_a_run_in_a_bucket_is(bucket):
    for name, config, expected in (
        ("played", CONFIG, False),
        ("learned", CONFIG | {"found": {}}, True),
    ):
        open_run(f"gs://bucket/kinds/{name}", config)
        assert learned_from_data(f"gs://bucket/kinds/{name}") is expected
    assert learned_from_data("gs://bucket/kinds/none") is False


@pytest.mark.slow
def test_what_learned_from_data_reports_in_a_bucket(bucket, tmp_path, monkeypatch):
    from jaxrl.jedi.offline.loop import learn
    from jaxrl.jedi.report.offline import write_offline_report
    from tests.jaxrl.jedi import small_data

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    config = small_data.on(small_data.record(tmp_path / "data"), epochs=1)
    assert learn(config, "gs://bucket/offline", say=lambda line: None).finished
    assert (
        str(write_offline_report("gs://bucket/offline")) == "gs://bucket/offline/report/index.html"
    )
    assert b"gs://bucket/offline" in bucket.objects["offline/report/index.html"].data
    assert [path.name for path in tmp_path.iterdir()] == ["data"]  # nothing on this machine
