"""INSERTs that leave the key to the database: read, rewritten and run so."""

import re
import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from reasoning.synthesis.migrator import (
    NoProgram,
    Options,
    Refactoring,
    migration_sql,
    parse_program,
    read_tables,
    refactor,
)
from reasoning.synthesis.migrator.cli import program_text
from reasoning.synthesis.migrator.equivalence.bounded_test import Comparison
from reasoning.synthesis.migrator.sql.unparse import show_function, show_program

OLD = "CREATE TABLE authors (id {key}, name text NOT NULL, bio text);"
NEW = """CREATE TABLE authors (id {key}, full_name text NOT NULL);
CREATE TABLE bios (author_id bigint PRIMARY KEY REFERENCES authors (id), bio text);"""
PROGRAM = """-- name: add(name, bio)
INSERT INTO authors (name, bio) VALUES (:name, :bio);
-- name: authors()
SELECT id, name, bio FROM authors ORDER BY id;
-- name: drop_author(id)
DELETE FROM authors WHERE id = :id;
"""
KEYS = {
    "sqlite": ("INTEGER PRIMARY KEY", "last_insert_rowid()"),
    "postgres": ("BIGSERIAL PRIMARY KEY", "currval(pg_get_serial_sequence('authors', 'id'))"),
    "mysql": ("bigint AUTO_INCREMENT PRIMARY KEY", "LAST_INSERT_ID()"),
}


def refactored(dialect: str, new: str = NEW) -> Refactoring:
    key = KEYS[dialect][0]
    old, new = OLD.format(key=key), new.format(key=key)
    found = refactor(PROGRAM, old, new, Options(dialect, bound=1, verify="off"))
    assert isinstance(found, Refactoring) and not found.by_hand, found
    return found


@pytest.mark.parametrize("dialect", KEYS)
def test_the_key_is_left_out_and_asked_for(dialect):
    found = refactored(dialect)
    text = show_function(found.new.named("add"), dialect)
    assert "INSERT INTO authors (full_name) VALUES (:name);" in text
    assert f"VALUES ({KEYS[dialect][1]}, :bio)" in text
    again = parse_program(show_program(found.new), found.target, dialect)
    assert (
        Comparison(found.old, found.source, again, found.target).run(1, lambda: True).failure
        is None
    )


def test_a_key_that_nothing_numbers_must_still_be_made():
    new = NEW.replace("authors (id {key}", "authors (id INT NOT NULL PRIMARY KEY")
    assert "VALUES (FRESH(" in show_function(refactored("sqlite", new).new.named("add"))


def test_programs_with_such_keys_run_before_and_after():
    found = refactored("sqlite")
    shown = []
    for program in (found.old, found.new):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as base:
            base.executescript(OLD.format(key=KEYS["sqlite"][0]))
            base.execute("INSERT INTO authors VALUES (7, 'a', NULL)")
            if program is found.new:
                base.executescript(migration_sql(found.mapping))
            for name, bio in (("b", "x"), ("c", None)):
                text = show_function(program.named("add")).split("\n", 1)[1]
                for one in filter(str.strip, text.split(";")):
                    base.execute(one, {"name": name, "bio": bio})
            text = show_function(program.named("authors")).split("\n", 1)[1]
            shown.append(base.execute(text).fetchall())
    assert shown[0] == shown[1] == [(7, "a", None), (8, "b", "x"), (9, "c", None)]


def test_keys_asked_for_in_the_old_program_are_read():
    tables = read_tables(NEW.format(key=KEYS["sqlite"][0]))
    program = parse_program(
        "-- name: add(name)\nINSERT INTO authors (full_name) VALUES (:name);\n"
        "INSERT INTO bios (author_id) VALUES (last_insert_rowid());\n",
        tables,
    )
    first, second = program.named("add").statements
    assert first.values[0] == second.values[0] and first.columns == ("id", "full_name")


def test_a_computed_default_and_parameters_of_sqlc():
    old = "CREATE TABLE accounts (id bigserial PRIMARY KEY, owner varchar NOT NULL, balance bigint NOT NULL, made timestamptz NOT NULL DEFAULT (now()));"
    new = "CREATE TABLE accounts (id bigserial PRIMARY KEY, holder varchar NOT NULL, balance bigint NOT NULL, made timestamptz NOT NULL DEFAULT (now()), seen timestamptz NOT NULL DEFAULT now());"
    program = """-- name: Create :one
INSERT INTO accounts (owner, balance) VALUES (sqlc.arg(owner), @balance) RETURNING *;
-- name: Owners :many
SELECT id, owner FROM accounts WHERE owner = sqlc.narg('who') ORDER BY id;
"""
    found = refactor(program, old, new, Options("postgres", bound=1, verify="off"))
    assert isinstance(found, Refactoring) and not found.never and not found.by_hand, found
    text = show_program(found.new)
    assert "INSERT INTO accounts (holder, balance)\nVALUES (sqlc.arg(owner), @balance)" in text
    assert "WHERE holder = sqlc.narg(who)" in text
    script = migration_sql(found.mapping, "postgres")
    assert 'seen" TIMESTAMPTZ NOT NULL DEFAULT' in script and "INSERT" not in script
    plain = new.replace(" DEFAULT (now())", "")
    other = refactor(program.split("-- name: Owners")[0], old, plain, Options("postgres", bound=0))
    assert isinstance(other, NoProgram) and "accounts.made" in other.reason


def test_functions_of_sqlc_that_are_kept_by_hand_say_so():
    key = KEYS["postgres"][0]
    program = (
        "-- name: Rename :one\nUPDATE authors SET name = $1, bio = $2 WHERE id = $3 RETURNING *;\n"
        "-- name: All :many\nSELECT id, name, bio FROM authors ORDER BY id;\n"
    )
    options = Options("postgres", bound=0, verify="off")
    found = refactor(program, OLD.format(key=key), NEW.format(key=key), options)
    assert isinstance(found, Refactoring) and found.by_hand == ("Rename",)
    assert re.match(r"-- KEPT BY HAND, .*\n-- name: Rename :one\n", program_text(found))
