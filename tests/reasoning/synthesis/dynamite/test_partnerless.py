"""Records that an inner join leaves out: a problem where the example has none of them."""

import json

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("sqlglot")
from reasoning.synthesis.dynamite import Mapping, Plan, migrate
from reasoning.synthesis.infer import infer_schema, loosened
from reasoning.synthesis.syntax import parse_program

ACCOUNTS = [{"iban": "D1", "owner": 1}, {"iban": "D2", "owner": 2}]
PERSONS = [{"pid": 1, "name": "Ann"}, {"pid": 2, "name": "Bo"}]
PAYMENTS = [{"ref": "a", "payer": "D1"}, {"ref": "b", "payer": "D2"}, {"ref": "c", "payer": "D2"}]
BANK = {"account": ACCOUNTS, "person": PERSONS, "payment": PAYMENTS}
JOIN = "t(ref, name) :- payment(ref, iban), account(iban, pid), person(pid, name)."
PAID = [{"ref": "a", "name": "Ann"}, {"ref": "b", "name": "Bo"}, {"ref": "c", "name": "Bo"}]


def problems(rules, example, target, data, folder):
    """The problems of a run on the data of rules that are right on the example."""
    mapping = Mapping(
        loosened(infer_schema(example)),
        loosened(infer_schema(target)),
        parse_program(rules),
        ((example, target),),
    )
    (folder / "s.json").write_text(json.dumps(data))
    plan = Plan(mapping, str(folder / "s.json"), str(folder / "o.json"), overwrite=True)
    return migrate(plan).problems


@pytest.mark.parametrize(
    "more, left",
    [
        ({"payment": [{"ref": "d", "payer": None}, {"ref": "e", "payer": "gone"}]}, 2),
        ({"payment": [{"ref": "d", "payer": "D9"}], "account": [{"iban": "D9", "owner": 7}]}, 1),
        ({"account": [{"iban": "D9", "owner": 1}], "person": [{"pid": 9, "name": "Cy"}]}, 0),
    ],
)
def test_a_record_that_names_nothing_is_a_problem_and_one_that_nothing_names_is_not(
    more, left, tmp_path
):
    data = {path: rows + more.get(path, []) for path, rows in BANK.items()}
    found = problems(JOIN, BANK, {"t": PAID}, data, tmp_path)
    assert len(found) == bool(left)
    assert all(f"t: {left} records of payment without a partner" in one for one in found)


def test_what_the_example_leaves_out_is_no_problem(tmp_path):
    stray = {"payment": [*PAYMENTS, {"ref": "x", "payer": None}]}
    assert not problems(JOIN, BANK | stray, {"t": PAID}, BANK | stray, tmp_path)


def test_a_record_that_another_rule_uses_is_told_as_well(tmp_path):
    rules = JOIN + "\nu(ref) :- payment(ref, _)."
    target = {"t": PAID, "u": [{"ref": one["ref"]} for one in PAYMENTS]}
    data = BANK | {"payment": [*PAYMENTS, {"ref": "x", "payer": "gone"}]}
    (found,) = problems(rules, BANK, target, data, tmp_path)
    assert "1 records of payment" in found and "'ref': 'x'" in found


def test_children_without_a_parent_are_told_and_parents_without_children_are_not(tmp_path):
    rules = (
        "p(name, _p) :- person(pid, name), _p = id(pid).\n"
        "p(name, _p), p?l(_p, iban) :- person(pid, name), account(iban, pid), _p = id(pid)."
    )
    target = {"p": [{"name": "Ann", "l": [{"iban": "D1"}]}, {"name": "Bo", "l": [{"iban": "D2"}]}]}
    example = {"person": PERSONS, "account": ACCOUNTS}
    alone = example | {"person": [*PERSONS, {"pid": 3, "name": "Cy"}]}
    assert not problems(rules, example, target, alone, tmp_path)
    orphan = example | {"account": [*ACCOUNTS, {"iban": "D9", "owner": 9}]}
    (found,) = problems(rules, example, target, orphan, tmp_path)
    assert "p?l: 1 records of account without a partner in person" in found
