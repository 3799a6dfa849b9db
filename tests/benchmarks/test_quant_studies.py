"""Claims are read off the cells that they name."""

import dataclasses
import json

import numpy as np
import pytest

from benchmarks.quant_studies import (
    collapse_claims,
    estimator_claims,
    fashion_collapse_claims,
    gmvq_claims,
    means,
    names_of,
)
from quant.studies.collapse.config import fashion_mnist as collapse_fashion
from quant.studies.collapse.config import mixture
from quant.studies.estimators.config import fashion_mnist as estimators_fashion
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
    found[first["vq-restart"]] = {"mse": 0.4, "perplexity": 40.0}
    assert [c.measured for c in gmvq_claims(config, found)] == pytest.approx(
        [2.5, 0.25, 2.0, 0.5, 5.0]
    )


def test_on_real_images_each_cure_is_compared_with_its_absence():
    config = collapse_fashion()
    found = {}
    for cell in config.cells():
        deferred, wide = cell.recipe == "deferred", cell.width == 256
        found[cell.name] = {
            "mse": 1.0 - 0.5 * deferred - 0.25 * wide,
            "perplexity": 10.0 + 90.0 * deferred,
            "effective_rank": 2.0 + 4.0 * wide,
        }
    claims = fashion_collapse_claims(config, found)
    assert [c.measured for c in claims] == pytest.approx([10.0, 1 / 3, 1 / 3, 3.0, 0.25])


def test_estimators_are_compared_by_their_best_settings():
    config = estimators_fashion()
    count = len(config.taus)
    equal = np.broadcast_to(5.0 - np.eye(count), (3, count, count)).tolist()
    rows = {
        name: {"taus": [0.5, 1.0], "test_loss": [[6.0, 7.0]] * 3} for name in ("st_gs", "reinmax")
    }
    rows["reinmax"]["test_loss"] = [[3.0, 3.5]] * 3
    result = {
        "taus": list(config.taus),
        "grid": {kind: {"test_loss": equal} for kind in ("plain", "normalized")},
        "rows": rows,
    }
    claims = estimator_claims(config, {"vae": result})
    assert [c.measured for c in claims] == pytest.approx([-1.0, -1.0, 1.0])
    assert [c.holds for c in claims] == [False, False, True]
