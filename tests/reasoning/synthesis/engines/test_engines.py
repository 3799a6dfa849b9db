"""All engines give what the naive one gives, on random programs, data with NULLs, and values with
traps in them.
"""

import datetime
import decimal
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reasoning.synthesis.datalog import Atom, Const, Program, Rule, Var, Wild
from reasoning.synthesis.describe import parse_schema
from reasoning.synthesis.engines import duck, memory, sqlite
from reasoning.synthesis.engines.compile import compile_program, repeats_nothing
from reasoning.synthesis.engines.memory import evaluate
from reasoning.synthesis.facts import from_facts, to_facts
from reasoning.synthesis.schema import flat_columns
from reasoning.synthesis.syntax import parse_program
from tests.reasoning.synthesis import on_postgres
from tests.reasoning.synthesis.naive import flat_records

pytest.importorskip("duckdb")
pytest.importorskip("sqlglot")
ENGINES = (memory, sqlite, duck)
SOURCE = parse_schema(
    {
        "kind": "relational",
        "collections": {
            "R": {"fields": {"a": "int", "s": "str", "t": "bool"}},
            "S": {"fields": {"a": "int", "b": "int"}, "key": ["a"]},
        },
    }
)
TARGET = parse_schema(
    {
        "kind": "relational",
        "collections": {"T": {"fields": {"n": "int"}}, "U": {"fields": {"s": "str", "n": "int"}}},
    }
)
POOLS = {
    "int": [None, 0, 1, 2],
    "str": [None, "null", "#", "'", "", "\\"],
    "bool": [None, True, False],
}
TYPES = {"R": ("int", "str", "bool"), "S": ("int", "int")}


@st.composite
def rules(draw):
    body = []
    for relation in draw(st.lists(st.sampled_from("RS"), min_size=1, max_size=3)):
        choices = [
            [Var(f"{kind}{n}") for n in range(2)] + [Wild(), Const(POOLS[kind][-1])]
            for kind in TYPES[relation]
        ]
        body.append(Atom(relation, tuple(draw(st.sampled_from(options)) for options in choices)))
    bound = {term.name: term for atom in body for term in atom.terms if isinstance(term, Var)}

    def pick(kind):
        return [v for name, v in bound.items() if name.startswith(kind)] or [
            Const(None),
            Const(POOLS[kind][-1]),
        ]

    head = draw(st.sampled_from([("T", ("int",)), ("U", ("str", "int"))]))
    return Rule(
        (Atom(head[0], tuple(draw(st.sampled_from(pick(kind))) for kind in head[1])),), tuple(body)
    )


@st.composite
def instances(draw):
    def row(relation):
        return st.tuples(*(st.sampled_from(POOLS[kind]) for kind in TYPES[relation]))

    keyed = draw(
        st.dictionaries(st.sampled_from([0, 1, 2]), st.sampled_from(POOLS["int"]), max_size=3)
    )
    return {"R": draw(st.lists(row("R"), max_size=4)), "S": list(keyed.items())}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(rules(), min_size=1, max_size=3), instances())
def test_engines_agree_with_all_combinations(found, facts):
    program = Program(tuple(found))
    expected = {path: flat_records(program, path, facts) for path in ("T", "U")}
    for engine in ENGINES:
        assert engine.run(program, SOURCE, TARGET, facts) == expected, engine.__name__


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(rules(), min_size=1, max_size=3), instances(), st.booleans())
def test_engines_agree_on_the_number_of_equal_records(found, facts, distinct):
    program = Program(tuple(replace(rule, distinct=distinct) for rule in found))
    doubled = facts | {"R": facts["R"] * 2}
    expected = memory.bags(program, SOURCE, TARGET, doubled)
    for engine in (sqlite, duck):
        assert engine.bags(program, SOURCE, TARGET, doubled) == expected, engine.__name__


def agree_on_postgres(base, found, facts, distinct):
    """Compare the printed SQL with the reference on tables whose rows repeat."""
    program = Program(tuple(replace(rule, distinct=distinct) for rule in found))
    doubled = facts | {"R": facts["R"] * 2}
    expected = memory.bags(program, SOURCE, TARGET, doubled)
    assert on_postgres.bags(base, program, SOURCE, TARGET, doubled) == expected


SERVER = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
PROGRAMS = st.lists(rules(), min_size=1, max_size=3)


@settings(max_examples=5, deadline=None, suppress_health_check=SERVER)
@given(PROGRAMS, instances(), st.booleans())
def test_postgres_agrees_on_the_number_of_equal_records(postgres, found, facts, distinct):
    agree_on_postgres(postgres, found, facts, distinct)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=SERVER)
@given(PROGRAMS, instances(), st.booleans())
def test_postgres_agrees_on_many_programs(postgres, found, facts, distinct):
    agree_on_postgres(postgres, found, facts, distinct)


def test_rows_are_kept_unless_marked():
    facts = {"R": [(1, "x", True), (1, "x", True), (2, "x", None)], "S": [(1, 5), (2, 5), (3, 5)]}
    for text, counts in (
        ("T(a) :- R(a, _, _).", {(1,): 2, (2,): 1}),
        ("T(a) :- R(a, _, _) @distinct.", {(1,): 1, (2,): 1}),
        ("T(b) :- S(a, b), R(a, _, _).", {(5,): 2}),
        ("T(b) :- S(a, b), R(a, _, _) @rows(0, 1).", {(5,): 3}),
        ("T(b) :- S(_, b), R(_, _, true).", {(5,): 3}),
    ):
        for engine in ENGINES:
            made = engine.bags(parse_program(text), SOURCE, TARGET, facts)["T"]
            assert made == counts, (text, engine.__name__)


@settings(max_examples=100, deadline=None)
@given(rules(), instances())
def test_distinct_is_dropped_only_where_nothing_repeats(rule, facts):
    if repeats_nothing(rule, 0, SOURCE):
        made = [
            tuple(binding.get(t, getattr(t, "value", None)) for t in rule.heads[0].terms)
            for binding, _ in memory.matches(rule.body, facts)
        ]
        assert len(made) == len(set(made))


def test_a_key_in_the_head_saves_the_distinct():
    def sql(text):
        return compile_program(parse_program(text), SOURCE, TARGET, "duckdb")["T"]

    assert "DISTINCT" not in sql("T(a) :- S(a, _) @distinct.")
    assert "DISTINCT" in sql("T(a) :- S(_, a) @distinct.")
    assert "DISTINCT" not in sql("T(a) :- S(a, b), S(b, _) @distinct.")
    assert "DISTINCT" in sql("T(a) :- S(a, _), R(a, _, _) @distinct.")


LEAF = {"fields": {"d": "date", "x": "decimal"}}
BRANCHES = {"n": "str", "q": {"fields": {"m": "int", "r": LEAF}}, "w": {"fields": {"m": "int"}}}
TREE = parse_schema({"collections": {"p": {"fields": BRANCHES}}})
NESTED = """
p(n, i) :- p(n, i0), i = id(n).
p(n, i), p?q(i, m, j) :- p(n, a), p?q(a, m, _), i = id(n), j = id(i, m).
p(n, i), p?q(i, m, j), p?q?r(j, d, x) :-
  p(n, a), p?q(a, m, b), p?q?r(b, d, x), i = id(n), j = id(i, m).
p(n, i), p?w(i, m) :- p(n, a), p?w(a, m), i = id(n).
"""
DATA = {
    "p": [
        {
            "n": "a",
            "q": [
                {"m": 1, "r": [{"d": "2024-01-01", "x": "1.5"}, {"d": None, "x": "2"}]},
                {"m": None, "r": []},
            ],
            "w": [{"m": 7}],
        },
        {"n": None, "q": [{"m": 1, "r": [{"d": "2024-01-02", "x": None}]}], "w": []},
        {"n": "null", "q": [], "w": [{"m": 7}, {"m": 8}]},
    ]
}


def test_a_nested_copy_is_itself():
    facts = to_facts(TREE, DATA)
    program = parse_program(NESTED)
    assert from_facts(TREE, evaluate(program, facts, TREE)) == DATA
    expected = {path: flat_records(program, path, facts) for path in ("p", "p?q", "p?q?r", "p?w")}
    assert expected["p?q?r"] == {
        ("a", 1, datetime.date(2024, 1, 1), decimal.Decimal("1.5")),
        ("a", 1, None, decimal.Decimal(2)),
        (None, 1, datetime.date(2024, 1, 2), None),
    }
    for engine in ENGINES:
        assert engine.run(program, TREE, TREE, facts) == expected, engine.__name__
    assert len(flat_columns(TREE, "p?q?r")) == 4


def test_decimals_join_with_all_their_digits():
    shape = {"fields": {"k": "decimal", "n": "int"}}
    schema = parse_schema({"kind": "relational", "collections": {"A": shape, "B": shape}})
    long = [decimal.Decimal(f"1234567890123456789012345678.123456789{n}") for n in (1, 2)]
    facts = {"A": [(long[0], 1), (long[1], 2)], "B": [(long[1], 3)]}
    program = parse_program("T(n) :- A(k, n), B(k, _).")
    for engine in ENGINES:
        assert engine.run(program, schema, TARGET, facts)["T"] == {(2,)}, engine.__name__


def test_an_atom_apart_is_only_asked_to_exist():
    program = parse_program("T(n) :- S(n, _), R(_, _, true).")
    sql = compile_program(program, SOURCE, TARGET, "sqlite")["T"]
    assert "EXISTS" in sql and "CROSS JOIN" not in sql
    for engine in ENGINES:
        assert (
            engine.run(program, SOURCE, TARGET, {"S": [(1, 2)], "R": [(1, "x", False)]})["T"]
            == set()
        )
        assert engine.run(program, SOURCE, TARGET, {"S": [(1, 2)], "R": [(1, "x", True)]})["T"] == {
            (1,)
        }
