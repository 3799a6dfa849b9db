"""The tables of a program: what `ddl.from_ddl` reads, with defaults, and the references that joins can follow."""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasoning.synthesis.ddl import from_ddl
from reasoning.synthesis.errors import Refusal, need
from reasoning.synthesis.schema import Schema

DIALECTS = ("sqlite", "postgres", "mysql", "duckdb")
"""Those in which programs are read and printed."""


@dataclass(frozen=True)
class Table:
    """A table."""

    name: str
    """As in the DDL."""
    types: dict[str, str]
    """Of its columns, in order; see `schema.TYPES`."""
    key: tuple[str, ...]
    """The primary key; empty: none declared."""
    required: frozenset[str]
    """Columns that are never NULL."""
    defaults: dict[str, Any]
    """Values of columns that an INSERT leaves out."""


@dataclass(frozen=True, order=True)
class Edge:
    """Columns of one table that are equal to those of another one in joins."""

    table: str
    """That refers."""
    columns: tuple[str, ...]
    """Its columns."""
    to: str
    """Referred to."""
    to_columns: tuple[str, ...]
    """The columns there, as many."""
    declared: bool = True
    """A foreign key; else only filled from the same source column."""


@dataclass(frozen=True)
class Tables:
    """A relational schema, ready for questions."""

    by_name: dict[str, Table]
    """The tables."""
    edges: tuple[Edge, ...]
    """Foreign keys."""
    schema: Schema
    """The same as the shared floor has it."""
    ddl: str = ""
    """As written."""

    def __getitem__(self, name: str) -> Table:
        return self.by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self.by_name

    def type_of(self, place: tuple[str, str]) -> str:
        """The type of (table, column)."""
        return self.by_name[place[0]].types[place[1]]


def read_text(path: str | Path) -> str:
    """The text of a file. Raises Refusal if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"{path} cannot be read ({error}): give the path of a text file") from error


def read_tables(text: str, dialect: str = "sqlite", where: str = "schema") -> Tables:
    """The tables of CREATE TABLE statements.

    Args:
      text: SQL.
      dialect: one of DIALECTS.
      where: what an error calls the text.

    Raises:
      Refusal: another dialect, or what `ddl.from_ddl` refuses.
    """
    if dialect not in DIALECTS:
        raise Refusal(f"dialect {dialect!r} is none of {', '.join(DIALECTS)}")
    schema = from_ddl(text, dialect, where)
    defaults = _defaults(text, dialect)
    found = {}
    for collection in schema.collections:
        types = {attr.name: attr.type for attr in collection.attrs}
        required = frozenset(attr.name for attr in collection.attrs if not attr.nullable)
        found[collection.name] = Table(collection.name, types, collection.key, required, defaults.get(collection.name, {}))
    edges = tuple(Edge(f.path, f.attrs, f.to_path, f.to_attrs) for f in schema.foreign_keys)
    if bad := [edge for edge in edges if not edge.to_columns]:
        raise Refusal(f"{where}: {bad[0].table} refers to {bad[0].to}, which declares no primary key: name the columns")
    return Tables(found, edges, schema, text)


def _defaults(text, dialect):
    sqlglot = need("sqlglot")
    exp, found = sqlglot.exp, {}
    for statement in sqlglot.parse(text, read=dialect):
        if isinstance(statement, exp.Create) and isinstance(statement.this, exp.Schema):
            cells = {}
            for part in statement.this.expressions:
                for constraint in part.args.get("constraints") or () if isinstance(part, exp.ColumnDef) else ():
                    if isinstance(constraint.kind, exp.DefaultColumnConstraint) and isinstance(constraint.kind.this, exp.Literal):
                        literal = constraint.kind.this
                        cells[part.name] = literal.this if literal.is_string else literal.to_py()
            found[statement.this.this.name] = cells
    return found


def near(name: str, names) -> str:
    """A clause that lists names like the one that is not there."""
    alike = difflib.get_close_matches(name, list(names), 3, 0.5)
    return f" (did you mean {' or '.join(alike)}?)" if alike else f" (there are {', '.join(sorted(names)[:8])})"
