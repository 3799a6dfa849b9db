"""Programs learned makes the examples (checked by the naive engine), is as small as it can be, and
what cannot be learned says why.
"""

import dataclasses
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

pytest.importorskip("pysat")
pytest.importorskip("sqlglot")
from reasoning.synthesis.datalog import Atom, Const, Program, Rule, Var, Wild
from reasoning.synthesis.describe import parse_schema
from reasoning.synthesis.dynamite.completion.lessons import projections
from reasoning.synthesis.dynamite.mapping import Mapping, Options, load_mapping, save_mapping
from reasoning.synthesis.dynamite.sketch.sketch import Reach
from reasoning.synthesis.dynamite.synthesize import Timeout, Unsat, synthesize_mapping
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.facts import flatten, to_facts
from reasoning.synthesis.infer import infer_schema
from reasoning.synthesis.schema import walk
from tests.reasoning.synthesis.naive import flat_records

PLAY = {
    "Person": [
        {"id": 1, "name": "Ann"},
        {"id": 2, "name": "Bob"},
        {"id": 3, "name": "Cy"},
        {"id": 4, "name": "Di"},
    ],
    "Bat": [
        {"game": 7, "batter": 1, "pitcher": 2},
        {"game": 8, "batter": 2, "pitcher": 3},
        {"game": 9, "batter": 3, "pitcher": 1},
    ],
}
PLAYED = {
    "Play": [
        {"g": 7, "b": "Ann", "p": "Bob"},
        {"g": 8, "b": "Bob", "p": "Cy"},
        {"g": 9, "b": "Cy", "p": "Ann"},
    ]
}
FILMS = {
    "film": [
        {"id": 1, "crew": [{"n": "x", "r": "actor"}, {"n": "y", "r": "director"}]},
        {"id": 2, "crew": [{"n": "x", "r": "actor"}, {"n": "z", "r": "director"}]},
        {"id": 3, "crew": []},
    ]
}


def learn(source, target, **options):
    return synthesize_mapping(
        infer_schema(source), infer_schema(target), [(source, target)], Options(**options)
    )


def bodies(mapping):
    return [[atom.relation for atom in rule.body] for rule in mapping.program.rules]


def test_two_roles_of_one_table():
    mapping = learn(PLAY, PLAYED)
    assert (
        mapping.datalog
        == "Play(g, b, p) :- Bat(g, batter, pitcher), Person(batter, b), Person(pitcher, p).\n"
    )


def test_a_constant_is_found_in_a_column_of_few_values():
    mapping = learn(FILMS, {"Actor": [{"name": "x", "film": 1}, {"name": "x", "film": 2}]})
    assert (
        mapping.datalog
        == 'Actor(name, film) :- film(film, film_2), film?crew(film_2, name, "actor").\n'
    )


def test_a_constant_of_the_user_where_values_do_not_repeat():
    source, target = {"r": [{"a": 1, "k": "x"}, {"a": 2, "k": "y"}]}, {"t": [{"a": 1}]}
    assert isinstance(learn(source, target), Unsat)
    assert learn(source, target, constants=("x",)).datalog == 't(a) :- r(a, "x").\n'


def test_parents_without_children_stay():
    target = {
        "f": [
            {"id": 1, "people": [{"n": "x"}, {"n": "y"}]},
            {"id": 2, "people": [{"n": "x"}, {"n": "z"}]},
            {"id": 3, "people": []},
        ]
    }
    mapping = learn(FILMS, target)
    assert bodies(mapping) == [["film"], ["film", "film?crew"]]
    assert mapping.apply(FILMS) == target


def test_parents_without_children_go_where_the_example_drops_them():
    target = {
        "f": [
            {"id": 1, "people": [{"n": "x"}, {"n": "y"}]},
            {"id": 2, "people": [{"n": "x"}, {"n": "z"}]},
        ]
    }
    mapping = learn(FILMS, target)
    assert bodies(mapping)[0] == ["film", "film?crew"]
    assert mapping.apply(FILMS) == target


def test_two_rules_where_one_is_not_enough():
    source = {"a": [{"x": 1}, {"x": 2}], "b": [{"y": 5}, {"y": 6}]}
    target = {"t": [{"z": 1}, {"z": 2}, {"z": 5}, {"z": 6}]}
    assert isinstance(learn(source, target), Unsat)
    mapping = learn(source, target, max_rules=2)
    assert sorted(mapping.datalog.splitlines()) == ["t(z) :- a(z).", "t(z) :- b(z)."]
    assert mapping.apply({"a": [{"x": 9}], "b": [{"y": 8}]}) == {"t": [{"z": 9}, {"z": 8}]}
    assert isinstance(
        learn(source | {"c": [{"w": 7}]}, {"t": [*target["t"], {"z": 7}]}, max_rules=2), Unsat
    )


def test_a_column_that_is_empty_in_the_example_is_filled_with_null_and_noticed():
    target = {"t": [{"g": 7, "extra": None}, {"g": 8, "extra": None}, {"g": 9, "extra": None}]}
    mapping = learn(PLAY, target)
    assert mapping.datalog == "t(g, null) :- Bat(g, _, _).\n"
    assert mapping.notes[0] == "open: t.extra is NULL throughout the example: it stays NULL"


def test_a_column_that_is_empty_on_both_sides_is_copied_by_name_and_open():
    source = {"p": [{"id": 1, "email": None}, {"id": 2, "email": None}]}
    target = {"q": [{"id": 1, "email": None}, {"id": 2, "email": None}]}
    mapping = learn(source, target)
    assert mapping.apply({"p": [{"id": 7, "email": "a@b"}]}) == {"q": [{"id": 7, "email": "a@b"}]}
    assert any(note.startswith("open: q.email is NULL") for note in mapping.notes)


def test_an_inner_join_with_records_left_over_on_both_sides():
    source = {
        "listing": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 3, "name": "c"}],
        "review": [
            {"listing_id": 1, "stars": 5},
            {"listing_id": 2, "stars": 4},
            {"listing_id": 9, "stars": 1},
        ],
    }
    target = {"out": [{"name": "a", "stars": 5}, {"name": "b", "stars": 4}]}
    data = {"listing": [{"id": 4, "name": "z"}], "review": [{"listing_id": 4, "stars": 2}] * 2}
    assert learn(source, target).apply(data) == {"out": [{"name": "z", "stars": 2}] * 2}


def test_the_example_decides_whether_equal_records_are_one():
    rows = [{"id": n, "host": host} for n, host in enumerate("aab")]
    data = {"listing": [{"id": 1, "host": "x"}, {"id": 2, "host": "x"}]}
    for names, made in (("aab", "xx"), ("ab", "x")):
        mapping = learn({"listing": rows}, {"h": [{"name": name} for name in names]})
        assert mapping.apply(data) == {"h": [{"name": name} for name in made]}
    assert isinstance(learn({"listing": rows}, {"h": [{"name": n} for n in "aabb"]}), Unsat)


def test_nested_records_hang_on_the_record_and_not_on_its_values():
    source = {
        "c": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "o": [{"c_id": 1, "total": 5}, {"c_id": 2, "total": 6}],
    }
    target = {"c": [{"name": "a", "o": [{"total": 5}]}, {"name": "b", "o": [{"total": 6}]}]}
    data = {
        "c": [{"id": 7, "name": "z"}, {"id": 8, "name": "z"}],
        "o": [{"c_id": 8, "total": 1}, {"c_id": 7, "total": 2}, {"c_id": 8, "total": 1}],
    }
    assert learn(source, target).apply(data)["c"] == [
        {"name": "z", "o": [{"total": 2}]},
        {"name": "z", "o": [{"total": 1}, {"total": 1}]},
    ]


def test_nulls_are_carried_over_and_never_join():
    source = {"r": [{"k": 1, "v": None}, {"k": None, "v": "n"}], "s": [{"k": 1}, {"k": None}]}
    mapping = learn(source, {"t": [{"k": 1, "v": None}]})
    assert mapping.apply(source) == {"t": [{"k": 1, "v": None}]}
    assert mapping.apply({"r": [{"k": None, "v": "m"}], "s": [{"k": None}]}) == {"t": []}


@pytest.mark.parametrize(
    "source, target, complaint",
    [
        (PLAY, {"Play": [{"g": 7, "b": "Ann", "p": "Zed"}]}, 'Play.p has no source.*"Zed"'),
        (PLAY, {"Play": [{"g": 7, "b": "Ann Bob"}]}, 'Play.b has no source.*"Ann Bob"'),
        (PLAY, {"n": [{"g": "7"}]}, "n.g has no source"),
        (
            PLAY,
            {"Play": [{"g": 7, "b": "Ann", "p": "Bob"}, {"g": 8, "b": "Bob", "p": "Ann"}]},
            "Play: no rule makes .*g = [78]",
        ),
        (
            {"r": [{"a": 1, "b": 2}, {"a": 2, "b": 1}]},
            {"t": [{"a": 1, "b": 2}]},
            "t: no rule makes .a = 1, b = 2. .* without also",
        ),
    ],
)
def test_what_cannot_be_learned_says_why(source, target, complaint):
    found = learn(source, target)
    assert isinstance(found, Unsat)
    assert re.search(complaint, found.reason), found.reason


def test_out_of_time_gives_the_best_so_far():
    found = learn(PLAY, PLAYED, budget=1e-9)
    assert isinstance(found, Timeout) and found.path == "Play"


def test_one_seed_gives_one_program():
    assert learn(PLAY, PLAYED, seed=3).datalog == learn(PLAY, PLAYED, seed=3).datalog


@pytest.mark.parametrize("learning", ["directed", "paper", "enumerate"])
@pytest.mark.parametrize("seed", range(3))
def test_every_way_of_learning_ends_at_the_same_price(learning, seed):
    mapping = learn(PLAY, PLAYED, learning=learning, seed=seed)
    assert sorted(bodies(mapping)[0]) == ["Bat", "Person", "Person"]


def test_a_mapping_survives_the_disk(tmp_path):
    mapping = learn(
        FILMS, {"Actor": [{"name": "x", "film": 1}, {"name": "x", "film": 2}]}, constants=("q", 1)
    )
    save_mapping(mapping, tmp_path / "m.json")
    # Times differ from run to run, so they are not in the file.
    timeless = {k: v for k, v in mapping.statistics.items() if k != "seconds"}
    assert load_mapping(tmp_path / "m.json") == replace(mapping, statistics=timeless)
    (tmp_path / "m.json").write_text("{}")
    with pytest.raises(UserError, match="is no mapping"):
        load_mapping(tmp_path / "m.json")


@pytest.mark.parametrize(
    "options, complaint",
    [
        ({"budget": 0}, "budget is 0"),
        ({"max_rules": 0}, "max_rules"),
        ({"effort": 0}, "effort is 0"),
        ({"learning": "x"}, "none of directed"),
    ],
)
def test_bad_options_are_refused(options, complaint):
    with pytest.raises(UserError, match=complaint):
        learn(PLAY, PLAYED, **options)


def test_no_example_is_refused():
    with pytest.raises(UserError, match="no example"):
        synthesize_mapping(infer_schema(PLAY), infer_schema(PLAYED), [])


def test_projections_are_minimal_and_distinguish():
    rows = {(1, "a", True), (2, "b", True)}
    assert projections((1, "b", True), rows) == [frozenset({0, 1})]
    assert set(projections((3, "c", True), rows)) == {frozenset({0}), frozenset({1})}
    assert projections((1, "a"), []) == [frozenset()]
    wide = (0,) * 6
    others = [tuple(int(n != k) for n in range(6)) for k in range(6)]
    assert all(
        any(wide[c] != other[c] for c in columns)
        for columns in projections(wide, others)
        for other in others
    )


# Random schemas, random data, random programs: learned back.


@st.composite
def problems(draw):
    """A relational source with references, its data, and a random rule over it."""
    width = draw(st.integers(1, 2))
    fields = {"id": "int!", **{f"c{n}": "str" for n in range(width)}, "ref": "int"}
    schema = parse_schema(
        {
            "kind": "relational",
            "collections": {name: {"key": ["id"], "fields": fields} for name in ("A", "B")},
        }
    )
    data = {}
    for name, other in (("A", 10), ("B", 0)):
        start = 0 if name == "A" else 10
        data[name] = [
            {
                "id": start + k,
                **{
                    f"c{n}": draw(st.sampled_from(["p", "q", "r", f"{name}{k}{n}"]))
                    for n in range(width)
                },
                "ref": draw(st.sampled_from([None, other, other + 1, other + 2])),
            }
            for k in range(4)
        ]
    relations = draw(st.lists(st.sampled_from("AB"), min_size=1, max_size=3))
    body, link = [], None
    for n, relation in enumerate(relations):
        terms = [Var(f"id{n}"), *(Var(f"c{n}{k}") for k in range(width)), Var(f"ref{n}")]
        if link is not None and relations[n - 1] != relation:
            terms[0] = link
        link = terms[-1]
        body.append(Atom(relation, tuple(terms)))
    used = sorted({t.name for atom in body for t in atom.terms if not t.name.startswith("ref")})
    head = tuple(
        Var(name)
        for name in draw(st.lists(st.sampled_from(used), min_size=1, max_size=3, unique=True))
    )
    return schema, data, Rule((Atom("T", head),), tuple(body))


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(problems(), st.integers(0, 5))
def test_random_programs_are_learned_back(problem, seed):
    schema, data, golden = problem
    facts = to_facts(schema, data)
    rows = flat_records(Program((golden,)), "T", facts)
    assume(rows)
    fields = {
        f"x{n}": "int" if term.name.startswith("id") else "str"
        for n, term in enumerate(golden.heads[0].terms)
    }
    target = parse_schema({"kind": "relational", "collections": {"T": {"fields": fields}}})
    wanted = {"T": [dict(zip(fields, row, strict=True)) for row in sorted(rows, key=repr)]}
    # Neighbors of one relation are not tied by the generator.
    connected = all(
        a.relation != b.relation for a, b in zip(golden.body, golden.body[1:], strict=False)
    )
    assume(connected)
    mapping = synthesize_mapping(schema, target, [(data, wanted)], Options(budget=60, seed=seed))
    assert isinstance(mapping, Mapping), mapping
    assert flat_records(mapping.program, "T", facts) == rows
    assert len(mapping.program.rules) > 1 or len(mapping.program.rules[0].body) <= len(golden.body)
    assert flatten(target, to_facts(target, wanted))["T"] and [
        path for path, _ in walk(target)
    ] == ["T"]
    assert not any(isinstance(t, Wild | Const) for t in golden.heads[0].terms)
    assert dataclasses.is_dataclass(mapping)


def test_a_nullable_reference_is_read_without_its_nulls():
    """Found by hypothesis: the rule says so with a firm variable."""
    fields = {"id": "int!", "ref": "int"}
    schema = parse_schema(
        {"kind": "relational", "collections": {"A": {"fields": fields, "key": ["id"]}}}
    )
    target = parse_schema({"kind": "relational", "collections": {"T": {"fields": {"x": "int"}}}})
    rows = [{"id": n, "ref": ref} for n, ref in enumerate((None, None, 10, 12))]
    wanted = {"T": [{"x": 10}, {"x": 12}]}
    found = synthesize_mapping(schema, target, [({"A": rows}, wanted)], Options(budget=60))
    facts = to_facts(schema, {"A": rows})
    assert flat_records(found.program, "T", facts) == {(10,), (12,)}
    assert any(term.firm for term in found.program.rules[0].heads[0].terms)


def test_a_missing_record_is_refused_by_work_and_not_by_time(monkeypatch):
    few = (Reach(), Reach(loose=True), Reach(wide=2, effort=30_000))
    monkeypatch.setattr("reasoning.synthesis.dynamite.synthesize.REACHES", few)
    source = {
        "line": [
            {"lid": 1, "bill": 51, "song": 101, "n": 1},
            {"lid": 2, "bill": 51, "song": 103, "n": 2},
            {"lid": 3, "bill": 52, "song": 102, "n": 1},
        ],
        "bill": [{"bid": 51, "city": "Rio"}, {"bid": 52, "city": "Bonn"}],
        "song": [{"sid": 101, "t": "a"}, {"sid": 102, "t": "b"}, {"sid": 103, "t": "c"}],
    }
    target = {"sale": [{"city": "Rio", "t": "c", "n": 2}, {"city": "Bonn", "t": "b", "n": 1}]}
    found = learn(source, target, budget=600.0)
    assert isinstance(found, Unsat)
    assert "rules with 2 copies of every relation were not all tried" in found.reason
    assert found.reason.endswith("--effort 10 tries more")
