"""Queries: from sqlglot's trees to ours; joins are separated from conditions."""

import re

from reasoning.synthesis.errors import Refusal
from reasoning.synthesis.migrator.sql.conditions import Conditions
from reasoning.synthesis.migrator.sql.names import Outside
from reasoning.synthesis.migrator.sql.program import TRUE, Agg, Cmp, Col, Lit, Out, Param, Select
from reasoning.synthesis.migrator.sql.tables import near
from reasoning.synthesis.migrator.sql.visitors import conjunction, conjuncts

AGGREGATES = {"Count": "COUNT", "Sum": "SUM", "Min": "MIN", "Max": "MAX", "Avg": "AVG"}


class Selects(Conditions):
    """Reads queries, and the joined tables of changes."""

    def select(self, tree) -> Select:
        allowed = {
            "expressions",
            "from_",
            "joins",
            "where",
            "order",
            "limit",
            "distinct",
            "group",
            "kind",
            "hint",
        }
        for name, value in tree.args.items():
            if value and name not in allowed:
                raise Outside(f"{name.upper().strip('_')} in a query is outside the fragment", tree)
        if (inner := self.wrapped(tree)) is not None:
            return self.select(inner)
        if not tree.args.get("from_"):
            raise Outside("a SELECT without FROM is outside the fragment", tree)
        sources, conditions = self.sources(tree.args["from_"].this, tree.args.get("joins") or [])
        if tree.args.get("where"):
            conditions.append(self.pred(tree.args["where"].this, sources))
        joins, rest = split(conditions)
        outs = tuple(self.out(one, sources) for one in self.stars(tree.expressions, sources))
        order, group = (
            tree.args[name].expressions if tree.args.get(name) else ()
            for name in ("order", "group")
        )
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

    def wrapped(self, tree):
        """The query inside of SELECT * FROM (...), which MySQL needs where a change reads its own
        table; None if there is more.
        """
        parts = {name for name, value in tree.args.items() if value} - {"expressions", "from_"}
        inner = tree.args["from_"].this if tree.args.get("from_") else None
        star = len(tree.expressions) == 1 and isinstance(tree.expressions[0], self.exp.Star)
        alone = isinstance(inner, self.exp.Subquery) and not inner.args.get("joins")
        return inner.this if alone and star and not parts else None

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
            if (
                join.args.get("side")
                or join.args.get("method")
                or join.args.get("kind") not in (None, "", "INNER", "CROSS")
            ):
                raise Outside(
                    f"{join.args.get('side') or join.args.get('method') or join.args.get('kind')} "
                    "JOIN is outside the fragment",
                    join,
                )
            self.only(join, "this", "on", "using", "kind")
            found.append(self.source(join.this))
            for one in join.args.get("using") or ():
                left, right = (
                    self.column(self.exp.column(one.name), some)
                    for some in (found[:-1], found[-1:])
                )
                conditions.append(Cmp("=", left, right))
            if join.args.get("on"):
                conditions.append(self.pred(join.args["on"], found))
        if len({source.alias for source in found}) < len(found):
            raise Refusal(
                f"{self.where}: a table is there twice under the same name: give each an alias"
            )
        return found, conditions

    def stars(self, outs, sources):
        for one in outs:
            if isinstance(one, self.exp.Star) or (
                isinstance(one, self.exp.Column) and isinstance(one.this, self.exp.Star)
            ):
                if any(one.find(self.exp.Star).args.values()):
                    raise Outside(f"{one.sql()!r} is outside the fragment", one)
                alias = one.table if isinstance(one, self.exp.Column) else ""
                meant = [
                    source
                    for source in sources
                    if not alias or source.alias.lower() == alias.lower()
                ]
                if not meant:
                    raise Refusal(
                        f"{self.where}: there is no table {alias!r} "
                        f"here{near(alias, [s.alias for s in sources])}"
                    )
                for source in meant:
                    yield from (
                        self.exp.column(name, source.alias) for name in self.names_of(source)
                    )
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
        if re.search(
            r"NULLS (FIRST|LAST)$", tree.sql(self.tables.dialect)
        ):  # printed only where it is not the dialect's habit
            raise Outside("NULLS FIRST and NULLS LAST are outside the fragment", tree)
        down, one = bool(tree.args.get("desc")), tree.this
        if isinstance(one, self.exp.Column) and not one.table:
            named = list({out.value for out in outs if out.name.lower() == one.name.lower()})
            if len(named) == 1:
                if not isinstance(named[0], Col):
                    raise Outside(
                        f"ORDER BY {one.name}, which is no column, is outside the fragment", tree
                    )
                return named[0], down
        return self.column(one, sources), down


def split(conditions):
    """Equalities of columns of two tables, and the other conditions."""
    flat = [one for condition in conditions for one in conjuncts(condition)]

    def joining(c):
        return (
            isinstance(c, Cmp)
            and c.op == "="
            and isinstance(c.right, Col)
            and isinstance(c.left, Col)
        )

    joins = [(c.left, c.right) for c in flat if joining(c) and c.left.alias != c.right.alias]
    return joins, [c for c in flat if not (joining(c) and c.left.alias != c.right.alias)]
