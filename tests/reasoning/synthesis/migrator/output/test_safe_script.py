"""The data script on databases that it must not damage, in SQLite itself and in its shell."""

import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from reasoning.synthesis.migrator import migration_sql
from tests.reasoning.synthesis.migrator.output.test_data_migration import mapping_of

PERSON = "CREATE TABLE person (id integer PRIMARY KEY, name text NOT NULL, phone text);"
STRICT = "CREATE TABLE person (id integer PRIMARY KEY, full_name text NOT NULL, phone text {});"
READ = "-- name: all()\nSELECT id, name, phone FROM person;"
ROWS = "INSERT INTO person VALUES (1, 'Ann', '1'), (2, 'Bo', NULL), (3, 'Cy', '1');"
TICKET = (
    "CREATE TABLE ticket (id integer PRIMARY KEY AUTOINCREMENT, {} text NOT NULL, body text{});"
)
TICKETS = "-- name: all()\nSELECT id, title, body FROM ticket;"


def run(source, target, program, given, extra=""):
    """The database after the script, or the error and the database as the script left it."""
    script = migration_sql(mapping_of(source, target, program))
    base = sqlite3.connect(":memory:")
    base.executescript(source + extra + given)
    error = ""
    try:
        base.executescript(script)
    except sqlite3.Error as problem:
        error = str(problem)
        base.rollback()
    return base, error, script


@pytest.mark.parametrize(
    "target, complaint",
    [
        (STRICT.format("NOT NULL"), "would be NULL for 1 rows of person, the first: 2"),
        (STRICT.format("UNIQUE"), "unique by phone, and 1 values would be there more than once"),
    ],
)
def test_a_tightened_column_stops_the_script_before_anything_moves(tmp_path, target, complaint):
    base, error, script = run(PERSON, target, READ, ROWS)
    with closing(base):
        assert complaint in error
        assert base.execute("SELECT COUNT(*) FROM person").fetchall() == [(3,)]
    if shutil.which("sqlite3") is None:
        pytest.skip("no sqlite3 shell on this machine: apt-get install sqlite3")
    path = tmp_path / "p.db"
    with closing(sqlite3.connect(path)) as base:
        base.executescript(PERSON + ROWS)
    done = subprocess.run(["sqlite3", path], input=script, capture_output=True, text=True)
    assert complaint in done.stderr and done.returncode != 0
    with closing(sqlite3.connect(path)) as base:
        assert base.execute("SELECT id, name, phone FROM person").fetchall() == [
            (1, "Ann", "1"),
            (2, "Bo", None),
            (3, "Cy", "1"),
        ]


def test_the_shell_runs_a_script_that_fits_to_its_end(tmp_path):
    if shutil.which("sqlite3") is None:
        pytest.skip("no sqlite3 shell on this machine: apt-get install sqlite3")
    path = tmp_path / "p.db"
    with closing(sqlite3.connect(path)) as base:
        base.executescript(PERSON + ROWS)
    script = migration_sql(mapping_of(PERSON, STRICT.format(""), READ))
    done = subprocess.run(["sqlite3", path], input=script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(path)) as base:
        assert base.execute("SELECT full_name FROM person ORDER BY id").fetchall() == [
            ("Ann",),
            ("Bo",),
            ("Cy",),
        ]


def test_a_renamed_column_keeps_views_triggers_indices_and_numbers():
    more = (
        "CREATE VIEW v AS SELECT title FROM ticket; CREATE INDEX i ON ticket (title);"
        "CREATE TRIGGER g AFTER INSERT ON ticket BEGIN UPDATE ticket SET body = 'new' "
        "WHERE id = NEW.id AND title = NEW.title; END;"
    )
    given = "INSERT INTO ticket (title) VALUES ('a'), ('b'); DELETE FROM ticket WHERE id = 2;"
    base, error, _ = run(
        TICKET.format("title", ""), TICKET.format("subject", ""), TICKETS, given, more
    )
    with closing(base):
        assert not error
        base.execute("INSERT INTO ticket (subject) VALUES ('c')")
        found = base.execute("SELECT id, subject, body FROM ticket").fetchall()
        assert found == [(1, "a", "new"), (3, "c", "new")]  # 2 is not given again
        assert base.execute("SELECT * FROM v").fetchall() == [("a",), ("c",)]
        names = {row[0] for row in base.execute("SELECT name FROM sqlite_master")}
        assert {"i", "g", "v"} <= names


def test_a_rebuilt_table_keeps_its_numbers_and_those_that_refer_to_it():
    child = "CREATE TABLE note (ticket integer REFERENCES ticket (id) ON DELETE CASCADE);"
    given = (
        "INSERT INTO ticket (title) VALUES ('a'), ('b'); DELETE FROM ticket WHERE id = 2;"
        "INSERT INTO note VALUES (1);"
    )
    base, error, script = run(
        TICKET.format("title", "") + child,
        TICKET.format("title", ", CHECK (title <> '')") + child,
        TICKETS,
        given,
    )
    with closing(base):
        assert not error and "new_ticket" in script
        base.execute("PRAGMA foreign_keys = ON")
        base.execute("INSERT INTO ticket (title) VALUES ('c')")
        assert base.execute("SELECT id FROM ticket").fetchall() == [(1,), (3,)]
        base.execute("DELETE FROM ticket WHERE id = 1")
        assert base.execute("SELECT * FROM note").fetchall() == []


@pytest.mark.parametrize("name", ["account", "ticket"])
def test_the_numbers_of_a_table_that_is_taken_apart_go_on(name):
    target = (
        f"CREATE TABLE {name} (id integer PRIMARY KEY AUTOINCREMENT, title text NOT NULL, "
        f"CHECK (title <> ''));"
        f"CREATE TABLE note (ticket integer PRIMARY KEY REFERENCES {name} (id), body text);"
    )
    given = "INSERT INTO ticket (title) VALUES ('a'), ('b'); DELETE FROM ticket WHERE id = 2;"
    base, error, _ = run(TICKET.format("title", ""), target, TICKETS, given)
    with closing(base):
        assert not error
        base.execute(f"INSERT INTO {name} (title) VALUES ('c')")
        assert base.execute(f"SELECT id FROM {name}").fetchall() == [(1,), (3,)]


def test_what_a_rebuild_would_lose_is_named():
    target = TICKET.format("title", ", CHECK (title <> '')")
    more = "CREATE VIEW seen AS SELECT title FROM ticket;"
    base, error, _ = run(TICKET.format("title", ""), target, TICKETS, "", more)
    with closing(base):
        assert "view seen depends on ticket" in error
        assert base.execute("SELECT * FROM seen").fetchall() == []


def test_a_generated_column_is_left_to_the_database():
    source = (
        "CREATE TABLE item (id integer PRIMARY KEY, {0} integer NOT NULL, "
        "total integer GENERATED ALWAYS AS ({0} * 2) STORED{1});"
    )
    program = "-- name: one(id)\nSELECT price, total FROM item WHERE id = :id;"
    for more in ("", ", CHECK (unit_price > 0)"):
        base, error, _ = run(
            source.format("price", ""),
            source.format("unit_price", more),
            program,
            "INSERT INTO item (id, price) VALUES (1, 5);",
        )
        with closing(base):
            assert not error
            assert base.execute("SELECT unit_price, total FROM item").fetchall() == [(5, 10)]


def test_rows_that_a_merge_would_lose_are_counted():
    source = (
        "CREATE TABLE person (id integer PRIMARY KEY, home integer REFERENCES place (hid));"
        "CREATE TABLE place (hid integer PRIMARY KEY, street text);"
    )
    program = (
        "-- name: where_is(id)\n"
        "SELECT street FROM person JOIN place ON person.home = place.hid WHERE id = :id;"
    )
    target = "CREATE TABLE person (id integer PRIMARY KEY, street text);"
    base, error, _ = run(
        source,
        target,
        program,
        "INSERT INTO place VALUES (7, 's'); INSERT INTO person VALUES (1, 7);",
    )
    with closing(base):
        assert not error and base.execute("SELECT street FROM person").fetchall() == [("s",)]
    base, error, _ = run(source, target, program, "INSERT INTO place VALUES (7, 's');")
    with closing(base):
        assert "1 rows of place belong to no row of person and would be lost, the first: 7" in error


def test_invented_keys_are_made_in_one_pass():
    source = "CREATE TABLE m (u integer, p integer, role text NOT NULL, PRIMARY KEY (u, p));"
    target = (
        "CREATE TABLE m (id integer PRIMARY KEY, u integer NOT NULL, p integer NOT NULL, "
        "UNIQUE (u, p));"
        "CREATE TABLE r (id integer PRIMARY KEY, m_id integer NOT NULL REFERENCES m (id), "
        "role text NOT NULL);"
    )
    program = "-- name: role(u, p)\nSELECT role FROM m WHERE u = :u AND p = :p;"
    rows = ", ".join(f"({n}, {n % 7}, 'r{n}')" for n in range(3000))
    base, error, script = run(source, target, program, f"INSERT INTO m VALUES {rows};")
    with closing(base):
        assert not error and script.count("ROW_NUMBER() OVER") == 2
        found = base.execute(
            "SELECT COUNT(*) FROM m JOIN r ON r.m_id = m.id WHERE r.role = 'r' || m.u"
        ).fetchall()
        assert found == [(3000,)]
