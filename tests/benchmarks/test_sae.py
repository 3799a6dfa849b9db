"""The benchmark of sae at its smallest, without peers."""

import json

import pytest

from benchmarks import sae


@pytest.mark.slow
def test_it_measures_and_claims(monkeypatch, tmp_path):
    kept = {}
    monkeypatch.setattr(
        sae, "record", lambda name, figures, claims: kept.update({name: (figures, claims)})
    )
    small = (
        "--features 16 --latents 32 --k 4 --batch 32 --repeats 1 --quality 30 --members 1 3 "
        "--catalogue 0 --peers False"
    )
    assert sae.main(small.split()) == 0
    figures, claims = kept["sae"]
    assert (
        figures["single"]["ours"]["fvu"]["30"] < 1.1
        and figures["single"]["ours"]["rows_per_second"] > 0
    )
    assert [e["members"] for e in figures["ensembles"]] == [1, 3]
    assert set(figures["peers_that_did_not_run"]) == {"dictionary-learning", "sparsify", "sae-lens"}
    assert [claim.holds for claim in claims[:2]] == [None, None] and claims[-1].holds
    json.dumps(figures)


def test_a_small_catalogue_has_the_planted_number_of_patterns():
    made = sae.building(2000)
    assert made["patterns"] == made["planted"] == 10
