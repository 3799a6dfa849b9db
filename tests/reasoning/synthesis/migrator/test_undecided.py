"""Columns that the program writes are not dropped because their names say nothing."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator import NoProgram, Options, Refactoring, migration_sql, refactor
from reasoning.synthesis.migrator.cli import Synthesize, summary, synthesize

OLD = "CREATE TABLE products (id INTEGER PRIMARY KEY, title TEXT NOT NULL, seo_desc TEXT, n INT);"
NEW = "CREATE TABLE items (id INTEGER PRIMARY KEY, title TEXT NOT NULL, description TEXT, n INT);"
TWO = NEW.replace("n INT", "blurb TEXT, n INT")
PROGRAM = """-- name: add(id, title, seo)
INSERT INTO products (id, title, seo_desc) VALUES (:id, :title, :seo);
-- name: titles()
SELECT id, title, n FROM products;
"""
QUICK = Options(bound=0, verify="off")


def test_the_only_new_column_of_its_type_is_taken():
    found = refactor(PROGRAM, OLD, NEW, QUICK)
    assert isinstance(found, Refactoring)
    assert "products.seo_desc becomes items.description" in summary(found)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as base:
        base.executescript(OLD + "INSERT INTO products VALUES (1, 'a', 'kept', 2);")
        base.executescript(migration_sql(found.mapping))
        assert base.execute("SELECT description FROM items").fetchall() == [("kept",)]


def test_of_several_the_user_says_which(tmp_path):
    with pytest.raises(UserError, match="--rename products.seo_desc=items.description or --drop"):
        refactor(PROGRAM, OLD, TWO, QUICK)
    named = refactor(PROGRAM, OLD, TWO, replace(QUICK, renames=("products.seo_desc=items.blurb",)))
    assert isinstance(named, Refactoring)
    assert named.correspondence.images["products", "seo_desc"] == (("items", "blurb"),)
    dropped = refactor(PROGRAM, OLD, TWO, replace(QUICK, drops=("products.seo_desc",)))
    assert isinstance(dropped, Refactoring)
    assert "its values are dropped (--database counts them); items.description" in summary(dropped)


def test_the_refusal_counts_what_would_be_lost(tmp_path):
    texts = {"a.sql": OLD, "b.sql": TWO, "p.sql": PROGRAM}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    with closing(sqlite3.connect(tmp_path / "o.db")) as base:
        base.executescript(OLD + "INSERT INTO products VALUES (1, 'a', 'x', 2), (2, 'b', NULL, 2);")
    paths = [tmp_path / name for name in texts]
    command = Synthesize(
        source_schema=paths[0],
        target_schema=paths[1],
        program=paths[2],
        out=tmp_path / "q.sql",
        database=str(tmp_path / "o.db"),
        quiet=True,
    )
    with pytest.raises(UserError, match=r"\(1 rows have a value there\)"):
        synthesize(command)
    assert not (tmp_path / "q.sql").exists()


def test_a_column_that_nothing_writes_is_dropped_with_a_hint():
    program = PROGRAM.replace(", seo_desc", "").replace(", :seo", "").replace(", seo)", ")")
    found = refactor(program, OLD, NEW, QUICK)
    assert isinstance(found, Refactoring)
    assert "items.description stays empty (--rename products.seo_desc=" in summary(found)


@pytest.mark.parametrize(
    ("renames", "drops", "words"),
    [
        (("products.seo=items.n",), (), "no column 'products.seo'"),
        (("products.seo_desc=items.n",), (), "is str and items.n int"),
        ((), ("seo_desc",), "--drop: there is no column"),
    ],
)
def test_decisions_that_name_nothing_are_refused(renames, drops, words):
    with pytest.raises(UserError, match=words):
        refactor(PROGRAM, OLD, NEW, replace(QUICK, renames=renames, drops=drops))


def test_a_column_that_is_read_is_not_pushed_away_and_copied_back():
    old, new = (text.replace("TEXT, n", "TEXT NOT NULL, n") for text in (OLD, NEW))
    found = refactor(PROGRAM, old, new, QUICK)
    assert isinstance(found, NoProgram) and "--rename TABLE.COLUMN=items.desc" in found.reason
    options = replace(QUICK, renames=("products.seo_desc=items.description",))
    named = refactor(PROGRAM, old, new, options)
    assert isinstance(named, Refactoring)
    assert "becomes items.description, and the names do not say so" in summary(named)
