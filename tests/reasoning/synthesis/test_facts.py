import datetime
import decimal

import pytest

from reasoning.synthesis.describe import parse_schema
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.facts import Id, flatten, from_facts, repetitions, same_data, to_facts
from reasoning.synthesis.infer import infer_schema

TREE = {
    "film": [
        {
            "t": "null",
            "crew": [{"n": "a#", "prizes": [{"p": "x"}]}, {"n": "a#", "prizes": [{"p": "y"}]}],
        },
        {"t": None, "crew": []},
        {"t": "null", "crew": [{"n": None, "prizes": []}]},
    ]
}
SCHEMA = infer_schema(TREE)


def test_equal_siblings_keep_their_own_children():
    facts = to_facts(SCHEMA, TREE)
    assert facts["film?crew"] == [
        (Id("film", 0), "a#", Id("film?crew", 0)),
        (Id("film", 0), "a#", Id("film?crew", 1)),
        (Id("film", 2), None, Id("film?crew", 2)),
    ]
    assert from_facts(SCHEMA, facts) == TREE


def test_null_is_not_the_word_null():
    flat = flatten(SCHEMA, to_facts(SCHEMA, TREE))
    assert flat["film"] == [("null",), (None,), ("null",)]
    assert flat["film?crew?prizes"] == [("null", "a#", "x"), ("null", "a#", "y")]


def test_the_same_data_in_another_order_is_the_same():
    turned = {"film": TREE["film"][::-1]}
    assert same_data(SCHEMA, to_facts(SCHEMA, TREE), to_facts(SCHEMA, turned))
    assert not same_data(
        SCHEMA, to_facts(SCHEMA, TREE), to_facts(SCHEMA, {"film": TREE["film"][:1]})
    )
    assert repetitions(SCHEMA, to_facts(SCHEMA, TREE)) == {
        "film": 1,
        "film?crew": 1,
        "film?crew?prizes": 0,
    }


def test_values_get_the_types_of_the_schema():
    schema = parse_schema(
        {
            "collections": {
                "r": {
                    "fields": {
                        "d": "date",
                        "t": "datetime",
                        "m": "decimal",
                        "f": "float",
                        "i": "int",
                    }
                }
            }
        }
    )
    record = {"d": "2024-02-29", "t": "2024-01-01T10:00:00", "m": "1.10", "f": 2, "i": 3}
    facts = to_facts(schema, {"r": [record]})
    assert facts["r"] == [
        (
            datetime.date(2024, 2, 29),
            datetime.datetime(2024, 1, 1, 10),
            decimal.Decimal("1.1"),
            2.0,
            3,
        )
    ]
    assert from_facts(schema, facts) == {"r": [record | {"f": 2.0}]}


GRAPH = parse_schema({"nodes": {"P": {"_id": "int"}}, "edges": {"K": {"from": "P", "to": "P"}}})
KEYED = parse_schema(
    {"collections": {"r": {"key": ["a"], "fields": {"a": "int", "b": "bool", "c": "int!"}}}}
)


@pytest.mark.parametrize(
    "schema, instance, complaint",
    [
        (KEYED, {"r": [{"a": 1, "c": 1}, {"a": 1, "c": 1}]}, "record 2 repeats the key a = 1"),
        (KEYED, {"r": [{"c": 1}]}, "NULL in its key"),
        (KEYED, {"r": [{"a": 1}]}, "c is null or absent"),
        (KEYED, {"r": [{"a": "1", "c": 1}]}, "a is '1', which is no int"),
        (KEYED, {"r": [{"a": True, "c": 1}]}, "a is True, which is no int"),
        (KEYED, {"r": [{"a": 2**63, "c": 1}]}, "which is no int"),
        (KEYED, {"r": [{"a": 1, "c": 1, "z": 1}]}, "has 'z', which is not in the schema"),
        (KEYED, {"s": []}, "'s' is not in the schema"),
        (KEYED, {"r": [3]}, "record 1 is int, not an object"),
        (
            GRAPH,
            {"P": [{"_id": 1}], "K": [{"_start": 1, "_end": 2}]},
            "_end is 2, and there is no such node",
        ),
    ],
)
def test_what_does_not_fit_is_refused(schema, instance, complaint):
    with pytest.raises(UserError, match=complaint):
        to_facts(schema, instance)


def test_a_fragment_may_leave_nodes_out():
    assert to_facts(GRAPH, {"K": [{"_start": 1, "_end": 2}]}, loose=True)["K"] == [(1, 2)]
