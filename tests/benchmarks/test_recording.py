"""Recording a benchmark: the schema, refusals, and names made from hardware and commits."""

import datetime
import json
import subprocess

import pytest

from benchmarks import recording
from benchmarks.recording import Claim, record

CLAIM = Claim(
    "sampling is faster than the pixel baseline, times",
    goal=3.0,
    direction=">=",
    measured=4.1,
    seeds=5,
)


def test_a_record_says_what_where_when_and_with_what(tmp_path):
    path = record("sampling", {"seconds": [0.5, 0.25]}, [CLAIM], folder=tmp_path / "results")
    assert path == tmp_path / "results" / "sampling.json"
    result = json.loads(path.read_text())
    assert result["name"] == "sampling"
    assert result["figures"] == {"seconds": [0.5, 0.25]}
    assert result["claims"] == [
        {
            "claim": CLAIM.claim,
            "goal": 3.0,
            "direction": ">=",
            "measured": 4.1,
            "seeds": 5,
            "holds": True,
        }
    ]
    assert abs(
        datetime.date.fromisoformat(result["date"]) - datetime.date.today()
    ) <= datetime.timedelta(days=1)
    assert result["hardware"]["platform"] == "cpu" and result["hardware"]["devices"] == 4
    assert {"python", "jax", "numpy"} <= set(result["versions"])
    assert [file.name for file in path.parent.iterdir()] == ["sampling.json"]


def test_an_accelerator_is_part_of_the_file_name(tmp_path, monkeypatch):
    machine = {"cpu": "c", "cores": 8, "device": "NVIDIA H200", "platform": "gpu", "devices": 1}
    monkeypatch.setattr(recording, "hardware", lambda: machine)
    assert record("sampling", {}, [], folder=tmp_path).name == "sampling-nvidia-h200.json"


@pytest.mark.parametrize(
    "direction, measured, holds",
    [
        (">=", 3.0, True),
        (">=", 2.9, False),
        ("<=", 3.0, True),
        ("<=", 3.1, False),
        (">", 3.0, False),
        (">", 3.1, True),
        ("<", 3.0, False),
        ("<", 2.9, True),
        (">=", None, None),
    ],
)
def test_a_claim_holds_on_its_side_of_the_goal(direction, measured, holds):
    assert Claim("c", 3.0, direction, measured).holds is holds


@pytest.mark.parametrize(
    "name, figures, claim, complaint",
    [
        ("Two words", {}, CLAIM, "benchmark name"),
        ("../up", {}, CLAIM, "benchmark name"),
        ("n", {"loss": float("nan")}, CLAIM, "not JSON compliant"),
        ("n", {}, Claim("c", 1.0, "==", 1.0), "direction"),
        ("n", {}, Claim("c", 1.0, ">=", float("inf")), "measured figure"),
    ],
)
def test_bad_records_are_refused_and_nothing_is_written(tmp_path, name, figures, claim, complaint):
    with pytest.raises(ValueError, match=complaint):
        record(name, figures, [claim], folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_processor_is_named(tmp_path):
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Some   CPU @ 2 GHz\n")
    assert recording.cpu_model(info) == "Some CPU @ 2 GHz"
    assert recording.cpu_model(tmp_path / "none")


def git(folder, *arguments):
    identity = ("-c", "user.name=n", "-c", "user.email=n@example.org")
    subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True
    )


def test_the_commit_tells_of_changes_but_not_of_results(tmp_path, monkeypatch):
    git(tmp_path, "init")
    (tmp_path / "code.py").write_text("1")
    (tmp_path / "README.md").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    clean = recording.commit(tmp_path)
    assert len(clean) == 12
    (tmp_path / "README.md").write_text("2")
    assert recording.commit(tmp_path) == clean
    (tmp_path / "code.py").write_text("2")
    assert recording.commit(tmp_path) == clean + "+changes"


def test_without_git_the_commit_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.delenv("LATENTAX_COMMIT", raising=False)
    assert recording.commit(tmp_path) == "unknown"
    monkeypatch.setenv("LATENTAX_COMMIT", "abc123")
    assert recording.commit(tmp_path) == "abc123"
