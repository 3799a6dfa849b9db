"""Selects, conditions and values over symbolic rows, as formulas of Z3.

Every value is a pair (is NULL, integer); texts and other types are integers without order, so that
formulas speak of equality. A row may be absent. NULL behaves as in SQL: a comparison with it holds
neither way.
"""

from dataclasses import dataclass
from typing import Any

from reasoning.synthesis.errors import need
from reasoning.synthesis.migrator.sql import program as sql
from reasoning.synthesis.migrator.sql.tables import Tables
from reasoning.synthesis.migrator.sql.visitors import nodes

MOST_ROWS = 4_000
"""Combinations of rows in one join."""


class Beyond(Exception):
    """Something that the formulas do not cover; says what."""


@dataclass(frozen=True)
class Cell:
    """A value that may be NULL."""

    null: Any  # A truth value of Z3
    value: Any  # an integer of Z3; anything if NULL


@dataclass(frozen=True)
class Row:
    """A row that may be absent."""

    there: Any  # A truth value of Z3
    cells: dict[str, Cell]  # by column


@dataclass(frozen=True)
class Truth:
    """SQL's three values: surely true, surely false, else unknown."""

    yes: Any  # A truth value of Z3
    no: Any  # likewise; never both


State = dict[str, list[Row]]
"""Tables and snapshots by name."""


class Formulas:
    """Results of selects in some state of the tables of one schema; `scope` holds arguments, fresh
    keys and that state.
    """

    def __init__(self, tables: Tables, codes: dict[Any, int]):
        self.z3, self.tables, self.codes = need("z3"), tables, codes

    def literal(self, value) -> Cell:
        """A constant; texts are numbered as they come, negatively, so that they are like no
        parameter by chance.
        """
        if value is None:
            return Cell(self.z3.BoolVal(True), self.z3.IntVal(0))
        if isinstance(value, float):
            raise Beyond("fractions")
        if isinstance(value, bool | int):
            return Cell(self.z3.BoolVal(False), self.z3.IntVal(int(value)))
        return Cell(
            self.z3.BoolVal(False),
            self.z3.IntVal(self.codes.setdefault(value, -1000 - len(self.codes))),
        )

    def rows(self, select: sql.Select) -> list[Row]:
        """The rows of a select, absent ones included."""
        z3, state = self.z3, self.scope[2]
        if any(source.on is not None or source.select for source in select.sources):
            raise Beyond("LEFT JOIN and subqueries in FROM")
        if (
            select.limit is not None
            or select.offset is not None
            or any(isinstance(node, sql.Agg) for node in nodes((select.outs, select.having)))
        ):
            raise Beyond("aggregates and LIMIT")
        if select.group or (select.distinct and len(select.outs) > 6):
            raise Beyond("GROUP BY")
        found = [(z3.BoolVal(True), {})]
        for source in select.sources:
            found = [
                (z3.And(there, row.there), bound | {source.alias: row.cells})
                for there, bound in found
                for row in state[source.table]
            ]
            if len(found) > MOST_ROWS:
                raise Beyond("joins of so many rows")
        made = []
        for there, bound in found:
            tied = [
                self.compare("=", self.value(a, bound), self.value(b, bound)).yes
                for a, b in select.joins
            ]
            holds = z3.simplify(z3.And(there, *tied, self.pred(select.where, bound).yes))
            if not z3.is_false(holds):
                made.append(
                    Row(
                        holds,
                        {str(n): self.value(out.value, bound) for n, out in enumerate(select.outs)},
                    )
                )
        if not select.distinct:
            return made
        return [
            Row(
                z3.And(row.there, *(z3.Not(z3.And(e.there, self.same(row, e))) for e in made[:n])),
                row.cells,
            )
            for n, row in enumerate(made)
        ]

    def same(self, one: Row, other: Row):
        """A formula that says that two rows hold the same, NULL equal to NULL."""
        z3 = self.z3
        pairs = zip(one.cells.values(), other.cells.values(), strict=True)
        return z3.And(
            *(z3.And(a.null == b.null, z3.Or(a.null, a.value == b.value)) for a, b in pairs)
        )

    def pred(self, tree, bound) -> Truth:
        z3 = self.z3
        if isinstance(tree, sql.And | sql.Or):
            parts = [self.pred(part, bound) for part in tree.parts]
            every, some = (z3.And, z3.Or) if isinstance(tree, sql.And) else (z3.Or, z3.And)
            return Truth(every(*(p.yes for p in parts)), some(*(p.no for p in parts)))
        if isinstance(tree, sql.Not):
            inner = self.pred(tree.part, bound)
            return Truth(inner.no, inner.yes)
        if isinstance(tree, sql.InList):
            left = self.value(tree.column, bound)
            return self._any([self.compare("=", left, self.value(v, bound)) for v in tree.values])
        if isinstance(tree, sql.InSelect):
            left = [self.value(column, bound) for column in tree.columns]
            return self._any([self._one_of(left, row) for row in self.rows(tree.select)])
        if isinstance(tree, sql.Expr):
            raise Beyond("functions and other expressions")
        assert isinstance(tree, sql.Cmp)
        left, right = self.value(tree.left, bound), self.value(tree.right, bound)
        if tree.op in ("IS", "IS NOT"):
            same = (
                left.null if isinstance(tree.right, sql.Lit) and tree.right.value is None else None
            )
            if same is None:
                raise Beyond("IS with a value")
            return Truth(same, z3.Not(same)) if tree.op == "IS" else Truth(z3.Not(same), same)
        return self.compare(tree.op, left, right)

    def _any(self, parts: list[Truth]) -> Truth:
        return Truth(self.z3.Or(*(p.yes for p in parts)), self.z3.And(*(p.no for p in parts)))

    def _one_of(self, left, row: Row) -> Truth:
        z3 = self.z3
        parts = [self.compare("=", a, b) for a, b in zip(left, row.cells.values(), strict=True)]
        return Truth(
            z3.And(row.there, *(p.yes for p in parts)),
            z3.Or(z3.Not(row.there), *(p.no for p in parts)),
        )

    def compare(self, op, left: Cell, right: Cell) -> Truth:
        z3 = self.z3
        known = z3.And(z3.Not(left.null), z3.Not(right.null))
        made = {
            "=": lambda a, b: a == b,
            "<>": lambda a, b: a != b,
            "<": lambda a, b: a < b,
            "<=": lambda a, b: a <= b,
            ">": lambda a, b: a > b,
            ">=": lambda a, b: a >= b,
        }
        if op not in made:
            raise Beyond(op)
        holds = made[op](left.value, right.value)
        return Truth(z3.And(known, holds), z3.And(known, z3.Not(holds)))

    def value(self, tree, bound) -> Cell:
        arguments, fresh, _ = self.scope
        if isinstance(tree, sql.Col):
            if tree.name not in bound[tree.alias]:
                raise Beyond("generated columns")
            return bound[tree.alias][tree.name]
        if isinstance(tree, sql.Param):
            return arguments[tree.name]
        if isinstance(tree, sql.Lit):
            return self.literal(tree.value)
        if isinstance(tree, sql.Fresh):
            return Cell(self.z3.BoolVal(False), fresh[tree.number])
        if isinstance(tree, sql.Lookup):
            return self._first(self.rows(tree.select))
        if isinstance(tree, sql.Expr | sql.Agg):
            raise Beyond("functions and other expressions")
        assert isinstance(tree, sql.Arith)
        left, right = self.value(tree.left, bound), self.value(tree.right, bound)
        if tree.op not in "+-*":
            raise Beyond("division")
        made = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b}[tree.op]
        return Cell(self.z3.Or(left.null, right.null), made(left.value, right.value))

    def _first(self, rows: list[Row]) -> Cell:
        """The value of the first row there is; NULL if there is none."""
        z3, found = self.z3, self.literal(None)
        for row in reversed(rows):
            cell = row.cells["0"]
            found = Cell(
                z3.If(row.there, cell.null, found.null), z3.If(row.there, cell.value, found.value)
            )
        return found
