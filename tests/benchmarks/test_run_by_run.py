"""Records that grow run by run, with training replaced by what it leaves behind."""

import contextlib
import dataclasses
import json
import time
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import encoder_quality, jedi_modes, recording, run_by_run
from benchmarks.run_by_run import (
    counters_of,
    curve_of,
    finished_run,
    note_beginning,
    recorded,
    run_to_end,
    settings_of,
    train_missing,
)
from jaxrl.jedi.presets import tiny
from jaxrl.jedi.training import loop as training
from jaxrl.jedi.training.run import Counters
from jaxrl.train.checkpoint import Checkpoints
from jaxrl.train.signals import stop_on_signals

ROWS = [
    {"env_steps": 50, "time/processor": 60.0, "collect/return": -2.0, "evaluate/return": None},
    {"env_steps": 90, "time/processor": 120.0, "evaluate/return": 4.0},
]


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """Training that writes two lines of metrics, or stops; the names of what was trained."""
    names = []

    def train(config, folder):
        names.append(folder.name)
        rows = [
            row | {"env_steps": row["env_steps"] * config.schedule.env_steps // 90} for row in ROWS
        ]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return SimpleNamespace(finished=config.seed < 2)

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(run_by_run, "RESULTS", tmp_path)
    for script in (jedi_modes, encoder_quality):
        monkeypatch.setattr(script, "record", partial(recording.record, folder=tmp_path))
    return names


def test_only_epochs_with_an_evaluation_are_points():
    rows = [
        {"env_steps": 5, "time/processor": 30.0},
        {"env_steps": 9, "time/processor": 90.0, "evaluate/return": 2.5},
    ]
    assert curve_of(rows) == [{"env_steps": 9, "minutes": 1.5, "return": 2.5}]


def test_a_run_counts_when_it_is_at_its_end(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    note_beginning(tmp_path / "run")
    assert (
        finished_run(tmp_path / "run", 91) is None and finished_run(tmp_path / "none", 90) is None
    )
    found = finished_run(tmp_path / "run", 90)
    assert (
        found["curve"] == [{"env_steps": 90, "minutes": 2.0, "return": 4.0}]
        and found["random_return"] == -2.0
    )


def test_a_run_keeps_the_commit_that_began_it(tmp_path, monkeypatch):
    monkeypatch.setattr(run_by_run, "commit", lambda: "first")
    note_beginning(tmp_path)
    monkeypatch.setattr(run_by_run, "commit", lambda: "second")
    note_beginning(tmp_path)
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    assert finished_run(tmp_path, 90)["commit"] == "first"


def test_a_run_ends_at_its_processor_time_and_says_how_far_it_came(monkeypatch, tmp_path):
    config, folder = tiny("catch"), tmp_path / "run"

    def train(config, folder):
        began = time.process_time()
        with stop_on_signals() as stop:
            while not stop:
                sum(range(1000))
        used = counters_of(folder).get("processor", 0.0) + time.process_time() - began
        counters = Counters(done=49, env_steps=512, updates=49, processor=used)
        with contextlib.closing(Checkpoints(folder / "checkpoints")) as saved:
            step = max(saved.steps(), default=0) + 1
            saved.save(step, {"x": np.zeros(1)}, {"counters": dataclasses.asdict(counters)})
            saved.wait()
        return SimpleNamespace(finished=False)

    monkeypatch.setattr(training, "train", train)
    made = run_to_end(config, folder, 0.01)
    assert made["curve"] == [] and made["stopped_minutes"] == 0.01 and "random_return" not in made
    assert made["came_to"] == {"epoch": 0, "stage": 0, "done": 49, "env_steps": 512, "updates": 49}
    assert counters_of(folder)["processor"] >= 0.6
    run_to_end(config, folder, 0.02)  # of which the first session had half
    assert counters_of(folder)["processor"] >= 1.2


@pytest.mark.parametrize(
    ("script", "name"), [(jedi_modes, "jedi_modes"), (encoder_quality, "encoder_quality")]
)
def test_finished_runs_stay_recorded_without_their_folders_and_are_not_made_again(
    script, name, trained, tmp_path
):
    variants = {
        variant: tiny("catch")
        for variant in (script.MODES if script is jedi_modes else script.KINDS)[:2]
    }
    settings = settings_of(list(variants.values()))

    def write(runs):
        return script.write(runs, settings)

    def make(some, seeds, folder, own_settings=settings):
        options = SimpleNamespace(seeds=seeds, folder=tmp_path / folder)
        return train_missing(name, own_settings, some, options, write)

    first, second = variants
    make({first: variants[first]}, [1], "a")
    assert trained == [f"{first}-1"]
    make(variants, [0, 1], "b")
    assert trained == [f"{first}-1", f"{first}-0", f"{second}-0", f"{second}-1"]
    with pytest.raises(
        SystemExit, match="the same command continues, what was finished is recorded"
    ):
        make(variants, [2], "b")
    runs = recorded(name, settings)
    assert {variant: list(runs[variant]) for variant in variants} == {
        first: ["0", "1"],
        second: ["0", "1"],
    }
    before = (tmp_path / f"{name}.json").read_bytes()
    with pytest.raises(SystemExit, match=f"{name}.json holds runs of other settings: move it away"):
        make(variants, [0], "c", "others")
    assert (tmp_path / f"{name}.json").read_bytes() == before and len(trained) == 5
    claims = json.loads((tmp_path / f"{name}.json").read_text())["claims"]
    assert claims and all(claim["measured"] is None for claim in claims)


@pytest.mark.parametrize("content", ["{", "{}", '{"figures": []}'])
def test_a_damaged_record_is_refused(content, trained, tmp_path):
    (tmp_path / "jedi_modes.json").write_text(content)
    with pytest.raises(
        SystemExit, match=r"jedi_modes.json is damaged \(.*\): restore it or move it away"
    ):
        recorded("jedi_modes", "some")


def test_an_accelerator_has_a_record_of_its_own(trained, monkeypatch, tmp_path):
    (tmp_path / "jedi_modes.json").write_text("{}")
    monkeypatch.setattr(recording, "hardware", lambda: {"platform": "gpu", "device": "NVIDIA H100"})
    assert recording.path_of("jedi_modes", tmp_path).name == "jedi_modes-nvidia-h100.json"
    assert recorded("jedi_modes", "some") == {}


def test_a_fingerprint_sees_what_was_chosen_and_not_what_came_later():
    config = tiny("catch")
    later = dataclasses.make_dataclass(
        "Later", [("new", int, 0)], bases=(type(config.game),), frozen=True
    )
    values = {
        field.name: getattr(config.game, field.name) for field in dataclasses.fields(config.game)
    }
    later.__name__ = type(config.game).__name__
    assert settings_of([replace(config, game=later(**values))]) == settings_of([config])
    assert settings_of([replace(config, game=later(**values, new=1))]) != settings_of([config])
    assert (
        settings_of([replace(config, seed=1)])
        != settings_of([config])
        != settings_of([config, config])
    )


@pytest.mark.parametrize(
    ("script", "configs"),
    [
        (jedi_modes, {mode: tiny("bricks", mode) for mode in jedi_modes.MODES}),
        (
            encoder_quality,
            {kind: encoder_quality.config_for(kind) for kind in encoder_quality.KINDS},
        ),
    ],
)
def test_what_is_recorded_is_of_the_present_settings(script, configs):
    """Else the runs would have to be made again."""
    assert recorded(script.__name__.split(".")[-1], settings_of(list(configs.values())))


def test_patches_are_held_against_the_others():
    def made(last, mean):
        return {
            "last_return": [last, last],
            "mean_return": [mean, mean - 0.2],
            "minutes": [1.0, 1.0],
        }

    figures = {
        "local": made(0.75, 0.5),
        "patch": made(0.5, 0.75),
        "conv": {"last_return": [0.5], "mean_return": [], "minutes": []},
    }
    claims = encoder_quality.claims_of(figures, seeds=2)
    assert [(claim.measured, claim.holds) for claim in claims] == [
        (-0.25, False),
        (0.25, True),
        (None, None),
        (None, None),
    ]
    assert "return at the end with encoder patch minus that with local" in claims[0].claim


def test_kinds_differ_in_the_encoder_alone():
    configs = {kind: encoder_quality.config_for(kind) for kind in encoder_quality.KINDS}
    assert {kind: config.agent.encoder.kind for kind, config in configs.items()} == {
        kind: kind for kind in encoder_quality.KINDS
    }
    assert configs["local"] == tiny("catch")
