"""INSERTs that leave the key to the database: read, rewritten and run so."""

import re
import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from reasoning.synthesis import migrator
from reasoning.synthesis.migrator.cli import program_text
from reasoning.synthesis.migrator.equivalence.bounded_test import Comparison
from reasoning.synthesis.migrator.sql.unparse import show_function, show_program
from reasoning.synthesis.migrator.testing.aligned_keys import aligned_programs

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


def refactored(dialect: str, new: str = NEW) -> migrator.Refactoring:
    key = KEYS[dialect][0]
    old, new = OLD.format(key=key), new.format(key=key)
    found = migrator.refactor(PROGRAM, old, new, migrator.Options(dialect, bound=1, verify="off"))
    assert isinstance(found, migrator.Refactoring) and not found.by_hand, found
    return found


@pytest.mark.parametrize("dialect", KEYS)
def test_the_key_is_left_out_and_asked_for(dialect):
    found = refactored(dialect)
    text = show_function(found.new.named("add"), dialect)
    assert "INSERT INTO authors (full_name) VALUES (:name);" in text
    assert f"VALUES ({KEYS[dialect][1]}, :bio)" in text
    again = migrator.parse_program(show_program(found.new), found.target, dialect)
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
                base.executescript(migrator.migration_sql(found.mapping))
            for name, bio in (("b", "x"), ("c", None)):
                text = show_function(program.named("add")).split("\n", 1)[1]
                for one in filter(str.strip, text.split(";")):
                    base.execute(one, {"name": name, "bio": bio})
            text = show_function(program.named("authors")).split("\n", 1)[1]
            shown.append(base.execute(text).fetchall())
    assert shown[0] == shown[1] == [(7, "a", None), (8, "b", "x"), (9, "c", None)]


def test_keys_asked_for_in_the_old_program_are_read():
    tables = migrator.read_tables(NEW.format(key=KEYS["sqlite"][0]))
    program = migrator.parse_program(
        "-- name: add(name)\nINSERT INTO authors (full_name) VALUES (:name);\n"
        "INSERT INTO bios (author_id) VALUES (last_insert_rowid());\n",
        tables,
    )
    first, second = program.named("add").statements
    assert first.values[0] == second.values[0] and first.columns == ("id", "full_name")


def test_a_computed_default_and_parameters_of_sqlc():
    old = (
        "CREATE TABLE accounts (id bigserial PRIMARY KEY, owner varchar NOT NULL, "
        "balance bigint NOT NULL, made timestamptz NOT NULL DEFAULT (now()));"
    )
    new = (
        "CREATE TABLE accounts (id bigserial PRIMARY KEY, holder varchar NOT NULL, "
        "balance bigint NOT NULL, made timestamptz NOT NULL DEFAULT (now()), "
        "seen timestamptz NOT NULL DEFAULT now());"
    )
    program = """-- name: Create :one
INSERT INTO accounts (owner, balance) VALUES (sqlc.arg(owner), @balance) RETURNING *;
-- name: Owners :many
SELECT id, owner FROM accounts WHERE owner = sqlc.narg('who') ORDER BY id;
"""
    found = migrator.refactor(
        program, old, new, migrator.Options("postgres", bound=1, verify="off")
    )
    assert isinstance(found, migrator.Refactoring) and not found.never and not found.by_hand, found
    text = show_program(found.new)
    assert "INSERT INTO accounts (holder, balance)\nVALUES (sqlc.arg(owner), @balance)" in text
    assert "WHERE holder = sqlc.narg(who)" in text
    script = migrator.migration_sql(found.mapping, "postgres")
    assert 'seen" TIMESTAMPTZ NOT NULL DEFAULT' in script and "INSERT" not in script
    plain = new.replace(" DEFAULT (now())", "")
    other = migrator.refactor(
        program.split("-- name: Owners")[0], old, plain, migrator.Options("postgres", bound=0)
    )
    assert isinstance(other, migrator.NoProgram) and "accounts.made" in other.reason


def test_functions_of_sqlc_that_are_kept_by_hand_say_so():
    key = KEYS["postgres"][0]
    program = (
        "-- name: Rename :one\nUPDATE authors SET name = $1, bio = $2 WHERE id = $3 RETURNING *;\n"
        "-- name: All :many\nSELECT id, name, bio FROM authors ORDER BY id;\n"
    )
    options = migrator.Options("postgres", bound=0, verify="off")
    found = migrator.refactor(program, OLD.format(key=key), NEW.format(key=key), options)
    assert isinstance(found, migrator.Refactoring) and found.by_hand == ("Rename",)
    assert re.match(r"-- KEPT BY HAND, .*\n-- name: Rename :one\n", program_text(found))


SHOP = "CREATE TABLE firms (id {key}, name text NOT NULL, vat text);\n"
BILLED = SHOP + (
    "CREATE TABLE invoices (id {key}, firm_id bigint NOT NULL REFERENCES firms (id), "
    "amount bigint NOT NULL);"
)
BILLS = SHOP + (
    "CREATE TABLE bills (id {key}, amount bigint NOT NULL, "
    "firm bigint NOT NULL REFERENCES firms (id));"
)
BILLING = """-- name: add(name, vat)
INSERT INTO firms (name, vat) VALUES (:name, :vat);
-- name: bill(vat, amount)
INSERT INTO invoices (firm_id, amount) SELECT id, :amount FROM firms WHERE vat = :vat;
-- name: due()
SELECT id, firm_id, amount FROM invoices ORDER BY id;
-- name: pay(id)
DELETE FROM invoices WHERE id = :id;
"""
WRONG = (
    (":amount AS amount", "999 AS amount"),
    ("WHERE vat = :vat", ""),
    ("SELECT bills.id, firms.id AS", "SELECT firms.id, bills.id AS"),
    ("WHERE id = :id", "WHERE firm = :id"),
)


@pytest.fixture(scope="module")
def billing():
    """Rows of a query with keys that the database gives, in a table and columns of other names."""
    texts = [text.format(key=KEYS["sqlite"][0]) for text in (BILLED, BILLS)]
    found = migrator.refactor(BILLING, *texts, migrator.Options(bound=1, verify="off"))
    assert isinstance(found, migrator.Refactoring) and not found.by_hand, found
    return found


def test_rows_of_a_query_get_keys_and_effects_are_seen(billing):
    assert not billing.idle and not billing.never
    text = show_function(billing.new.named("bill"))
    assert "INSERT INTO bills (amount, firm)" in text and "FRESH" not in text


@pytest.mark.parametrize("number", range(-1, len(WRONG)))
def test_programs_over_tables_of_other_names_are_compared_by_given_keys(billing, number):
    text = show_program(billing.new)
    if number >= 0:
        assert WRONG[number][0] in text, text
        text = text.replace(*WRONG[number])
    again = migrator.parse_program(text, billing.target)
    old, new = aligned_programs(billing.old, again, billing.mapping)
    checked = Comparison(old, billing.source, new, billing.target).run(2, lambda: True)
    assert (checked.failure is not None) == (number >= 0)
    plain = Comparison(billing.old, billing.source, again, billing.target).run(2, lambda: True)
    assert plain.failure is not None  # the numbers are of the tables' names


def test_a_key_in_two_new_tables_is_not_given_to_rows():
    new = BILLED.replace(", amount bigint NOT NULL", "") + (
        "CREATE TABLE sums (invoice_id bigint PRIMARY KEY REFERENCES invoices (id), amount bigint);"
    )
    texts = [text.format(key=KEYS["sqlite"][0]) for text in (BILLED, new)]
    found = migrator.refactor(BILLING, *texts, migrator.Options(bound=0, verify="off"))
    assert isinstance(found, migrator.Refactoring) and found.by_hand == ("bill",)
    assert "a key of its own" in found.old.named("bill").outside


SEQUENCES = """-- name: both(name)
INSERT INTO firms (name) VALUES (:name);
INSERT INTO invoices (firm_id, amount) VALUES (currval('firms_id_seq'), 1);
INSERT INTO invoices (firm_id, amount) VALUES (currval(pg_get_serial_sequence('firms', 'id')), 2);
-- name: lost(name)
INSERT INTO invoices (firm_id, amount) SELECT id, 1 FROM firms;
INSERT INTO invoices (firm_id, amount) VALUES (currval('invoices_id_seq'), 1);
"""


def test_each_sequence_shows_the_key_of_its_own_table():
    tables = migrator.read_tables(BILLED.format(key=KEYS["postgres"][0]), "postgres")
    program = migrator.parse_program(SEQUENCES, tables, "postgres", keep=True)
    first, second, third = program.named("both").statements
    assert first.values[0] == second.values[1] == third.values[1] != second.values[0]
    assert "no INSERT of one row" in program.named("lost").outside


def test_sqlite_shows_the_last_row_of_any_table():
    tables = migrator.read_tables(
        BILLED.format(key=KEYS["sqlite"][0]) + "CREATE TABLE log (what text);"
    )
    text = (
        "-- name: add(name)\nINSERT INTO firms (name) VALUES (:name);\n"
        "INSERT INTO log (what) VALUES (:name);\n"
        "INSERT INTO invoices (firm_id, amount) VALUES (last_insert_rowid(), 1);\n"
    )
    assert "no INSERT" in migrator.parse_program(text, tables, keep=True).named("add").outside


def test_rows_show_a_key_that_was_given_before():
    old = "CREATE TABLE cart (item text PRIMARY KEY); " + BILLED.replace("amount bigint", "x text")
    new = old.replace("invoices", "bills").replace("firm_id", "firm")
    program = (
        "-- name: put(item)\nINSERT INTO cart (item) VALUES (:item);\n"
        "-- name: order(name)\nINSERT INTO firms (name) VALUES (:name);\n"
        "INSERT INTO invoices (firm_id, x) SELECT currval('firms_id_seq'), item FROM cart;\n"
        "-- name: all()\nSELECT i.id, i.x, f.name FROM invoices i JOIN firms f ON f.id = i.firm_id;"
    )
    key = KEYS["postgres"][0]
    options = migrator.Options("postgres", bound=1, verify="off")
    found = migrator.refactor(program, old.format(key=key), new.format(key=key), options)
    assert isinstance(found, migrator.Refactoring) and not found.by_hand and not found.idle, found
    text = show_function(found.new.named("order"), "postgres")
    assert "SELECT currval(pg_get_serial_sequence('firms', 'id')) AS firm, item AS x" in text
    again = migrator.parse_program(show_program(found.new), found.target, "postgres")
    for program, differ in ((again, False), (_crossed(again), True)):
        old_one, new_one = aligned_programs(found.old, program, found.mapping)
        checked = Comparison(old_one, found.source, new_one, found.target).run(2, lambda: True)
        assert (checked.failure is not None) == differ


def _crossed(program):
    """The program that shows another table's key."""
    text = show_program(program).replace("bills.id, bills.x", "firms.id, bills.x")
    assert text != show_program(program)
    tables = migrator.read_tables(
        "CREATE TABLE cart (item text PRIMARY KEY); CREATE TABLE firms (id BIGSERIAL PRIMARY KEY, "
        "name text NOT NULL, vat text); CREATE TABLE bills (id BIGSERIAL PRIMARY KEY, firm bigint "
        "NOT NULL REFERENCES firms (id), x text NOT NULL);",
        "postgres",
    )
    return migrator.parse_program(text, tables, "postgres")
