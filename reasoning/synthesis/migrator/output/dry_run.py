"""A dry run of the data script: rows of every table, rows in the way, and values that are dropped,
counted in the old database, in which nothing changes.
"""

from collections.abc import Iterator

from reasoning.synthesis.errors import UserError, need
from reasoning.synthesis.migrator.correspondence.mapping import DataMapping
from reasoning.synthesis.migrator.output.data_checks import (
    checks_of,
    count_sql,
    expected_rows,
    loss_counts,
)
from reasoning.synthesis.migrator.output.migration_plan import plan_of
from reasoning.synthesis.migrator.sql.tables import Place
from reasoning.synthesis.migrator.sql.unparse import literal, name_of

Line = tuple[str, int, str]
"""A sentence or a table, a number of rows, and the first keys."""


def dry_run_sql(mapping: DataMapping, dialect: str = "sqlite") -> str:
    """One SELECT of (what, rows, first keys) over the old database."""
    asked = []
    for what, query in _questions(mapping, dialect):
        asked.append(f"SELECT {literal(what, dialect)} AS what, n, k FROM ({query}) AS counted")
    note = "-- Rows of the new tables, rows in the way, values dropped. It changes nothing.\n"
    return note + "\nUNION ALL ".join(asked) + ";\n"


def _questions(mapping: DataMapping, dialect: str) -> Iterator[tuple[str, str]]:
    """Pairs of what is counted and a query for the number n and the first keys k."""
    plan = plan_of(mapping, dialect)
    none = "CAST(NULL AS CHAR)" if dialect == "mysql" else "CAST(NULL AS TEXT)"
    for table, query in expected_rows(plan).items():
        yield f"rows of {table}", f"SELECT ({query}) AS n, {none} AS k"
    for check in checks_of(plan):
        yield f"in the way: {check.what.replace('{}', 'the')}", count_sql(check, dialect)
    for column, query in loss_counts(plan).items():
        yield f"values of {column} dropped", f"SELECT ({query}) AS n, {none} AS k"


def dry_run(mapping: DataMapping, dialect: str, place: str) -> list[Line]:
    """The counts in a database, which is opened for reading.

    Args:
      mapping: the mapping of the data.
      dialect: the SQL dialect of the database.
      place: a file of SQLite or DuckDB, or a postgresql:// address.

    Raises:
      UserError: it cannot be opened, or is not of the old schema.
    """
    query = dry_run_sql(mapping, dialect).rstrip().rstrip(";")
    found = _asked(query, dialect, place)
    return [(str(what), int(n or 0), str(k or "")) for what, n, k in found]


def values_of(column: Place, dialect: str, place: str) -> int:
    """The number of rows with a value in a column of a database. Raises UserError as `dry_run`."""
    table, name = (name_of(part, dialect) for part in column)
    return int(_asked(f"SELECT COUNT({name}) FROM {table}", dialect, place)[0][0])


def _asked(query: str, dialect: str, place: str) -> list[tuple]:
    """The rows of a query."""
    try:
        connection = _opened(dialect, place)
    except Exception as error:
        raise UserError(
            f"{place} cannot be opened ({error}): give a database of {dialect}"
        ) from error
    try:
        cursor = connection.cursor()
        cursor.execute(query)
        return cursor.fetchall()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{place} is not a database of the old schema: {error}") from error
    finally:
        connection.close()


def _opened(dialect: str, place: str):
    if dialect == "sqlite":
        import sqlite3
        from pathlib import Path

        return sqlite3.connect(Path(place).resolve().as_uri() + "?mode=ro", uri=True)
    if dialect == "duckdb":
        return need("duckdb").connect(place, read_only=True)
    if dialect == "postgres":
        connection = need("psycopg", "servers").connect(place)
        connection.read_only = True
        return connection
    raise UserError(
        f"counting in a database of {dialect} is not offered: run --dry-run's file there"
    )


def in_columns(lines: list[Line]) -> str:
    """The counts as a text for the console."""
    wide = max((len(f"{n:,}") for _, n, _ in lines), default=0)
    return "\n".join(
        f"{n:>{wide},}  {what}" + (f", the first: {keys}" if keys else "")
        for what, n, keys in lines
    )
