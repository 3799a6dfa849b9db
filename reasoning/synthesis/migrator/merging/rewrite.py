"""Functions over the split schema, rewritten for the merged tables: what is read, changed or
deleted has the constant of its old table, and what is inserted gets it.
"""

from collections.abc import Callable
from dataclasses import replace

from reasoning.synthesis.migrator.merging.find import Merged
from reasoning.synthesis.migrator.sketch.target import Unrewritable
from reasoning.synthesis.migrator.sql import program as sql
from reasoning.synthesis.migrator.sql.tables import Tables
from reasoning.synthesis.migrator.sql.visitors import change, change_queries, conjunction, conjuncts


class Merger:
    """Rewrites the functions of one refactoring."""

    def __init__(self, merges: list[Merged], target: Tables):
        self.target = target
        self.held = {source: one for one in merges for source in one.sources}
        self.name = ""

    def function(self, function: sql.Function) -> sql.Function:
        """A function over the real schema.

        Raises:
          Unrewritable: an upsert whose key does not tell the rows apart.
        """
        self.name = function.name
        made = tuple(self.statement(one) for one in function.statements)
        return function if made == function.statements else replace(function, statements=made)

    def statement(self, one: sql.Statement) -> sql.Statement:
        one = change_queries(one, self.select)
        held = self.held.get(getattr(one, "table", ""))
        if held is None:
            return one
        value = sql.Lit(held.value_of(one.table))
        renamed = _renamer(one.table, held.table)
        returning = change(getattr(one, "returning", ()), renamed)
        if isinstance(one, sql.Insert):
            conflict = one.conflict and self.conflict(one.conflict, held, renamed)
            names, values = (*one.columns, held.column), (*one.values, value)
            return replace(
                one,
                table=held.table,
                columns=names,
                values=values,
                conflict=conflict,
                returning=returning,
            )
        if isinstance(one, sql.Fill):
            outs = (*one.select.outs, sql.Out(value, held.column))
            select = replace(one.select, outs=outs)
            conflict = one.conflict and self.conflict(one.conflict, held, renamed)
            names = (*one.columns, held.column)
            return replace(one, table=held.table, columns=names, select=select, conflict=conflict)
        if isinstance(one, sql.Update):
            where = _also(change(one.where, renamed), held.table, held.column, value)
            sets = change(one.sets, renamed)
            return replace(one, table=held.table, sets=sets, where=where, returning=returning)
        assert isinstance(one, sql.Delete)
        where = _also(change(one.where, renamed), held.table, held.column, value)
        return replace(one, table=held.table, where=where, returning=returning)

    def select(self, tree: sql.Select) -> sql.Select:
        """A query in which each old table is the merged one with its constant."""
        mine = [s for s in tree.sources if s.select is None and s.table in self.held]
        if not mine:
            return tree
        taken = {source.alias for source in tree.sources} - {source.alias for source in mine}
        names: dict[str, str] = {}
        for source in mine:
            table = self.held[source.table].table
            once = sum(self.held[one.table].table == table for one in mine) == 1
            plain = source.alias == source.table and once and table not in taken
            names[source.alias] = table if plain else source.alias
        rest = replace(tree, sources=())
        moved = change(rest, lambda c: sql.Col(names.get(c.alias, c.alias), c.name))
        sources, more = [], []
        for source in tree.sources:
            on = change(source.on, lambda c: sql.Col(names.get(c.alias, c.alias), c.name))
            if source not in mine:
                sources.append(replace(source, on=on))
                continue
            held, alias = self.held[source.table], names[source.alias]
            tell = sql.Cmp("=", sql.Col(alias, held.column), sql.Lit(held.value_of(source.table)))
            if source.on is None:
                more.append(tell)
                sources.append(sql.Source(held.table, alias))
            else:
                sources.append(sql.Source(held.table, alias, conjunction([on, tell])))
        where = conjunction([*more, *_parts(moved.where)]) if more else moved.where
        return replace(moved, sources=tuple(sources), where=where)

    def conflict(
        self, given: sql.Conflict, held: Merged, renamed: Callable[[sql.Col], sql.Col]
    ) -> sql.Conflict:
        """ON CONFLICT by the key of the merged table.

        Raises:
          Unrewritable: its key does not tell the rows apart, so that another old table's row
            could be the one that is there.
        """
        keys = (self.target[held.table].key, *self.target[held.table].unique)
        wanted = {*given.columns, held.column}
        if given.columns and not any(set(key) == wanted for key in keys):
            raise Unrewritable(
                f"{self.name}: ON CONFLICT by {', '.join(given.columns)} may meet a row of another "
                f"table than {', '.join(held.sources[:2])} had apart: {held.table} has no key of "
                f"{held.column} and {', '.join(given.columns)}"
            )
        if not given.columns and any(held.column not in key for key in keys if key):
            raise Unrewritable(
                f"{self.name}: it ignores a row that is there, and {held.table} has a key without "
                f"{held.column}, so that another old table's row may be the one"
            )
        sets, where = change(given.sets, renamed), change(given.where, renamed)
        columns = (*given.columns, held.column) if given.columns else ()
        return sql.Conflict(columns, sets, where)


def _renamer(old: str, new: str) -> Callable[[sql.Col], sql.Col]:
    def renamed(column: sql.Col) -> sql.Col:
        return sql.Col(new, column.name) if column.alias == old else column

    return renamed


def _parts(where: sql.Pred) -> tuple[sql.Pred, ...]:
    return () if where == sql.And(()) else conjuncts(where)


def _also(where: sql.Pred, table: str, column: str, value: sql.Lit) -> sql.Pred:
    return conjunction([sql.Cmp("=", sql.Col(table, column), value), *_parts(where)])
