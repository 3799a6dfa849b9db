"""Answers of two queries compared in the order that the old one asks for: lists, up to rows that
its ORDER BY leaves open among themselves, and up to the choice that LIMIT leaves.

Our choice: the rows that a database happens to give first are no order. A query that sorts by less
than the old one differs as soon as the data has rows which that leaves open.
"""

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from reasoning.synthesis.migrator.sql.program import Compound, Expr, Out, Param, Select
from reasoning.synthesis.migrator.sql.unparse import show_statement
from reasoning.synthesis.migrator.sql.visitors import nodes
from reasoning.synthesis.migrator.testing.database import Compiled, Database
from reasoning.synthesis.migrator.testing.mapped_databases import any_order, same_rows

OPEN = "or the same rows in another order, which its ORDER BY leaves open and the old one does not"
"""A remark behind an answer that is right by chance."""


@dataclass(frozen=True)
class Answer:
    """The rows of a query in a database that is as it was when they were asked for."""

    base: Database
    """Where it was asked."""
    query: Compiled
    """The query."""
    arguments: dict[str, Any]
    """Its arguments."""
    rows: Sequence[tuple]
    """The answer."""

    @property
    def select(self) -> Select | Compound:
        """The statement."""
        return self.query.function.statements[0]  # type: ignore[return-value]


@dataclass(frozen=True)
class _Group:
    """Rows that an order leaves open among themselves, and their places among the rows shown."""

    start: int
    stop: int
    rows: tuple[tuple, ...]


def same_answer(old: Answer, new: Answer) -> bool:
    """Test if two queries agree: as multisets, in the old one's order, behind its LIMIT in any
    choice that it leaves.
    """
    select, other = old.select, new.select
    if not (select.order or cut(select)) or any(any_order(out.value) for out in select.outs):
        return same_rows(old.rows, new.rows, select)
    if len(old.rows) != len(new.rows):
        return False
    if len(old.rows) < 2 and not cut(select) and not cut(other):
        return list(old.rows) == list(new.rows)
    return _fits(_groups(old), _groups(new), len(old.rows))


def cut(select: Select | Compound) -> bool:
    """Test if a query shows a part of its rows only."""
    return select.limit is not None or select.offset is not None


def ordered(query: Compiled) -> bool:
    """Test if a query asks for an order, or for a part of its rows."""
    select = query.function.statements[0]
    return isinstance(select, Select | Compound) and bool(select.order or cut(select))


def _fits(old: list[_Group], new: list[_Group], shown: int) -> bool:
    """Test if every order that the new query allows is one that the old query allows."""
    used: dict[int, Counter] = {}
    for group in new:
        low, high = max(group.start, 0), min(group.stop, shown)
        spans = [one for one in old if one.start < high and low < one.stop] if low < high else []
        if len(spans) > 1 and len(set(group.rows)) > 1:
            return False
        for one in spans:
            most = min(high, one.stop) - max(low, one.start)
            counts = Counter({row: min(n, most) for row, n in Counter(group.rows).items()})
            used[one.start] = used.get(one.start, Counter()) + counts
    return all(used.get(one.start, Counter()) <= Counter(one.rows) for one in old)


def _groups(answer: Answer) -> list[_Group]:
    """All rows of a query, those that LIMIT leaves out too, by its order."""
    ranking = _ranking(answer.select)
    names = {node.name for node in nodes(answer.select) if isinstance(node, Param)}
    values = {name: answer.arguments[name] for name in names}
    found = answer.base.base.execute(ranking.text, values).fetchall()
    passed = 0
    if answer.select.offset is not None:
        number = Select((Out(answer.select.offset, "n"),), ())
        text = show_statement(number, "sqlite", running=True)
        passed = max(0, int(answer.base.base.execute(text, values).fetchone()[0] or 0))
    width, groups, last = len(answer.select.outs), [], object()
    for n, row in enumerate(found):
        key: Any = n if ranking.by is None else [_tie(row[k], f) for k, f in ranking.by]
        if key == last:
            group = groups[-1]
            groups[-1] = _Group(group.start, n + 1 - passed, (*group.rows, row[:width]))
        else:
            groups.append(_Group(n - passed, n + 1 - passed, (row[:width],)))
        last = key
    return groups


def _tie(value: Any, folded: bool) -> Any:
    return value.lower() if folded and isinstance(value, str) else value


@dataclass(frozen=True)
class _Ranking:
    """A query for all rows with what orders them."""

    text: str
    """SQLite's text."""
    by: tuple[tuple[int, bool], ...] | None
    """Positions of what orders the rows, each with True if capitals do not count; None: that cannot
    be shown, so each row stays where it is.
    """


@functools.lru_cache(maxsize=1000)
def _ranking(select: Select | Compound) -> _Ranking:
    whole = replace(select, limit=None, offset=None)
    values = [out.value for out in select.outs]
    hidden = [value for value, _ in select.order if value not in values]
    if hidden and isinstance(whole, Select) and not whole.distinct:
        outs = (Out(value, f"order by {n}") for n, value in enumerate(hidden))
        whole = replace(whole, outs=(*whole.outs, *outs))
        values += hidden
        hidden = []
    by = tuple(
        (values.index(value), isinstance(value, Expr) and "COLLATE" in value.running.upper())
        for value, _ in select.order
        if value in values
    )
    return _Ranking(show_statement(whole, "sqlite", running=True), None if hidden else by)
