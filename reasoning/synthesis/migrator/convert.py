"""From sqlglot's trees to ours: names are resolved, joins are told from conditions, statements over several tables become single ones.

A DELETE or UPDATE over joins becomes one whose rows are chosen by a subquery. Where several tables change at once, the rows are chosen
before the first change: a snapshot keeps their keys.
"""

import re
from collections.abc import Sequence

from reasoning.synthesis.errors import Refusal
from reasoning.synthesis.migrator.conditions import Conditions
from reasoning.synthesis.migrator.names import Outside
from reasoning.synthesis.migrator.program import (
    TRUE,
    Agg,
    Cmp,
    Col,
    Delete,
    Drop,
    InSelect,
    Insert,
    Lit,
    Out,
    Param,
    Select,
    Snapshot,
    Source,
    Statement,
    Update,
    change,
    columns,
    conjunction,
    conjuncts,
)
from reasoning.synthesis.migrator.tables import Tables, near, spelled

AGGREGATES = {"Count": "COUNT", "Sum": "SUM", "Min": "MIN", "Max": "MAX", "Avg": "AVG"}


def convert(trees: Sequence, tables: Tables, where: str) -> tuple[Statement, ...]:
    """The statements of a function.

    Raises:
      Outside: one is outside the fragment.
      Refusal: an unknown table or column.
    """
    reader = _Reader(tables, where)
    found = tuple(statement for tree in trees for statement in reader.statement(tree))
    if sum(isinstance(one, Select) for one in found) and len(found) > 1:
        raise Outside("a SELECT beside other statements", trees[0])
    return found


class _Reader(Conditions):
    """Reads the statements of one function."""

    def statement(self, tree):
        makers = {"Select": lambda t: [self.select(t)], "Insert": self.insert, "Delete": self.delete, "Update": self.update,
                  "Create": self.snapshot, "Drop": self.drop}  # fmt: skip
        kind = type(tree).__name__
        if kind not in makers:
            raise Outside(f"{kind.upper()} is outside the fragment", tree)
        return makers[kind](tree)

    # Queries

    def select(self, tree) -> Select:
        allowed = {"expressions", "from_", "joins", "where", "order", "limit", "distinct", "group", "kind", "hint"}
        for name, value in tree.args.items():
            if value and name not in allowed:
                raise Outside(f"{name.upper().strip('_')} in a query is outside the fragment", tree)
        if not tree.args.get("from_"):
            raise Outside("a SELECT without FROM is outside the fragment", tree)
        sources, conditions = self.sources(tree.args["from_"].this, tree.args.get("joins") or [])
        if tree.args.get("where"):
            conditions.append(self.pred(tree.args["where"].this, sources))
        joins, rest = _split(conditions)
        outs = tuple(self.out(one, sources) for one in self.stars(tree.expressions, sources))
        order, group = (tree.args[name].expressions if tree.args.get(name) else () for name in ("order", "group"))
        if group or tree.args.get("group"):
            self.only(tree.args["group"], "expressions")  # no ROLLUP, no GROUP BY ALL
        return Select(
            outs,
            tuple(sources),
            tuple(joins),
            conjunction(rest) if rest else TRUE,
            tuple(self.order(one, sources, outs) for one in order),
            self.limit(tree.args.get("limit"), sources),
            self.distinct(tree),
            tuple(self.column(one, sources) for one in group),
        )

    def limit(self, tree, sources):
        if tree is None:
            return None
        if not isinstance(tree, self.exp.Limit):
            raise Outside("FETCH is outside the fragment; LIMIT is inside", tree)
        self.only(tree, "expression")
        return self.value(tree.expression, sources)

    def distinct(self, tree):
        found = tree.args.get("distinct")
        if found and found.args.get("on"):
            raise Outside("DISTINCT ON is outside the fragment", tree)
        return bool(found)

    def sources(self, first, joins):
        """The joined tables, and the conditions of the joins."""
        joins = list(first.args.get("joins") or []) + list(joins)
        found, conditions = [self.source(first)], []
        for join in joins:
            if join.args.get("side") or join.args.get("method") or join.args.get("kind") not in (None, "", "INNER", "CROSS"):
                raise Outside(f"{join.args.get('side') or join.args.get('method') or join.args.get('kind')} JOIN is outside the fragment",
                              join)  # fmt: skip
            self.only(join, "this", "on", "using", "kind")
            found.append(self.source(join.this))
            for one in join.args.get("using") or ():
                left, right = (self.column(self.exp.column(one.name), some) for some in (found[:-1], found[-1:]))
                conditions.append(Cmp("=", left, right))
            if join.args.get("on"):
                conditions.append(self.pred(join.args["on"], found))
        if len({source.alias for source in found}) < len(found):
            raise Refusal(f"{self.where}: a table is there twice under the same name: give each an alias")
        return found, conditions

    def stars(self, outs, sources):
        for one in outs:
            if isinstance(one, self.exp.Star) or (isinstance(one, self.exp.Column) and isinstance(one.this, self.exp.Star)):
                if any(one.find(self.exp.Star).args.values()):
                    raise Outside(f"{one.sql()!r} is outside the fragment", one)
                alias = one.table if isinstance(one, self.exp.Column) else ""
                meant = [source for source in sources if not alias or source.alias.lower() == alias.lower()]
                if not meant:
                    raise Refusal(f"{self.where}: there is no table {alias!r} here{near(alias, [s.alias for s in sources])}")
                for source in meant:
                    yield from (self.exp.column(name, source.alias) for name in self.names_of(source))
            else:
                yield one

    def out(self, tree, sources) -> Out:
        name, inner = tree.alias_or_name, tree.unalias()
        kind = type(inner).__name__
        if kind not in AGGREGATES:
            value = self.value(inner, sources)
            if not isinstance(value, Col | Param | Lit):
                raise Outside("a computed output is outside the fragment", tree)
            return Out(value, name or "value")
        self.only(inner, "this", "big_int")
        of, distinct = inner.this, isinstance(inner.this, self.exp.Distinct)
        if distinct and (len(of.expressions) > 1 or of.args.get("on")):
            raise Outside("an aggregate of several columns is outside the fragment", tree)
        of = of.expressions[0] if distinct else of
        column = None if isinstance(of, self.exp.Star) else self.value(of, sources)
        if column is not None and not isinstance(column, Col):
            raise Outside("an aggregate of anything but a column is outside the fragment", tree)
        return Out(Agg(AGGREGATES[kind], column, distinct), tree.alias or AGGREGATES[kind].lower())

    def order(self, tree, sources, outs):
        """A column to order by, or the output of that name, which comes first, as in SQL."""
        self.only(tree, "this", "desc", "nulls_first")
        if re.search(r"NULLS (FIRST|LAST)$", tree.sql(self.tables.dialect)):  # printed only where it is not the dialect's habit
            raise Outside("NULLS FIRST and NULLS LAST are outside the fragment", tree)
        down, one = bool(tree.args.get("desc")), tree.this
        if isinstance(one, self.exp.Column) and not one.table:
            named = list({out.value for out in outs if out.name.lower() == one.name.lower()})
            if len(named) == 1:
                if not isinstance(named[0], Col):
                    raise Outside(f"ORDER BY {one.name}, which is no column, is outside the fragment", tree)
                return named[0], down
        return self.column(one, sources), down

    # Changes

    def insert(self, tree):
        exp, whole = self.exp, not isinstance(tree.this, self.exp.Schema)
        table = self.source(tree.this if whole else tree.this.this).table
        if table in self.snapshots:
            raise Outside("an INSERT into a temporary table is outside the fragment", tree)
        if not isinstance(tree.expression, exp.Values):
            raise Outside("an INSERT of anything but VALUES is outside the fragment", tree)
        self.only(tree, "this", "expression")  # no OR IGNORE, ON CONFLICT, RETURNING
        names = list(self.tables[table].types) if whole else [self.known(table, one.name) for one in tree.this.expressions]
        if len(set(names)) < len(names):
            raise Refusal(f"{self.where}: INSERT into {table} names a column twice: remove one")
        made = []
        for row in tree.expression.expressions:
            values = tuple(self.value(one, []) for one in row.expressions)
            if len(values) != len(names):
                raise Refusal(f"{self.where}: INSERT into {table} names {len(names)} columns and gives {len(values)} values")
            made.append(Insert(table, tuple(names), values))
        return made

    def delete(self, tree):
        self.only(tree, "this", "using", "where", "tables")  # no LIMIT, RETURNING, WITH
        using = [self.exp.Join(this=one) for one in tree.args.get("using") or []]
        sources, conditions = self.sources(tree.this, using)
        conditions += [self.pred(tree.args["where"].this, sources)] if tree.args.get("where") else []
        named = [one.name for one in tree.args.get("tables") or []] or [sources[0].alias]
        return self.spread(sources, conditions, named, lambda source, where: Delete(source.table, where), tree)

    def update(self, tree):
        self.only(tree, "this", "from_", "where", "expressions")
        first, more = tree.this, tree.args.get("from_")
        others = [self.exp.Join(this=more.this), *(more.this.args.get("joins") or [])] if more else []
        sources, conditions = self.sources(first, others)
        conditions += [self.pred(tree.args["where"].this, sources)] if tree.args.get("where") else []
        sets: dict[str, list] = {}
        for one in tree.expressions:
            column = self.column(one.this, sources)
            value = self.value(one.expression, sources)
            if any(isinstance(n, Col) and n.alias != column.alias for n in columns(value)):
                raise Outside("an UPDATE that takes a value from another table is outside the fragment", tree)
            sets.setdefault(column.alias, []).append((column.name, value))

        def make(source, where):
            renamed = tuple((name, _renamed(value, source)) for name, value in sets[source.alias])
            return Update(source.table, renamed, where)

        return self.spread(sources, conditions, list(sets), make, tree)

    def spread(self, sources, conditions, aliases, make, tree):
        """The statement for every table that changes."""
        by_alias = {source.alias: source for source in sources}
        if missing := [alias for alias in aliases if spelled(alias, by_alias) is None]:
            raise Refusal(f"{self.where}: {missing[0]!r} is none of the joined tables")
        aliases = [spelled(alias, by_alias) for alias in aliases]
        if kept := [by_alias[alias].table for alias in aliases if by_alias[alias].table in self.snapshots]:
            raise Outside(f"a change of the temporary table {kept[0]} is outside the fragment", tree)
        joins, rest = _split(conditions)
        if len(sources) == 1:
            return [make(sources[0], _renamed(conjunction(rest) if rest else TRUE, sources[0]))]
        keys = {alias: self.tables[by_alias[alias].table].key for alias in aliases}
        if bare := [alias for alias in aliases if not keys[alias]]:
            raise Outside(f"{by_alias[bare[0]].table} has no primary key to choose joined rows by", tree)
        where = conjunction(rest) if rest else TRUE
        outs = tuple(Out(Col(alias, key), f"{alias}_{key}") for alias in aliases for key in keys[alias])
        whole = Select(outs, tuple(sources), tuple(joins), where)
        if len(aliases) == 1:
            source = by_alias[aliases[0]]
            return [make(source, InSelect(tuple(Col(source.table, key) for key in keys[source.alias]), whole))]
        name = f"chosen_{len(self.snapshots) + 1}"
        self.snapshots[name] = tuple(out.name for out in outs)
        made = [Snapshot(name, whole)]
        for alias in aliases:
            inner = tuple(Out(Col(name, f"{alias}_{key}"), f"{alias}_{key}") for key in keys[alias])
            chosen = InSelect(tuple(Col(by_alias[alias].table, key) for key in keys[alias]), Select(inner, (Source(name, name),)))
            made.append(make(by_alias[alias], chosen))
        return [*made, Drop(name)]

    def snapshot(self, tree):
        if not isinstance(tree.expression, self.exp.Select) or not tree.find(self.exp.TemporaryProperty):
            raise Outside("CREATE of anything but a temporary table from a SELECT is outside the fragment", tree)
        select = self.select(tree.expression)
        self.snapshots[tree.this.name] = tuple(out.name for out in select.outs)
        return [Snapshot(tree.this.name, select)]

    def drop(self, tree):
        name = tree.this.name if tree.this else tree.args["tables"][0].name
        if name not in self.snapshots:
            raise Outside("DROP of anything but a temporary table of the same function is outside the fragment", tree)
        return [Drop(name)]


def _split(conditions):
    """Equalities of columns of two tables, and the other conditions."""
    flat = [one for condition in conditions for one in conjuncts(condition)]
    joining = lambda c: isinstance(c, Cmp) and c.op == "=" and isinstance(c.right, Col) and isinstance(c.left, Col)
    joins = [(c.left, c.right) for c in flat if joining(c) and c.left.alias != c.right.alias]
    return joins, [c for c in flat if not (joining(c) and c.left.alias != c.right.alias)]


def _renamed(tree, source):
    """Columns of a table by its alias, put under its own name."""
    return change(tree, lambda column: Col(source.table, column.name) if column.alias == source.alias else column)
