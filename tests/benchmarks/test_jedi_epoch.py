"""The benchmark of an epoch: figures by hand from made-up metrics, the short run, refusals, and
once all of it.
"""

import json

import pytest

import benchmarks.jedi_epoch as subject
from benchmarks.jedi_epoch import (
    PHASES,
    PRESETS,
    SETTLING,
    Settings,
    claims,
    main,
    short_run,
    summarize,
)
from jaxrl.jedi.config import Updates
from jaxrl.jedi.presets import atari100k, tiny
from jaxrl.jedi.training.validate import check
from tests.jaxrl.jedi import small_run

UPDATES = {"world_model": 20, "reward_end": 30, "behavior": 40, "probe": 10}
ROW = {
    "time/world_model": 2.0,
    "time/reward_end": 3.0,
    "time/behavior": 8.0,
    "time/probe": 1.0,
    "time/collect": 0.5,
    "time/gate": 0.25,
    "time/monitor": 0.25,
    "time/evaluate": 1.0,
    "time/host": 0.5,
    "compile/count": 1,
} | {f"{name}/updates": count for name, count in UPDATES.items()}


def test_figures_by_hand():
    config = tiny("catch")  # 60, 30, 80 and 10 updates, an evaluation after every epoch
    figures = summarize([ROW, ROW | {"time/world_model": 4.0, "compile/count": 0}], config)
    assert figures["seconds_per_update"] == pytest.approx(
        {"world_model": 0.15, "reward_end": 0.1, "behavior": 0.2, "probe": 0.1}
    )
    assert figures["updates_per_second"]["behavior"] == pytest.approx(5)
    assert figures["epoch_seconds"] == pytest.approx(
        60 * 0.15 + 30 * 0.1 + 80 * 0.2 + 10 * 0.1 + 2.5
    )
    assert figures["host_share"] == pytest.approx(0.5 / 31.5)
    assert figures["compilations"] == 1 and not figures["learning_is_one_program"]


def test_evaluations_that_are_rarer_count_for_less():
    figures = summarize([ROW], atari100k())
    assert (
        figures["epoch_parts"]["evaluate"] == pytest.approx(0.1)
        and figures["parts"]["evaluate"] == 1.0
    )


def test_a_part_without_updates_takes_no_time_per_update():
    assert (
        "probe"
        not in summarize([ROW | {"time/probe": 0.0, "probe/updates": 0}], tiny())[
            "seconds_per_update"
        ]
    )


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("env", ["catch", "Breakout"])
def test_the_short_run_fits_together_and_has_its_epochs(preset, env):
    config = short_run(PRESETS[preset](env), 3, 7)
    check(config)
    schedule = config.schedule
    assert schedule.first_epoch == schedule.per_epoch == Updates(7, 7, 7, 7)
    assert (
        schedule.env_steps == schedule.initial_steps + (SETTLING + 3 - 1) * schedule.steps_per_epoch
    )
    assert (
        short_run(PRESETS[preset](env), 3, None).schedule.per_epoch
        == PRESETS[preset](env).schedule.per_epoch
    )


def test_claims_on_the_host_are_made_for_whole_epochs_of_toys_only():
    figures = {"compilations": 0, "host_share": 0.06}
    both = claims(figures, Settings())
    assert [(claim.measured, claim.holds) for claim in both] == [(0, True), (0.06, False)]
    assert (
        len(claims(figures, Settings(updates=3)))
        == len(claims(figures, Settings(env="Breakout")))
        == 1
    )


@pytest.mark.parametrize(
    "arguments, fault", [(["--epochs", "0"], "--epochs (0)"), (["--env", "cach"], "did you mean")]
)
def test_refusals_are_one_sentence(arguments, fault, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert fault in said and said.count("\n") == 1


@pytest.mark.slow  # its programs are compiled anew, without a cache
def test_a_run_is_measured_and_recorded(monkeypatch, tmp_path):
    kept = subject.jax.config.jax_enable_compilation_cache
    monkeypatch.setitem(PRESETS, "tiny", lambda env: small_run.CONFIG)
    monkeypatch.setattr(subject, "record", lambda *found: subject_record(tmp_path, *found))
    try:
        path = subject.measure(Settings(epochs=1))
    finally:
        subject.jax.config.update("jax_enable_compilation_cache", kept)
    result = json.loads(path.read_text())
    figures = result["figures"]
    assert result["name"] == "jedi_epoch-tiny-catch" and figures["updates"] == {
        "world_model": 3,
        "reward_end": 2,
        "behavior": 2,
        "probe": 1,
    }
    assert (
        set(PHASES) < set(figures["compile_seconds"])
        and min(figures["parts"][name] for name in PHASES) > 0
    )
    assert result["claims"][0]["measured"] == 0


def subject_record(folder, *found):
    from benchmarks.recording import record

    return record(*found, folder=folder)
