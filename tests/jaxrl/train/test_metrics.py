"""The metrics log: lines and their reading, resuming, TensorBoard events; counting
compilations.
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.train.metrics import CompileCounter, MetricsLog, read_metrics


@pytest.fixture(autouse=True)
def no_tensorboard(monkeypatch):
    """See test_tensorboard.py."""
    monkeypatch.setitem(sys.modules, "tensorboardX", None)


def write(folder, steps, lines=None):
    log = MetricsLog(folder, lines)
    for step in steps:
        log.write(step, {"loss": step / 10})
    log.close()
    return log


def test_lines_come_back_in_order(tmp_path):
    log = MetricsLog(tmp_path)
    log.write(10, {"loss": 0.5, "phase": "reward_end", "games": 3, "best": None, "rates": [1, 2]})
    log.write(20, {"loss": 0.25})
    assert log.lines == 2
    log.close()
    assert read_metrics(tmp_path) == [
        {"step": 10, "loss": 0.5, "phase": "reward_end", "games": 3, "best": None, "rates": [1, 2]},
        {"step": 20, "loss": 0.25},
    ]


def test_a_line_is_on_disk_before_the_log_is_closed(tmp_path):
    log = MetricsLog(tmp_path)
    log.write(1, {"loss": 1.0})
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 1.0}]
    log.close()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), np.float64("nan")])
def test_numbers_that_json_does_not_have_become_null(tmp_path, value):
    log = MetricsLog(tmp_path)
    log.write(1, {"loss": value, "good": 2.0})
    log.close()
    text = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(text, parse_constant=lambda name: pytest.fail(name)) == {
        "step": 1,
        "loss": None,
        "good": 2.0,
    }


def test_without_lines_a_log_goes_on_at_the_end(tmp_path):
    write(tmp_path, [1, 2])
    assert write(tmp_path, [3]).lines == 3
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3]


@pytest.mark.parametrize("lines, kept", [(0, []), (2, [1, 2]), (3, [1, 2, 3]), (9, [1, 2, 3])])
def test_a_resumed_run_cuts_what_came_after_its_checkpoint(tmp_path, lines, kept):
    write(tmp_path, [1, 2, 3])
    assert write(tmp_path, [7], lines).lines == len(kept) + 1
    assert [row["step"] for row in read_metrics(tmp_path)] == [*kept, 7]


def test_cutting_a_log_that_does_not_exist_begins_one(tmp_path):
    write(tmp_path, [1], lines=5)
    assert len(read_metrics(tmp_path)) == 1


def test_the_log_is_cut_whole_or_not_at_all(tmp_path, monkeypatch):
    write(tmp_path, [1, 2, 3])

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(UserError, match="no space is left"):
        MetricsLog(tmp_path, 1)
    assert len(read_metrics(tmp_path)) == 3


def test_a_line_that_a_dying_process_left_unfinished_is_no_line(tmp_path):
    write(tmp_path, [1, 2])
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text() + '{"step": 3, "lo')
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2]
    log = write(tmp_path, [3])
    assert log.lines == 3
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3]


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": \n{"step": 3}\n')
    with pytest.raises(UserError, match="line 2, is not JSON .*: remove that line"):
        read_metrics(tmp_path)


def test_no_log_has_no_lines(tmp_path):
    assert read_metrics(tmp_path) == []


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be created"):
        MetricsLog(tmp_path / "nowhere")


def test_compilations_are_counted_once_each():
    double = jax.jit(lambda x: 2 * x + 1)
    small, large = jnp.zeros(3), jnp.zeros(5)
    counter = CompileCounter()
    double(small)
    assert counter.count == 1 and counter.seconds > 0
    double(small)
    assert counter.count == 1
    double(large)
    assert counter.count == 2
    assert CompileCounter().count == 0
