"""Functions over the plainer schema, rewritten for the lookup tables: queries join them, changes
add values that are not there yet. Rows that nothing refers to any more stay: they are vocabulary.
"""

from dataclasses import replace
from typing import Any

from reasoning.synthesis.migrator.correspondence import mapping as maps
from reasoning.synthesis.migrator.lookups.find import Extracted
from reasoning.synthesis.migrator.sketch.target import Unrewritable
from reasoning.synthesis.migrator.sql import program as sql
from reasoning.synthesis.migrator.sql.tables import Tables
from reasoning.synthesis.migrator.sql.visitors import (
    change,
    change_queries,
    columns,
    conjunction,
    conjuncts,
    fresh_numbers,
    here,
)


class Rewriter:
    """Rewrites the functions of one refactoring."""

    holder = "a lookup table now holds"

    def __init__(self, lookups: list[Extracted], target: Tables):
        self.target = target
        self.all = {(one.table, one.column): one for one in lookups}
        self.held = {place: one for place, one in self.all.items() if not one.natural}

    def function(self, function: sql.Function) -> sql.Function:
        """A function over the real schema.

        Raises:
          Unrewritable: it does with such a column what is not tried.
        """
        self.fresh = max(fresh_numbers(function.statements), default=0)
        self.name = function.name
        made = tuple(done for one in function.statements for done in self.statement(one))
        return function if made == function.statements else replace(function, statements=made)

    def refused(self, what: str) -> Unrewritable:
        return Unrewritable(f"{self.name}: {what} {self.holder}")

    def statement(self, one: sql.Statement) -> list[sql.Statement]:
        one = change_queries(one, self.select)
        if isinstance(one, sql.Insert):
            return self.insert(one)
        if isinstance(one, sql.Update):
            return self.update(one)
        if isinstance(one, sql.Delete):
            return [replace(one, where=self.where(one))]
        if isinstance(one, sql.Fill) and any((one.table, c) in self.all for c in one.columns):
            raise self.refused("INSERT ... SELECT of values that")
        return [one]

    def select(self, tree: sql.Select) -> sql.Select:
        """A query that joins the lookup tables of the columns that it names."""
        tables = {source.alias: source for source in tree.sources if source.select is None}
        outer = {source.alias for source in tree.sources if source.on is not None}
        on = tuple(source.on for source in tree.sources)
        parts = (tree.outs, tree.joins, tree.where, tree.order, tree.group, tree.having, on)
        named = columns(parts)
        used: dict[sql.Col, tuple[Extracted, str]] = {}
        taken = set(tables)
        for column in named:
            source = tables.get(column.alias)
            held = self.held.get((source.table, column.name)) if source else None
            if held is not None:
                alias, n = held.lookup, 2
                while alias in taken:
                    alias, n = f"{held.lookup}_{n}", n + 1
                taken.add(alias)
                used[column] = (held, alias)
        if any(
            (source.table, c.name) in self.held
            for source in tree.sources
            for c in columns(source.on)
            if c.alias == source.alias and source.select is None
        ):
            raise self.refused("LEFT JOIN of a table by a value that")
        if not used:
            return tree

        def moved(column):
            return sql.Col(used[column][1], used[column][0].value) if column in used else column

        # Where a condition needs the value, a row without one is passed over anyway.
        needed = {c for pair in tree.joins for c in pair} | {
            c
            for part in conjuncts(tree.where)
            if isinstance(part, sql.InList) or (isinstance(part, sql.Cmp) and "IS" not in part.op)
            for c in columns(part)
        }
        free = {c for c, (held, _) in used.items() if not held.required and c not in needed}
        left = free | {c for c in used if c.alias in outer}
        ties = [sql.Cmp("=", a, b) for a, b in tree.joins if {a, b} & left]
        joins = [pair for pair in tree.joins if not set(pair) & left]
        inner, after = [], []
        for column, (held, alias) in used.items():
            ends = (sql.Col(column.alias, held.reference), sql.Col(alias, held.key))
            if column in left:
                after.append(sql.Source(held.lookup, alias, sql.Cmp("=", *ends)))
            else:
                inner.append(sql.Source(held.lookup, alias))
                joins.append(ends)
        plain = [source for source in tree.sources if source.on is None]
        behind = [source for source in tree.sources if source.on is not None]
        where = conjunction([*ties, *conjuncts(tree.where)]) if ties else tree.where
        rest = replace(tree, where=where, joins=tuple(joins), sources=())
        behind = [replace(source, on=change(source.on, moved)) for source in behind]
        left = _in_turn([*behind, *after], {source.alias for source in (*plain, *inner)})
        return replace(change(rest, moved), sources=(*plain, *inner, *left))

    def insert(self, one: sql.Insert) -> list[sql.Statement]:
        before: list[sql.Statement] = []
        names, values = list(one.columns), list(one.values)
        touched = [c for c in names if (one.table, c) in self.all]
        said = columns((one.returning, one.conflict and (one.conflict.sets, one.conflict.where)))
        conflict = {c for c, _ in one.conflict.sets} if one.conflict else set()
        if any((one.table, c.name) in self.held for c in said) or any(
            (one.table, c) in self.all for c in conflict
        ):
            raise self.refused("RETURNING or ON CONFLICT with values that")
        for column in touched:
            held, n = self.all[one.table, column], names.index(column)
            more, value = self.stored(held, values[n])
            before += more
            names[n], values[n] = held.reference, value
        return [*before, replace(one, columns=tuple(names), values=tuple(values))]

    def update(self, one: sql.Update) -> list[sql.Statement]:
        before: list[sql.Statement] = []
        sets = []
        for column, value in one.sets:
            held = self.all.get((one.table, column))
            if any((one.table, c.name) in self.held for c in columns(value)):
                raise self.refused("a new value computed from one that")
            if held is None:
                sets.append((column, value))
                continue
            more, value = self.stored(held, value)
            before += more
            sets.append((held.reference, value))
        return [*before, replace(one, sets=tuple(sets), where=self.where(one))]

    def stored(self, held: Extracted, value) -> tuple[list[sql.Statement], Any]:
        """Statements that add a value if it is not there yet, and the reference to it."""
        if isinstance(value, sql.Lit) and value.value is None:
            return [], value
        if not isinstance(value, sql.Lit | sql.Param | sql.Expr) or columns(value):
            raise self.refused("a computed value that")
        names, given = [held.value], [value]
        if not held.natural:
            self.fresh += 1
            numbered = held.key in self.target[held.lookup].numbered
            names, given = [held.key, held.value], [sql.Fresh(self.fresh, numbered), value]
        there = sql.Conflict((held.value,))
        if held.required or isinstance(value, sql.Lit):
            add: sql.Statement = sql.Insert(held.lookup, tuple(names), tuple(given), there)
        else:
            outs = tuple(sql.Out(v, c) for c, v in zip(names, given, strict=True))
            chosen = sql.Select(outs, (), (), sql.Cmp("IS NOT", value, sql.Lit(None)))
            add = sql.Fill(held.lookup, tuple(names), chosen, there)
        if held.natural:
            return [add], value
        found = sql.Select(
            (sql.Out(sql.Col(held.lookup, held.key), held.key),),
            (sql.Source(held.lookup, held.lookup),),
            (),
            sql.Cmp("=", sql.Col(held.lookup, held.value), value),
        )
        return [add], sql.Lookup(found)

    def where(self, one: sql.Delete | sql.Update):
        """The condition of a change: by values that lookup tables hold."""
        parts = conjuncts(one.where)
        return (
            conjunction([self.condition(part, one.table) for part in parts])
            if parts
            else sql.And(())
        )

    def condition(self, part, table: str):
        mine = [c for c in columns(part) if (table, c.name) in self.held and c.alias == table]
        if not mine:
            return part
        column, held = mine[0], self.held[table, mine[0].name]
        near = sql.Col(table, held.reference)
        if isinstance(part, sql.Cmp) and columns(part) == mine == [column] and part.left == column:
            if part.op in ("IS", "IS NOT"):
                return sql.Cmp(part.op, near, part.right)
            where = replace(part, left=sql.Col(held.lookup, held.value))
            out = sql.Out(sql.Col(held.lookup, held.key), held.key)
            return sql.InSelect(
                (near,), sql.Select((out,), (sql.Source(held.lookup, held.lookup),), (), where)
            )
        if any(isinstance(node, sql.InSelect) for node in here(part)):
            raise self.refused("IN over values that")
        key = self.target[table].key
        if not key:
            raise self.refused("a choice without a key by values that")
        outs = tuple(sql.Out(sql.Col(table, name), name) for name in key)
        whole = self.select(sql.Select(outs, (sql.Source(table, table),), (), part))
        return sql.InSelect(tuple(sql.Col(table, name) for name in key), whole)


def _in_turn(sources: list[sql.Source], known: set[str]) -> list[sql.Source]:
    """LEFT JOINs, each behind all that it names."""
    left, done = list(sources), []
    while left:
        free = [s for s in left if {c.alias for c in columns(s.on)} - {s.alias} <= known]
        done.append((free or left)[0])
        known = known | {done[-1].alias}
        left.remove(done[-1])
    return done


def real_mapping(
    plain: maps.DataMapping, lookups: list[Extracted], target: Tables
) -> maps.DataMapping:
    """The mapping to the real schema.

    Args:
      plain: the mapping to the schema without lookup tables.
      lookups: the tables left out.
      target: the real schema.

    Raises:
      Unrewritable: a lookup table's value is no old column's.
    """
    rules = dict(plain.rules)
    for held in lookups:
        rule = rules.get(held.table)
        cell = rule.cells.get(held.column) if rule else None
        if rule is None or not isinstance(cell, maps.Copy):
            raise Unrewritable(f"nothing in the old schema gives {held.lookup} its values")
        table = target[held.lookup]
        cells: dict[str, maps.Cell] = {c: maps.Fixed(table.defaults.get(c)) for c in table.stored}
        cells |= {held.key: maps.Made((held.lookup, held.key), rule.anchor), held.value: cell}
        rules[held.lookup] = maps.Rule(held.lookup, rule.anchor, rule.tree, cells, held.value)
        if not held.natural:
            found = maps.Found(held.lookup, held.key, held.value, cell)
            here = {c: one for c, one in rule.cells.items() if c != held.column}
            rules[held.table] = replace(rule, cells=here | {held.reference: found})
    for name in {held.table for held in lookups}:
        cells = rules[name].cells
        ordered = {c: cells[c] for c in target[name].stored if c in cells}
        rules[name] = replace(rules[name], cells=ordered)
    return replace(plain, target=target, rules=rules)
