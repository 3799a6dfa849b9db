import datetime
import decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning.synthesis import datalog
from reasoning.synthesis.containment import contained
from reasoning.synthesis.describe import parse_schema
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.simplify import simplify
from reasoning.synthesis.syntax import parse_program, show_program
from tests.reasoning.synthesis.naive import bindings
from tests.tables import rows

names = st.text(min_size=1, max_size=8)
values = st.one_of(
    st.text(max_size=5),
    st.integers(-5, 5),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.dates(),
    st.datetimes(),
    st.decimals(allow_nan=False, allow_infinity=False, places=2),
)
terms = st.one_of(
    st.builds(datalog.Var, names.filter(lambda n: n not in ("_", "true", "false", "null"))),
    st.builds(datalog.Const, values),
    st.just(datalog.Wild()),
)
atoms = st.builds(datalog.Atom, names, st.lists(terms, max_size=4).map(tuple))


@given(
    st.lists(
        st.builds(
            datalog.Rule,
            st.lists(atoms, min_size=1, max_size=2).map(tuple),
            st.lists(atoms, min_size=1, max_size=3).map(tuple),
        ),
        max_size=3,
    )
)
def test_what_is_printed_is_read_back(rules):
    program = datalog.Program(tuple(rules))
    again = parse_program(show_program(program))
    assert again == program

    def kinds(p):
        return [
            type(t.value)
            for r in p.rules
            for a in r.heads + r.body
            for t in a.terms
            if isinstance(t, datalog.Const)
        ]

    assert kinds(again) == kinds(program)


def test_the_text_by_hand():
    text = (
        'doc(k, _v), doc?items(_v, i, 2, "x", @date("2024-01-02"), true) :- P(k, _), C(i, k), '
        "_v = id(k).  % why\n"
    )
    (rule,) = parse_program(text).rules
    assert rule.heads[1].relation == "doc?items" and rule.connectors[0].terms == (datalog.Var("k"),)
    assert rule.heads[1].terms[2:] == (
        datalog.Const(2),
        datalog.Const("x"),
        datalog.Const(datetime.date(2024, 1, 2)),
        datalog.Const(True),
    )
    assert show_program(parse_program(text)) == text.partition("  %")[0] + "\n"
    assert parse_program('a(x) :- b(@decimal("1.50"), x).').rules[0].body[0].terms[
        0
    ] == datalog.Const(decimal.Decimal("1.50"))


@pytest.mark.parametrize("text, complaint", rows(__file__, "mistakes"))
def test_a_mistake_is_refused_with_its_place(text, complaint):
    with pytest.raises(UserError, match=complaint):
        parse_program(text)


SOURCE = parse_schema(
    {"kind": "relational", "collections": {"R": {"fields": {"a": "int", "b": "str"}}}}
)
TARGET = parse_schema(
    {"collections": {"T": {"fields": {"a": "int", "c": {"fields": {"b": "str"}}}}}}
)


@pytest.mark.parametrize("text, complaint", rows(__file__, "misfits"))
def test_a_program_that_does_not_fit_is_refused(text, complaint):
    with pytest.raises(UserError, match=complaint):
        datalog.check_program(parse_program(text), SOURCE, TARGET)


def test_simplifying_by_hand():
    def simple(text):
        return show_program(simplify(parse_program(text))).strip()

    assert simple("a(x) :- R(x, y), S(z).") == "a(x) :- R(x, _), S(_)."
    assert simple("a(x) :- R(x, y), R(z, w).") == "a(x) :- R(x, _)."
    assert simple("a(x) :- R(x, y), R(x, z), S(x).") == "a(x) :- R(x, _), S(x)."
    # The one atom left would let a NULL through that the two did not.
    assert simple("a(x) :- R(x, y), R(x, z).") == "a(x) :- R(x, _), R(x, _)."


small = st.lists(
    st.tuples(st.sampled_from([None, 1, 2]), st.sampled_from([None, 1, 2])), max_size=4
)
bodies = st.lists(
    st.builds(
        datalog.Atom,
        st.sampled_from("RS"),
        st.tuples(
            *[
                st.sampled_from(
                    [
                        datalog.Var("x"),
                        datalog.Var("y"),
                        datalog.Var("z"),
                        datalog.Wild(),
                        datalog.Const(1),
                    ]
                )
            ]
            * 2
        ),
    ),
    min_size=1,
    max_size=3,
)


def made(rule, facts):
    return {
        tuple(binding[t] for t in rule.heads[0].terms) for binding in bindings(rule.body, facts)
    }


def ruled(body):
    first = next((t for atom in body for t in atom.terms if isinstance(t, datalog.Var)), None)
    return datalog.Rule((datalog.Atom("T", (first,) if first else ()),), tuple(body))


@given(bodies, small, small)
def test_simplifying_changes_nothing(body, r, s):
    rule, facts = ruled(body), {"R": r, "S": s}
    (simple,) = simplify(datalog.Program((rule,))).rules
    assert made(simple, facts) == made(rule, facts)


@given(bodies, bodies, small, small)
def test_a_contained_rule_makes_no_more(body, other, r, s):
    rule, wider, facts = ruled(body), ruled(other), {"R": r, "S": s}
    if contained(rule, list(rule.heads[0].terms), wider, list(wider.heads[0].terms)):
        assert made(rule, facts) <= made(wider, facts)


def test_a_longer_body_is_contained_in_a_shorter_one():
    long, short = parse_program("a(x) :- R(x, y), S(y, 1).\na(u) :- R(u, _).").rules
    assert contained(long, [datalog.Var("x")], short, [datalog.Var("u")])
    assert not contained(short, [datalog.Var("u")], long, [datalog.Var("x")])


def test_components_by_hand():
    body = parse_program("a(x) :- R(x, y), S(z, 1), S(y, w), R(z, _).").rules[0].body
    assert sorted(map(sorted, datalog.components(body))) == [[0, 2], [1, 3]]
