"""Keys that a program shows or is given: their values must stay. Others may be numbered anew.

A key, and what refers to it, may be compared with one another, counted, ordered by, tested for NULL
and copied from one to another, in subqueries too: another number for a row changes no answer.
"""

from typing import Any

from reasoning.synthesis.migrator.sql.program import (
    Agg,
    Cmp,
    Col,
    Compound,
    Delete,
    Fill,
    Fresh,
    Function,
    InSelect,
    Insert,
    Lit,
    Lookup,
    Program,
    Select,
    Snapshot,
    Update,
)
from reasoning.synthesis.migrator.sql.tables import Place, Tables


def referring(source: Tables, place: Place) -> list[Place]:
    """The columns that refer to a key of one column, directly or by way of others."""
    found, waiting = [], [place]
    while waiting:
        at = waiting.pop()
        for edge in source.edges:
            one = (edge.table, edge.columns[0])
            if edge.to == at[0] and edge.to_columns == (at[1],) and one not in (*found, place):
                found.append(one)
                waiting.append(one)
    return found


def shown(program: Program, source: Tables, place: Place) -> bool:
    """Test if a program shows a key, or one that refers to it, or compares or fills it with values
    from outside.
    """
    places = {place, *referring(source, place)}
    return any(_in_function(function, places) for function in program.functions)


def _in_function(function: Function, places: set[Place]) -> bool:
    if not function.statements:  # nothing is known of it
        return bool({table for table, _ in places} & function.tables)
    kept = set(places)
    for one in function.statements:
        if isinstance(one, Snapshot):
            inner = _Keys(kept, {})
            kept |= {(one.name, out.name) for out in one.select.outs if inner.of(one.select, out)}
            if inner.leaks(one.select, whole=False):
                return True
        elif _Keys(kept, {}).leaks(one):
            return True
    return False


class _Keys:
    """Looks for keys in one statement."""

    def __init__(self, places: set[Place], names: dict[str, Any]):
        self.places, self.names = places, names  # tables, or subqueries, by alias

    def is_key(self, value: Any) -> bool:
        """Test if a value is a key, as it is."""
        if isinstance(value, Lookup):
            return self.of(value.select, value.select.outs[0])
        if not isinstance(value, Col):
            return False
        table = self.names.get(value.alias, value.alias)
        if isinstance(table, Select):
            out = next((out for out in table.outs if out.name == value.name), None)
            return out is not None and self.of(table, out)
        return (table, value.name) in self.places

    def of(self, select: Select, out) -> bool:
        """Test if an output of a query is a key."""
        return _Keys(self.places, _names(select)).is_key(out.value)

    def leaks(self, tree: Any, whole: bool = True) -> bool:
        """Test if a tree shows a key or meets it with another value; `whole`: outputs are shown."""
        if isinstance(tree, tuple):
            return any(self.leaks(part, whole) for part in tree)
        if isinstance(tree, Select):
            inner = _Keys(self.places, _names(tree))
            outs = tuple(o.value for o in tree.outs if whole or not inner.is_key(o.value))
            order = tuple(value for value, _ in tree.order if not inner.is_key(value))
            group = tuple(value for value in tree.group if not inner.is_key(value))
            mixed = any(inner.is_key(a) != inner.is_key(b) for a, b in tree.joins)
            sources = tuple(s.select for s in tree.sources if s.select is not None)
            on = tuple(s.on for s in tree.sources if s.on is not None)
            rest = (outs, order, group, tree.where, tree.having, tree.limit, tree.offset, on)
            return mixed or inner.leaks(rest) or self.leaks(sources, False)
        if isinstance(tree, Compound):
            return any(self.leaks(part) for part in tree.parts)
        if isinstance(tree, Insert | Fill | Update | Delete):
            return self._change_leaks(tree)
        if isinstance(tree, Cmp):
            ends = [self.is_key(end) for end in (tree.left, tree.right)]
            if tree.op in ("IS", "IS NOT") and tree.right == Lit(None):
                return not ends[0] and self.leaks(tree.left)
            if ends == [True, True] and tree.op in ("=", "<>"):
                return self._inside(tree.left) or self._inside(tree.right)
            return any(ends) or self.leaks((tree.left, tree.right))
        if isinstance(tree, InSelect):
            inner = [self.of(tree.select, out) for out in tree.select.outs]
            mixed = [self.is_key(column) for column in tree.columns] != inner
            return mixed or self.leaks(tree.select, False)
        if isinstance(tree, Agg) and tree.function == "COUNT" and self.is_key(tree.of):
            return False
        if isinstance(tree, Col | Lookup):
            return self.is_key(tree) or self._inside(tree)
        parts = getattr(tree, "__dataclass_fields__", {})
        return any(self.leaks(getattr(tree, name)) for name in parts)

    def _inside(self, value: Any) -> bool:
        return isinstance(value, Lookup) and self.leaks(value.select, False)

    def _change_leaks(self, tree: Insert | Fill | Update | Delete) -> bool:
        inner = _Keys(self.places, {tree.table: tree.table, "excluded": tree.table})
        if isinstance(tree, Update):
            pairs = list(tree.sets)
        elif isinstance(tree, Insert):
            pairs = list(zip(tree.columns, tree.values, strict=True))
        elif isinstance(tree, Fill):
            outs = zip(tree.columns, tree.select.outs, strict=True)
            chosen = _Keys(self.places, _names(tree.select))
            for column, out in outs:
                plain = out.value == Lit(None) or isinstance(out.value, Fresh)
                if (tree.table, column) in self.places and plain:
                    continue
                if chosen.is_key(out.value) != ((tree.table, column) in self.places):
                    return True
            return inner.leaks(tree.select, False) or inner.leaks((tree.conflict,))
        else:
            pairs = []
        for column, value in pairs:
            here = (tree.table, column) in self.places
            if here and (value == Lit(None) or isinstance(value, Fresh)):
                continue
            if here != inner.is_key(value):
                return True
            if inner._inside(value) if here else inner.leaks(value):
                return True
        shown_after = tuple(out.value for out in getattr(tree, "returning", ()))
        conflict = getattr(tree, "conflict", None)
        more = (conflict.sets, conflict.where) if conflict else ()
        return inner.leaks((getattr(tree, "where", ()), shown_after, more))


def _names(select: Select) -> dict[str, Any]:
    return {source.alias: source.select or source.table for source in select.sources}
