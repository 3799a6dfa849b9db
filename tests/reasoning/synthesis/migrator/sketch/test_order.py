"""Rewritten programs on databases that check references at once, as engines do by default
otherwise.
"""

import random
import sqlite3

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")
from benchmarks.migrator_scenarios.textbook import MERGE, SPLIT, SPLIT_ONE
from reasoning.synthesis.migrator import Options, Refactoring, parse_program, read_tables, refactor
from reasoning.synthesis.migrator.cli import late, program_text
from reasoning.synthesis.migrator.sketch.order import late_references
from reasoning.synthesis.migrator.sql.program import Delete, Snapshot
from reasoning.synthesis.migrator.testing.database import Broken, Database, compile_function
from reasoning.synthesis.migrator.testing.inputs import domains_of
from tests.reasoning.synthesis.migrator import clinic

QUICK = Options(bound=1, verify="off")
CALLS = 400


class Real(Database):
    """A database made by the schema's own DDL in which SQLite checks references after every
    statement.
    """

    def __init__(self, tables):
        super().__init__(tables, [])
        self.base.execute("PRAGMA foreign_keys = ON")
        self.base.executescript(tables.ddl)


def outcome(base, compiled, arguments, number):
    before = base.changes()
    try:
        base.call(compiled, arguments, number)
        return "changed" if base.changes() > before else "nothing"
    except Broken as broken:
        return str(broken)


def fails_alone(old, source, new, target):
    """The calls, of many at random, that the old program carries out and the new one does not; and
    what succeeded how often.
    """
    chance, domains = random.Random(0), domains_of(old, source)
    bases = Real(source), Real(target)
    sides = [
        {f.name: compile_function(f, tables) for f in program.functions}
        for program, tables in ((old, source), (new, target))
    ]
    updates = [f for f in old.functions if not f.is_query]
    done, wrong = {}, []
    for number in range(1, CALLS):
        one = chance.choice(updates)
        arguments = {
            name: chance.choice(domains.by_parameter[one.name, name][:3]) for name in one.params
        }
        for base in bases:
            base.mark()
        found = [
            outcome(base, side[one.name], arguments, number)
            for base, side in zip(bases, sides, strict=True)
        ]
        if found[0] == "changed":
            done[one.name] = done.get(one.name, 0) + 1
        if found[0] in ("changed", "nothing") and found[1] not in ("changed", "nothing"):
            wrong.append((one.name, arguments, found[1]))
        elif found[0] in ("changed", "nothing"):
            continue
        for base in bases:
            base.back()
    for base in bases:
        base.close()
    return wrong, done


@pytest.mark.parametrize(
    "texts",
    [
        (clinic.PROGRAM, clinic.SOURCE, clinic.TARGET),
        *((s.program, s.source, s.target) for s in (MERGE, SPLIT, SPLIT_ONE)),
    ],
    ids=["clinic", "merge", "split", "split one"],
)
def test_no_call_breaks_a_reference_on_its_way(texts):
    found = refactor(*texts, QUICK)
    assert isinstance(found, Refactoring), found
    assert late(found) == {}
    wrong, done = fails_alone(found.old, found.source, found.new, found.target)
    assert wrong == []
    removing = [
        f.name for f in found.old.functions if any(isinstance(s, Delete) for s in f.statements)
    ]
    assert all(done.get(name, 0) > 0 for name in removing), "a deletion was never seen at work"


PAIR = "CREATE TABLE person (id INT PRIMARY KEY, name TEXT, passport TEXT);"
APART = """CREATE TABLE person (id INT PRIMARY KEY, name TEXT);
CREATE TABLE identification (person_id INT PRIMARY KEY REFERENCES person(id){}, passport TEXT);"""
FORGET = """-- name: add(id, name, passport)
INSERT INTO person VALUES (:id, :name, :passport);
-- name: forget(passport)
DELETE FROM person WHERE passport = :passport;
-- name: who(passport)
SELECT name FROM person WHERE passport = :passport;
"""
EARLY = """-- name: add(id, name, passport)
INSERT INTO person VALUES (:id, :name);
INSERT INTO identification VALUES (:id, :passport);
-- name: forget(passport)
DELETE FROM person WHERE id IN (SELECT person_id FROM identification WHERE passport = :passport);
DELETE FROM identification WHERE passport = :passport;
-- name: who(passport)
SELECT name FROM person JOIN identification ON id = person_id WHERE passport = :passport;
"""


def test_the_measure_sees_an_order_that_breaks_references():
    source, target = read_tables(PAIR), read_tables(APART.format(""))
    wrong, _ = fails_alone(
        parse_program(FORGET, source), source, parse_program(EARLY, target), target
    )
    assert {(name, why) for name, _, why in wrong} == {("forget", "FOREIGN KEY constraint failed")}
    statements = parse_program(EARLY, target).named("forget").statements
    assert [edge.table for edge in late_references(statements, target)] == ["identification"]


def test_a_deferred_reference_needs_no_snapshot():
    kinds = {}
    for words in ("", " DEFERRABLE INITIALLY DEFERRED"):
        found = refactor(FORGET, PAIR, APART.format(words), QUICK)
        assert isinstance(found, Refactoring), found
        kinds[words] = [type(s) for s in found.new.named("forget").statements]
    first, second = kinds.values()
    assert Snapshot in first and second == [Delete, Delete]


def test_references_that_no_order_serves_are_named_in_the_program():
    source = "CREATE TABLE p (id INT PRIMARY KEY, x TEXT, y TEXT);"
    target = """CREATE TABLE p (id INT PRIMARY KEY REFERENCES q(id), x TEXT);
CREATE TABLE q (id INT PRIMARY KEY REFERENCES p(id), y TEXT);"""
    program = """-- name: add(id, x, y)
INSERT INTO p VALUES (:id, :x, :y);
-- name: drop_it(id)
DELETE FROM p WHERE id = :id;
-- name: get(id)
SELECT x, y FROM p WHERE id = :id;
"""
    found = refactor(program, source, target, QUICK)
    assert isinstance(found, Refactoring), found
    assert set(late(found)) == {"add", "drop_it"}
    text = program_text(found)
    assert (
        "-- Needs DEFERRABLE INITIALLY DEFERRED: p(id)" in text
        or "-- Needs DEFERRABLE INITIALLY DEFERRED: q(id)" in text
    )
    again = parse_program(text, found.target)
    assert [f.statements for f in again.functions] == [f.statements for f in found.new.functions]


def test_sqlite_is_the_judge():
    """The stand-in for a database that checks at once does so."""
    base = Real(read_tables(APART.format("")))
    with pytest.raises(sqlite3.IntegrityError):
        base.base.execute("INSERT INTO identification VALUES (1, 'x')")
    base.close()


def test_a_table_of_the_schema_is_no_temporary_one():
    def names(text):
        return text.replace("identification", "chosen")

    found = refactor(FORGET, PAIR, names(APART.format("")), QUICK)
    assert isinstance(found, Refactoring), found
    assert [s.name for s in found.new.named("forget").statements if isinstance(s, Snapshot)] == [
        "chosen_"
    ]


KEPT_APART = """CREATE TABLE person (id INT PRIMARY KEY, name VARCHAR(9));
CREATE TABLE identification (person_id INT PRIMARY KEY, passport VARCHAR(9),
  FOREIGN KEY (person_id) REFERENCES person(id));"""


def test_a_deletion_of_several_tables_takes_rows_that_refer_first():
    text = (
        "-- name: f(x)\nDELETE p, i FROM person p JOIN identification i ON i.person_id = p.id "
        "WHERE i.passport = :x;"
    )
    statements = (
        parse_program(text, read_tables(KEPT_APART, "mysql"), "mysql").functions[0].statements
    )
    assert [s.table for s in statements if isinstance(s, Delete)] == ["identification", "person"]
