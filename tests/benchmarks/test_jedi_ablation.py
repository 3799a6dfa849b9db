"""The ablation's variants, its record and its resuming."""

import json

import jax
import pytest

from benchmarks import jedi_ablation as ablation
from benchmarks import jedi_objectives, jedi_recordings
from benchmarks.recording import record

SMALL = ablation.Settings(3, 60, 1, 1, 2, 1, 50, 4, 8, 3)


@pytest.fixture(scope="module")
def made():
    return jedi_recordings.play("bricks", 2, 30, seed=0)


@pytest.mark.parametrize("name", list(ablation.VARIANTS))
def test_every_variant_changes_one_thing_and_fits(name, made):
    variant, start = ablation.VARIANTS[name], ablation.VARIANTS["base"]
    state = jax.eval_shape(lambda: ablation.agent_of(variant, made, 0))
    first = jax.eval_shape(lambda: ablation.agent_of(start, made, 0))
    same = state.spec == first.spec and variant[1:] == (jedi_objectives.plain, 1)
    assert same == (name == "base")
    assert state.spec.latent_shape == ((8, 8, 16) if "patches4" in name else (4, 4, 16))


@pytest.fixture
def command(tmp_path, monkeypatch):
    """A small call of the benchmark whose record is `tmp_path/jedi_ablation_bricks.json`."""
    monkeypatch.setattr(ablation, "RESULTS", tmp_path)
    monkeypatch.setattr(
        ablation, "record", lambda name, figures, claims: record(name, figures, claims, tmp_path)
    )
    small = [f"--{k.replace('_', '-')}={v}" for k, v in SMALL._asdict().items()]
    return ["--folder", str(tmp_path / "runs"), *small]


@pytest.mark.slow
def test_a_run_is_measured_and_recorded(command, tmp_path):
    ablation.main([*command, "--variants", "base"])
    saved = json.loads((tmp_path / "jedi_ablation_bricks.json").read_text())
    run = saved["figures"]["variants"]["base"]["0"]
    assert len(run["retention_by_step"]) == len(run["reward_nats_gain"]["by_step"]) == 3
    for name in ("retention", "ceiling", "still"):
        assert 0 <= run[name]["low"] <= run[name]["mean"] <= run[name]["high"] <= 1
    assert run["metrics"]["world_model/denoising"] > 0 and run["seconds"]["training"] > 0


def test_what_is_recorded_is_not_run_again(command, tmp_path, monkeypatch):
    trained = []

    def train(variant, made, settings, seed):
        trained.append((variant, seed))
        if len(trained) == 3:
            raise KeyboardInterrupt
        return None, {"loss": 1.0}

    gain = {"mean": 0.1, "low": 0.0, "high": 0.2}
    figures = {"reward_nats_gain": gain, "end_nats_gain": gain}
    monkeypatch.setattr(ablation, "train", train)
    monkeypatch.setattr(ablation, "measure", lambda *_: dict(figures))
    wanted = [*command, "--variants", "base", "noise", "--seeds", "0", "1"]
    with pytest.raises(KeyboardInterrupt):
        ablation.main(wanted)
    ablation.main(wanted)
    ablation.main(wanted)
    order = [("base", 0), ("noise", 0), ("base", 1), ("base", 1), ("noise", 1)]
    assert trained == [(ablation.VARIANTS[name], seed) for name, seed in order]
    found = json.loads((tmp_path / "jedi_ablation_bricks.json").read_text())["figures"]
    assert {name: sorted(runs) for name, runs in found["variants"].items()} == {
        "base": ["0", "1"],
        "noise": ["0", "1"],
    }
    with pytest.raises(SystemExit, match="other settings"):
        ablation.main([*wanted, "--probe", "5"])


def test_claims_are_of_variants_that_were_run():
    def run(kept, gain):
        return {"retention": {"mean": kept}, "reward_nats_gain": {"mean": gain}}

    variants = {"base": {"0": run(0.5, 0.1), "1": run(0.7, 0.3)}, "conv": {"0": run(0.4, 0.1)}}
    claims = ablation.claims_of(variants, "bricks")
    assert [(c.measured, c.seeds, c.holds) for c in claims] == [(0.2, 2, True), (-0.1, 1, False)]
    assert "conv" in claims[1].claim
    assert [c.measured for c in ablation.claims_of({}, "bricks")] == [None]


def test_the_table_shows_every_run_and_leaves_out_what_is_unknown():
    gain = {"mean": 0.0104, "low": -0.002, "high": 0.03}
    run = {"reward_nats_gain": gain, "end_nats_gain": gain, "seconds": {"a": 1.2, "b": 2.0}}
    kept = {"mean": 0.5, "low": 0.4, "high": 0.6}
    positions = {"retention": kept, "retention_by_step": [0.9, 0.8, 0.7, 0.6], "ceiling": kept}
    lines = ablation.table({"base": {"0": run | positions | {"still": kept}, "1": run}}).split("\n")
    assert lines[2] == (
        "| base | 0.50 [0.40, 0.60] | 0.90 0.60 | 0.50 | 0.50 | 0.010 [-0.002, 0.030] "
        "| 0.010 [-0.002, 0.030] | 3 |"
    )
    assert lines[3].startswith("| base, seed 1 |  |  |  |  | 0.010") and len(lines) == 4
