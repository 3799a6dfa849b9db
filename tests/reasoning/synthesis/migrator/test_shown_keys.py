"""Keys of merged tables that nobody knows get other values; also 0 and negative ones."""

import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from reasoning.synthesis import migrator
from reasoning.synthesis.migrator.cli import summary
from reasoning.synthesis.migrator.merging.shown_keys import shown

OLD = (
    "CREATE TABLE cats (id INTEGER PRIMARY KEY, name TEXT NOT NULL, lives INT);"
    "CREATE TABLE dogs (id INTEGER PRIMARY KEY, name TEXT NOT NULL, tricks INT);"
    "CREATE TABLE visits (id INTEGER PRIMARY KEY, dog_id INTEGER REFERENCES dogs (id), day TEXT);"
)
NEW = (
    "CREATE TABLE pets (id INTEGER PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('cat', 'dog')),"
    " name TEXT NOT NULL, lives INT, tricks INT);"
    "CREATE TABLE visits (id INTEGER PRIMARY KEY, dog_id INTEGER REFERENCES pets (id), day TEXT);"
)
PROGRAM = """-- name: cat(name)
INSERT INTO cats (name) VALUES (:name);
-- name: dog(name)
INSERT INTO dogs (name) VALUES (:name);
-- name: visit(name, day)
INSERT INTO visits (dog_id, day) SELECT id, :day FROM dogs WHERE name = :name;
-- name: dogs()
SELECT d.name, COUNT(v.id) AS n FROM dogs d LEFT JOIN visits v ON v.dog_id = d.id GROUP BY d.id,
  d.name;
-- name: cats()
SELECT name, lives FROM cats ORDER BY id;
-- name: quiet()
SELECT name FROM dogs WHERE id NOT IN (SELECT dog_id FROM visits WHERE dog_id IS NOT NULL);
"""
KEPT = (
    "SELECT name FROM dogs WHERE id = :x",
    "SELECT id FROM dogs",
    "SELECT dog_id FROM visits",
    "SELECT MAX(id) AS top FROM dogs",
    "SELECT name FROM dogs WHERE id IN (SELECT id FROM cats)",
    "SELECT name FROM dogs WHERE id > tricks",
    "SELECT name FROM dogs WHERE abs(id) > 1",
    "INSERT INTO dogs (id, name) VALUES (:x, 'a')",
    "INSERT INTO visits (dog_id) VALUES (:x)",
    "UPDATE visits SET dog_id = :x",
    "INSERT INTO dogs (name, tricks) SELECT name, id FROM dogs",
    "INSERT INTO dogs (name) VALUES ('a') RETURNING id",
)
FREE = (
    "SELECT name FROM dogs ORDER BY id LIMIT 1",
    "SELECT COUNT(id) AS n FROM dogs",
    "SELECT name FROM dogs WHERE id IN (SELECT dog_id FROM visits)",
    "SELECT d.name FROM dogs d JOIN visits v ON v.dog_id = d.id WHERE v.dog_id IS NOT NULL",
    "SELECT name FROM dogs d WHERE EXISTS (SELECT 1 FROM visits v WHERE v.dog_id = d.id)",
    "INSERT INTO visits (dog_id, day) VALUES ((SELECT id FROM dogs WHERE name = :x), 'd')",
    "INSERT INTO visits (dog_id, day) SELECT id, 'd' FROM dogs",
    "UPDATE visits SET dog_id = NULL WHERE day = :x",
    "DELETE FROM dogs WHERE name = :x",
    "SELECT id FROM cats",
    "WITH some AS (SELECT id, name FROM dogs) SELECT some.name FROM some",
)


@pytest.mark.parametrize("sql", [*KEPT, *FREE])
def test_keys_that_are_shown_or_given(sql):
    tables = migrator.read_tables(OLD)
    program = migrator.parse_program(f"-- name: f\n{sql};\n", tables)
    assert shown(program, tables, ("dogs", "id")) == (sql in KEPT)


@pytest.fixture(scope="module")
def found():
    made = migrator.refactor(PROGRAM, OLD, NEW, migrator.Options(bound=1, verify="off"))
    assert isinstance(made, migrator.Refactoring) and not made.by_hand, made
    return made


def test_keys_below_one_meet_no_others(found):
    rows = (
        "INSERT INTO cats VALUES (-1, 'a', 1), (2, 'b', 9);"
        "INSERT INTO dogs VALUES (-3, 'c', 1), (0, 'd', 2), (2, 'e', 3);"
        "INSERT INTO visits VALUES (1, -3, 'm'), (2, 0, 't'), (3, NULL, 'w');"
    )
    assert "dogs.id is numbered anew" in summary(found)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as base:
        base.executescript(OLD + rows)
        base.executescript(migrator.migration_sql(found.mapping))
        assert base.execute("SELECT COUNT(*), COUNT(DISTINCT id) FROM pets").fetchone() == (5, 5)
        asked = "SELECT p.name, v.day FROM visits v LEFT JOIN pets p ON p.id = v.dog_id ORDER BY 2"
        assert base.execute(asked).fetchall() == [("c", "m"), ("d", "t"), (None, "w")]
        assert base.execute("SELECT id FROM pets WHERE kind = 'cat'").fetchall() == [(-1,), (2,)]


def test_a_way_back_that_is_wanted_keeps_all_keys():
    made = migrator.refactor(
        PROGRAM, OLD, NEW, migrator.Options(bound=0, verify="off", keep_keys=True)
    )
    assert isinstance(made, migrator.Refactoring) and not made.mapping.shifts
    text = migrator.migration_sql(made.mapping)
    assert "--renumber gives them other keys" in text
