"""Records out of database servers and SQLite files, streamed through their drivers, opened for
reading only.
"""

import sqlite3
import uuid
from collections.abc import Iterator
from typing import Any

from reasoning.synthesis.connect.places import path_of
from reasoning.synthesis.errors import ConnectionLost, UserError, need
from reasoning.synthesis.names import masked, quoted
from reasoning.synthesis.schema import Schema

BATCH = 10_000
"""Rows fetched at a time."""


def records(schema: Schema, url: str, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of all collections of a database.

    Args:
      schema: tables with those names.
      url: where it is.
      kind: "sqlite" or "postgres".

    Raises:
      UserError: no connection, no such table, or the driver is missing.
    """
    return {"sqlite": _sqlite, "postgres": _postgres}[kind](schema, url)


def _sqlite(schema, url):
    path = path_of(url)
    try:
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        for collection in schema.collections:
            rows = base.execute(f"SELECT {_cells(collection)} FROM {quoted(collection.name)}")
            while batch := rows.fetchmany(BATCH):
                for row in batch:
                    yield (
                        collection.name,
                        {
                            a.name: _lite(v, a.type)
                            for a, v in zip(collection.attrs, row, strict=True)
                        },
                    )
        base.close()
    except sqlite3.Error as error:
        raise UserError(f"{path}: {error}: check the schema against the database") from error


def _lite(value, kind):
    """SQLite has no truth values, and decimals of its own are numbers."""
    return (
        bool(value)
        if kind == "bool" and value in (0, 1)
        else str(value)
        if kind == "decimal" and value is not None
        else value
    )


def _postgres(schema, url):
    psycopg = need("psycopg", "servers")
    try:
        with psycopg.connect(url) as connection:
            connection.read_only = True
            for collection in schema.collections:
                with connection.cursor(name="latentax_read") as cursor:
                    cursor.itersize = BATCH
                    cursor.execute(f"SELECT {_cells(collection)} FROM {quoted(collection.name)}")
                    names = [field.name for field in [*collection.attrs, *collection.children]]
                    yield from (
                        (collection.name, dict(zip(names, map(_plain, row), strict=True)))
                        for row in cursor
                    )
    except psycopg.OperationalError as error:
        raise ConnectionLost(
            f"{masked(url)}: {_first(error)}: check that the server runs, then run the same "
            "command again"
        ) from error
    except psycopg.Error as error:
        raise UserError(
            f"{masked(url)}: {_first(error)}: check the schema against the database"
        ) from error


def _plain(value):
    """A value of a driver as JSON has it."""
    return str(value) if isinstance(value, uuid.UUID) else value


def _cells(collection):
    """The columns by table and name: SQLite takes a name in quotes that it does not know, and that
    stands alone, for text.
    """
    table = quoted(collection.name)
    return ", ".join(
        f"{table}.{quoted(field.name)}" for field in [*collection.attrs, *collection.children]
    )


def _first(error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
