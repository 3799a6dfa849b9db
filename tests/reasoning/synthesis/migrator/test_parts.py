"""Correspondences, join trees, data mappings and comparisons of databases, against enumeration and
hand-made cases.
"""

import itertools
import sqlite3

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")
from benchmarks.migrator_scenarios.textbook import MERGE, SPLIT, SPLIT_ONE
from reasoning.synthesis.migrator import parse_program, read_tables
from reasoning.synthesis.migrator.correspondence.join_trees import steiner_trees
from reasoning.synthesis.migrator.correspondence.mapping import Made, mappings
from reasoning.synthesis.migrator.correspondence.maxsat import assignments_by_maxsat
from reasoning.synthesis.migrator.correspondence.problem import NOWHERE, make_problem
from reasoning.synthesis.migrator.correspondence.required_columns import read_places
from reasoning.synthesis.migrator.correspondence.search import assignments, correspondences
from reasoning.synthesis.migrator.correspondence.similarity import similarity
from reasoning.synthesis.migrator.output.data_migration import migration_sql
from reasoning.synthesis.migrator.output.exports import datalog_of
from reasoning.synthesis.migrator.sql.tables import Edge
from reasoning.synthesis.migrator.testing.mapped_databases import fingerprint, same_rows
from reasoning.synthesis.syntax import show_program

OLD = "CREATE TABLE t (id INT PRIMARY KEY, name TEXT, mail TEXT, zip TEXT);"
NEW = "CREATE TABLE t (id INT PRIMARY KEY, full_name TEXT, email TEXT, zip_code TEXT, hint TEXT);"


def problem_of(scenario):
    source, target = read_tables(scenario.source), read_tables(scenario.target)
    return make_problem(
        source, target, frozenset(read_places(parse_program(scenario.program, source), source))
    )


def by_enumeration(problem):
    """All assignments without two columns in one place, by trying every combination."""
    found = []
    for picks in itertools.product(*problem.ranked):
        places = [place for _, place in picks if place[0]]
        if len(set(places)) == len(places):
            found.append(
                sum(
                    ranking[0][0] - worth
                    for ranking, (worth, _) in zip(problem.ranked, picks, strict=True)
                )
            )
    return sorted(found)


def test_assignments_come_best_first_as_enumeration_and_maxsat_have_them():
    problem = make_problem(
        read_tables(OLD), read_tables(NEW), frozenset({("t", "name"), ("t", "mail"), ("t", "zip")})
    )
    assert list(next(assignments(problem))[1]) == [
        ("t", "id"),
        ("t", "full_name"),
        ("t", "email"),
        ("t", "zip_code"),
    ]
    wanted = by_enumeration(problem)
    ours = [one[0] for one in assignments(problem) if one is not None]
    assert ours == wanted and len(ours) > 20
    assert [loss for loss, _ in assignments_by_maxsat(problem)] == wanted


def test_first_correspondence_of_a_merge():
    found = next(correspondences(problem_of(MERGE)))
    assert (
        found.images["address", "street"] == (("member", "street"),)
        and found.images["member", "aid"] == ()
    )


def test_a_column_that_stays_is_nobody_elses_place():
    problem = make_problem(
        read_tables(OLD),
        read_tables("CREATE TABLE t (id INT PRIMARY KEY, mail TEXT, label TEXT);"),
        frozenset(),
    )
    assert ("t", "mail") not in [
        place for _, place in problem.ranked[problem.columns.index(("t", "name"))]
    ]
    assert problem.ranked[problem.columns.index(("t", "zip"))][0][1] == NOWHERE


@pytest.mark.parametrize(
    "one, other, distance",
    [("kitten", "sitting", 3), ("", "abc", 3), ("name", "NAME", 0), ("flaw", "lawn", 2)],
)
def test_similarity_is_edit_distance_by_the_book(one, other, distance):
    assert similarity(one, other) == pytest.approx(1 - distance / max(len(one), len(other)))


def trees_by_enumeration(goal, edges):
    """Connected sets of edges over each table once that end in terminals only, by trying all
    subsets.
    """
    found = set()
    for size in range(len(edges) + 1):
        for chosen in itertools.combinations(edges, size):
            tables = set(goal) | {t for e in chosen for t in (e.table, e.to)}
            reached, grown = {min(goal)}, True
            while grown:
                more = {
                    t for e in chosen for t in (e.table, e.to) if {e.table, e.to} & reached
                } - reached
                reached, grown = reached | more, bool(more)
            degree = {t: sum(t in (e.table, e.to) for e in chosen) for t in tables}
            if (
                reached == tables
                and len(chosen) == len(tables) - 1
                and all(t in goal for t, d in degree.items() if d == 1)
            ):
                found.add(frozenset(chosen))
    return found


@pytest.mark.parametrize("goal", [("a",), ("a", "b"), ("a", "d"), ("b", "c", "d"), ("a", "e")])
def test_steiner_trees_are_all_there_smallest_first(goal):
    edges = [
        Edge("a", ("x",), "b", ("id",)),
        Edge("a", ("y",), "b", ("id",)),
        Edge("b", ("c",), "c", ("id",)),
        Edge("c", ("d",), "d", ("id",)),
        Edge("a", ("d",), "d", ("id",)),
        Edge("b", ("b",), "b", ("id",)),
        Edge("f", ("a",), "a", ("id",)),
    ]
    found = list(steiner_trees(goal, edges))
    assert set(found) == trees_by_enumeration(goal, [e for e in edges if e.table != e.to])
    assert [len(tree) for tree in found] == sorted(len(tree) for tree in found)


def first_mapping(scenario):
    source, target = read_tables(scenario.source), read_tables(scenario.target)
    return next(mappings(source, target, next(correspondences(problem_of(scenario)))))


def test_the_rules_of_a_split():
    rules = first_mapping(SPLIT).rules
    assert rules["phone"].anchor == "employee" and rules["phone"].cells["phone_id"] == Made(
        ("phone", "phone_id"), "employee"
    )
    assert show_program(datalog_of(first_mapping(SPLIT_ONE))) == (
        "person(id, name, birth) :- person(id, name, birth, _, _, _).\n"
        "identification(id, passport, issued, country) :- person(id, _, _, passport, issued, "
        "country).\n"
    )


def test_the_data_script_moves_rows_written_by_hand():
    base = sqlite3.connect(":memory:")
    base.executescript(MERGE.source)
    base.executescript(
        "INSERT INTO address VALUES (5,'s','c','z'); INSERT INTO member VALUES (1,'n','p',5), "
        "(2,'m','q',NULL);"
    )
    base.executescript(migration_sql(first_mapping(MERGE)))
    assert base.execute("SELECT * FROM member ORDER BY mid").fetchall() == [
        (1, "n", "p", "s", "c", "z"),
        (2, "m", "q", None, None, None),
    ]
    assert [
        row[0] for row in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    ] == ["member"]
    base.close()


def test_databases_are_equal_up_to_invented_keys_only():
    mapping = first_mapping(SPLIT)
    rows = {
        "employee": [(1, "a", None), (2, "b", None)],
        "phone": [(90, 1, "x"), (91, 2, "y")],
        "address": [],
        "email": [],
        "job": [],
    }
    renamed = rows | {"phone": [(17, 2, "y"), (16, 1, "x")]}
    swapped = rows | {"phone": [(90, 2, "x"), (91, 1, "y")]}
    one, other, third = (fingerprint(each, mapping) for each in (rows, renamed, swapped))
    assert one == other != third


def test_rows_are_compared_as_multisets_or_in_order():
    tables = read_tables("CREATE TABLE t (id INT PRIMARY KEY, x TEXT);")
    plain, ordered = (
        parse_program(f"-- name: f()\nSELECT x, id FROM t{more};", tables)
        .functions[0]
        .statements[0]
        for more in ("", " ORDER BY x")
    )
    assert same_rows([("a", 1), ("b", 2)], [("b", 2), ("a", 1)], plain)
    assert not same_rows([("a", 1), ("a", 1)], [("a", 1)], plain) and not same_rows(
        [("a", 1), ("b", 2)], [("b", 2), ("a", 1)], ordered
    )
    assert same_rows([("a", 1), ("a", 2)], [("a", 2), ("a", 1)], ordered)
