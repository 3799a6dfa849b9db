"""Several old tables in one new table, kept apart by a constant: on real databases before and
after.
"""

import json
import re
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator import (
    NoProgram,
    Options,
    Refactoring,
    migration_sql,
    read_tables,
    refactor,
)
from reasoning.synthesis.migrator.cli import Check, run_check
from reasoning.synthesis.migrator.merging.find import merged
from reasoning.synthesis.migrator.output.downgrade import downgrade_of
from reasoning.synthesis.migrator.output.dry_run import dry_run_sql
from reasoning.synthesis.migrator.output.exports import dynamite_json
from reasoning.synthesis.migrator.output.report import page
from reasoning.synthesis.migrator.sql.unparse import show_function, show_program
from tests.reasoning.synthesis.migrator.engines import both, in_postgres, in_sqlite
from tests.reasoning.synthesis.migrator.merges import (
    COMPOSITE,
    INTERNAL,
    MERGES,
    OLD,
    PROGRAM,
    REST,
    SHARED,
    SINGLE,
    VEHICLES,
)

QUICK = ("comments", "children", "internal", "staff")


def refactored(application, **options):
    given = Options(bound=1, verify="off", **options)
    return refactor(application.program, application.source, application.target, given)


@pytest.fixture(scope="module")
def composite():
    made = refactored(COMPOSITE)
    assert isinstance(made, Refactoring) and not made.by_hand and not made.differs, made
    return made


@pytest.fixture(scope="module")
def single():
    made = refactored(SINGLE)
    assert isinstance(made, Refactoring) and not made.by_hand, made
    return made


@pytest.mark.parametrize("name", QUICK)
def test_programs_and_data_agree(name):
    in_sqlite(MERGES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", MERGES)
def test_programs_and_data_agree_in_both_engines(name, postgres):
    in_sqlite(MERGES[name])
    in_postgres(MERGES[name], postgres)


@pytest.mark.slow
def test_keys_given_by_the_database_in_postgres(postgres):
    in_postgres(VEHICLES, postgres)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["single", "composite", "staff", "internal"])
def test_programs_and_data_agree_in_duckdb(name):
    duckdb = pytest.importorskip("duckdb")
    base = duckdb.connect()

    def fresh(scripts):
        nonlocal base
        base.close()
        base = duckdb.connect()
        for script in scripts:
            base.execute(script)

    def run(statements, arguments):
        for one in statements:  # DuckDB refuses to delete what a row of this transaction named
            used = {key: value for key, value in arguments.items() if f":{key}" in one}
            done = base.execute(re.sub(r"(?<!:):(\w+)", r"$\1", one), used)
        return done.fetchall()

    try:
        both(MERGES[name], "duckdb", run, fresh)
    finally:
        base.close()


def test_functions_name_the_constant(composite):
    assert "INSERT INTO pets (id, name, lives, kind) VALUES (:id, :name, :lives, 'cat')" in (
        show_function(composite.new.named("add_cat"))
    )
    text = show_function(composite.new.named("drop_dog"))
    assert "WHERE kind = 'dog' AND id = :id" in text
    assert "pets.kind is 'cat' for cats, 'dog' for dogs" in composite.notes[0]


def test_the_data_moves_with_its_counts_and_back(composite):
    with closing(sqlite3.connect(":memory:")) as base:
        base.executescript(OLD + SHARED)
        before = base.execute("SELECT * FROM cats").fetchall()
        counts = dict(row[:2] for row in base.execute(dry_run_sql(composite.mapping)))
        assert counts["rows of pets"] == 4
        base.executescript(migration_sql(composite.mapping))
        asked = "SELECT kind, id, name, lives, barks FROM pets ORDER BY kind, id"
        assert base.execute(asked).fetchall() == [
            ("cat", 1, "tom", 9, None),
            ("cat", 2, "it's", None, None),
            ("dog", 1, "rex", None, 1),
            ("dog", 12, "tom", None, None),
        ]
        back = migration_sql(downgrade_of(composite.mapping))
        base.executescript(back)
        assert base.execute("SELECT * FROM cats").fetchall() == before
        assert base.execute("SELECT COUNT(*) FROM dogs").fetchone() == (2,)
        base.executescript(migration_sql(composite.mapping))
        base.execute("INSERT INTO pets (kind, id, name) VALUES ('cow', 1, 'x')")
        with pytest.raises(sqlite3.Error, match="1 rows of pets have a kind that no new table"):
            base.executescript(back)


def test_keys_that_two_tables_share_stop_the_script(single):
    assert any("cats.id and dogs.id share one key now" in note for note in single.notes)
    assert "not asked" in single.verified
    with closing(sqlite3.connect(":memory:")) as base:
        base.executescript(OLD + SHARED)
        with pytest.raises(sqlite3.Error, match="1 values are in more than one of cats and dogs"):
            base.executescript(migration_sql(single.mapping))
        base.rollback()
        assert base.execute("SELECT COUNT(*) FROM dogs").fetchone() == (2,)


def test_keys_get_other_numbers_where_nobody_knows_them_or_on_request():
    found = refactored(INTERNAL)
    assert isinstance(found, Refactoring)
    assert "walks.dog_id is numbered anew" in " ".join(found.notes)
    with pytest.raises(UserError, match="numbered anew"):
        downgrade_of(found.mapping)
    asked = refactored(SINGLE, renumber=True)
    assert isinstance(asked, Refactoring)
    with closing(sqlite3.connect(":memory:")) as base:
        base.executescript(OLD + SHARED + migration_sql(asked.mapping))
        ids = base.execute("SELECT id FROM pets ORDER BY id").fetchall()
        assert ids == [(1,), (2,), (3,), (14,)]


def test_numbers_continue_behind_all_that_were_ever_given():
    key = "id integer PRIMARY KEY"
    many = {"source": SINGLE.source, "target": SINGLE.target}
    many = {name: text.replace(key, key + " AUTOINCREMENT") for name, text in many.items()}
    found = refactored(replace(SINGLE, **many))
    assert isinstance(found, Refactoring)
    with closing(sqlite3.connect(":memory:")) as base:
        base.executescript(many["source"] + SINGLE.rows)
        base.executescript(
            "INSERT INTO cats VALUES (70, 'z', 1, 1); DELETE FROM cats WHERE id = 70;"
        )
        base.executescript(migration_sql(found.mapping))
        base.execute("INSERT INTO pets (kind, name) VALUES ('cat', 'new')")
        assert base.execute("SELECT MAX(id) FROM pets").fetchone() == (71,)
        assert (
            base.execute("SELECT COUNT(*) FROM sqlite_sequence WHERE name = 'pets'").fetchone()[0]
            == 1
        )


def test_the_page_and_the_mapping_show_the_constant(composite):
    shown = page(composite)
    assert "cat (cats), dog (dogs)" in shown and "the rows of cats (kind" in shown
    rules = json.loads(dynamite_json(composite.mapping))["datalog"]
    assert rules.count("pets(") == 2 and '"cat"' in rules


def test_constants_come_from_the_schema_or_the_user():
    old = read_tables(OLD)

    def values(column, constants=()):
        new = (
            f"CREATE TABLE owners (id integer PRIMARY KEY); "
            f"CREATE TABLE pets ({column}, id integer PRIMARY KEY, {REST});"
        )
        found = merged(old, read_tables(new), constants)
        return [part.value for part in found[0].parts] if found else None

    assert values("kind text NOT NULL") == ["cat", "dog"]
    assert values("kind text CHECK (kind IN ('Dog', 'Cat'))") == ["Cat", "Dog"]
    assert values("species integer NOT NULL") == [1, 2]
    assert values("is_dog boolean NOT NULL") == [False, True]
    assert values("kind text NOT NULL", ("dogs=hound",)) == ["cat", "hound"]
    assert values("color text NOT NULL") is None
    with pytest.raises(UserError, match="holds 'cat', 'dog'"):
        values("kind text CHECK (kind IN ('cat', 'dog'))", ("dogs=hound",))
    with pytest.raises(UserError, match="no new table takes its rows"):
        values("color text NOT NULL", ("dogs=hound",))


def test_an_upsert_that_could_meet_another_tables_row_is_kept_by_hand():
    more = (
        "-- name: put(id, name)\nINSERT INTO cats (id, name) VALUES (:id, :name) "
        "ON CONFLICT (id) DO UPDATE SET name = excluded.name;\n"
    )
    found = refactored(replace(SINGLE, program=PROGRAM + more))
    assert isinstance(found, Refactoring) and found.by_hand == ("put",)
    found = refactored(replace(COMPOSITE, program=PROGRAM + more))
    assert isinstance(found, Refactoring) and not found.by_hand
    assert "ON CONFLICT (id, kind) DO UPDATE" in show_function(found.new.named("put"))


def test_what_cannot_be_merged_says_why():
    target = OLD.split("CREATE TABLE cats")[0] + (
        "CREATE TABLE pets (kind text NOT NULL, id integer NOT NULL, name text NOT NULL, lives "
        'integer, "ownerId" integer REFERENCES owners (id), PRIMARY KEY (kind, id));'
    )
    found = refactored(replace(COMPOSITE, target=target))
    assert isinstance(found, NoProgram)
    assert "merging cats and dogs into pets: " in found.reason and "barks" in found.reason


def test_splitting_by_a_column_is_refused_in_a_sentence():
    program = (
        "-- name: cats()\nSELECT id, name, lives FROM pets "
        "WHERE kind = 'cat';\n-- name: dogs()\nSELECT id, barks FROM pets WHERE kind = 'dog';\n"
    )
    found = refactored(
        replace(COMPOSITE, source=COMPOSITE.target, target=COMPOSITE.source, program=program)
    )
    assert isinstance(found, NoProgram)
    assert "pets would be split into cats and dogs by its column kind" in found.reason


def test_check_accepts_what_was_written_and_says_what_it_leaves_out(single, tmp_path, capsys):
    texts = {
        "A.sql": SINGLE.source,
        "B.sql": SINGLE.target,
        "P.sql": SINGLE.program,
        "Q.sql": show_program(single.new),
    }
    paths = {name: tmp_path / name for name in texts}
    for name, text in texts.items():
        paths[name].write_text(text)
    command = Check(
        source_schema=paths["A.sql"],
        target_schema=paths["B.sql"],
        source_program=paths["P.sql"],
        target_program=paths["Q.sql"],
        bound=1,
    )
    assert run_check(command) == 0
    assert "share one key now" in capsys.readouterr().out
    paths["Q.sql"].write_text(texts["Q.sql"].replace("kind = 'dog' AND id", "kind = 'cat' AND id"))
    assert run_check(command) == 1
