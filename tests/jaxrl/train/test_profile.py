"""The trace of one epoch."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from jaxrl.app.errors import UserError
from jaxrl.jedi.training import loop as training
from jaxrl.jedi.training.loop import traced
from jaxrl.train.profile import EpochTrace


def test_it_traces_one_epoch_and_says_where(tmp_path):
    counters, said = SimpleNamespace(epoch=0), []
    work = jax.jit(lambda x: jnp.sin(x) @ x)
    written = []

    def one_stage(session, stop, say):
        work(jnp.ones((8, 8))).block_until_ready()
        written.append(any(tmp_path.rglob("*.xplane.pb")))
        counters.epoch += 1

    trace = EpochTrace(2, tmp_path)
    for _ in range(4):
        traced(trace, one_stage, SimpleNamespace(counters=counters), None, said.append)
    trace.close()
    assert written == [False, False, True, True]
    assert said == [f"trace of epoch 2: {tmp_path}"]
    (found,) = tmp_path.rglob("*.xplane.pb")
    names = {
        event.name
        for plane in jax.profiler.ProfileData.from_file(str(found)).planes
        for line in plane.lines
        for event in line.events
    }
    assert any("lambda" in name for name in names)
    assert list(tmp_path.rglob("perfetto_trace.json.gz"))


def test_it_ends_with_a_run_that_is_stopped(tmp_path):
    trace = EpochTrace(1, tmp_path)
    trace.before(1)
    trace.close()
    assert len(list(tmp_path.rglob("*.xplane.pb"))) == 1 and trace.made


def test_an_epoch_that_never_came_is_said_to_be_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(
        training, "run_until_stopped", lambda *_: training.Result(tmp_path, True, None, {})
    )
    said = []
    training.train(None, tmp_path, say=said.append, profile=99)
    assert said == ["epoch 99 was not traced: this call did not come by it"]


@pytest.mark.parametrize(
    ("number", "folder", "sentence"),
    [(0, "x", "numbered from 1"), (1, "gs://bucket/x", "local --run-dir")],
)
def test_refusals(number, folder, sentence):
    with pytest.raises(UserError, match=sentence):
        EpochTrace(number, folder)
