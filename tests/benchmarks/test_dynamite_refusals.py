"""The damage that the benchmark of refusals does to an example, by hand, and one task measured."""

import pytest

pytest.importorskip("pysat")
pytest.importorskip("duckdb")
pytest.importorskip("sqlglot")
from benchmarks import dynamite_refusals
from benchmarks.dynamite_refusals import exchanged, left_out

RIGHT = {"one": [{"a": 1}], "two": [{"a": 1, "b": 5}, {"a": 2, "b": 5}, {"a": 3, "b": 6}]}


def test_damage_by_hand():
    assert left_out(RIGHT)["two"] == [{"a": 2, "b": 5}, {"a": 3, "b": 6}]
    assert exchanged(RIGHT)["two"] == [{"a": 1, "b": 6}, {"a": 2, "b": 5}, {"a": 3, "b": 5}]
    # Exchanged cells of records that are else equal give the same records.
    assert left_out({"one": [{"a": 1}]}) is exchanged({"one": [{"a": 1}, {"a": 2}]}) is None
    assert RIGHT["two"][0] == {"a": 1, "b": 5}


def test_a_refusal_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(
        dynamite_refusals, "record", lambda *given: tmp_path.joinpath("r").write_text(str(given))
    )
    dynamite_refusals.main(["--only", "law rel-doc"])
    said = (tmp_path / "r").read_text()
    assert said.count("'answer': 'Unsat'") == 2 and "'left out'" in said and "measured=" in said
