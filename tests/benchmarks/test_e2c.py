"""What the benchmark of e2c measures is the same computation twice, and a study's verdicts become
claims.
"""

import json

import pytest

from benchmarks import e2c, e2c_study
from jaxrl.app.errors import UserError


def test_the_loop_computes_the_same_loss():
    found = e2c.masks_and_loss(e2c.Settings(rows=4, tokens=16, repeats=1))
    assert found["difference"] < 1e-6 and found["ratio"] > 0


def test_verdicts_become_claims_and_nothing_is_a_refusal(tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(
        e2c_study, "record", lambda name, figures, claims: seen.update(name=name, claims=claims)
    )
    with pytest.raises(UserError, match="study first"):
        e2c_study.study_claims(tmp_path)
    (tmp_path / "report").mkdir()
    verdict = {
        "claim": "reinforcement",
        "direction": ">",
        "goal": 0.0,
        "measured": "m",
        "holds": False,
        "value": 0.0,
    }
    others = [
        verdict | {"claim": "EF-SFT", "direction": ">="},
        verdict | {"claim": "control"},
        verdict | {"direction": None},
    ]
    (tmp_path / "report" / "verdicts.json").write_text(json.dumps([verdict, *others]))
    (tmp_path / "config.json").write_text(json.dumps({"rl_seeds": 3, "adapt_seeds": 2}))
    e2c_study.study_claims(tmp_path)
    assert [(claim.seeds, claim.holds) for claim in seen["claims"]] == [
        (3, False),
        (2, True),
        (1, False),
    ]
    assert "(m)" in seen["claims"][0].claim and seen["name"] == "e2c_study"
    (tmp_path / "report" / "verdicts.json").write_text(json.dumps([verdict | {"seeds": 1}]))
    (tmp_path / "config.json").write_text(json.dumps({"lora_rank": 16, "seeds": 2}))
    e2c_study.study_claims(tmp_path)  # broken off after one seed of two
    assert seen["name"] == "e2c_word_study" and seen["claims"][0].seeds == 1
