"""DuckDB: slow to start a query, fast on millions of rows, so the engine of migrations."""

import contextlib
from collections import Counter
from pathlib import Path
from typing import Any

from reasoning.synthesis.connect.places import SERVERS, kind_of, path_of
from reasoning.synthesis.datalog import Program
from reasoning.synthesis.engines.compile import SQL_TYPES, compile_program
from reasoning.synthesis.errors import need
from reasoning.synthesis.facts import Facts, Id, once
from reasoning.synthesis.names import inner, quoted, table_name, text
from reasoning.synthesis.schema import Column, Schema, layout


def bags(program: Program, source: Schema, target: Schema, facts: Facts) -> dict[str, Counter]:
    """Compute the flattened target data in DuckDB.

    Arguments and result as `memory.bags`.

    Raises:
      UserError: duckdb or sqlglot is not installed.
    """
    with connect() as base:
        lock_down(base)
        create(base, source)
        for path, rows in facts.items():
            insert(base, path, rows)
        queries = compile_program(program, source, target, "duckdb")
        return {path: Counter(base.execute(query).fetchall()) for path, query in queries.items()}


def run(program: Program, source: Schema, target: Schema, facts: Facts) -> dict[str, set[tuple]]:
    """Compute the flattened target data in DuckDB, each record once.

    Arguments and result as `memory.run`, errors as `bags`.
    """
    return once(bags(program, source, target, facts))


def connect(place: str = ":memory:"):
    """A connection that prints no progress of its own: what is printed belongs to the command."""
    duckdb = need("duckdb")
    base = duckdb.connect(place, config={"preserve_insertion_order": True})
    # A notebook without ipywidgets can show no bar, and there the setting is refused.
    with contextlib.suppress(duckdb.InvalidInputException):
        base.execute("SET enable_progress_bar = false")
    return base


def confine(base, folders: list[Path], *urls: str):
    """Forbid a connection, for good, every file but those in its folders and those of its data:
    SQL that a name or a value smuggled in could read and write nothing else.
    """
    places = [path_of(url) for url in urls if kind_of(url) not in SERVERS]
    places += [place.resolve() for place in places]
    held = [*folders, *(folder.resolve() for folder in folders)]
    held += [place for place in places if place.is_dir()]
    files = [place for place in places if not place.is_dir()]
    files += [place.with_name(place.name + ".wal") for place in files if place.name]

    def listed(paths):
        return "[" + ", ".join(sorted({text(str(path)) for path in paths})) + "]"

    base.execute(f"SET allowed_directories = {listed(held)}")
    base.execute(f"SET allowed_paths = {listed(files)}")
    lock_down(base)


def lock_down(base):
    """Forbid a connection to read or write files, for good: where only values are computed."""
    base.execute("SET enable_external_access = false")
    base.execute("SET lock_configuration = true")


def stored(column: Column) -> str:
    """The quoted name of a column in the working database."""
    return quoted(column.name if column.is_id else inner(column.name))


def create(base, schema: Schema):
    """Make an empty table for every relation."""
    for path, columns in layout(schema).items():
        cells = ", ".join(f"{stored(c)} {SQL_TYPES.get(c.type, 'BIGINT')}" for c in columns)
        base.execute(f"CREATE TABLE {quoted(table_name(path))} ({cells})")


def insert(base, path: str, rows: list[tuple]):
    """Add facts to a relation's table, one by one: for examples, not for millions."""
    if rows:
        marks = ", ".join("?" for _ in rows[0])
        cells = [tuple(map(_in, row)) for row in rows]
        base.executemany(f"INSERT INTO {quoted(table_name(path))} VALUES ({marks})", cells)


def _in(value: Any) -> Any:
    return value.number if isinstance(value, Id) else value
