"""Conditions and values: from sqlglot's trees to ours."""

from reasoning.synthesis.errors import Refusal
from reasoning.synthesis.migrator.sql.names import Names, Outside
from reasoning.synthesis.migrator.sql.program import (
    TRUE,
    And,
    Arith,
    Cmp,
    Col,
    Fresh,
    InList,
    InSelect,
    Lit,
    Lookup,
    Not,
    Or,
    Param,
    Pred,
    Select,
)
from reasoning.synthesis.migrator.sql.visitors import conjunction

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
ARITHMETIC = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/"}


class Conditions(Names):
    """Reads conditions and values; `select`, of a subquery, is its heir's."""

    def select(self, tree) -> Select:
        """A query."""
        raise NotImplementedError

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
        return self.comparison(tree, sources)

    def comparison(self, tree, sources):
        op = COMPARISONS.get(type(tree).__name__)
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
        select = self.select(tree.args["query"].unnest())
        if len(select.outs) != len(names):
            raise Refusal(f"{self.where}: IN compares {len(names)} columns with {len(select.outs)}")
        return InSelect(names, select)

    def value(self, tree, sources):
        exp, kind = self.exp, type(tree).__name__
        if isinstance(tree, exp.Paren):
            return self.value(tree.this, sources)
        if isinstance(tree, exp.Placeholder):
            return Param(tree.name)
        if isinstance(tree, exp.Column):
            return self.column(tree, sources)
        if isinstance(tree, exp.Literal | exp.Boolean | exp.Null | exp.Neg):
            return Lit(
                tree.this if isinstance(tree, exp.Literal) and tree.is_string else tree.to_py()
            )
        if kind in ARITHMETIC:
            return Arith(
                ARITHMETIC[kind], self.value(tree.left, sources), self.value(tree.right, sources)
            )
        if isinstance(tree, exp.Subquery):
            return Lookup(self.select(tree.unnest()))
        if isinstance(tree, exp.Anonymous) and tree.name.upper() == "FRESH":
            arguments = [one.to_py() for one in tree.expressions]
            if len(arguments) != 1 or not isinstance(arguments[0], int):
                raise Refusal(
                    f"{self.where}: FRESH takes one whole number, the same for the same key: "
                    "FRESH(1)"
                )
            return Fresh(arguments[0])
        raise Outside(f"the expression {tree.sql()} is outside the fragment", tree)
