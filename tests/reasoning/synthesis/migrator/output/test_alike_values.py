"""Values that a collation takes for equal stop the script before a lookup table makes them one."""

import re
import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from reasoning.synthesis.migrator import Options, Refactoring, migration_sql, refactor

OLD = "CREATE TABLE people (id integer PRIMARY KEY, name varchar(40), city {});"
NEW = (
    "CREATE TABLE cities (id integer PRIMARY KEY, name {} NOT NULL UNIQUE);"
    "CREATE TABLE people (id integer PRIMARY KEY, name varchar(40), city_id integer, "
    "FOREIGN KEY (city_id) REFERENCES cities (id));"
)
PROGRAM = "-- name: all()\nSELECT name, city FROM people;\n"
ROWS = "INSERT INTO people VALUES (1, 'a', 'Rome'), (2, 'b', '{}'), (3, 'c', 'Rome');"
STOPS = "1 values of people.city differ only in what their collation"


def script(dialect: str, before: str, after: str) -> str:
    old, new = OLD.format(before), NEW.format(after)
    found = refactor(PROGRAM, old, new, Options(dialect, bound=0, verify="off"))
    assert isinstance(found, Refactoring), found
    return migration_sql(found.mapping, dialect)


@pytest.mark.parametrize(
    "before, after", [("text COLLATE NOCASE", "text"), ("text", "text COLLATE NOCASE")]
)
def test_sqlite_takes_capitals_for_equal(before, after):
    text = script("sqlite", before, after)
    for other, error in {"rome": STOPS, "Roma": ""}.items():
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as base:
            base.executescript(OLD.format(before) + ROWS.format(other))
            if error:
                with pytest.raises(sqlite3.Error, match=error):
                    base.executescript(text)
                continue
            base.executescript(text)
            assert base.execute("SELECT COUNT(*) FROM cities").fetchall() == [(2,)]


@pytest.mark.slow
def test_mariadb_takes_capitals_and_spaces_for_equal(mariadb):
    text = script("mysql", "varchar(40)", "varchar(40)")
    assert not re.search(r"UPDATE (\w+) [^;]*FROM \1 AS", text)  # MySQL's error 1093
    for other in ("rome", "Rome ", "Ròme"):
        assert mariadb(OLD.format("varchar(40)") + ROWS.format(other)).returncode == 0
        done = mariadb(text)
        assert STOPS in done.stderr, done.stderr
        assert mariadb("SELECT COUNT(*) FROM people; DROP TABLE people;").stdout == "3\n"
    assert mariadb(OLD.format("varchar(40)") + ROWS.format("Bonn")).returncode == 0
    done = mariadb(text)
    assert done.returncode == 0, done.stderr
    asked = "SELECT c.name FROM people p JOIN cities c ON c.id = p.city_id ORDER BY p.id;"
    assert mariadb(asked).stdout == "Rome\nBonn\nRome\n"


@pytest.mark.slow
def test_postgres_takes_capitals_for_equal(postgres):
    psycopg = pytest.importorskip("psycopg")
    postgres.execute(
        "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
    )
    text = script("postgres", 'text COLLATE "loose"', "text")
    postgres.execute(OLD.format('text COLLATE "loose"') + ROWS.format("rome"))
    with pytest.raises(psycopg.Error, match=STOPS):
        postgres.execute(text)
    postgres.execute("ROLLBACK; UPDATE people SET city = 'Bonn' WHERE id = 2")
    postgres.execute(text)
    assert postgres.execute("SELECT COUNT(*) FROM cities").fetchall() == [(2,)]
