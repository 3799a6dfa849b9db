"""SQLite lets most primary keys be NULL: the data script neither loses such rows nor lets new ones
in.
"""

import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from reasoning.synthesis.migrator import read_tables
from reasoning.synthesis.migrator.equivalence.strength import unread
from tests.reasoning.synthesis.migrator.output.test_safe_script import run

COUNTRY = "CREATE TABLE country (code TEXT PRIMARY KEY, name TEXT, iso TEXT);"
APART = (
    "CREATE TABLE country (code TEXT PRIMARY KEY, name TEXT);"
    "CREATE TABLE country_iso (country_code TEXT PRIMARY KEY REFERENCES country (code), iso TEXT);"
)
READ = "-- name: all()\nSELECT name, iso FROM country;"
OPTIONS = "CREATE TABLE opts (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, v TEXT);"


@pytest.mark.parametrize(
    "ddl, loose",
    [
        ("CREATE TABLE t (a TEXT PRIMARY KEY)", ["t.a"]),
        ("CREATE TABLE t (a INT PRIMARY KEY)", ["t.a"]),
        ("CREATE TABLE t (a INTEGER PRIMARY KEY)", []),
        ("CREATE TABLE t (a INTEGER, PRIMARY KEY (a))", []),
        ("CREATE TABLE t (a INTEGER, b TEXT NOT NULL, PRIMARY KEY (a, b))", ["t.a"]),
        ("CREATE TABLE t (a TEXT NOT NULL PRIMARY KEY)", []),
        ("CREATE TABLE t (a TEXT PRIMARY KEY) WITHOUT ROWID", []),
        ("CREATE TABLE t (a TEXT PRIMARY KEY) STRICT", []),
        ("CREATE TABLE t (a TEXT NOT NULL UNIQUE)", []),
    ],
)
def test_the_keys_that_sqlite_lets_be_null(ddl, loose):
    tables = read_tables(ddl)
    assert tables.loose == loose
    assert bool(unread(tables, tables)) == bool(loose)
    with closing(sqlite3.connect(":memory:")) as base:
        base.execute(ddl)
        names = list(tables["t"].types)
        for name in names:
            values = ", ".join("NULL" if one == name else "'1'" for one in names)
            try:
                base.execute(f"INSERT INTO t VALUES ({values})")
                stays = base.execute(f"SELECT COUNT(*) FROM t WHERE {name} IS NULL").fetchone()[0]
            except sqlite3.IntegrityError:
                stays = 0
            assert bool(stays) == (f"t.{name}" in loose)
            base.execute("DELETE FROM t")


def test_rows_that_no_join_finds_again_stop_the_script():
    base, error, _ = run(COUNTRY, APART, READ, "INSERT INTO country VALUES (NULL, 'n', 'i');")
    with closing(base):
        assert "code is NULL in 1 rows of country, the first: rowid 1" in error
        assert base.execute("SELECT * FROM country").fetchall() == [(None, "n", "i")]
    base, error, _ = run(COUNTRY, APART, READ, "INSERT INTO country VALUES ('x', 'n', 'i');")
    with closing(base), pytest.raises(sqlite3.IntegrityError):
        assert not error
        base.execute("INSERT INTO country_iso VALUES (NULL, 'i')")


def test_a_key_that_was_never_null_stays_so():
    new = "CREATE TABLE opts (name TEXT PRIMARY KEY, /* , */ v TEXT);"
    read = "-- name: all()\nSELECT name, v FROM opts;"
    base, error, script = run(OPTIONS, new, read, "INSERT INTO opts VALUES (1, 'a', 'b');")
    with closing(base), pytest.raises(sqlite3.IntegrityError, match="NOT NULL"):
        assert not error and "name written NOT NULL" in script
        base.execute("INSERT INTO opts VALUES (NULL, 'c')")


def test_a_key_that_may_be_null_in_both_keeps_its_rows():
    old = "CREATE TABLE t (a TEXT PRIMARY KEY, v TEXT);"
    new = "CREATE TABLE t (a TEXT PRIMARY KEY, v TEXT NOT NULL);"
    read = "-- name: all()\nSELECT a, v FROM t;"
    base, error, _ = run(old, new, read, "INSERT INTO t VALUES (NULL, 'b');")
    with closing(base):
        assert not error and base.execute("SELECT * FROM t").fetchall() == [(None, "b")]
    strict = new.replace("a TEXT", "a TEXT NOT NULL")
    base, error, _ = run(old, strict, read, "INSERT INTO t VALUES (NULL, 'b');")
    with closing(base):
        assert "t.a is NOT NULL and would be NULL for 1 rows of t" in error
