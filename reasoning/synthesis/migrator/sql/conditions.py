"""Conditions and values: from sqlglot's trees to ours."""

import functools
import re
import sqlite3

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator.sql.names import Names, Outside
from reasoning.synthesis.migrator.sql.program import (
    TRUE,
    Agg,
    And,
    Arith,
    Cmp,
    Col,
    Expr,
    Fresh,
    InList,
    InSelect,
    Lit,
    Lookup,
    Not,
    Or,
    Out,
    Param,
    Pred,
    Select,
)
from reasoning.synthesis.migrator.sql.visitors import conjunction, conjuncts, here

COMPARISONS = {
    "EQ": "=",
    "NEQ": "<>",
    "LT": "<",
    "LTE": "<=",
    "GT": ">",
    "GTE": ">=",
    "Like": "LIKE",
}
TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
AGGREGATES = {"Count": "COUNT", "Sum": "SUM", "Min": "MIN", "Max": "MAX", "Avg": "AVG"}
ARITHMETIC = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/"}


class Conditions(Names):
    """Reads conditions and values; `select`, of a subquery, is its heir's."""

    def pred(self, tree, sources) -> Pred:
        exp, again = self.exp, lambda one: self.pred(one, sources)
        if isinstance(tree, exp.Paren):
            return again(tree.this)
        if isinstance(tree, exp.And):
            return conjunction((again(tree.left), again(tree.right)))
        if isinstance(tree, exp.Or):
            parts = [again(tree.left), again(tree.right)]
            return Or(
                tuple(
                    one
                    for part in parts
                    for one in (part.parts if isinstance(part, Or) else (part,))
                )
            )
        if isinstance(tree, exp.Not):
            if isinstance(tree.this.unnest(), exp.Exists):
                return self.exists(tree.this.unnest(), sources, False)
            inner = again(tree.this)
            turned = {"IS": "IS NOT", "IS NOT": "IS"}
            return (
                Cmp(turned[inner.op], inner.left, inner.right)
                if isinstance(inner, Cmp) and inner.op in turned
                else Not(inner)
            )
        if isinstance(tree, exp.Between):
            self.only(tree, "this", "low", "high")
            low, high = (self.value(tree.args[name], sources) for name in ("low", "high"))
            column = self.value(tree.this, sources)
            return And((Cmp(">=", column, low), Cmp("<=", column, high)))
        if isinstance(tree, exp.Is):
            self.only(tree, "this", "expression", "negate")
            op = (
                "IS NOT" if tree.args.get("negate") else "IS"
            )  # PostgreSQL's reader; others put NOT around it
            return Cmp(op, self.value(tree.this, sources), self.value(tree.expression, sources))
        if isinstance(tree, exp.In):
            return self.inside(tree, sources)
        if isinstance(tree, exp.Boolean):
            return TRUE if tree.this else Not(TRUE)
        if isinstance(tree, exp.Exists):
            return self.exists(tree, sources, True)
        return self.comparison(tree, sources)

    def comparison(self, tree, sources):
        exp = self.exp
        op = COMPARISONS.get(type(tree).__name__)
        if isinstance(tree, exp.Paren):
            return self.pred(tree.this, sources)
        kinds = (
            exp.Column | exp.Func | exp.ILike | exp.NullSafeEQ | exp.NullSafeNEQ | exp.Placeholder
        )
        kinds |= exp.RegexpLike | exp.Glob | exp.JSONBContains | exp.ArrayContainsAll
        if (op is None and isinstance(tree, kinds)) or isinstance(
            tree.args.get("expression"), exp.Any
        ):
            return self.expression(tree, sources)
        if op is None:
            raise Outside(
                f"{type(tree).__name__.upper()} in a condition is outside the fragment", tree
            )
        self.only(tree, "this", "expression")
        left, right = self.value(tree.this, sources), self.value(tree.expression, sources)
        if isinstance(right, Col) and not isinstance(left, Col) and op != "LIKE":
            left, right, op = right, left, TURNED.get(op, op)
        return Cmp(op, left, right)

    def inside(self, tree, sources):
        self.only(tree, "this", "expressions", "query")
        left = tree.this.expressions if isinstance(tree.this, self.exp.Tuple) else [tree.this]
        names = tuple(
            self.column(one.unnest() if hasattr(one, "unnest") else one, sources) for one in left
        )
        if not tree.args.get("query"):
            return InList(names[0], tuple(self.value(one, sources) for one in tree.expressions))
        select = self.subquery(tree.args["query"].unnest(), sources)
        if len(select.outs) != len(names):
            raise UserError(
                f"{self.where}: IN compares {len(names)} columns with {len(select.outs)}"
            )
        return InSelect(names, select)

    def value(self, tree, sources):
        exp, kind = self.exp, type(tree).__name__
        if isinstance(tree, exp.Paren):
            return self.value(tree.this, sources)
        if isinstance(tree, exp.Placeholder):
            return Param(tree.name)
        if isinstance(tree, exp.Column):
            return self.column(tree, sources)
        if isinstance(tree, exp.Literal | exp.Boolean | exp.Null) or (
            isinstance(tree, exp.Neg) and isinstance(tree.this, exp.Literal)
        ):
            return Lit(
                tree.this if isinstance(tree, exp.Literal) and tree.is_string else tree.to_py()
            )
        if kind in ARITHMETIC and tree.find(exp.Interval):
            return self.expression(tree, sources)  # of times, which no number stands for
        if kind in ARITHMETIC:
            return Arith(
                ARITHMETIC[kind], self.value(tree.left, sources), self.value(tree.right, sources)
            )
        if isinstance(tree, exp.Subquery):
            return Lookup(self.subquery(tree.unnest(), sources))
        if isinstance(tree, exp.Anonymous) and tree.name.upper() == "FRESH":
            arguments = [one.to_py() for one in tree.expressions]
            if len(arguments) != 1 or not isinstance(arguments[0], int):
                raise UserError(
                    f"{self.where}: FRESH takes one whole number, the same for the same key: "
                    "FRESH(1)"
                )
            return Fresh(arguments[0])
        if kind in AGGREGATES:
            return self.aggregate(tree, sources)
        kinds = exp.Func | exp.Case | exp.Cast | exp.Neg | exp.Filter | exp.Window | exp.Interval
        if isinstance(tree, kinds | exp.Binary | exp.Not | exp.Between | exp.In):
            return self.expression(tree, sources)
        raise Outside(f"the expression {tree.sql()} is outside the fragment", tree)

    def aggregate(self, tree, sources) -> Agg:
        """COUNT and the others, of any value."""
        self.only(tree, "this", "big_int")
        of, distinct = tree.this, isinstance(tree.this, self.exp.Distinct)
        if distinct and (len(of.expressions) > 1 or of.args.get("on")):
            raise Outside("an aggregate of several columns is outside the fragment", tree)
        of = of.expressions[0] if distinct else of
        value = None if isinstance(of, self.exp.Star) else self.value(of, sources)
        return Agg(AGGREGATES[type(tree).__name__], value, distinct)

    def expression(self, tree, sources) -> Expr:
        """An expression that is copied: its columns, parameters and aggregates are its parts."""
        exp = self.exp
        if tree.find(exp.Subquery, exp.Select) or not _counts(tree, exp):
            raise Outside(f"the expression {tree.sql()} is outside the fragment", tree)
        parts: list = []

        def leaf(node):
            counted = node is not tree and type(node).__name__ in AGGREGATES
            if counted or isinstance(node, exp.Column | exp.Placeholder | exp.Parameter):
                parts.append(self.value(node, sources))
            else:
                return node
            return exp.Var(this=f"\x00{len(parts) - 1}\x00")

        made = exp.Paren(this=tree.copy()).transform(leaf).this
        texts = [
            made.sql(dialect).replace("{", "{{").replace("}", "}}")
            for dialect in (self.tables.dialect, "sqlite")
        ]
        texts = [re.sub("\x00(\\d+)\x00", r"{\1}", text) for text in texts]
        if isinstance(tree, exp.Binary | exp.Not | exp.Between | exp.In | exp.Neg):
            texts = [f"({text})" for text in texts]
        return Expr(texts[0], runnable(texts[1], len(parts)), tuple(parts))

    def exists(self, tree, sources, positive: bool) -> Pred:
        """EXISTS over equalities of inner and outer columns, as IN; NULL as EXISTS has it."""
        inner = tree.this
        before, self.outer = self.outer, [*sources]
        self.around.append(before)
        try:
            self.only(inner, "expressions", "from_", "joins", "where", "kind", "limit")
            mine, conditions = self.sources(inner.args["from_"].this, inner.args.get("joins") or [])
            if inner.args.get("where"):
                conditions.append(self.pred(inner.args["where"].this, mine))
        finally:
            self.outer = before
            self.around.pop()
        aliases, pairs, rest = {one.alias for one in mine}, [], []
        for one in (part for c in conditions for part in conjuncts(c)):
            ends = (one.left, one.right) if isinstance(one, Cmp) and one.op == "=" else ()
            cols = all(isinstance(end, Col) for end in ends) and len(ends) == 2
            far = [end for end in ends if cols and end.alias not in aliases]
            if len(far) == 1:
                (near,) = [end for end in ends if end.alias in aliases]
                pairs.append((far[0], near))
            elif any(isinstance(n, Col) and n.alias not in aliases for n in here(one)):
                raise Outside("EXISTS that is tied by more than equalities", tree)
            else:
                rest.append(one)
        if not pairs or any(source.on is not None for source in mine):
            raise Outside("EXISTS without an equality to the outer query", tree)
        joins = [(c.left, c.right) for c in rest if _joins(c)]
        rest = [c for c in rest if not _joins(c)]
        rest += [Cmp("IS NOT", near, Lit(None)) for _, near in pairs if not positive]
        outs = tuple(Out(near, near.name) for _, near in pairs)
        select = Select(outs, tuple(mine), tuple(joins), conjunction(rest) if rest else TRUE)
        inside = InSelect(tuple(far for far, _ in pairs), select)
        if positive:
            return inside
        tables = {source.alias: source.table for source in sources}
        nullable = [
            far
            for far, _ in pairs
            if tables.get(far.alias) not in self.tables
            or far.name not in self.tables[tables[far.alias]].required
            or any(source.alias == far.alias and source.on is not None for source in sources)
        ]
        nulls = tuple(Cmp("IS", far, Lit(None)) for far in nullable)
        return Or((*nulls, Not(inside))) if nulls else Not(inside)


def _joins(one) -> bool:
    """Test if a condition ties two tables."""
    if not (isinstance(one, Cmp) and one.op == "="):
        return False
    ends = (one.left, one.right)
    return all(isinstance(end, Col) for end in ends) and ends[0].alias != ends[1].alias


def _counts(tree, exp) -> bool:
    """Test if all aggregates in an expression are plain ones, and no query is in it."""
    return all(
        type(node).__name__ in AGGREGATES or isinstance(node.parent, exp.Window)
        for node in tree.find_all(exp.AggFunc)
    )


UNSTABLE = re.compile(r"\b(CURRENT_\w+|RANDOM|NOW|DATETIME\('now|RANDOMBLOB|UUID)\b", re.IGNORECASE)
"""Functions whose values differ from call to call; tests take them as unknown constants."""


@functools.lru_cache(maxsize=1000)
def runnable(text: str, parts: int) -> str:
    """An expression that SQLite runs: the text if it does, else an uninterpreted function, the same
    for the same text and parts.
    """
    base = sqlite3.connect(":memory:")
    try:
        base.execute("SELECT " + text.format(*["NULL"] * parts))
        if not UNSTABLE.search(text):
            return text
    except (sqlite3.Error, sqlite3.Warning):
        pass
    finally:
        base.close()
    mark = "'" + text.replace("'", "''").replace("{", "<").replace("}", ">") + "'"
    return f"uninterpreted({', '.join([mark, *(f'{{{n}}}' for n in range(parts))])})"
