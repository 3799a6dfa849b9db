"""SQLite in memory: cheap per query, so the second opinion on small examples."""

import contextlib
import datetime
import decimal
import sqlite3
from collections import Counter
from typing import Any

from reasoning.synthesis.datalog import Program
from reasoning.synthesis.engines.compile import compile_program
from reasoning.synthesis.facts import Facts, Id, once
from reasoning.synthesis.functions import register
from reasoning.synthesis.names import inner, quoted, table_name
from reasoning.synthesis.schema import Schema, flat_columns, layout

EXACT = decimal.Context(prec=60)
"""The default context would round a decimal of more than 28 digits."""


def bags(program: Program, source: Schema, target: Schema, facts: Facts) -> dict[str, Counter]:
    """Compute the flattened target data in SQLite.

    Arguments and result as `memory.bags`.

    Raises:
      UserError: sqlglot is not installed.
    """
    with contextlib.closing(sqlite3.connect(":memory:")) as base:
        register(base)
        load(base, source, facts)
        found = {}
        for path, query in compile_program(program, source, target, "sqlite").items():
            kinds = [attr.type for _, attr in flat_columns(target, path)]
            found[path] = Counter(tuple(map(_out, row, kinds)) for row in base.execute(query))
    return found


def run(program: Program, source: Schema, target: Schema, facts: Facts) -> dict[str, set[tuple]]:
    """Compute the flattened target data in SQLite, each record once.

    Arguments and result as `memory.run`, errors as `bags`.
    """
    return once(bags(program, source, target, facts))


def load(base: sqlite3.Connection, schema: Schema, facts: Facts):
    """Make a table for every relation, columns without affinity so that values stay as they are,
    and fill it.
    """
    for path, columns in layout(schema).items():
        names = ", ".join(quoted(c.name if c.is_id else inner(c.name)) for c in columns)
        name = quoted(table_name(path))
        base.execute(f"CREATE TABLE {name} ({names})")
        marks = ", ".join("?" for _ in columns)
        base.executemany(
            f"INSERT INTO {name} VALUES ({marks})",
            [tuple(map(_in, fact)) for fact in facts.get(path, ())],
        )


def _in(value: Any) -> Any:
    if isinstance(value, Id):
        return value.number
    if isinstance(value, decimal.Decimal):
        return str(value.normalize(EXACT))
    return value.isoformat() if isinstance(value, datetime.date) else value


def _out(value: Any, kind: str) -> Any:
    if value is None:
        return None
    make = {
        "bool": bool,
        "date": datetime.date.fromisoformat,
        "datetime": datetime.datetime.fromisoformat,
    }
    return decimal.Decimal(value) if kind == "decimal" else make.get(kind, lambda same: same)(value)
