"""Claims are read off the cells that they name."""

import dataclasses
import json

import pytest

from benchmarks.quant_studies import collapse_claims, gmvq_claims, means, names_of
from quant.studies.collapse.config import mixture
from quant.studies.gmvq.config import digits


def test_means_are_over_seeds(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a.json").write_text(
        json.dumps({"mse": [1.0, 3.0], "seeds": [0, 1], "curves": {}, "modes": None})
    )
    assert means(tmp_path, ["a"]) == {"a": {"mse": 2.0}}


def test_the_cure_is_compared_with_the_collapse_and_the_control():
    values = {"untrained": (10.0, 2.0), "control": (12.0, 2.0), "deferred": (80.0, 0.5)}
    names = names_of(mixture())
    wide = {
        n: dict(zip(("perplexity", "mse"), values[n.rpartition("-")[2]], strict=True))
        for n in names
    }
    claims = collapse_claims(wide, {"x-untrained": {"effective_rank": 1.9}}, 5)
    assert [c.measured for c in claims] == pytest.approx([8.0, 0.25, 1.2, 1.9]) and all(
        c.holds for c in claims
    )


def test_gm_vq_is_compared_with_the_best_baseline_and_its_bounds_where_the_kl_weighs_most():
    config = dataclasses.replace(digits(), betas=(0.001, 0.1))
    found = {cell.name: {"mse": 1.0, "perplexity": 10.0} for cell in config.cells()}
    first = {cell.method: cell.name for cell in reversed(config.cells())}
    found[first["sq-vae"]] = {"mse": 0.5, "perplexity": 20.0}
    strong = [
        cell.name for cell in config.cells() if cell.method == "gm-vq-elbo" and cell.beta == 0.1
    ]
    found[strong[0]]["perplexity"] = 2.0
    assert [c.measured for c in gmvq_claims(config, found)] == pytest.approx([2.0, 0.5, 5.0])
