"""The ablation's variants, its recordings and what it claims."""

import jax
import numpy as np
import pytest

from benchmarks import jedi_ablation
from jaxrl.jedi.agent import init
from jaxrl.replay.episode_files import read_episode

pytest.importorskip("ale_py")


@pytest.mark.parametrize("variant", list(jedi_ablation.VARIANTS))
def test_every_variant_can_be_trained_and_changes_something(variant, tmp_path):
    agent = jedi_ablation.config_for(variant, tmp_path, 6, 1).agent
    base = jedi_ablation.config_for("base", tmp_path, 6, 1).agent
    assert (agent == base) == (variant == "base")
    side = jedi_ablation.SIDE
    state = jax.eval_shape(lambda key: init(agent, 6, (side, side, 3), key), jax.random.key(0))
    assert state.spec.latent_shape[0] == (12 if variant == "fine" else 6)


def test_recorded_play_is_whole_lives(tmp_path):
    folder = tmp_path / "episodes"
    jedi_ablation.save_games("UpNDown", folder, 400, seed=0)
    before, _, action, reward, end, _ = jedi_ablation.play("UpNDown", 400, seed=0)
    episodes = [read_episode(file) for file in sorted(folder.glob("*.npz"))]
    assert sum(len(episode.act) for episode in episodes) == 400
    assert sum(bool(episode.end[-1]) for episode in episodes) == end.sum() > 0
    np.testing.assert_array_equal(np.concatenate([e.obs[:-1] for e in episodes]), before)
    np.testing.assert_array_equal(np.concatenate([e.rew for e in episodes]), reward)
    np.testing.assert_array_equal(np.concatenate([e.act for e in episodes]), action)


def test_fresh_games_are_not_those_that_were_learned_from():
    fresh = jedi_ablation.fresh_games("UpNDown", 1, 60)
    learned = jedi_ablation.play("UpNDown", 60, seed=0)[0]
    assert fresh.frame.shape == (1, *learned.shape) and (fresh.frame[0] != learned).any()


def test_a_variant_that_was_not_run_claims_nothing():
    gain = {"mean": [0.1, 0.2], "low": [0.05, None], "high": [0.2, 0.3]}
    claims = jedi_ablation.claims_of({"base": {"reward_nats_gain": gain}}, "UpNDown")
    assert [claim.measured for claim in claims] == [0.05] + [None] * (len(claims) - 1)
    assert claims[0].holds and len(claims) == len(jedi_ablation.VARIANTS)


def test_a_record_of_other_settings_is_not_written_over(tmp_path, monkeypatch):
    from benchmarks.recording import record

    monkeypatch.setattr(jedi_ablation, "RESULTS", tmp_path)
    assert jedi_ablation.known("jedi_ablation_x", {"steps": 1}) == {}
    record("jedi_ablation_x", {"settings": {"steps": 1}, "variants": {"base": {}}}, [], tmp_path)
    assert jedi_ablation.known("jedi_ablation_x", {"steps": 1}) == {"base": {}}
    with pytest.raises(SystemExit, match="other settings"):
        jedi_ablation.known("jedi_ablation_x", {"steps": 2})
