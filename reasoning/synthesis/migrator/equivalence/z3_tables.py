"""Tables of symbolic rows: what statements do to them, as formulas of Z3."""

import itertools
from typing import Any

from reasoning.synthesis.migrator.equivalence.z3_formulas import Beyond, Cell, Formulas, Row, State
from reasoning.synthesis.migrator.sql.program import (
    Delete,
    Drop,
    Fill,
    Function,
    Insert,
    Select,
    Snapshot,
    Update,
)
from reasoning.synthesis.migrator.testing.actions import also_changed


class Symbols(Formulas):
    """Runs functions on symbolic tables of one schema."""

    def call(
        self, function: Function, arguments: dict[str, Cell], fresh: dict[int, Any], state: State
    ) -> tuple[State, Any]:
        """Run an update on symbolic tables.

        Args:
          function: the update.
          arguments: a symbolic value for each parameter.
          fresh: Z3's integers for the fresh keys, by number.
          state: the tables before.

        Returns:
          The tables after it, and a formula that says that no key was there twice.

        Raises:
          Beyond: a statement that formulas do not cover.
        """
        state, fine = dict(state), []
        for statement in function.statements:
            self.scope = (arguments, fresh, state)
            if isinstance(statement, Fill) or getattr(statement, "conflict", None):
                raise Beyond("ON CONFLICT and INSERT ... SELECT")
            if also_changed(statement, self.tables) & set(state):
                raise Beyond("ON DELETE and ON UPDATE")
            if isinstance(statement, Insert):
                fine.append(self._insert(statement, state))
            elif isinstance(statement, Delete):
                state[statement.table] = [
                    Row(self.z3.And(row.there, self.z3.Not(self._holds(statement, row))), row.cells)
                    for row in state[statement.table]
                ]
            elif isinstance(statement, Update):
                self._update(statement, state)
                fine.append(self._unique(statement.table, state))
            elif isinstance(statement, Snapshot):
                state[statement.name] = self._kept(statement)
            elif isinstance(statement, Drop):
                del state[statement.name]
        return state, self.z3.And(*fine)

    def _kept(self, statement: Snapshot) -> list[Row]:
        names = [out.name for out in statement.select.outs]
        return [
            Row(row.there, dict(zip(names, row.cells.values(), strict=True)))
            for row in self.rows(statement.select)
        ]

    def query(self, function: Function, arguments: dict[str, Cell], state: State) -> list[Row]:
        """The rows of a query."""
        self.scope = (arguments, {}, state)
        if not isinstance(function.statements[0], Select):
            raise Beyond("UNION and the like")
        return self.rows(function.statements[0])

    def _insert(self, statement: Insert, state):
        given = {
            c: self.value(v, {}) for c, v in zip(statement.columns, statement.values, strict=True)
        }
        table = self.tables[statement.table]
        cells = {
            column: given.get(column) or self.literal(table.defaults.get(column))
            for column in table.stored
        }
        state[statement.table] = [*state[statement.table], Row(self.z3.BoolVal(True), cells)]
        return self._unique(statement.table, state)

    def _unique(self, table, state):
        """No two rows with the same key, and nothing NULL where it must not be."""
        z3, rows, key = self.z3, state[table], self.tables[table].key
        keys = [key, *self.tables[table].unique] if key else self.tables[table].unique
        parts = [
            z3.Implies(row.there, z3.Not(row.cells[column].null))
            for row in rows
            for column in {*self.tables[table].required - set(self.tables[table].moments), *key}
        ]
        for one, other in itertools.combinations(rows, 2):
            for columns in keys:
                same = [one.cells[c].value == other.cells[c].value for c in columns]
                known = [
                    z3.Not(row.cells[c].null)
                    for row in (one, other)
                    for c in columns
                    if columns != key
                ]
                parts.append(z3.Not(z3.And(one.there, other.there, *same, *known)))
        return z3.And(*parts)

    def references(self, state: State, names):
        """A formula that says that every reference leads somewhere."""
        z3, parts = self.z3, []
        for edge in self.tables.edges:
            if {edge.table, edge.to} <= set(names):
                for row in state[edge.table]:
                    given = z3.And(row.there, *(z3.Not(row.cells[c].null) for c in edge.columns))
                    pairs = list(zip(edge.columns, edge.to_columns, strict=True))
                    found = [
                        z3.And(
                            there.there,
                            *(there.cells[b].value == row.cells[a].value for a, b in pairs),
                        )
                        for there in state[edge.to]
                    ]
                    parts.append(z3.Implies(given, z3.Or(*found)))
        return z3.And(*parts)

    def _update(self, statement: Update, state):
        changed = []
        for row in state[statement.table]:
            hit = self.z3.And(row.there, self._holds(statement, row))
            bound = {statement.table: row.cells}
            cells = dict(row.cells)
            for column, value in statement.sets:
                new, old = self.value(value, bound), row.cells[column]
                cells[column] = Cell(
                    self.z3.If(hit, new.null, old.null), self.z3.If(hit, new.value, old.value)
                )
            changed.append(Row(row.there, cells))
        state[statement.table] = changed

    def _holds(self, statement, row):
        return self.pred(statement.where, {statement.table: row.cells}).yes
