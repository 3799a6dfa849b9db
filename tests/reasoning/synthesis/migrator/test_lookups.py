"""Lookup tables without repetitions: one row for each value, on real databases before and after."""

import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from benchmarks.migrator_scenarios.applications import Application
from reasoning.synthesis import migrator
from reasoning.synthesis.migrator.equivalence.bounded_test import Comparison
from reasoning.synthesis.migrator.equivalence.strength import strengths
from reasoning.synthesis.migrator.lookups.find import extracted
from reasoning.synthesis.migrator.output.downgrade import downgrade_of
from reasoning.synthesis.migrator.output.dry_run import dry_run_sql
from reasoning.synthesis.migrator.output.report import page
from tests.reasoning.synthesis.migrator.engines import in_postgres, in_sqlite

OLD = """CREATE TABLE "Person" (id integer PRIMARY KEY, name text NOT NULL, city text,
  role text NOT NULL DEFAULT 'user');
"""
NEW = """CREATE TABLE city (id integer PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE "Person" (id integer PRIMARY KEY, name text NOT NULL, "cityId" integer
  REFERENCES city (id), role text NOT NULL DEFAULT 'user');
"""
ROLES = """CREATE TABLE roles (role_id integer PRIMARY KEY, title text UNIQUE);
CREATE TABLE "Person" (id integer PRIMARY KEY, name text NOT NULL, city text,
  role_id integer NOT NULL REFERENCES roles (role_id));
"""
NATURAL = """CREATE TABLE cities (name text PRIMARY KEY, country text DEFAULT 'no');
CREATE TABLE "Person" (id integer PRIMARY KEY, name text NOT NULL, city text
  REFERENCES cities (name), role text NOT NULL DEFAULT 'user');
"""
PROGRAM = """-- name: add(id, name, city, role)
INSERT INTO "Person" (id, name, city, role) VALUES (:id, :name, :city, :role);
-- name: move(id, city)
UPDATE "Person" SET city = :city WHERE id = :id;
-- name: leave(id)
UPDATE "Person" SET city = NULL WHERE id = :id;
-- name: evict(city)
DELETE FROM "Person" WHERE city = :city;
-- name: promote(role, city)
UPDATE "Person" SET role = :role WHERE city = :city OR role = 'x';
-- name: everyone()
SELECT id, name, city, role FROM "Person" ORDER BY id;
-- name: nowhere()
SELECT id FROM "Person" WHERE city IS NULL;
-- name: counts()
SELECT city, COUNT(*) AS n FROM "Person" WHERE role <> 'root' GROUP BY city ORDER BY n, city;
-- name: neighbors()
SELECT a.name, b.name AS other FROM "Person" a JOIN "Person" b ON a.city = b.city WHERE a.id < b.id
  ORDER BY 1, 2;
"""
ROWS = """INSERT INTO "Person" VALUES (1, 'a', 'Oslo', 'user'), (2, 'b', NULL, 'root'),
  (3, 'c', 'Oslo', 'x'), (4, 'd', 'Ro''me', 'user');"""
CALLS = (
    ("add", {"id": 8, "name": "new", "city": "Bern", "role": "user"}),
    ("add", {"id": 9, "name": "none", "city": None, "role": "user"}),
    ("move", {"id": 2, "city": "Oslo"}),
    ("move", {"id": 4, "city": None}),
    ("leave", {"id": 8}),
    ("promote", {"role": "root", "city": "Oslo"}),
    ("evict", {"city": "Oslo"}),
)
TARGETS = {"surrogate": NEW, "required": ROLES, "natural": NATURAL}


def application(target: str) -> Application:
    return Application("lookups", OLD, TARGETS[target], PROGRAM, ROWS, CALLS)


@pytest.mark.parametrize("target", TARGETS)
def test_programs_and_data_agree(target):
    in_sqlite(application(target))


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_programs_and_data_agree_in_postgres(target, postgres):
    in_postgres(application(target), postgres)


@pytest.fixture(scope="module")
def found():
    made = migrator.refactor(PROGRAM, OLD, NEW, migrator.Options(bound=1, verify="off"))
    assert isinstance(made, migrator.Refactoring) and not made.by_hand and not made.differs
    return made


def test_each_value_is_there_once_and_the_way_back_is_known(found):
    with closing(sqlite3.connect(":memory:")) as base:
        base.executescript(OLD + ROWS)
        counts = dict(row[:2] for row in base.execute(dry_run_sql(found.mapping)))
        base.executescript(migrator.migration_sql(found.mapping))
        assert base.execute("SELECT name FROM city ORDER BY id").fetchall() == [
            ("Oslo",),
            ("Ro'me",),
        ]
        assert counts["rows of city"] == 2 and counts["rows of Person"] == 4
        base.executescript(migrator.migration_sql(downgrade_of(found.mapping)))
        asked = 'SELECT id, name, city, role FROM "Person" ORDER BY id'
        assert base.execute(asked).fetchall() == [
            (1, "a", "Oslo", "user"),
            (2, "b", None, "root"),
            (3, "c", "Oslo", "x"),
            (4, "d", "Ro'me", "user"),
        ]


def test_the_new_program_is_read_again(found):
    again = migrator.parse_program(migrator.show_program(found.new), found.target)
    assert not any(function.outside for function in again.functions)
    checked = Comparison(found.old, found.source, again, found.target).run(1, lambda: True, False)
    assert checked.failure is None and len(checked.functions) == 9


def test_only_tables_of_unique_values_are_lookup_tables():
    old = migrator.read_tables(OLD)
    assert [one.column for one in extracted(old, migrator.read_tables(NEW))] == ["city"]
    assert extracted(old, migrator.read_tables(NEW.replace(" UNIQUE", ""))) == []
    assert (
        extracted(
            old, migrator.read_tables(NEW.replace('"cityId" integer', '"cityId" integer UNIQUE'))
        )
        == []
    )
    assert (
        extracted(
            migrator.read_tables(OLD + "CREATE TABLE city (id int);"), migrator.read_tables(NEW)
        )
        == []
    )


def test_two_lookup_tables_whose_keys_the_database_numbers():
    old = (
        "CREATE TABLE car (id int PRIMARY KEY, make text NOT NULL, color text, UNIQUE (make, "
        "color));"
    )
    new = (
        "CREATE TABLE makes (id serial PRIMARY KEY, name text NOT NULL UNIQUE);"
        "CREATE TABLE colors (id serial PRIMARY KEY, color text NOT NULL UNIQUE);"
        "CREATE TABLE car (id int PRIMARY KEY, make_id int NOT NULL REFERENCES makes (id), "
        "color_id int REFERENCES colors (id), UNIQUE (make_id, color_id));"
    )
    program = (
        "-- name: add(id, m, c)\nINSERT INTO car (id, make, color) VALUES (:id, :m, :c);\n"
        "-- name: paint(m, c)\nUPDATE car SET color = :c WHERE make = :m AND color <> :c;\n"
        "-- name: cars()\nSELECT c.make, c.color FROM car c ORDER BY c.make, c.color;\n"
        "-- name: same(m)\nSELECT id FROM car WHERE make = :m OR color IS NULL;\n"
        "-- name: alike()\nSELECT id FROM car WHERE make IN (SELECT color FROM car);\n"
    )
    made = migrator.refactor(program, old, new, migrator.Options("postgres", bound=1, verify="off"))
    assert isinstance(made, migrator.Refactoring) and len(made.rewritten) == 5 and not made.by_hand


def test_no_more_is_claimed_than_was_done(found):
    lines = {line[0]: line[1:] for line in strengths(found)}
    assert lines["move"][1] == "in sequences only" and lines["everyone"][1] == "no difference"
    assert found.related > 0 and not found.never and not found.idle
    assert "key of its name in city" in page(found, [])


def test_lookup_tables_that_are_not_written_are_refused_at_once():
    old = "CREATE TABLE person (id integer PRIMARY KEY, name text, street text, city text);"
    lookup = (
        "CREATE TABLE address (id integer PRIMARY KEY, street text, city text, UNIQUE (street, "
        "city));"
    )
    new = (
        f"{lookup} CREATE TABLE person (id integer PRIMARY KEY, name text, address_id integer "
        f"REFERENCES address (id));"
    )
    program = "-- name: people()\nSELECT name, street, city FROM person;\n"
    found = migrator.refactor(program, old, new, migrator.Options(bound=0))
    assert (
        isinstance(found, migrator.NoProgram) and "leave out UNIQUE (street, city)" in found.reason
    )
    each = migrator.refactor(
        program, old, new.replace(", UNIQUE (street, city)", ""), migrator.Options(bound=0)
    )
    assert isinstance(each, migrator.Refactoring)
    old = "CREATE TABLE flight (id integer PRIMARY KEY, from_city text, to_city text);"
    new = """CREATE TABLE city (id integer PRIMARY KEY, name text UNIQUE);
    CREATE TABLE flight (id integer PRIMARY KEY, from_city_id integer REFERENCES city (id),
      to_city_id integer REFERENCES city (id));"""
    program = "-- name: flights()\nSELECT from_city, to_city FROM flight;\n"
    found = migrator.refactor(program, old, new, migrator.Options(bound=0))
    assert isinstance(found, migrator.NoProgram) and found.effort.correspondences == 0, found
