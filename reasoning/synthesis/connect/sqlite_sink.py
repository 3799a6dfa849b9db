"""SQLite as a target, and CREATE TABLE for it and PostgreSQL."""

import contextlib
import decimal
import os
import sqlite3
from pathlib import Path

from reasoning.synthesis.engines.compile import SQL_TYPES
from reasoning.synthesis.errors import UserError, writing
from reasoning.synthesis.facts import plain, significant
from reasoning.synthesis.names import check_names, quoted
from reasoning.synthesis.schema import Collection, Schema

BATCH = 10_000
"""Rows handed to a driver at a time."""


def create_table(collection: Collection, name: str, mode: str = "", nested: str = "jsonb") -> str:
    """Write CREATE TABLE with key and NOT NULL.

    Args:
      collection: the collection that the table holds.
      name: the table's name as SQL writes it, with quotes and schema.
      mode: words before the name, such as IF NOT EXISTS.
      nested: SQL type of the columns of nested collections.

    Returns:
      The statement, without a semicolon.
    """
    types = SQL_TYPES | {"float": "DOUBLE PRECISION"}
    cells = [
        f"{quoted(a.name)} {types[a.type]}{'' if a.nullable else ' NOT NULL'}"
        for a in collection.attrs
    ]
    cells += [f"{quoted(child.name)} {nested} NOT NULL" for child in collection.children]
    cells += [f"PRIMARY KEY ({', '.join(map(quoted, collection.key))})"] if collection.key else []
    return f"CREATE TABLE {mode} {name} ({', '.join(cells)})"


def _lite(value):
    """A value for SQLite, which keeps decimals as floats.

    Raises:
      UserError: it would not keep all digits.
    """
    if isinstance(value, decimal.Decimal) and len(significant(value)[0]) > 15:
        raise UserError(
            f"{value} has more than the 15 digits that SQLite keeps of a decimal: write to another "
            "kind of target, or make it str"
        )
    return plain(value)


def fields(collection: Collection) -> str:
    """The columns of the working database's table of a top-level collection under their names,
    those with nested ones last.
    """
    names = [field.name for field in [*collection.attrs, *collection.children]]
    return ", ".join(f"{c} AS {quoted(n)}" for c, n in zip(cells(collection), names, strict=True))


def rows_of(collection: Collection, table: str, start: int, stop: int) -> str:
    """The DuckDB query of a range of rows that a sink writes.

    Args:
      collection: the top-level collection that the rows belong to.
      table: the DuckDB table to read, as SQL writes its name.
      start: rowid of the first row.
      stop: rowid after the last row.
    """
    columns = ", ".join(cells(collection))
    return f"SELECT {columns} FROM {table} WHERE rowid >= {start} AND rowid < {stop}"


def cells(collection: Collection) -> list[str]:
    """The columns of the working database's table of a top-level collection."""
    mine = [f"v{n}" for n in range(len(collection.attrs))]
    return mine + [f"__l{n}" for n in range(len(collection.children))]


class SqliteSink:
    """A SQLite file under another name, with a table that says how far each range got."""

    def __init__(self, schema: Schema, path: Path, work: Path):
        self.schema, self.path, self.file = schema, path, work / "target.sqlite"
        names = [collection.name for collection in schema.collections]
        check_names([*names, "__latentax_progress"], "sqlite", str(path))
        for collection in schema.collections:
            fields_of = [field.name for field in collection.attrs]
            check_names(fields_of, "sqlite", f"{path}: {collection.name}")
            if collection.name.lower().startswith("sqlite_"):
                raise UserError(f"{path}: SQLite keeps the name {collection.name!r}: rename it")
        with self._open() as base:
            base.execute(
                "CREATE TABLE IF NOT EXISTS __latentax_progress "
                "(name TEXT PRIMARY KEY, rows INTEGER)"
            )
            for collection in schema.collections:
                base.execute(create_table(collection, quoted(collection.name), "IF NOT EXISTS"))

    @contextlib.contextmanager
    def _open(self):
        try:
            with contextlib.closing(sqlite3.connect(self.file)) as base, base:
                yield base
        except sqlite3.Error as error:
            raise UserError(
                f"{self.path}: {error}: free space or fix the target, then run the same command "
                "with --resume"
            ) from error

    def done(self, name: str) -> int:
        with self._open() as base:
            return (
                base.execute(
                    "SELECT rows FROM __latentax_progress WHERE name = ?", [name]
                ).fetchone()
                or (0,)
            )[0]

    def write(self, base, table: str, name: str, start: int, stop: int):
        """Add a range of rows and the point that was reached, in one transaction.

        Arguments and result as `Sink.write`.
        """
        collection = next(c for c in self.schema.collections if c.name == name)
        rows = base.execute(rows_of(collection, table, start, stop))
        written = 0
        with self._open() as target:
            while batch := rows.fetchmany(BATCH):
                marks = ", ".join("?" for _ in batch[0])
                target.executemany(
                    f"INSERT INTO {quoted(name)} VALUES ({marks})",
                    [tuple(map(_lite, row)) for row in batch],
                )
                written += len(batch)
            target.execute("INSERT OR REPLACE INTO __latentax_progress VALUES (?, ?)", [name, stop])
        return written

    def finish(self, base):
        with self._open() as target:
            target.execute("DROP TABLE __latentax_progress")
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.file, self.path)
