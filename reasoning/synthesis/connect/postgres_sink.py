"""PostgreSQL as a target: rows go into a staging schema, each range in one transaction, and move
into place in a last one.
"""

import json
from typing import Any, NamedTuple

from reasoning.synthesis.connect.sqlite_sink import BATCH, create_table, rows_of
from reasoning.synthesis.errors import ConnectionLost, UserError, need
from reasoning.synthesis.facts import plain
from reasoning.synthesis.names import masked, quoted
from reasoning.synthesis.schema import Schema
from reasoning.synthesis.shapes import reshaped

STAGING = "latentax_staging"
"""The schemas that hold what is not finished begin with it; they may be dropped by hand."""

PROGRESS = "latentax_progress__"
"""The table in them that says how far each table got."""


class PostgresSink:
    """Tables of a PostgreSQL database; nested collections become jsonb."""

    def __init__(self, schema: Schema, url: str, overwrite: bool, run: str = ""):
        self.schema, self.url, self.overwrite = schema, url, overwrite
        self.staging = quoted(f"{STAGING}_{run}" if run else STAGING)
        progress, taken = PROGRESS, {collection.name for collection in schema.collections}
        while progress in taken:
            progress += "_"
        self.progress = f"{self.staging}.{progress}"
        self.psycopg = need("psycopg", "servers")
        self._in_transaction(self._prepare)

    def _in_transaction(self, work) -> Any:
        """Run `work(cursor)` in one transaction on a fresh connection."""
        shown = masked(self.url)
        try:
            with self.psycopg.connect(self.url) as connection, connection.cursor() as cursor:
                return work(cursor)
        except self.psycopg.OperationalError as error:
            first = str(error).strip().splitlines()[0]
            raise ConnectionLost(
                f"{shown}: {first}: what is written is kept; run the same command with --resume"
            ) from error
        except self.psycopg.Error as error:
            raise UserError(
                f"{shown}: {str(error).strip().splitlines()[0]}: fix the target or the schema, "
                "then --resume"
            ) from error

    def _prepare(self, cursor):
        for collection in self.schema.collections:
            cursor.execute("SELECT to_regclass(%s)", [f"public.{quoted(collection.name)}"])
            if cursor.fetchone()[0] and not self.overwrite:
                raise UserError(
                    f"the table {collection.name} is there already: choose another database, or "
                    "--overwrite to replace it"
                )
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {self.staging}")
        cursor.execute(
            f"CREATE TABLE IF NOT EXISTS {self.progress} (name text PRIMARY KEY, rows bigint)"
        )
        for collection in self.schema.collections:
            cursor.execute(
                create_table(
                    collection, f"{self.staging}.{quoted(collection.name)}", "IF NOT EXISTS"
                )
            )

    def reset(self):
        """Forget an earlier, unfinished run."""
        self._in_transaction(
            lambda cursor: cursor.execute(f"DROP SCHEMA IF EXISTS {self.staging} CASCADE")
        )
        self._in_transaction(self._prepare)

    def done(self, name: str) -> int:
        query = f"SELECT rows FROM {self.progress} WHERE name = %s"
        return self._in_transaction(
            lambda cursor: (cursor.execute(query, [name]).fetchone() or (0,))[0]
        )

    def write(self, base, table: str, name: str, start: int, stop: int):
        """Copy a range of rows into the staging schema and note the point that was reached, in one
        transaction.

        Arguments and result as `Sink.write`.
        """
        collection = next(c for c in self.schema.collections if c.name == name)
        rows = base.execute(rows_of(collection, table, start, stop))

        def work(cursor):
            written = 0
            with cursor.copy(f"COPY {self.staging}.{quoted(name)} FROM STDIN") as copy:
                while batch := rows.fetchmany(BATCH):
                    written += len(batch)
                    for row in batch:
                        copy.write_row([_cell(value) for value in _shaped(collection, row)])
            upsert = (
                f"INSERT INTO {self.progress} VALUES (%s, %s) "
                "ON CONFLICT (name) DO UPDATE SET rows = excluded.rows"
            )
            cursor.execute(upsert, [name, stop])
            return written

        return self._in_transaction(work)

    def finish(self, base):
        def work(cursor):
            for collection in self.schema.collections:
                if self.overwrite:
                    cursor.execute(f"DROP TABLE IF EXISTS public.{quoted(collection.name)}")
                cursor.execute(
                    f"ALTER TABLE {self.staging}.{quoted(collection.name)} SET SCHEMA public"
                )
            cursor.execute(f"DROP SCHEMA {self.staging} CASCADE")

        self._in_transaction(work)


def _shaped(collection, row):
    """A row with its nested collections in the form that the schema gives them."""
    if not collection.children:
        return row
    names = [field.name for field in [*collection.attrs, *collection.children]]
    record = reshaped(collection, dict(zip(names, row, strict=True)))
    cells = [record[attr.name] for attr in collection.attrs]
    return cells + [_Nested(record[child.name]) for child in collection.children]


class _Nested(NamedTuple):
    """A nested collection of a row."""

    value: Any


def _cell(value):
    if isinstance(value, _Nested):
        return json.dumps(value.value, default=plain, ensure_ascii=False)
    return value
