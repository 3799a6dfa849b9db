"""Small databases in SQLite on which programs are run: calls that change everything or nothing, and
a way back.

Our choice: a call is a transaction. Primary keys and NOT NULL hold at once, references at the end
of the call; a call that breaks one
fails and changes nothing.
"""

import sqlite3
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator.sql.given_keys import given_rows
from reasoning.synthesis.migrator.sql.program import Fill, Fresh, Function, Insert, Param, Update
from reasoning.synthesis.migrator.sql.tables import Edge, Tables
from reasoning.synthesis.migrator.sql.unparse import literal, name_of, show_statement
from reasoning.synthesis.migrator.sql.visitors import nodes, writes
from reasoning.synthesis.migrator.testing.actions import also_changed, keys_apart, triggers

FRESH_START = 1_000_000
"""Fresh integers are beyond every other value."""
NOWHERE = "a reference leads nowhere"
"""Why a call fails at its end."""
Rows = tuple[tuple, ...]


@dataclass(frozen=True)
class Step:
    """A statement ready to run."""

    sql: str
    """SQLite's text; a query, if its rows are inserted one by one."""
    names: tuple[str, ...]
    """Its parameters."""
    numbers: tuple[int, ...]
    """Its fresh keys."""
    insert: str = ""
    """The INSERT of one row, for an INSERT ... SELECT with another key in each."""
    keys: tuple[int, ...] = ()
    """Numbers of the first of these keys; they stand before the query's values."""
    by: tuple[int, ...] = ()
    """Positions of the values that decide on the order of the keys."""


@dataclass(frozen=True)
class Compiled:
    """A function ready to run."""

    function: Function
    """The function as written."""
    steps: tuple[Step, ...]
    """Its statements."""
    fresh_types: dict[int, str]
    """Types of the fresh keys, by number."""
    writes: frozenset[str]
    """Tables that it changes."""


def compile_function(function: Function, tables: Tables) -> Compiled:
    """SQLite's text for a function."""
    kinds: dict[int, str] = {}
    steps = []
    for statement in function.statements:
        for table, column, value in _stored(statement):
            if isinstance(value, Fresh):
                kinds.setdefault(value.number, tables.type_of((table, column)))
        names = tuple(dict.fromkeys(n.name for n in nodes(statement) if isinstance(n, Param)))
        numbers = tuple(dict.fromkeys(n.number for n in nodes(statement) if isinstance(n, Fresh)))
        text = show_statement(statement, "sqlite", running=True)
        keyed = isinstance(statement, Fill) and bool(given_rows(statement))
        one = Step(text, names, numbers)
        steps.append(_by_rows(statement, one) if keyed else one)
    written: set[str] = set()
    for statement in function.statements:
        written |= writes(statement) | also_changed(statement, tables)
    return Compiled(function, tuple(steps), kinds, frozenset(written))


def _by_rows(statement: Fill, step: Step) -> Step:
    """The rows of a query with another key in each.

    Our choice: keys are given in the order of the rows' values, whichever columns hold them, so
    that two programs that insert the same rows give them the same keys.
    """
    keys = given_rows(statement)
    outs = list(zip(statement.columns, statement.select.outs, strict=True))
    rest = [(column, out) for column, out in outs if column not in keys]
    select = replace(statement.select, outs=tuple(out for _, out in rest))
    columns = (*keys, *(column for column, _ in rest))
    marks = tuple(Param(f"row_{n}") for n in range(len(columns)))
    insert = Insert(statement.table, columns, marks, statement.conflict)
    by = {column for fresh in keys.values() for column in fresh.by}
    return Step(
        show_statement(select, "sqlite", running=True),
        step.names,
        tuple(n for n in step.numbers if n not in {fresh.number for fresh in keys.values()}),
        show_statement(insert, "sqlite", running=True),
        tuple(fresh.number for fresh in keys.values()),
        tuple(n for n, (column, _) in enumerate(rest) if not by or column in by),
    )


def _content(values: Iterable[Any]) -> list[tuple]:
    """Values in an order of their own, so that the same ones in other columns are the same."""
    ranks = {type(None): 0, int: 1, float: 1, str: 2}
    return sorted((ranks.get(type(v), 3), v if v is not None else 0) for v in values)


def _stored(statement):
    if isinstance(statement, Insert):
        return [
            (statement.table, c, v)
            for c, v in zip(statement.columns, statement.values, strict=True)
        ]
    if isinstance(statement, Fill):
        outs = zip(statement.columns, statement.select.outs, strict=True)
        return [(statement.table, c, out.value) for c, out in outs]
    return (
        [(statement.table, c, v) for c, v in statement.sets]
        if isinstance(statement, Update)
        else []
    )


def fresh_value(kind: str, call: int, number: int) -> Any:
    """The fresh key of a number in the n-th call of a scenario."""
    return f"~{call}.{number}" if kind == "str" else FRESH_START * call + number


def uninterpreted(*parts: Any) -> Any:
    """A function that nothing is known of but that it is one: the same for the same arguments."""
    return f"u{zlib.crc32(repr(parts).encode()):08x}"


class Broken(Exception):
    """A call failed and changed nothing: a key was there already, a value was missing, or a
    reference led nowhere.
    """


class Database:
    """Tables of one schema in memory."""

    def __init__(self, tables: Tables, names: Iterable[str]):
        self.tables, self.names = tables, sorted(names)
        self.base = sqlite3.connect(":memory:", isolation_level=None, cached_statements=4000)
        self.base.create_function("uninterpreted", -1, uninterpreted, deterministic=True)
        try:
            self.base.execute("PRAGMA recursive_triggers = ON")
            for name in self.names:
                self.base.execute(create_table(tables, name))
            for trigger in (*triggers(tables, self.names), *keys_apart(tables, self.names)):
                self.base.execute(trigger)
        except sqlite3.Error:
            self.base.close()
            raise
        self.edges = [edge for edge in tables.edges if {edge.table, edge.to} <= set(self.names)]
        self.checks: dict[frozenset[str], str] = {}
        self.depth = 0

    def close(self):
        """Close the connection."""
        self.base.close()

    def mark(self):
        """Remember the present rows; pairs with `back`."""
        self.depth += 1
        self.base.execute(f"SAVEPOINT s{self.depth}")

    def back(self):
        """Return to the last mark, and forget it."""
        self.base.execute(f"ROLLBACK TO s{self.depth}")
        self.base.execute(f"RELEASE s{self.depth}")
        self.depth -= 1

    def call(
        self, compiled: Compiled, arguments: dict[str, Any], number: int
    ) -> list[tuple] | None:
        """Run a function; the rows of a query or of RETURNING, else None.

        Raises:
          Broken: it failed; nothing has changed.
        """
        if compiled.function.is_query:
            step = compiled.steps[0]
            values = {name: arguments[name] for name in step.names}
            try:
                return self.base.execute(step.sql, values).fetchall()
            except sqlite3.Error as error:
                raise UserError(f"{compiled.function.name} does not run: {error}") from error
        rows = None
        self.base.execute("SAVEPOINT call")
        try:
            for step in compiled.steps:
                kinds = compiled.fresh_types
                values = {name: arguments[name] for name in step.names}
                values |= {
                    f"fresh_{n}": fresh_value(kinds.get(n, "int"), number, n) for n in step.numbers
                }
                done = self.base.execute(step.sql, values)
                if step.insert:
                    self._insert(step, done.fetchall(), kinds, number)
                    continue
                rows = done.fetchall() if done.description else rows
            if (check := self._check(compiled.writes)) and self.base.execute(check).fetchone():
                raise Broken(NOWHERE)
        except (sqlite3.IntegrityError, Broken) as error:
            self.base.execute("ROLLBACK TO call")
            self.base.execute("RELEASE call")
            raise Broken(str(error)) from None
        except sqlite3.Error as error:
            raise UserError(f"{compiled.function.name} does not run: {error}") from error
        self.base.execute("RELEASE call")
        return rows

    def _insert(self, step: Step, rows: list[tuple], kinds: dict[int, str], number: int) -> None:
        """Insert the rows of a query with a new key each."""
        rows.sort(key=lambda row: _content(row[n] for n in step.by))
        for n, row in enumerate(rows):
            keys = (fresh_value(kinds.get(k, "int"), number, k + n) for k in step.keys)
            values = {f"row_{n}": value for n, value in enumerate((*keys, *row))}
            self.base.execute(step.insert, values)

    def _check(self, written: frozenset[str]) -> str:
        """A query for a reference that leads nowhere, after a change of these tables."""
        if written not in self.checks:
            self.checks[written] = " UNION ALL ".join(
                _dangling(e) for e in self.edges if {e.table, e.to} & written
            )
        return self.checks[written]

    def changes(self) -> int:
        """Rows changed since the beginning."""
        return self.base.total_changes

    def rows(self, names: Iterable[str] | None = None) -> dict[str, list[tuple]]:
        """All rows of some tables."""
        return {
            name: self.base.execute(
                f"SELECT {', '.join(map(name_of, self.tables[name].stored))} FROM {name_of(name)}"
            ).fetchall()
            for name in names or self.names
        }

    def add(self, name: str, row: tuple) -> None:
        """Insert a row, unless it breaks a constraint."""
        names = ", ".join(map(name_of, self.tables[name].stored))
        self.mark()
        try:
            marks = ", ".join("?" * len(row))
            self.base.execute(f"INSERT INTO {name_of(name)} ({names}) VALUES ({marks})", row)
            check = self._check(frozenset([name]))
            good = not (check and self.base.execute(check).fetchone())
        except sqlite3.IntegrityError:
            good = False
        if not good:
            self.back()
            return
        self.base.execute(f"RELEASE s{self.depth}")
        self.depth -= 1

    def fill(self, table: str, column: str, value: Callable[[], Any]) -> None:
        """Give every row of a table a value in a column."""
        name, here = name_of(table), name_of(column)
        for (row,) in self.base.execute(f"SELECT rowid FROM {name}").fetchall():
            self.base.execute(f"UPDATE {name} SET {here} = ? WHERE rowid = ?", (value(), row))

    def load(self, rows: dict[str, Sequence[tuple]]):
        """Make these the only rows. Raises Broken if they break a constraint; the rows are then
        undefined.
        """
        try:
            for name in self.names:  # all at first: references may act
                self.base.execute(f"DELETE FROM {name_of(name)}")
            for name in self.names:
                if found := rows.get(name):
                    marks = ", ".join("?" * len(found[0]))
                    names = ", ".join(map(name_of, self.tables[name].stored))
                    self.base.executemany(
                        f"INSERT INTO {name_of(name)} ({names}) VALUES ({marks})", found
                    )
        except sqlite3.IntegrityError as error:
            raise Broken(str(error)) from None
        if (check := self._check(frozenset(self.names))) and self.base.execute(check).fetchone():
            raise Broken(NOWHERE)


def _dangling(edge: Edge) -> str:
    table, to = name_of(edge.table), name_of(edge.to)
    same = " AND ".join(
        f"p.{name_of(b)} = c.{name_of(a)}"
        for a, b in zip(edge.columns, edge.to_columns, strict=True)
    )
    given = " AND ".join(f"c.{name_of(a)} IS NOT NULL" for a in edge.columns)
    if edge.when is not None:
        given += f" AND c.{name_of(edge.when[0])} = {literal(edge.when[1])}"
    return (
        f"SELECT 1 FROM {table} c WHERE {given} AND NOT EXISTS (SELECT 1 FROM {to} p WHERE {same})"
    )


def create_table(tables: Tables, name: str, referred: Iterable[str] = ()) -> str:
    """A table without affinities, so that values stay as they are; with keys, NOT NULL, defaults,
    and references to some tables.
    """
    table, cells = tables[name], []
    for column in table.types:
        words = [name_of(column)]
        needed = column in table.required and column not in table.moments
        words += ["NOT NULL"] if needed or column in table.key else []
        words += [f"DEFAULT {literal(table.defaults[column])}"] if column in table.defaults else []
        words += [f"AS ({table.computed[column]})"] if column in table.computed else []
        cells.append(" ".join(words))
    key = f", PRIMARY KEY ({', '.join(map(name_of, table.key))})" if table.key else ""
    key += "".join(f", UNIQUE ({', '.join(map(name_of, columns))})" for columns in table.unique)
    for edge in tables.edges:
        if (
            edge.table == name
            and edge.to in referred
            and edge.to_columns in (tables[edge.to].key, *tables[edge.to].unique)
        ):
            mine, there = (
                ", ".join(map(name_of, columns)) for columns in (edge.columns, edge.to_columns)
            )
            key += (
                f", FOREIGN KEY ({mine}) REFERENCES {name_of(edge.to)} ({there}) DEFERRABLE "
                "INITIALLY DEFERRED"
            )
    return f"CREATE TABLE {name_of(name)} ({', '.join(cells)}{key})"
