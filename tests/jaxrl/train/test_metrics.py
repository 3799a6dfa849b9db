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
from jaxrl.train.metrics import (
    CompileCounter,
    MetricsLog,
    first_and_last,
    lines_until,
    read_metrics,
)


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


@pytest.mark.parametrize("lines", [None, 2])
def test_a_line_that_a_dying_process_left_unfinished_is_removed_with_a_warning(
    tmp_path, lines, capsys
):
    write(tmp_path, [1, 2])
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text() + '{"step": 3, "lo')
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2]
    assert f"warning: {path}, line 3, is cut: its numbers are left out\n" == capsys.readouterr().err
    assert write(tmp_path, [3], lines).lines == 3
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"{path}, line 3, is cut: it is removed" in said
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3]


def test_a_damaged_line_is_named_and_keeps_its_place(tmp_path, capsys):
    """A checkpoint counts lines: with one fewer, the next resumption would cut in another place."""
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": \n\xff\x00\n3\n{"step": 5}\n{"ste')
    assert write(tmp_path, [7], 6).lines == 7
    said = capsys.readouterr().err
    named = [number for number in range(1, 8) if f"line {number}, " in said]
    assert named == [2, 3, 4, 6] and "line 2, is not JSON (Expecting value)" in said
    assert said.count("warning: ") == 4 and "line 4, holds no metrics: its numbers are" in said
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 5, 7]
    assert lines_until(tmp_path, 5) == 5 and lines_until(tmp_path, 6) == 5
    assert write(tmp_path, [8], 5).lines == 6
    assert first_and_last(path) == ({"step": 1}, {"step": 8, "loss": 0.8})
    assert lines_until(tmp_path, 0) == 0


def test_a_whole_last_line_without_its_end_counts(tmp_path, capsys):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}')
    assert write(tmp_path, [3]).lines == 3
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3]
    assert first_and_last(tmp_path / "nothing") == (None, None)
    assert capsys.readouterr().err == ""


def test_lines_that_are_lost_are_counted(tmp_path, capsys):
    write(tmp_path, [1, 2])
    write(tmp_path, [], 5)
    assert "metrics.jsonl holds 2 of the 5 lines written so far" in capsys.readouterr().err


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
