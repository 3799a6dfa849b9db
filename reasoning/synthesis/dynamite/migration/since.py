"""Incremental runs: what a mapping makes of all the source, less what it made of the records up to
high-water marks.

Records are compared as bags, documents whole: one that changed is written again in its new form.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reasoning.synthesis.connect.sqlite_sink import cells
from reasoning.synthesis.dynamite.migration.nesting import FINAL, FLAT
from reasoning.synthesis.engines.compile import SQL_TYPES
from reasoning.synthesis.errors import UserError, write_whole
from reasoning.synthesis.facts import cast, plain
from reasoning.synthesis.names import inner, quoted, table_name, text
from reasoning.synthesis.schema import Attr, Schema, parent_of, walk

Name = Callable[[str], str]
"""The table of a relation or collection, from its path."""


@dataclasses.dataclass(frozen=True)
class Mark:
    """Records of a collection up to a value of one attribute, which were carried over before."""

    path: str
    """A top-level collection of the source."""
    attr: Attr
    """Its attribute that only grows."""
    value: Any
    """The largest value before; None: nothing was carried over yet."""


def read_marks(schema: Schema, since: tuple[str, ...], file: Path | None = None) -> list[Mark]:
    """Marks from the command line, and from the file that an earlier run saved.

    Args:
      schema: the source schema.
      since: texts COLLECTION.ATTRIBUTE=VALUE, or COLLECTION.ATTRIBUTE with `file` alone.
      file: JSON from COLLECTION.ATTRIBUTE to the value; it may not be there yet.

    Raises:
      UserError: no such attribute, or a value that is none of its type.
    """
    saved: dict[str, Any] = {}
    if file and file.exists():
        try:
            saved = dict(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise UserError(f"{file} holds no high-water marks ({error}): remove it") from error
    said = dict.fromkeys(saved)
    for one in since:
        name, mark, value = one.partition("=")
        if not mark and file is None:
            raise UserError(
                f"--since {one}: give COLLECTION.ATTRIBUTE=VALUE, or a file with --marks"
            )
        said[name] = value if mark else None
    marks = []
    for name, value in said.items():
        path, _, attr = name.rpartition(".")
        top = next((c for c in schema.collections if c.name == path), None)
        found = next((a for a in top.attrs if a.name == attr), None) if top else None
        if found is None:
            raise UserError(
                f"--since: {name!r} is no attribute of a top-level collection of the source"
            )
        value = _parsed(value, found) if value is not None else saved.get(name)
        marks.append(Mark(path, found, cast(value, dataclasses.replace(found, nullable=True))))
    return marks


def _parsed(value: str, attr: Attr) -> Any:
    try:
        return json.loads(value) if attr.type in ("int", "float", "bool") else value
    except ValueError as error:
        raise UserError(f"--since: {value!r} is no {attr.type} of {attr.name}") from error


def copy_old(base, schema: Schema, marks: list[Mark], table: Name, old: Path):
    """Write the source as it was at the marks into a DuckDB file, under the same names.

    Args:
      base: a connection of DuckDB with the source's tables.
      schema: the source schema.
      marks: the high-water marks of the runs before.
      table: gives the table of a collection from its path.
      old: the file to make.

    Raises:
      UserError: a marked attribute is NULL somewhere: such a record is neither old nor new.
    """
    by_path = {mark.path: mark for mark in marks}
    base.execute(f"ATTACH {text(str(old))} AS old_source")
    for path, _ in walk(schema):
        here, test = quoted(table(path)), "true"
        if path in by_path:
            mark = by_path[path]
            column = quoted(inner(mark.attr.name))
            query = f"SELECT count(*) FROM {here} WHERE {column} IS NULL"
            if number := base.execute(query).fetchone()[0]:
                raise UserError(
                    f"{path}.{mark.attr.name} is NULL in {number:,} records: a high-water mark "
                    "needs a value in each"
                )
            test = "false"
            if mark.value is not None:
                kind = SQL_TYPES[mark.attr.type]
                test = f"{column} <= CAST({text(str(plain(mark.value)))} AS {kind})"
        elif (above := parent_of(path)) is not None:
            test = f"__parent IN (SELECT __id FROM old_source.{quoted(table(above))})"
        base.execute(
            f"CREATE TABLE old_source.{here} AS SELECT * FROM {here} WHERE {test} ORDER BY rowid"
        )
    base.execute("DETACH old_source")


def subtract_old(base, target: Schema, prefix: str, old: Path):
    """Make tables of the finished records that are not made of the old source.

    Args:
      base: a connection of DuckDB with the finished tables.
      target: their schema.
      prefix: prefix of the names of the tables that are made.
      old: the file of `copy_old`, with the finished tables of the old source.
    """
    base.execute(f"ATTACH {text(str(old))} AS old_made (READ_ONLY)")
    for top in target.collections:
        table, columns = (FINAL if top.children else FLAT) + table_name(top.name), cells(top)
        listed = ", ".join(columns)
        # Equal records differ by their number, so that bags are subtracted.
        number = f"row_number() OVER (PARTITION BY {listed} ORDER BY rowid) AS n"
        same = " AND ".join(f"a.{c} IS NOT DISTINCT FROM b.{c}" for c in columns)
        now = f"SELECT {listed}, {number}, rowid AS r FROM {quoted(table)}"
        before = f"SELECT {listed}, {number} FROM old_made.{quoted(table)}"
        base.execute(
            f"CREATE OR REPLACE TABLE {quoted(prefix + table)} AS SELECT {listed} FROM ({now}) a "
            f"ANTI JOIN ({before}) b ON a.n = b.n AND {same} ORDER BY r"
        )
    base.execute("DETACH old_made")


def write_marks(base, marks: list[Mark], table: Name, file: Path):
    """Save the largest values of the source as it was read.

    Args:
      base: the DuckDB connection that holds the source.
      marks: the attributes to save, with the values before this run.
      table: gives the table of a collection from its path.
      file: the JSON file to write; the value before stays where the source holds none.

    Raises:
      UserError: the file cannot be written.
    """
    found = {}
    for mark in marks:
        column = quoted(inner(mark.attr.name))
        query = f"SELECT max({column}) FROM {quoted(table(mark.path))}"
        value = base.execute(query).fetchone()[0]
        found[f"{mark.path}.{mark.attr.name}"] = plain(mark.value if value is None else value)
    write_whole(file, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
