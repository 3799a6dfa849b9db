"""Records out of database servers and SQLite files, streamed through their drivers, opened for
reading only.
"""

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from reasoning.synthesis.connect.places import path_of
from reasoning.synthesis.connect.unread import Unread
from reasoning.synthesis.errors import ConnectionLost, UserError, need
from reasoning.synthesis.names import backticked, masked, quoted
from reasoning.synthesis.schema import Schema

BATCH = 10_000
"""Rows fetched at a time."""


def records(
    schema: Schema, url: str, kind: str, unread: Unread
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of all collections of a database.

    Args:
      schema: its collections are the tables to read, by the same names.
      url: a path or URL of the database.
      kind: "sqlite", "postgres" or "mysql".
      unread: gets the columns that the schema does not name.

    Raises:
      UserError: no connection, no such table, or the driver is missing.
    """
    return {"sqlite": _sqlite, "postgres": _postgres, "mysql": _mysql}[kind](schema, url, unread)


def _sqlite(schema, url, unread):
    path = path_of(url)
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as base:
            # One transaction: tables that change in between would not fit together.
            base.execute("BEGIN")
            for collection in schema.collections:
                table = quoted(collection.name)
                rows = base.execute(f"SELECT {_cells(collection)} FROM {table}")
                there = base.execute(f"SELECT * FROM {table} LIMIT 0").description
                _list_columns(collection, there, unread)
                while batch := rows.fetchmany(BATCH):
                    for row in batch:
                        cells = zip(collection.attrs, row, strict=True)
                        yield collection.name, {a.name: _lite(v, a.type) for a, v in cells}
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


def _postgres(schema, url, unread):
    psycopg = need("psycopg", "servers")
    try:
        with psycopg.connect(url) as connection:
            connection.read_only = True
            # All tables as of one moment: with READ COMMITTED each would have its own.
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            for collection in schema.collections:
                with connection.cursor(name="latentax_read") as cursor:
                    cursor.itersize = BATCH
                    # PostgreSQL looks for a table pg_x among its own ones first.
                    own = "public." if collection.name.startswith("pg_") else ""
                    table = f"{own}{quoted(collection.name)}"
                    there = connection.execute(f"SELECT * FROM {table} LIMIT 0".encode())
                    _list_columns(collection, there.description, unread)
                    cursor.execute(f"SELECT {_cells(collection)} FROM {table}".encode())
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


def _mysql(schema, url, unread):
    """MySQL and MariaDB; TIMESTAMP columns, which hold instants, are read in UTC."""
    pymysql = need("pymysql", "servers")
    place = urlsplit(url)
    asked = dict(parse_qsl(place.query))
    try:
        socket = asked.get("unix_socket")
        if socket and not Path(socket).exists():
            raise ConnectionLost(
                f"{masked(url)}: there is no socket {socket}: check that the server runs"
            )
        connection = pymysql.connect(
            host=place.hostname or "localhost",
            port=place.port or 3306,
            user=unquote(place.username or "root"),
            password=unquote(place.password or ""),
            database=unquote(place.path.lstrip("/")),
            unix_socket=socket,
            charset="utf8mb4",
            cursorclass=pymysql.cursors.SSCursor,
        )
        with connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION time_zone = '+00:00'")
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            for collection in schema.collections:
                kinds = {field.name: field.type for field in collection.attrs}
                cells = ", ".join(_my_cell(name, kind) for name, kind in kinds.items())
                cursor.execute(f"SELECT * FROM {backticked(collection.name)} LIMIT 0")
                _list_columns(collection, cursor.description, unread)
                cursor.fetchall()
                cursor.execute(f"SELECT {cells} FROM {backticked(collection.name)}")
                for row in cursor:
                    yield (
                        collection.name,
                        {n: _my(v, kinds[n]) for n, v in zip(kinds, row, strict=True)},
                    )
    except (pymysql.Error, ValueError) as error:
        said = str(error.args[-1]) if error.args else type(error).__name__
        kind = ConnectionLost if isinstance(error, pymysql.OperationalError) else UserError
        raise kind(
            f"{masked(url)}: {said.splitlines()[0][:200]}: check the server and the schema"
        ) from error


def _my_cell(name: str, kind: str) -> str:
    """A column: FLOAT is printed with six digits unless it is made a DOUBLE."""
    return f"{backticked(name)} + 0e0" if kind == "float" else backticked(name)


def _my(value, kind):
    """MySQL has no truth values, but 0 and 1, and bits."""
    if kind == "bool" and value in (0, 1, b"\x00", b"\x01"):
        return value in (1, b"\x01")
    return value


def _list_columns(collection, description, unread: Unread):
    """List the columns of a table that are not read; SQLite and MySQL take NAME for name."""
    names = [field.name for field in [*collection.attrs, *collection.children]]
    known = {name.lower() for name in names}
    others = [column[0] for column in description or () if column[0].lower() not in known]
    unread.columns(collection.name, others, names)


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
