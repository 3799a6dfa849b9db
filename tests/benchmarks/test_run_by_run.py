"""Records that grow run by run, with training replaced by what it leaves behind."""

import json
from functools import partial
from types import SimpleNamespace

import pytest

from benchmarks import encoder_quality, jedi_modes, recording, run_by_run
from benchmarks.run_by_run import curve_of, finished_run, recorded, settings_of, train_missing
from jaxrl.jedi import train as training
from jaxrl.jedi.presets import tiny

ROWS = [{"env_steps": 50, "time/processor": 60.0, "collect/return": -2.0, "evaluate/return": None},
        {"env_steps": 90, "time/processor": 120.0, "evaluate/return": 4.0}]  # fmt: skip


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """Training that writes two lines of metrics, or stops; the names of what was trained."""
    names = []

    def train(config, folder):
        names.append(folder.name)
        folder.mkdir(parents=True)
        rows = [row | {"env_steps": row["env_steps"] * config.schedule.env_steps // 90} for row in ROWS]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return SimpleNamespace(finished=config.seed < 2)

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(run_by_run, "RESULTS", tmp_path)
    for script in (jedi_modes, encoder_quality):
        monkeypatch.setattr(script, "record", partial(recording.record, folder=tmp_path))
    return names


def test_only_epochs_with_an_evaluation_are_points():
    rows = [{"env_steps": 5, "time/processor": 30.0}, {"env_steps": 9, "time/processor": 90.0, "evaluate/return": 2.5}]
    assert curve_of(rows) == [{"env_steps": 9, "minutes": 1.5, "return": 2.5}]


def test_a_run_counts_when_it_is_at_its_end(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    assert finished_run(tmp_path / "run", 91) is None and finished_run(tmp_path / "none", 90) is None
    found = finished_run(tmp_path / "run", 90)
    assert found["curve"] == [{"env_steps": 90, "minutes": 2.0, "return": 4.0}] and found["random_return"] == -2.0


@pytest.mark.parametrize(("script", "name"), [(jedi_modes, "jedi_modes"), (encoder_quality, "encoder_quality")])
def test_finished_runs_stay_recorded_without_their_folders_and_are_not_made_again(script, name, trained, tmp_path):
    variants = {variant: tiny("catch") for variant in (script.MODES if script is jedi_modes else script.KINDS)[:2]}
    settings = settings_of(list(variants.values()))
    write = lambda runs: script.write(runs, settings)
    first, second = variants
    train_missing(name, settings, {first: variants[first]}, [1], tmp_path / "a", write)
    assert trained == [f"{first}-1"]
    train_missing(name, settings, variants, [0, 1], tmp_path / "b", write)
    assert trained == [f"{first}-1", f"{first}-0", f"{second}-0", f"{second}-1"]
    with pytest.raises(SystemExit, match="the same command goes on, what was finished is recorded"):
        train_missing(name, settings, variants, [2], tmp_path / "b", write)
    runs = recorded(name, settings)
    assert {variant: list(runs[variant]) for variant in variants} == {first: ["0", "1"], second: ["0", "1"]}
    assert recorded(name, "others") == {}
    claims = json.loads((tmp_path / f"{name}.json").read_text())["claims"]
    assert claims and all(claim["measured"] is None for claim in claims)


def test_patches_are_held_against_the_others():
    made = lambda last, mean: {"last_return": [last, last], "mean_return": [mean, mean - 0.2], "minutes": [1.0, 1.0]}
    figures = {
        "local": made(0.75, 0.5),
        "patch": made(0.5, 0.75),
        "conv": {"last_return": [0.5], "mean_return": [], "minutes": []},
    }
    claims = encoder_quality.claims_of(figures, seeds=2)
    assert [(claim.measured, claim.holds) for claim in claims] == [(-0.25, False), (0.25, True), (None, None), (None, None)]
    assert "return at the end with encoder patch minus that with local" in claims[0].claim


def test_kinds_differ_in_the_encoder_alone():
    configs = {kind: encoder_quality.config_for(kind) for kind in encoder_quality.KINDS}
    assert {kind: config.agent.encoder.kind for kind, config in configs.items()} == {kind: kind for kind in encoder_quality.KINDS}
    assert configs["local"] == tiny("catch")
