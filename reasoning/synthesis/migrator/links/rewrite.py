"""Functions over the schema with references, rewritten for the association tables that hold them: a
row there where there is a value, and none where there is NULL.
"""

from dataclasses import replace

from reasoning.synthesis.migrator.correspondence.mapping import (
    PRESENT,
    Cell,
    Copy,
    DataMapping,
    Fixed,
    Made,
    Rule,
)
from reasoning.synthesis.migrator.links.find import Linked
from reasoning.synthesis.migrator.lookups.find import Extracted
from reasoning.synthesis.migrator.lookups.rewrite import Rewriter
from reasoning.synthesis.migrator.sketch.build import key_of_rows
from reasoning.synthesis.migrator.sketch.target import Unrewritable
from reasoning.synthesis.migrator.sketch.updates import through_reference
from reasoning.synthesis.migrator.sql import program as sql
from reasoning.synthesis.migrator.sql.tables import Tables
from reasoning.synthesis.migrator.sql.visitors import change_queries, columns, conjunction

NULL = sql.Lit(None)


class LinkRewriter(Rewriter):
    """Rewrites the functions of one refactoring."""

    holder = "an association table now holds"

    def __init__(self, links: list[Linked], source: Tables, target: Tables):
        held = [
            Extracted(one.table, one.column, one.key, one.link, one.owner, one.value, False)
            for one in links
        ]
        super().__init__(held, target)
        self.links = {(one.table, one.column): one for one in links}
        self.source = source

    def statement(self, one: sql.Statement) -> list[sql.Statement]:
        """The statements that do the same over the association tables."""
        return [through_reference(done, self.target) for done in self._statements(one)]

    def _statements(self, one: sql.Statement) -> list[sql.Statement]:
        one = change_queries(one, self.select)
        mine = [link for link in self.links.values() if link.table == getattr(one, "table", "")]
        if isinstance(one, sql.Delete):
            return self.delete(one, mine)
        if isinstance(one, sql.Insert) and mine:
            return self.put(one, mine)
        if isinstance(one, sql.Update) and mine:
            return self.set(one, mine)
        if isinstance(one, sql.Fill) and any(link.column in one.columns for link in mine):
            raise self.refused("INSERT ... SELECT of a reference that")
        return [one]

    def put(self, one: sql.Insert, mine: list[Linked]) -> list[sql.Statement]:
        """An INSERT, and a row for each reference that it gives."""
        given = dict(zip(one.columns, one.values, strict=True))
        after: list[sql.Statement] = []
        for link in mine:
            if one.conflict or one.returning:
                raise self.refused("RETURNING or ON CONFLICT with a reference that")
            default = sql.Lit(self.source[link.table].defaults.get(link.column))
            value, key = given.pop(link.column, default), given.get(link.key)
            if value == NULL:
                continue
            if key is None or isinstance(key, sql.Lookup):
                raise self.refused("an INSERT without a key of a reference that")
            after.append(self.row(link, key, value))
        return [replace(one, columns=tuple(given), values=tuple(given.values())), *after]

    def row(self, link: Linked, key: sql.Value, value: sql.Value) -> sql.Statement:
        """The INSERT of a row, if there is a value."""
        names, values = (link.owner, link.value), (key, value)
        if link.number:
            self.fresh += 1
            numbered = link.number in self.target[link.link].numbered
            names, values = (link.number, *names), (sql.Fresh(self.fresh, numbered), *values)
        if isinstance(value, sql.Lit):
            return sql.Insert(link.link, names, values)
        sources, joins, where = (), (), sql.TRUE
        if isinstance(value, sql.Lookup):
            inner = value.select
            if inner.group or inner.distinct or inner.limit is not None or inner.order:
                raise self.refused("a subquery for a reference that")
            value = inner.outs[0].value
            if not isinstance(value, sql.Col):
                raise self.refused("an aggregate for a reference that")
            sources, joins, where = inner.sources, inner.joins, inner.where
            values = (*values[:-1], value)
        elif not isinstance(value, sql.Param | sql.Expr):
            raise self.refused("a computed value of a reference that")
        present = conjunction([where, sql.Cmp("IS NOT", value, NULL)])
        outs = tuple(sql.Out(one, name) for one, name in zip(values, names, strict=True))
        return sql.Fill(link.link, names, sql.Select(outs, sources, joins, present))

    def set(self, one: sql.Update, mine: list[Linked]) -> list[sql.Statement]:
        """An UPDATE: rows of the association tables go, change, or are added."""
        held = {link.column: link for link in mine}
        sets = tuple((c, v) for c, v in one.sets if c not in held)
        if any((one.table, c.name) in self.held for _, v in one.sets for c in columns(v)):
            raise self.refused("a new value computed from a reference that")
        where, links = self.where(one), [held[c] for c, _ in one.sets if c in held]
        by = {column.name for column in columns(one.where)}
        rest = [replace(one, sets=sets, where=where)] if sets else []
        if not links:
            return rest
        if one.returning or (len(links) > 1 and by & {link.column for link in links}):
            raise self.refused("RETURNING or a choice by references that")
        made: list[sql.Statement] = []
        values = dict(one.sets)
        for link in links:
            made += self.moved(link, values[link.column], where)
        if by & {column for column, _ in sets}:
            if by & set(held):
                raise self.refused("a choice of rows by what changes and a reference that")
            return [*made, *rest]
        return [*rest, *made]

    def moved(self, link: Linked, value: sql.Value, where: sql.Pred) -> list[sql.Statement]:
        """References of chosen rows become a value."""
        rows = sql.Select(
            (sql.Out(sql.Col(link.table, link.key), link.key),),
            (sql.Source(link.table, link.table),),
            (),
            where,
        )
        chosen = sql.InSelect((sql.Col(link.link, link.owner),), rows)
        gone = sql.Delete(link.link, chosen)
        if value == NULL:
            return [gone]
        if not isinstance(value, sql.Lit | sql.Param | sql.Expr) or columns(value):
            raise self.refused("a computed value of a reference that")
        certain = isinstance(value, sql.Lit)
        present = [] if certain else [sql.Cmp("IS NOT", value, NULL)]
        own = sql.Select(
            (sql.Out(sql.Col(link.link, link.owner), link.owner),),
            (sql.Source(link.link, link.link),),
        )
        names: tuple[str, ...] = (link.owner, link.value)
        values: tuple[sql.Value, ...] = (sql.Col(link.table, link.key), value)
        if link.number:
            if link.number not in self.target[link.link].numbered:
                raise self.refused("keys that nothing numbers for references that")
            mark = f"{self.name} {link} {where}"
            names, values = (link.number, *names), (key_of_rows(mark), *values)
        outs = tuple(sql.Out(one, name) for one, name in zip(values, names, strict=True))
        missing = sql.Not(sql.InSelect((sql.Col(link.table, link.key),), own))
        fresh = sql.Select(outs, rows.sources, (), conjunction([where, missing, *present]))
        none = (
            []
            if certain
            else [replace(gone, where=conjunction([sql.Cmp("IS", value, NULL), chosen]))]
        )
        return [
            *none,
            sql.Update(link.link, ((link.value, value),), conjunction([*present, chosen])),
            sql.Fill(link.link, names, fresh),
        ]

    def delete(self, one: sql.Delete, mine: list[Linked]) -> list[sql.Statement]:
        """A DELETE behind those of the rows that refer, unless they go by themselves."""
        before: list[sql.Statement] = []
        where = self.where(one)
        for link in self.links.values():
            ends = [
                (column, to_key)
                for table, column, to_key in (
                    (link.table, link.owner, link.key),
                    (link.to, link.value, link.to_key),
                )
                if table == one.table
                and self.target.actions.get((link.link, (column,)), ("",))[0] != "CASCADE"
                and (table == link.table or self.cleared(link))
            ]
            for column, key in ends:
                out = sql.Out(sql.Col(one.table, key), key)
                rows = sql.Select((out,), (sql.Source(one.table, one.table),), (), where)
                before.append(
                    sql.Delete(link.link, sql.InSelect((sql.Col(link.link, column),), rows))
                )
        if before and {c.name for c in columns(one.where)} & {link.column for link in mine}:
            raise self.refused("a deletion by a reference that")
        return [*before, replace(one, where=where)]

    def cleared(self, link: Linked) -> bool:
        """Test if the old schema empties the reference when its row is deleted."""
        reference = (link.table, (link.column,))
        return self.source.actions.get(reference, ("",))[0] == "SET NULL"

    def condition(self, part, table: str):
        """A condition of a change on a reference: a row of the association table has it."""
        mine = [c for c in columns(part) if (table, c.name) in self.held and c.alias == table]
        if (
            mine
            and isinstance(part, sql.Cmp)
            and part.op in ("IS", "IS NOT")
            and part.left == mine[0]
        ):
            held = self.held[table, mine[0].name]
            out = sql.Out(sql.Col(held.lookup, held.key), held.key)
            rows = sql.Select((out,), (sql.Source(held.lookup, held.lookup),))
            inside = sql.InSelect((sql.Col(table, held.reference),), rows)
            return sql.Not(inside) if part.op == "IS" else inside
        return super().condition(part, table)


def linked_mapping(plain: DataMapping, links: list[Linked], target: Tables) -> DataMapping:
    """The mapping to the real schema.

    Args:
      plain: the mapping to the schema without association tables.
      links: the tables left out.
      target: the real schema.

    Raises:
      Unrewritable: the reference is no old column of the rows that have it.
    """
    rules = dict(plain.rules)
    for link in links:
        rule = rules.get(link.table)
        cell = rule.cells.get(link.column) if rule else None
        if rule is None or not isinstance(cell, Copy) or cell.table != rule.anchor or rule.also:
            raise Unrewritable(f"nothing in the old schema gives {link.link} its values")
        table = target[link.link]
        cells: dict[str, Cell] = {c: Fixed(table.defaults.get(c)) for c in table.stored}
        cells |= {link.owner: rule.cells[link.key], link.value: cell}
        if link.number:
            cells[link.number] = Made((link.link, link.number), rule.anchor)
        only = (cell.column, PRESENT)
        rules[link.link] = Rule(link.link, rule.anchor, rule.tree, cells, only=only)
        here = {c: one for c, one in rule.cells.items() if c != link.column}
        rules[link.table] = replace(rule, cells=here)
    return replace(plain, target=target, rules=rules)
