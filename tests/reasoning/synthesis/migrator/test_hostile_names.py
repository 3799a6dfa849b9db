"""Names with quotes, reserved words, comments and newlines, through every file that is written: a
table is split and put together again on the real engine, and no row differs.
"""

import ast
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from reasoning.synthesis.migrator import Options, Refactoring, alembic_file, migration_sql, refactor
from reasoning.synthesis.migrator.cli import check_files, program_text
from reasoning.synthesis.migrator.output.downgrade import downgrade_of
from reasoning.synthesis.migrator.output.report import page

NAMES = [
    "it's",
    'a"b',
    "a\nb -- ;",
    "{0} %(a)s :p $1",
    "<script>alert(1)</script>",
    "select",
    "a`b",
]
MORE = ["/* x */", '"""', "'''", "back\\slash", "a.b", "tab\tx", "\u00dcn\u00ef \u540d", "${x}"]
ROWS = [(1, "x", "y"), (2, None, None)]


def quoted(name: str, dialect: str) -> str:
    mark = "`" if dialect == "mysql" else '"'
    return mark + name.replace(mark, 2 * mark) + mark


def scripts(name: str, dialect: str) -> tuple[str, list[str]]:
    """A query for all old rows, and scripts: the old schema with rows, the way there, and back."""
    table, one, other, new, part = (
        quoted(text, dialect) for text in (name, f"{name}c", f"n {name}", f"{name}d", f"x{name}")
    )
    kind = "varchar(40)"
    source = (
        f"CREATE TABLE {table} (id integer PRIMARY KEY, {one} {kind}, "
        f"{other} {kind} DEFAULT 'it''s');"
    )
    target = (
        f"CREATE TABLE {table} (id integer PRIMARY KEY, {new} {kind});"
        f"CREATE TABLE {part} (own integer PRIMARY KEY, {other} {kind} DEFAULT 'it''s', "
        f"FOREIGN KEY (own) REFERENCES {table} (id));"
    )
    program = (
        f"-- name: add(id, v, w)\nINSERT INTO {table} (id, {one}, {other}) VALUES (:id, :v, :w);\n"
        f"-- name: get(v)\nSELECT {other}, COALESCE({one}, '{{0}}') AS u FROM {table} "
        f"WHERE {one} = :v;\n"
        f"-- name: remove(v)\nDELETE FROM {table} WHERE {one} = :v;\n"
    )
    found = refactor(program, source, target, Options(dialect, bound=1, verify="off"))
    assert isinstance(found, Refactoring) and not found.by_hand, found
    back = downgrade_of(found.mapping)
    there = [migration_sql(mapping, dialect) for mapping in (found.mapping, back)]
    alembic, report = alembic_file(found.mapping, dialect, "r", "d", back), page(found, [])
    ast.parse(alembic)
    assert "<script>alert(1)" not in report
    files = [*zip(("D.sql", "U.sql"), there, strict=True), ("Q.sql", program_text(found))]
    check_files([(Path(path), text) for path, text in files], found)
    given = f"INSERT INTO {table} VALUES (1, 'x', 'y'), (2, NULL, NULL);"
    return f"SELECT * FROM {table} ORDER BY id", [source + given, *there]


@pytest.mark.parametrize("name", NAMES)
def test_a_table_is_split_and_put_together_again(name):
    asked, texts = scripts(name, "sqlite")
    with closing(sqlite3.connect(":memory:")) as base:
        for text in texts:
            base.executescript(text)
        assert base.execute(asked).fetchall() == ROWS


everywhere = pytest.mark.parametrize("name", [*NAMES, *MORE])


@pytest.mark.slow
@everywhere
def test_likewise_in_postgres(name, postgres):
    asked, texts = scripts(name, "postgres")
    for text in texts:
        postgres.execute(text)
    assert postgres.execute(asked).fetchall() == ROWS


@pytest.mark.slow
@everywhere
def test_likewise_in_mariadb(name, mariadb):
    asked, texts = scripts(name, "mysql")
    for text in texts:
        done = mariadb(text)
        assert done.returncode == 0, done.stderr
    assert mariadb(asked + ";").stdout == "1\tx\ty\n2\tNULL\tNULL\n"
