"""Queries: from sqlglot's trees to ours; joins are separated from conditions."""

import re
from dataclasses import replace

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator.sql import program
from reasoning.synthesis.migrator.sql.conditions import Conditions
from reasoning.synthesis.migrator.sql.names import Outside
from reasoning.synthesis.migrator.sql.tables import near
from reasoning.synthesis.migrator.sql.visitors import conjunction, conjuncts, here, nodes


class Selects(Conditions):
    """Reads queries, and the joined tables of changes."""

    def select(self, tree) -> program.Select:
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
            "having",
            "offset",
            "with_",
            "locks",
        }
        self.common(tree)
        for name, value in tree.args.items():
            if value and name not in allowed:
                raise Outside(f"{name.upper().strip('_')} in a query is outside the fragment", tree)
        if (inner := self.wrapped(tree)) is not None:
            return self.select(inner)
        first = tree.args["from_"].this if tree.args.get("from_") else None
        if first is None or first.name.upper() == "DUAL":
            if not isinstance(tree.parent, self.exp.Insert):
                raise Outside("a SELECT without FROM is outside the fragment", tree)
            sources, conditions = [], []
        else:
            sources, conditions = self.sources(first, tree.args.get("joins") or [])
        if tree.args.get("where"):
            conditions.append(self.pred(tree.args["where"].this, sources))
        joins, rest = split(conditions, {one.alias for one in sources if one.on is not None})
        outs = tuple(self.out(one, sources) for one in self.stars(tree.expressions, sources))
        order, group = (
            tree.args[name].expressions if tree.args.get(name) else ()
            for name in ("order", "group")
        )
        if group or tree.args.get("group"):
            self.only(tree.args["group"], "expressions")  # no ROLLUP, no GROUP BY ALL
        return program.Select(
            outs,
            tuple(sources),
            tuple(joins),
            conjunction(rest) if rest else program.TRUE,
            tuple(self.order(one, sources, outs) for one in order),
            self.limit(tree.args.get("limit"), sources),
            self.distinct(tree),
            tuple(self.grouped(one, sources, outs) for one in group),
            self.having(tree.args.get("having"), sources, outs),
            self.offset(tree.args.get("offset"), sources),
            " ".join(lock.sql(self.tables.dialect) for lock in tree.args.get("locks") or ()),
        )

    def common(self, tree) -> None:
        """The WITH of a query: its subqueries, by name."""
        found = tree.args.get("with_")
        if found is None:
            return
        self.only(found, "expressions")
        for one in found.expressions:
            self.only(one, "this", "alias")
            if not isinstance(one.this, self.exp.Select):
                raise Outside("WITH over anything but a plain SELECT is outside the fragment", tree)
            select = self.select(one.this)
            names = [name.name for name in one.args["alias"].args.get("columns") or ()]
            if names:
                outs = zip(names, select.outs, strict=True)
                select = replace(
                    select, outs=tuple(program.Out(out.value, name) for name, out in outs)
                )
            self.derived[one.alias.lower()] = select

    def compound(self, tree) -> program.Compound:
        """UNION, EXCEPT or INTERSECT of plain queries."""
        self.common(tree)
        parts, words = self.sides(tree)
        if len({len(part.outs) for part in parts}) > 1:
            raise UserError(f"{self.where}: the parts of a UNION differ in their number of outputs")
        order = tree.args["order"].expressions if tree.args.get("order") else ()
        return program.Compound(
            tuple(parts),
            tuple(words),
            tuple(self.order(one, parts[0].sources, parts[0].outs) for one in order),
            self.limit(tree.args.get("limit"), ()),
            self.offset(tree.args.get("offset"), ()),
        )

    def sides(self, tree) -> tuple[list[program.Select], list[str]]:
        """The parts from left to right, and the words between them."""
        if isinstance(tree, self.exp.Select):
            return [self.select(tree)], []
        if not isinstance(tree, self.exp.SetOperation) or tree.args.get("by_name"):
            raise Outside("parentheses in a UNION are outside the fragment", tree)
        (left, words), (right, more) = self.sides(tree.this), self.sides(tree.expression)
        if more:
            raise Outside("parentheses in a UNION are outside the fragment", tree)
        word = type(tree).__name__.upper()
        return [*left, *right], [*words, word if tree.args.get("distinct") else f"{word} ALL"]

    def grouped(self, tree, sources, outs):
        """A value to group by; a number is that of an output, a bare name may be one's."""
        if isinstance(tree, self.exp.Literal) and not tree.is_string:
            return outs[tree.to_py() - 1].value
        bare = isinstance(tree, self.exp.Column) and not tree.table
        if bare and not self._found(tree, sources):
            named = [out.value for out in outs if out.name.lower() == tree.name.lower()]
            if len(named) == 1:
                return named[0]
        return self.value(tree, sources)

    def having(self, tree, sources, outs) -> program.Pred:
        """A condition on groups; outputs may be called by their names."""
        if tree is None:
            return program.TRUE
        names = {out.name.lower(): n for n, out in enumerate(outs)}

        def meant(node):
            bare = isinstance(node, self.exp.Column) and not node.table
            if bare and not self._found(node, sources) and node.name.lower() in names:
                return shown[names[node.name.lower()]].copy()
            return node

        shown = [one.unalias() for one in tree.parent.expressions]
        return self.pred(tree.this.transform(meant), sources)

    def offset(self, tree, sources):
        return None if tree is None else self.value(tree.expression, sources)

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
            side, kind = join.args.get("side"), join.args.get("kind")
            if side == "RIGHT" and len(joins) == len(found) == 1 and not join.args.get("using"):
                turned = join.copy()  # a RIGHT JOIN b is b LEFT JOIN a
                turned.set("side", "LEFT")
                turned.set("this", first.copy())
                return self.sources(join.this, [turned])
            if side == "LEFT" and not join.args.get("method") and kind in (None, "", "OUTER"):
                found.append(self.left(join, found))
                continue
            if side or join.args.get("method") or kind not in (None, "", "INNER", "CROSS"):
                raise Outside(
                    f"{side or join.args.get('method') or kind} JOIN is outside the fragment", join
                )
            self.only(join, "this", "on", "using", "kind")
            found.append(self.source(join.this))
            for one in join.args.get("using") or ():
                left, right = (
                    self.column(self.exp.column(one.name), some)
                    for some in (found[:-1], found[-1:])
                )
                conditions.append(program.Cmp("=", left, right))
            if join.args.get("on"):
                conditions.append(self.pred(join.args["on"], found))
        outer = {source.alias for source in found if source.on is not None}
        if any(
            isinstance(n, program.Col) and n.alias in outer for c in conditions for n in here(c)
        ):
            raise Outside(
                "an inner join of a table behind LEFT JOIN is outside the fragment", first
            )
        if len({source.alias for source in found}) < len(found):
            raise UserError(
                f"{self.where}: a table is there twice under the same name: give each an alias"
            )
        return found, conditions

    def left(self, join, before) -> program.Source:
        """The table of a LEFT JOIN with its condition."""
        self.only(join, "this", "on", "using", "side", "kind")
        source = self.source(join.this)
        parts = [
            program.Cmp(
                "=", *(self.column(self.exp.column(one.name), some) for some in ([source], before))
            )
            for one in join.args.get("using") or ()
        ]
        if join.args.get("on"):
            parts.append(self.pred(join.args["on"], [*before, source]))
        if any(isinstance(node, program.InSelect | program.Lookup) for node in here(tuple(parts))):
            raise Outside("LEFT JOIN with a subquery is outside the fragment", join)
        return replace(source, on=conjunction(parts) if parts else program.TRUE)

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
                    raise UserError(
                        f"{self.where}: there is no table {alias!r} "
                        f"here{near(alias, [s.alias for s in sources])}"
                    )
                for source in meant:
                    yield from (
                        self.exp.column(name, source.alias) for name in self.names_of(source)
                    )
            else:
                yield one

    def out(self, tree, sources) -> program.Out:
        name, inner = tree.alias_or_name, tree.unalias()
        value = self.value(inner, sources)
        if isinstance(value, program.Fresh) and not sources:
            return program.Out(value, name or "key")
        if any(isinstance(node, program.Lookup | program.Fresh) for node in nodes(value)):
            raise Outside("a subquery as an output is outside the fragment", tree)
        if isinstance(value, program.Agg):
            return program.Out(value, tree.alias or value.function.lower())
        return program.Out(value, name or "value")

    def order(self, tree, sources, outs):
        """A column to order by, or the output of that name, which comes first, as in SQL."""
        self.only(tree, "this", "desc", "nulls_first")
        # Printed only where it is not the dialect's habit.
        nulls = re.search(r" NULLS (FIRST|LAST)$", tree.sql(self.tables.dialect))
        if nulls and self.tables.dialect == "mysql":
            raise Outside("NULLS FIRST and NULLS LAST are outside MySQL", tree)
        down = (" DESC" if tree.args.get("desc") else "") + (nulls[0] if nulls else "")
        one = tree.this
        if isinstance(one, self.exp.Column) and not one.table:
            named = list({out.value for out in outs if out.name.lower() == one.name.lower()})
            if len(named) == 1:
                return named[0], down
        if isinstance(one, self.exp.Literal) and not one.is_string:
            return outs[one.to_py() - 1].value, down
        return self.value(one, sources), down


def split(conditions, outer=frozenset()):
    """Equalities of columns of two tables, and the other conditions."""
    flat = [one for condition in conditions for one in conjuncts(condition)]

    def joining(c):
        return (
            isinstance(c, program.Cmp)
            and c.op == "="
            and isinstance(c.right, program.Col)
            and isinstance(c.left, program.Col)
            and not {c.left.alias, c.right.alias} & outer
        )

    joins = [(c.left, c.right) for c in flat if joining(c) and c.left.alias != c.right.alias]
    return joins, [c for c in flat if not (joining(c) and c.left.alias != c.right.alias)]
