"""A reference that may be NULL, moved to an association table: a row there where there is a value,
both programs on real databases with data.
"""

import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from benchmarks.migrator_scenarios.applications import Application
from reasoning.synthesis.migrator import (
    Options,
    Refactoring,
    migration_sql,
    read_tables,
    refactor,
    show_program,
)
from reasoning.synthesis.migrator.links.find import linked
from reasoning.synthesis.migrator.output.downgrade import downgrade_of
from reasoning.synthesis.migrator.output.dry_run import dry_run_sql
from tests.reasoning.synthesis.migrator.engines import in_postgres, in_sqlite

AUTHOR = "CREATE TABLE author (id integer PRIMARY KEY, name text NOT NULL);\n"
OLD = AUTHOR + (
    "CREATE TABLE book (id integer PRIMARY KEY, title text NOT NULL, author_id integer "
    "REFERENCES author (id){});\n"
)
BOOK = "CREATE TABLE book (id integer PRIMARY KEY, title text NOT NULL);\n"
ENDS = (
    "book_id integer NOT NULL REFERENCES book (id){}, author_id integer NOT NULL "
    "REFERENCES author (id){}"
)
TARGETS = {
    "cascades": (
        OLD.format(" ON DELETE SET NULL"),
        (
            f"{AUTHOR}{BOOK}CREATE TABLE book_author ({ENDS}, PRIMARY KEY (book_id, author_id));"
        ).format(" ON DELETE CASCADE", " ON DELETE CASCADE"),
    ),
    "numbered": (
        OLD.format(" ON DELETE SET NULL"),
        (
            f"{AUTHOR}{BOOK}CREATE TABLE book_author (id SERIAL PRIMARY KEY, {ENDS}, "
            f"UNIQUE (book_id, author_id));"
        ).format("", ""),
    ),
    "plain": (
        OLD.format(""),
        f"{AUTHOR}{BOOK}CREATE TABLE book_author ({ENDS}, PRIMARY KEY (book_id));".format("", ""),
    ),
}
PROGRAM = """-- name: add_author(id, name)
INSERT INTO author (id, name) VALUES (:id, :name);
-- name: add_book(id, title, author)
INSERT INTO book (id, title, author_id) VALUES (:id, :title, :author);
-- name: anonymous_book(id, title)
INSERT INTO book (id, title) VALUES (:id, :title);
-- name: reassign(id, title, author)
UPDATE book SET author_id = :author, title = :title WHERE id = :id;
-- name: all_to(a, b)
UPDATE book SET author_id = :b WHERE author_id = :a;
-- name: adopt(a)
UPDATE book SET author_id = :a WHERE author_id IS NULL;
-- name: forget(id)
UPDATE book SET author_id = NULL WHERE id = :id;
-- name: burn(id)
DELETE FROM book WHERE id = :id;
-- name: leave(id)
DELETE FROM author WHERE id = :id;
-- name: books()
SELECT b.id, b.title, b.author_id, a.name FROM book b LEFT JOIN author a ON a.id = b.author_id
  ORDER BY b.id;
-- name: signed()
SELECT a.name, COUNT(*) AS n FROM book b JOIN author a ON a.id = b.author_id GROUP BY a.name
  ORDER BY a.name;
-- name: anonymous()
SELECT id, title FROM book WHERE author_id IS NULL ORDER BY id;
"""
ROWS = """INSERT INTO author VALUES (1, 'Ann'), (2, 'Bo'), (3, 'Cy');
INSERT INTO book VALUES (1, 'x', 1), (2, 'y', NULL), (3, 'z', 2), (4, 'w', 2), (5, 'v', 3);
"""
CALLS = (
    ("add_book", {"id": 8, "title": "new", "author": 1}),
    ("add_book", {"id": 9, "title": "none", "author": None}),
    ("anonymous_book", {"id": 10, "title": "quiet"}),
    ("reassign", {"id": 1, "title": "x2", "author": 2}),
    ("reassign", {"id": 2, "title": "y2", "author": 1}),
    ("reassign", {"id": 3, "title": "z2", "author": None}),
    ("all_to", {"a": 2, "b": 1}),
    ("all_to", {"a": 3, "b": None}),
    ("forget", {"id": 4}),
    ("adopt", {"a": 2}),
    ("burn", {"id": 1}),
    ("leave", {"id": 3}),
)
SETTING_NULL = (("leave", {"id": 2}), ("adopt", {"a": 1}))


def application(name: str, serial: str) -> Application:
    old, new = TARGETS[name]
    calls = CALLS + (SETTING_NULL if "SET NULL" in old else ())
    new = new.replace("SERIAL", serial)
    return Application(name, old, new, PROGRAM, ROWS, calls)


@pytest.mark.parametrize("name", TARGETS)
def test_programs_and_data_agree(name):
    in_sqlite(application(name, "integer"))


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_programs_and_data_agree_in_postgres(name, postgres):
    in_postgres(application(name, "SERIAL"), postgres)


def test_rows_without_a_value_have_no_row_and_come_back():
    old, new = TARGETS["cascades"]
    found = refactor(PROGRAM, old, new, Options(bound=0, verify="off"))
    assert isinstance(found, Refactoring) and not found.differs and not found.by_hand
    with closing(sqlite3.connect(":memory:")) as base:
        base.executescript(old + ROWS)
        before = base.execute("SELECT * FROM book ORDER BY id").fetchall()
        counts = dict(row[:2] for row in base.execute(dry_run_sql(found.mapping)))
        base.executescript(migration_sql(found.mapping))
        assert base.execute("SELECT COUNT(*) FROM book_author").fetchone() == (4,)
        assert counts["rows of book_author"] == 4
        base.executescript(migration_sql(downgrade_of(found.mapping)))
        assert base.execute("SELECT * FROM book ORDER BY id").fetchall() == before


def test_what_cannot_be_rewritten_is_not_half_done():
    old, new = TARGETS["plain"]
    more = (
        "-- name: upsert(id, t, a)\nINSERT INTO book VALUES (:id, :t, :a) "
        "ON CONFLICT (id) DO UPDATE SET author_id = excluded.author_id;\n"
    )
    found = refactor(PROGRAM + more, old, new, Options(bound=0, verify="off"))
    assert not isinstance(found, Refactoring) or "upsert" in found.by_hand


@pytest.mark.parametrize(
    "change",
    [
        ("book_id integer NOT NULL", "book_id integer"),
        ("PRIMARY KEY (book_id)", "PRIMARY KEY (author_id)"),
        ("PRIMARY KEY (book_id)", "at date NOT NULL, PRIMARY KEY (book_id)"),
    ],
)
def test_only_association_tables_of_the_reference_count(change):
    old, new = (read_tables(text) for text in TARGETS["plain"])
    assert [one.link for one in linked(old, new, {})] == ["book_author"]
    other = read_tables(TARGETS["plain"][1].replace(*change))
    assert bool(linked(old, other, {})) == (change[1] == "book_id integer")


def test_the_new_program_is_short():
    old, new = TARGETS["cascades"]
    found = refactor(PROGRAM, old, new, Options(bound=0, verify="off"))
    assert "DELETE FROM author WHERE id = :id;" in show_program(found.new)
