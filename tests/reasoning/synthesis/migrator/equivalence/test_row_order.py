"""The order of rows is a part of the answer where the old query asks for one, with real SQLite."""

import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("sqlglot")

from reasoning.synthesis.migrator.equivalence.bounded_test import Comparison
from reasoning.synthesis.migrator.output.counterexample_sql import scenario_script
from reasoning.synthesis.migrator.sql.parse import parse_program
from reasoning.synthesis.migrator.sql.tables import read_tables
from reasoning.synthesis.migrator.testing.row_order import OPEN

TABLES = read_tables("CREATE TABLE t (id INT PRIMARY KEY, x TEXT, n INT NOT NULL);")
ADD = "-- name: add(id, x, n)\nINSERT INTO t (id, x, n) VALUES (:id, :x, :n);\n"


def compared(old, new, params="", longer=True):
    programs = [
        parse_program(f"{ADD}-- name: f({params})\nSELECT {query};\n", TABLES)
        for query in (old, new)
    ]
    checked = Comparison(programs[0], TABLES, programs[1], TABLES).run(
        2, lambda: True, longer=longer
    )
    return checked.failure, programs


@pytest.mark.parametrize(
    "old, new",
    [
        ("x FROM t ORDER BY id", "x FROM t"),
        ("id FROM t ORDER BY id", "id FROM t"),
        ("id FROM t ORDER BY n", "id FROM t ORDER BY id"),
        ("id FROM t ORDER BY n, id", "id FROM t ORDER BY n"),
        ("id FROM t ORDER BY n", "id FROM t ORDER BY n DESC"),
        ("id FROM t ORDER BY UPPER(x)", "id FROM t"),
        (
            "x, COUNT(*) AS c FROM t GROUP BY x ORDER BY c DESC",
            "x, COUNT(*) AS c FROM t GROUP BY x",
        ),
        ("x FROM t UNION SELECT x FROM t ORDER BY x", "x FROM t UNION SELECT x FROM t"),
        ("id FROM t ORDER BY n LIMIT 1", "id FROM t LIMIT 1"),
        ("id FROM t ORDER BY n DESC LIMIT 1", "id FROM t ORDER BY n LIMIT 1"),
        ("id FROM t ORDER BY n LIMIT 1 OFFSET 1", "id FROM t ORDER BY n LIMIT 1"),
        ("id FROM t LIMIT 1", "n FROM t LIMIT 1"),
    ],
)
def test_an_order_that_is_lost_or_another_one_is_a_difference(old, new):
    failure, programs = compared(old, new)
    assert failure is not None
    script = scenario_script(failure, programs[0], TABLES, programs[1], TABLES)
    with closing(sqlite3.connect(":memory:")) as base:
        answers = []
        for half in script.split("DROP TABLE t;")[:2]:
            *before, query = half.rstrip().rstrip(";").split(";\n")
            base.executescript(";".join(before))
            answers.append(base.execute(query).fetchall())
            base.execute("DROP TABLE t")
    assert answers[0] != answers[1] or OPEN in script


@pytest.mark.parametrize(
    "old, new",
    [
        ("id FROM t ORDER BY n", "id FROM t ORDER BY n, id DESC"),
        ("id FROM t ORDER BY n", "id FROM t ORDER BY n + 1"),
        ("n FROM t ORDER BY n", "n FROM t ORDER BY n, x DESC"),
        ("id FROM t ORDER BY n LIMIT 1", "id FROM t ORDER BY n, id DESC LIMIT 1"),
        ("id FROM t LIMIT 1", "id FROM t ORDER BY id DESC LIMIT 1"),
        ("id FROM t", "id FROM t ORDER BY n"),
        ("DISTINCT x FROM t ORDER BY x", "x FROM t GROUP BY x ORDER BY x"),
        ("x FROM t ORDER BY x COLLATE NOCASE", "x FROM t ORDER BY lower(x)"),
        ("COUNT(*) AS c FROM t ORDER BY c", "COUNT(id) AS c FROM t"),
    ],
)
def test_ties_and_what_a_limit_leaves_open_are_none(old, new):
    assert compared(old, new, longer=False)[0] is None


def test_a_limit_that_is_an_argument_is_compared_with_its_value():
    query = "id FROM t ORDER BY n LIMIT :k OFFSET :m"
    assert compared(query, "id FROM t ORDER BY n, id LIMIT :k OFFSET :m", "k, m", False)[0] is None
    assert compared(query, "id FROM t ORDER BY n, id LIMIT :k", "k, m")[0] is not None
