"""Keys that the database gives to rows that are inserted without one: read as fresh keys, and left
out again where the new table's key is numbered, too.

Our choice: such a key has a number made of its table's name, so that two programs over the same
table give it the same one.
"""

import zlib
from dataclasses import fields, is_dataclass, replace
from typing import Any

from reasoning.synthesis.migrator.sql.program import Expr, Fill, Fresh, Insert, Out, Statement
from reasoning.synthesis.migrator.sql.tables import Tables
from reasoning.synthesis.migrator.sql.visitors import nodes

NUMBERS = 900_000
"""Numbers of such keys are below this, and above those that one writes."""
LAST = {
    "sqlite": "last_insert_rowid()",
    "mysql": "LAST_INSERT_ID()",
    "postgres": "currval(pg_get_serial_sequence({}, {}))",
}
"""The key that was given last; PostgreSQL's of a table and its column."""
WORDS = ("LAST_INSERT_ROWID()", "LAST_INSERT_ID()", "LASTVAL()")


def read_given(statements: tuple[Statement, ...], tables: Tables) -> tuple[Statement, ...]:
    """The statements with a fresh key in each INSERT that leaves out a numbered one, and in place
    of the functions that show it afterwards.
    """
    made: list[Statement] = []
    seen: dict[int, int] = {}
    last: Fresh | None = None
    for one in statements:
        one = _shown(one, last)
        single = isinstance(one, Insert) or (isinstance(one, Fill) and not one.select.sources)
        if single and one.table in tables:
            table = tables[one.table]
            left = [c for c in table.key if c in table.numbered and c not in one.columns]
            if left and len(table.key) == 1:
                number = 1_000 + zlib.crc32(one.table.lower().encode()) % (NUMBERS - 2_000)
                seen[number] = seen.get(number, -1) + 1
                fresh = Fresh(number + seen[number], True)
                last = fresh if one.conflict is None else None
                one = _with_key(one, left[0], fresh)
        made.append(one)
    return tuple(made)


def _with_key(one: Insert | Fill, column: str, key: Fresh) -> Insert | Fill:
    """The statement with a value for one more column, the first."""
    columns = (column, *one.columns)
    if isinstance(one, Insert):
        return replace(one, columns=columns, values=(key, *one.values))
    outs = (Out(key, column), *one.select.outs)
    return replace(one, columns=columns, select=replace(one.select, outs=outs))


def _inserted(one: Statement) -> dict[Any, str]:
    """The columns by the values that a statement inserts into them."""
    if isinstance(one, Insert):
        return dict(zip(one.values, one.columns, strict=True))
    if isinstance(one, Fill) and not one.select.sources:
        return {out.value: c for out, c in zip(one.select.outs, one.columns, strict=True)}
    return {}


def _shown(tree: Any, last: Fresh | None) -> Any:
    """The tree with the key given last in place of the function that shows it."""
    if last is None or isinstance(tree, Fresh):
        return tree
    if isinstance(tree, Expr) and not tree.parts:
        text = tree.text.upper().replace(" ", "")
        return last if text in WORDS or text.startswith("CURRVAL(") else tree
    if isinstance(tree, tuple):
        return tuple(_shown(part, last) for part in tree)
    if is_dataclass(tree):
        return replace(tree, **{f.name: _shown(getattr(tree, f.name), last) for f in fields(tree)})
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
        inserted = _inserted(one)
        for fresh in dict.fromkeys(used):
            if fresh.number in homes:
                asked = target.dialect in LAST
                at_once = target.dialect == "postgres" or latest == fresh.number
                given[fresh.number] &= asked and at_once
                continue
            homes[fresh.number] = n
            column = inserted.get(fresh, "")
            here = bool(column) and column in target[one.table].numbered
            alone = sum(node == fresh for node in used) == 1
            given[fresh.number] = fresh.given and here and alone
        if inserted and target[one.table].numbered:
            own = [v for v in inserted if isinstance(v, Fresh) and homes[v.number] == n]
            latest = own[0].number if own and one.conflict is None else None

    def marked(tree: Any) -> Any:
        if isinstance(tree, Fresh):
            return replace(tree, given=given.get(tree.number, False))
        if isinstance(tree, tuple):
            return tuple(map(marked, tree))
        if is_dataclass(tree):
            return replace(tree, **{f.name: marked(getattr(tree, f.name)) for f in fields(tree)})
        return tree

    return marked(statements)
