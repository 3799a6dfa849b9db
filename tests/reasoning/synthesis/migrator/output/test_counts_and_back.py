"""Checks before anything moves, dry runs and the way back, on real SQLite databases."""

import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator import migration_sql
from reasoning.synthesis.migrator.output.downgrade import downgrade_of
from reasoning.synthesis.migrator.output.dry_run import dry_run, dry_run_sql, in_columns
from tests.reasoning.synthesis.migrator import clinic
from tests.reasoning.synthesis.migrator.output.test_data_migration import ROWS, mapping_of

OWNER = "CREATE TABLE owner (id integer PRIMARY KEY, name text NOT NULL);"
PET = "CREATE TABLE pet (id integer PRIMARY KEY, owner_id integer{}, {} text{});"
READ = "-- name: all()\nSELECT p.label, o.name FROM pet p JOIN owner o ON o.id = p.owner_id;"
OLD = OWNER + PET.format(" REFERENCES owner (id)", "label", "")


def stopped(target, rows):
    """The error with which the script stops, and the tables as they were."""
    with closing(sqlite3.connect(":memory:")) as base:
        base.executescript(OLD + rows)
        before = list(base.iterdump())
        with pytest.raises(sqlite3.Error) as problem:
            base.executescript(migration_sql(mapping_of(OLD, target, READ)))
        base.rollback()
        assert list(base.iterdump()) == before
    return str(problem.value)


def test_a_reference_that_would_lead_nowhere_is_counted_before_anything_moves():
    target = OWNER + PET.format(" REFERENCES owner (id)", "title", "")
    rows = "INSERT INTO pet VALUES (1, 8, 'a'), (2, 9, 'b'), (3, NULL, 'c');"
    said = stopped(target, rows)
    assert "pet.owner_id would refer to no row of owner for 2 rows of pet, the first: 1, 2" in said


def test_a_new_check_counts_the_rows_that_it_forbids():
    target = OWNER + PET.format(" REFERENCES owner (id)", "title", ", CHECK (title <> '')")
    rows = "INSERT INTO owner VALUES (1, 'o'); INSERT INTO pet VALUES (1, 1, 'a'), (5, 1, '');"
    said = stopped(target, rows)
    assert "forbids 1 rows of pet, the first: 5" in said


def test_a_dry_run_counts_and_changes_nothing(tmp_path):
    mapping = mapping_of(clinic.SOURCE, clinic.TARGET, clinic.PROGRAM)
    path = tmp_path / "clinic.db"
    with closing(sqlite3.connect(path)) as base:
        base.executescript(clinic.SOURCE + ROWS)
        before = list(base.iterdump())
        counted = base.execute(dry_run_sql(mapping)).fetchall()
    found = {what: n for what, n, _ in dry_run(mapping, "sqlite", str(path))}
    assert found == {what: n for what, n, _ in counted}
    assert found["rows of policy"] == 2 and found["rows of bill"] == 2
    assert "rows of policy" in in_columns(counted)
    with closing(sqlite3.connect(path)) as base:
        assert list(base.iterdump()) == before
    with pytest.raises(UserError, match="not a database of the old schema|cannot be opened"):
        dry_run(mapping, "sqlite", str(tmp_path / "none.db"))


def test_there_and_back_is_the_same_database():
    mapping = mapping_of(clinic.SOURCE, clinic.TARGET, clinic.PROGRAM)
    tables = ("patient", "room", "visit", "remark")
    with closing(sqlite3.connect(":memory:")) as base:
        base.executescript(clinic.SOURCE + ROWS)
        before = {t: base.execute(f"SELECT * FROM {t} ORDER BY 1, 2").fetchall() for t in tables}
        base.executescript(migration_sql(mapping))
        base.executescript(migration_sql(downgrade_of(mapping)))
        after = {t: base.execute(f"SELECT * FROM {t} ORDER BY 1, 2").fetchall() for t in tables}
        names = {row[0] for row in base.execute("SELECT name FROM sqlite_master")}
    assert before == after and "policy" not in names


@pytest.mark.parametrize(
    "target, reason",
    [
        ("CREATE TABLE pet (id integer PRIMARY KEY, label text);", "owner"),
        (OWNER + "CREATE TABLE pet (id integer PRIMARY KEY, label text);", "owner_id is dropped"),
    ],
)
def test_where_rows_are_lost_there_is_no_way_back(target, reason):
    read = "-- name: all()\nSELECT label FROM pet;"
    with pytest.raises(UserError, match="there is no way back") as refused:
        downgrade_of(mapping_of(OLD, target, read))
    assert reason in str(refused.value)


PERSON = "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL{});"
HOME = "CREATE TABLE home (person_id INTEGER PRIMARY KEY REFERENCES person (id), street TEXT);"


def test_a_row_without_its_part_comes_back():
    old = PERSON.format(", home_street TEXT")
    read = "-- name: all()\nSELECT id, name, home_street FROM person;"
    mapping = mapping_of(old, PERSON.format("") + HOME, read)
    back = migration_sql(downgrade_of(mapping))
    assert "person: altered in place" in back
    with closing(sqlite3.connect(":memory:")) as base:
        base.executescript(old + "INSERT INTO person VALUES (1, 'a', 's'), (2, 'b', NULL);")
        base.executescript(migration_sql(mapping))
        base.executescript("INSERT INTO person VALUES (3, 'c');")
        base.executescript(back)
        found = base.execute("SELECT id, name, home_street FROM person ORDER BY 1").fetchall()
    assert found == [(1, "a", "s"), (2, "b", None), (3, "c", None)]


def test_a_table_that_is_dropped_is_not_called_merged():
    read = "-- name: all()\nSELECT label FROM pet;"
    target = "CREATE TABLE pet (id integer PRIMARY KEY, owner_id integer, label text);"
    with pytest.raises(UserError, match="no way back: owner is dropped"):
        downgrade_of(mapping_of(OLD, target, read))
