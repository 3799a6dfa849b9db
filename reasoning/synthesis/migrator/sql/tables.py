"""The tables of a program: what `ddl.from_ddl` reads, with defaults, and the references that joins
can follow.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reasoning.synthesis.ddl import from_ddl
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator.sql.ddl_statements import creates_table, normalized, statements_of
from reasoning.synthesis.migrator.sql.ddl_text import (
    actions_of,
    allowed_values,
    computed_columns,
    computed_defaults,
    defaults_of,
    deferred,
    not_read,
    numbered,
    other_types,
    refuse_types,
    schemas_of,
    unique_keys,
)
from reasoning.synthesis.migrator.sql.null_keys import null_keys
from reasoning.synthesis.schema import Schema

Place = tuple[str, str]
"""A table and one of its columns."""
Reference = tuple[str, tuple[str, ...]]
"""A table and its columns that refer to another one."""
DIALECTS = ("sqlite", "postgres", "mysql", "duckdb")
"""Dialects in which programs are read and printed."""


@dataclass(frozen=True)
class Table:
    """A table."""

    name: str
    """The name as in the DDL."""
    types: dict[str, str]
    """Types of its columns by name, in order; see `schema.TYPES`. Others have the name that SQL
    gives them, and hold the values that texts hold.
    """
    key: tuple[str, ...]
    """The primary key, else a unique key that is never NULL; empty: none declared."""
    required: frozenset[str]
    """Columns that are never NULL."""
    defaults: dict[str, Any]
    """Values of columns that an INSERT leaves out."""
    unique: tuple[tuple[str, ...], ...] = ()
    """Sets of columns that no two rows have the same values in, apart from the key; NULL is like no
    value.
    """

    computed: dict[str, str] = field(default_factory=dict)
    """Generated columns, which nothing writes, and their expressions in SQLite's words."""
    numbered: frozenset[str] = frozenset()
    """Columns that the database numbers by itself."""
    schema: str = ""
    """The database's schema that it is in, if the DDL names it."""
    moments: dict[str, str] = field(default_factory=dict)
    """Columns whose default is computed, and its SQL. Tests take it for NULL, which is the same in
    both programs.
    """
    allowed: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """The values that CHECK, ENUM or the type BOOLEAN allows, of columns that have such."""
    loose: frozenset[str] = frozenset()
    """Columns of the primary key that SQLite lets be NULL; tests take them for NOT NULL."""

    @property
    def stored(self) -> tuple[str, ...]:
        """The columns that statements may write."""
        return tuple(column for column in self.types if column not in self.computed)

    @property
    def keyed(self) -> frozenset[str]:
        """The columns of all keys."""
        return frozenset(self.key).union(*self.unique)


@dataclass(frozen=True, order=True)
class Edge:
    """Columns of one table that are equal to those of another one in joins."""

    table: str
    """The table that refers."""
    columns: tuple[str, ...]
    """Its columns."""
    to: str
    """The table referred to."""
    to_columns: tuple[str, ...]
    """Its columns, as many as `columns`."""
    declared: bool = True
    """A foreign key; else only filled from the same source column."""
    when: tuple[str, Any] | None = None
    """A column and the value that it has in the rows that refer; None: all rows do."""


@dataclass(frozen=True)
class Tables:
    """A relational schema, ready for questions."""

    by_name: dict[str, Table]
    """The tables."""
    edges: tuple[Edge, ...]
    """Foreign keys."""
    schema: Schema
    """The same as the shared core has it."""
    ddl: str = ""
    """The DDL as written."""
    dialect: str = "sqlite"
    """Dialect of the DDL."""
    not_read: tuple[str, ...] = ()
    """Parts that are not taken into account, a sentence each."""
    deferred: frozenset[tuple[str, tuple[str, ...]]] = frozenset()
    """(table, columns) of references that are checked at the end of a transaction only."""
    actions: dict[Reference, tuple[str, str]] = field(default_factory=dict)
    """ON DELETE and ON UPDATE of references, CASCADE, SET NULL or SET DEFAULT; "" is none."""
    apart: tuple[tuple[Reference, ...], ...] = ()
    """Groups of columns of several tables that share no value, as one new table's key asks."""

    @property
    def loose(self) -> list[str]:
        """Primary keys that SQLite lets be NULL, with their tables."""
        return [f"{t.name}.{c}" for t in self.by_name.values() for c in t.types if c in t.loose]

    @property
    def schemas(self) -> dict[str, str]:
        """The database's schema of each table that has one; "public" is everyone's."""
        return {t.name: t.schema for t in self.by_name.values() if t.schema not in ("", "public")}

    def __getitem__(self, name: str) -> Table:
        return self.by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self.by_name

    def type_of(self, place: tuple[str, str]) -> str:
        """The type of (table, column)."""
        return self.by_name[place[0]].types[place[1]]


def read_text(path: str | Path) -> str:
    """The text of a file. Raises UserError if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}): give the path of a text file") from error


def read_tables(text: str, dialect: str = "sqlite", where: str = "schema") -> Tables:
    """The tables of CREATE TABLE statements.

    Args:
      text: SQL.
      dialect: one of DIALECTS.
      where: the name of the text in an error.

    Raises:
      UserError: another dialect, or what `ddl.from_ddl` refuses.
    """
    if dialect not in DIALECTS:
        raise UserError(f"dialect {dialect!r} is none of {', '.join(DIALECTS)}")
    statements = statements_of(text, dialect)
    refuse_types(statements, dialect, where)
    schema = from_ddl(normalized(statements, dialect, where), "", where, other="str")
    defaults, unique, rare = (
        defaults_of(statements),
        unique_keys(statements),
        other_types(statements),
    )
    computed, schemas = computed_columns(statements), schemas_of(statements)
    moments, allowed = computed_defaults(statements), allowed_values(statements)
    numbers = {
        one.table: frozenset(numbered(one, dialect)) for one in statements if creates_table(one)
    }
    keys = {collection.name: collection.key for collection in schema.collections}
    loose = {
        one.table: null_keys(one, dialect, keys[one.table])
        for one in statements
        if creates_table(one) and one.table in keys
    }
    found = {}
    for collection in schema.collections:
        types = {
            attr.name: rare.get((collection.name, attr.name), attr.type)
            for attr in collection.attrs
        }
        required = frozenset(attr.name for attr in collection.attrs if not attr.nullable)
        mine = tuple(
            sorted(
                set(
                    _in_schema(
                        unique.get(collection.name, ()), types, f"{where}: {collection.name}"
                    )
                )
            )
        )
        key = collection.key or next(
            (columns for columns in mine if required.issuperset(columns)), ()
        )
        others = tuple(columns for columns in mine if set(columns) != set(key))
        found[collection.name] = Table(
            collection.name,
            types,
            key,
            required,
            {
                column: value
                for column, value in defaults.get(collection.name, {}).items()
                if column not in numbers.get(collection.name, ())
            },
            others,
            computed.get(collection.name, {}),
            numbers.get(collection.name, frozenset()),
            schemas.get(collection.name, ""),
            moments.get(collection.name, {}),
            allowed.get(collection.name, {}),
            loose.get(collection.name, frozenset()),
        )
    edges = tuple(Edge(f.path, f.attrs, f.to_path, f.to_attrs) for f in schema.foreign_keys)
    if bad := [edge for edge in edges if not edge.to_columns]:
        raise UserError(
            f"{where}: {bad[0].table} refers to {bad[0].to}, which declares no primary key: name "
            "the columns"
        )
    known = {_small(edge.table, edge.columns): (edge.table, edge.columns) for edge in edges}
    return Tables(
        found,
        edges,
        schema,
        text,
        dialect,
        not_read(statements),
        frozenset(deferred(statements)),
        {
            known[_small(*one)]: on
            for one, on in actions_of(statements).items()
            if _small(*one) in known
        },
    )


def _small(table: str, columns: tuple[str, ...]) -> Reference:
    """The same in small letters: names without quotes may be written in any."""
    return table.lower(), tuple(column.lower() for column in columns)


def _in_schema(unique, types, where):
    """The unique keys in the schema's spelling."""
    for columns in unique:
        names = tuple(spelled(column, types) for column in columns)
        if None in names:
            column = columns[names.index(None)]
            raise UserError(
                f"{where} is unique by {column}, which it does not have{near(column, types)}"
            )
        yield names


def ordered_by(names: Iterable[str], edges: Iterable[Edge]) -> list[str]:
    """Tables in an order in which those referred to come before those that refer, as far as there
    is one.
    """
    left, done = sorted(names), []
    while left:
        free = [
            n for n in left if not any(e.table == n and e.to in left and e.to != n for e in edges)
        ]
        done.append((free or left)[0])
        left.remove(done[-1])
    return done


def spelled(name: str, names) -> str | None:
    """The one of some names that is meant: the same, else the only one that differs in capitals
    alone; None: there is none.
    """
    if name in names:
        return name
    alike = [one for one in names if one.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


def near(name: str, names) -> str:
    """A clause that lists names like the one that is not there."""
    alike = difflib.get_close_matches(name, list(names), 3, 0.5)
    return (
        f" (did you mean {' or '.join(alike)}?)"
        if alike
        else f" (there are {', '.join(sorted(names)[:8])})"
    )
