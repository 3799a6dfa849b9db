"""Keys that the database gives to rows that are inserted without one: read as fresh keys, and left
out again where the new table's key is numbered, too.

Our choice: such a key has a number made of its table's name, so that two programs over the same
table give it the same one; `aligned_keys.py` does so for tables of other names. The rows of an
INSERT ... SELECT get consecutive numbers.
"""

import re
import zlib
from dataclasses import fields, is_dataclass, replace
from typing import Any

from reasoning.synthesis.migrator.sql.names import Outside
from reasoning.synthesis.migrator.sql.program import Expr, Fill, Fresh, Insert, Out, Statement
from reasoning.synthesis.migrator.sql.tables import Tables
from reasoning.synthesis.migrator.sql.visitors import nodes

NUMBERS = 900_000
"""Numbers of such keys are below this, and above those that one writes."""
ROWS = 100
"""Numbers kept for the rows of one INSERT ... SELECT."""
LAST = {
    "sqlite": "last_insert_rowid()",
    "mysql": "LAST_INSERT_ID()",
    "postgres": "currval(pg_get_serial_sequence({}, {}))",
}
"""The key that was given last; PostgreSQL's of a table and its column."""
WORDS = ("LAST_INSERT_ROWID()", "LAST_INSERT_ID()", "LASTVAL()")


class _Given:
    """Keys given by the statements before, as later ones may ask for them."""

    def __init__(self):
        self.last: Fresh | None = None  # given last, by an INSERT of one row
        self.by_column: dict[tuple[str, str], Fresh] = {}  # in small letters

    def meant(self, text: str) -> Fresh | None:
        """The key that a function shows; None: the text is no such function.

        Raises:
          Outside: no INSERT of one row has given it.
        """
        plain = text.upper().replace(" ", "")
        if plain in WORDS:
            found = self.last
        elif plain.startswith("CURRVAL("):
            found = self._of_sequence(text.lower())
        else:
            return None
        if found is None:
            raise Outside(f"{text} shows a key that no INSERT of one row before it is given")
        return found

    def _of_sequence(self, text: str) -> Fresh | None:
        named = [one.replace('"', "").split(".")[-1] for one in re.findall(r"'([^']*)'", text)]
        if "pg_get_serial_sequence" in text and len(named) == 2:
            return self.by_column.get((named[0], named[1]))
        for (table, column), fresh in self.by_column.items():
            if named[:1] == [f"{table}_{column}_seq"]:
                return fresh
        # A sequence of another name: whose it is can be seen only where there is one key.
        return self.last if named and len(self.by_column) == 1 else None


def read_given(statements: tuple[Statement, ...], tables: Tables) -> tuple[Statement, ...]:
    """The statements with a fresh key in each INSERT that leaves out a numbered one, and in place
    of the functions that show it afterwards.

    Raises:
      Outside: a function shows a key that no INSERT of one row before it is given.
    """
    made: list[Statement] = []
    seen: dict[int, int] = {}
    known = _Given()
    for one in statements:
        one = _shown(one, known)
        if isinstance(one, Insert | Fill) and one.table in tables:
            rows = isinstance(one, Fill) and bool(one.select.sources)
            table = tables[one.table]
            left = [c for c in table.types if c in table.numbered and c not in one.columns]
            # SQLite shows the number of the last row of any table, given or not.
            if tables.dialect == "sqlite" or (left and (rows or one.conflict)):
                known.last = None
            for column in reversed(left):
                # The key has the number of its table: programs from before have it, too.
                place = one.table if column in table.key else f"{one.table}.{column}"
                number = 1_000 + zlib.crc32(place.lower().encode()) % (NUMBERS - 2_000)
                fresh = Fresh(number + seen.get(number, 0), True, rows)
                seen[number] = seen.get(number, 0) + (ROWS if rows else 1)
                one = _with_key(one, column, fresh)
                if not rows and one.conflict is None:
                    known.last = fresh
                    known.by_column[one.table.lower(), column.lower()] = fresh
        made.append(one)
    return tuple(made)


def _with_key(one: Insert | Fill, column: str, key: Fresh) -> Insert | Fill:
    """The statement with a value for one more column, the first."""
    columns = (column, *one.columns)
    if isinstance(one, Insert):
        return replace(one, columns=columns, values=(key, *one.values))
    outs = (Out(key, column), *one.select.outs)
    return replace(one, columns=columns, select=replace(one.select, outs=outs))


def given_rows(one: Statement) -> dict[str, Fresh]:
    """The columns in which an INSERT ... SELECT has another key in each row."""
    values = inserted(one) if isinstance(one, Fill) else {}
    return {c: value for value, c in values.items() if isinstance(value, Fresh) and value.each}


def inserted(one: Statement) -> dict[Any, str]:
    """The columns by the values that a statement inserts into them."""
    if isinstance(one, Insert):
        return dict(zip(one.values, one.columns, strict=True))
    if isinstance(one, Fill):
        return {out.value: c for out, c in zip(one.select.outs, one.columns, strict=True)}
    return {}


def _shown(tree: Any, known: _Given) -> Any:
    """The tree with the keys given before in place of the functions that show them."""
    if isinstance(tree, Fresh):
        return tree
    if isinstance(tree, Expr) and not tree.parts:
        return known.meant(tree.text) or tree
    if isinstance(tree, tuple):
        return tuple(_shown(part, known) for part in tree)
    if is_dataclass(tree):
        return replace(tree, **{f.name: _shown(getattr(tree, f.name), known) for f in fields(tree)})
    return tree


def settled(statements: tuple[Statement, ...], target: Tables) -> tuple[Statement, ...]:
    """The statements with each fresh key marked as given, or as to be made, by the new tables.

    A key is given if the first statement with it inserts it into a numbered column, and if every
    later one can ask for it: it must be the last that was given, but in PostgreSQL.
    """
    homes: dict[int, int] = {}
    given: dict[int, bool] = {}
    latest = None
    for n, one in enumerate(statements):
        used = [node for node in nodes(one) if isinstance(node, Fresh)]
        values = inserted(one)
        for fresh in dict.fromkeys(used):
            if fresh.number in homes:
                asked = target.dialect in LAST
                at_once = target.dialect == "postgres" or latest == fresh.number
                given[fresh.number] &= asked and at_once
                continue
            homes[fresh.number] = n
            column = values.get(fresh, "")
            here = bool(column) and column in target[one.table].numbered
            alone = sum(node == fresh for node in used) == 1
            given[fresh.number] = fresh.given and here and alone
        if values and (target[one.table].numbered or target.dialect == "sqlite"):
            own = [v for v in values if isinstance(v, Fresh) and homes[v.number] == n]
            plain = own and one.conflict is None and not given_rows(one)
            latest = own[0].number if plain else None

    def marked(tree: Any) -> Any:
        if isinstance(tree, Fresh):
            return replace(tree, given=given.get(tree.number, False))
        if isinstance(tree, tuple):
            return tuple(map(marked, tree))
        if is_dataclass(tree):
            return replace(tree, **{f.name: marked(getattr(tree, f.name)) for f in fields(tree)})
        return tree

    return marked(statements)
