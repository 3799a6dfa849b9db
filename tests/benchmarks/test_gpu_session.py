"""The plan of a session on an accelerator: it fits its time and survives parts that fail."""

import json
import sys

import pytest

from benchmarks.gpu_session import Part, new_results, parts, printed_json, run_part


@pytest.mark.parametrize("rehearse", [False, True])
def test_the_training_comes_last_and_the_measurements_leave_it_time(rehearse, tmp_path):
    found = parts(rehearse, tmp_path, "UpNDown", 600.0)
    assert found[-1].name == "train" and str(tmp_path / "run") in found[-1].command
    measured = sum(part.seconds for part in found[:-1])
    assert rehearse or measured <= 0.6
    assert len({part.name for part in found}) == len(found)


def test_a_part_that_overruns_is_stopped_and_one_that_fails_is_recorded(tmp_path):
    slow = Part(
        "slow", [sys.executable, "-c", "import time; print('on', flush=True); time.sleep(60)"], 1
    )
    found = run_part(slow, 2.0, tmp_path / "slow.log")
    assert found["stopped_by_the_clock"] and found["seconds"] < 30
    assert found["last_lines"] == ["on"]
    broken = Part("broken", [sys.executable, "-c", "raise SystemExit('no emulator')"], 1)
    found = run_part(broken, 30.0, tmp_path / "broken.log")
    assert found["exit"] == 1 and not found["stopped_by_the_clock"]
    assert found["last_lines"] == ["no emulator"]


def test_what_a_part_prints_and_records_is_read(tmp_path):
    assert printed_json(["warning", '{"seconds": 1.0}', "bye"]) == {"seconds": 1.0}
    assert printed_json(["nothing"]) is None
    (tmp_path / "old.json").write_text(json.dumps({"figures": {"a": 1}, "claims": []}))
    assert new_results(tmp_path, 0.0) == {"old": {"figures": {"a": 1}, "claims": []}}
    assert new_results(tmp_path, (tmp_path / "old.json").stat().st_mtime + 10) == {}
