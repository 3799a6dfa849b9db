"""Runs of INSERTs over the source, rewritten over the target: what the mapping adds when these rows
are added.

Source: Migrator (arXiv 1904.05498), compound inserts: rows linked by equal values are inserted
together, keys that the target invents
are fresh. Our choice: the rows come from the data mapping, values of rows that are there already
are looked up by a subquery, and rows merged into a table whose row is there already become an
UPDATE of it.
"""

from dataclasses import dataclass

from reasoning.synthesis.migrator.correspondence.mapping import Copy, Fixed, Made, Rule, condition
from reasoning.synthesis.migrator.sketch.order import Options
from reasoning.synthesis.migrator.sketch.target import ByHand, Unrewritable, View
from reasoning.synthesis.migrator.sql.program import (
    TRUE,
    Cmp,
    Col,
    Conflict,
    Fresh,
    Insert,
    Lit,
    Lookup,
    Out,
    Select,
    Source,
    Update,
    Value,
)
from reasoning.synthesis.migrator.sql.tables import ordered_by
from reasoning.synthesis.migrator.sql.visitors import change, conjunction


@dataclass(frozen=True)
class New:
    """A row that the run inserts."""

    number: int  # in the run
    values: dict[str, Value]
    """All its columns; those that the INSERT leaves out with their default, or NULL."""
    conflict: Conflict | None = None  # ON CONFLICT of the INSERT


@dataclass(frozen=True)
class Old:
    """A row that is there already, known by some of its columns; without any: no such row."""

    known: dict[str, Value]  # columns and what they are equal to


Row = New | Old


class Run:
    """Consecutive INSERTs of one function."""

    def __init__(
        self, statements: list[Insert], view: View, reader: str, fresh: dict, first_fresh: int
    ):
        self.view, self.reader, self.fresh, self.first = view, reader, fresh, first_fresh
        self.rows: dict[str, list[New]] = {}
        for number, statement in enumerate(statements):
            table = view.mapping.source[statement.table]
            given = dict(zip(statement.columns, statement.values, strict=True))
            values = {
                column: given.get(column, Lit(table.defaults.get(column)))
                for column in table.stored
            }
            self.rows.setdefault(statement.table, []).append(
                New(number, values, statement.conflict)
            )

    def options(self) -> list[Options]:
        """For every new target row, its INSERT or nothing; for every merged one, its UPDATE or
        nothing; rows referred to first.
        """
        found: list[tuple[str, Options]] = []
        rules = self.view.mapping.rules
        for name, rule in rules.items():
            for row in self.rows.get(rule.anchor, ()):
                found.append((name, [(self.insert(rule, row),), ()]))
        for name, rule in rules.items():
            for table in rule.body[1:]:
                for row in self.rows.get(table, ()):
                    if (merged := self.merge(rule, table, row)) is not None:
                        found.append((name, [(merged,), ()]))
        names = ordered_by({name for name, _ in found}, self.view.mapping.target.edges)
        return [options for name in names for at, options in found if at == name]

    def insert(self, rule: Rule, row: New) -> Insert:
        """The row of a target table that a new anchor row makes."""
        partners = self.partners(rule, row)
        cells = {
            column: self.cell(cell, partners)
            for column, cell in rule.cells.items()
            if not isinstance(cell, Fixed)
        }
        required = self.view.mapping.target[rule.table]
        kept = {
            c: v
            for c, v in cells.items()
            if v != Lit(None) or c in required.key or c in required.defaults
        }
        conflict = row.conflict and self.conflict(rule, row.conflict)
        return Insert(rule.table, tuple(kept), tuple(kept.values()), conflict)

    def conflict(self, rule: Rule, given: Conflict) -> Conflict:
        """ON CONFLICT over a target table: by the places of the key there, with those of the new
        values that are there.

        Raises:
          ByHand: the key is elsewhere.
        """
        places = {
            cell.column: column
            for column, cell in rule.cells.items()
            if isinstance(cell, Copy) and cell.table == rule.anchor
        }

        def move(column):
            if column.name not in places:
                raise ByHand(f"{self.reader}: ON CONFLICT needs {column.name}, elsewhere now")
            alias = column.alias if column.alias == "excluded" else rule.table
            return Col(alias, places[column.name])

        numbered = self.view.mapping.target[rule.table].numbered
        if any(isinstance(c, Made) and n not in numbered for n, c in rule.cells.items()):
            raise ByHand(f"{self.reader}: ON CONFLICT of rows whose key must be invented")
        keys = tuple(move(Col("excluded", column)).name for column in given.columns)
        sets = tuple((places[c], change(v, move)) for c, v in given.sets if c in places)
        where = change(given.where, move) if sets else TRUE
        return Conflict(keys, sets, where)

    def partners(self, rule: Rule, row: New) -> dict[str, Row]:
        """The rows of all tables of a rule that belong to a new row of its anchor."""
        found: dict[str, Row] = {rule.anchor: row}
        left = set(rule.tree)
        while left:
            edge = min(e for e in left if (e.table in found) != (e.to in found))
            left.discard(edge)
            near, far = (edge.table, edge.to) if edge.table in found else (edge.to, edge.table)
            known = {}
            for one, other in condition(edge):
                here, there = (one, other) if one[0] == near else (other, one)
                known[there[1]] = self.value(near, found[near], here[1])
            fitting = [
                new
                for new in self.rows.get(far, ())
                if all(new.values[c] == v for c, v in known.items())
            ]
            forward = near == edge.table
            found[far] = (
                fitting[0]
                if fitting
                else Old(known if forward and Lit(None) not in known.values() else {})
            )
        return found

    def value(self, table: str, row: Row, column: str) -> Value:
        """A column of a row of the source, as a value over the target."""
        if isinstance(row, New):
            return row.values[column]
        if column in row.known:
            return row.known[column]
        return self.look_up(Copy(table, column), table, row.known)

    def cell(self, cell, partners: dict[str, Row]) -> Value:
        if isinstance(cell, Copy):
            return self.value(cell.table, partners[cell.table], cell.column)
        assert isinstance(cell, Made)
        row = partners[cell.anchor]
        if isinstance(row, New):
            number = self.fresh.setdefault(
                (cell.owner, cell.anchor, row.number), self.first + len(self.fresh)
            )
            return Fresh(number, cell.owner[1] in self.view.mapping.target[cell.owner[0]].numbered)
        return self.look_up(cell, cell.anchor, row.known)

    def look_up(self, wanted, table: str, known: dict[str, Value]) -> Value:
        """A subquery for a value of a row that is there already."""
        if not known:
            return Lit(None)
        for name, column in sorted(
            self.view.holding(wanted),
            key=lambda p: (self.view.mapping.rules[p[0]].anchor != table, p),
        ):
            keys = {
                c: [place[1] for place in self.view.holding(Copy(table, c)) if place[0] == name]
                for c in known
            }
            if all(keys.values()):
                where = conjunction(
                    [Cmp("=", Col(name, keys[c][0]), value) for c, value in known.items()]
                )
                return Lookup(
                    Select((Out(Col(name, column), column),), (Source(name, name),), (), where)
                )
        what = (
            f"{table}.{wanted.column}"
            if isinstance(wanted, Copy)
            else f"the new key {'.'.join(wanted.owner)}"
        )
        raise Unrewritable(
            f"{self.reader} inserts a row whose {what} cannot be looked up by {', '.join(known)}"
        )

    def merge(self, rule: Rule, table: str, row: New) -> Update | None:
        """An UPDATE of the target row that a new row, not of the anchor, was merged into; None if
        there is none yet.
        """
        edge = next((e for e in rule.tree if table == e.table and e.to == rule.anchor), None)
        if edge is None or any(self._is_new(rule.anchor, edge, row)):
            return None
        where = []
        for one, other in condition(edge):
            place = next((c for c, cell in rule.cells.items() if cell == Copy(*other)), None)
            if place is None:
                return None
            where.append(Cmp("=", Col(rule.table, place), row.values[one[1]]))
        keys = {condition_.left.name for condition_ in where}
        sets = tuple(
            (c, row.values[cell.column])
            for c, cell in rule.cells.items()
            if isinstance(cell, Copy) and cell.table == table and c not in keys
        )
        return Update(rule.table, sets, conjunction(where)) if sets else None

    def _is_new(self, anchor, edge, row):
        for new in self.rows.get(anchor, ()):
            yield all(new.values[b[1]] == row.values[a[1]] for a, b in condition(edge))
