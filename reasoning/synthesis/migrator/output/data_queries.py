"""Queries over the old data, under the names that its tables have while it is moved."""

from collections.abc import Callable, Iterable

from reasoning.synthesis.migrator.correspondence import mapping
from reasoning.synthesis.migrator.output.migration_plan import Plan, numbering
from reasoning.synthesis.migrator.sql.tables import Place
from reasoning.synthesis.migrator.sql.unparse import literal

NUMBER = "made_number"
"""The column of row numbers from which keys are made."""


class Queries:
    """SELECTs of a plan; with `before`, under the names that the old schema has."""

    def __init__(self, plan: Plan, before: bool = False):
        self.plan, self.before, self.mapping = plan, before, plan.mapping
        self.aliases: dict[str, str] = {}

    def table(self, name: str) -> str:
        """An old table as it is called now."""
        if self.before:
            schema = self.mapping.source[name].schema
            return ".".join(self.plan.name(part) for part in (schema, name) if part)
        return self.plan.source(name)

    def column(self, table: str, column: str) -> str:
        """A column of an old table, qualified by the table's alias."""
        here = self.plan.name(column) if self.before else self.plan.column(table, column)
        return f"{self.alias(table)}.{here}"

    def shifted(self, text: str, places: Iterable[Place]) -> str:
        """A number of the last of some old columns, behind all numbers of those before; numbers
        below 1 are raised as far as needed.
        """
        listed = list(places)
        for n, (table, column) in enumerate(listed):
            named = self.plan.name(column) if self.before else self.plan.column(table, column)
            top, low = f"MAX({named})", f"MIN({named})"
            parts = [f"CASE WHEN {top} > 0 THEN {top} ELSE 0 END"] * (n < len(listed) - 1)
            parts += [f"CASE WHEN {low} < 1 THEN 1 - {low} ELSE 0 END"] * (n > 0)
            if parts:
                text += f" + (SELECT {' + '.join(parts)} FROM {self.table(table)})"
        return text

    def alias(self, table: str) -> str:
        """The name of an old table within a query."""
        return self.aliases.get(table) or self.plan.name(table)

    def rows(self, rule: mapping.Rule) -> str:
        """The FROM clause of a rule: everything is joined to the anchor, whose rows all stay."""
        text, done, left = self._numbered(rule, rule.anchor), {rule.anchor}, set(rule.tree)
        while left:
            edge = min(e for e in left if (e.table in done) != (e.to in done))
            left.discard(edge)
            new = edge.to if edge.table in done else edge.table
            on = " AND ".join(
                f"{self.column(*a)} = {self.column(*b)}" for a, b in mapping.condition(edge)
            )
            text += f" LEFT JOIN {self._numbered(rule, new)} ON {on}"
            done.add(new)
        return text

    def _numbered(self, rule: mapping.Rule, table: str) -> str:
        """A table with its alias; with row numbers where the rule makes keys of them."""
        chosen = ""
        if rule.only is not None and table == rule.anchor:
            column, value = rule.only
            here = self.plan.name(column) if self.before else self.plan.column(table, column)
            equal = (
                f"= {literal(value, self.plan.dialect)}"
                if value != mapping.PRESENT
                else "IS NOT NULL"
            )
            chosen = f" WHERE {here} {equal}"
        needs = not rule.distinct and any(
            isinstance(cell, mapping.Made)
            and cell.anchor == table
            and numbering(self.mapping, rule.table, column, cell)
            for column, cell in rule.cells.items()
        )
        if not needs and chosen:
            return f"(SELECT * FROM {self.table(table)}{chosen}) AS {self.alias(table)}"
        if not needs:
            return f"{self.table(table)} AS {self.alias(table)}"
        source = self.mapping.source[table]
        order = ", ".join(self.column(table, column) for column in source.key or source.stored)
        return (
            f"(SELECT {self.alias(table)}.*, ROW_NUMBER() OVER (ORDER BY {order}) AS {NUMBER} FROM "
            f"{self.table(table)} AS {self.alias(table)}{chosen}) AS {self.alias(table)}"
        )

    def value(self, rule: mapping.Rule, column: str, cell: mapping.Cell) -> str:
        """Source of the values of a new column."""
        dialect = self.plan.dialect
        if isinstance(cell, mapping.Copy):
            place = (cell.table, cell.column)
            return self.shifted(self.column(*place), self.mapping.shifts.get(place, ()))
        if isinstance(cell, mapping.Fixed):
            return literal(cell.value, dialect)
        if isinstance(cell, mapping.Found):
            value = self.value(rule, column, cell.of)
            if self.before:
                return value
            looked, name = self.plan.filled(cell.lookup), self.plan.name
            return (
                f"(SELECT looked_up.{name(cell.key)} FROM {looked} AS looked_up "
                f"WHERE looked_up.{name(cell.value)} = {value})"
            )
        assert isinstance(cell, mapping.Made)
        if not numbering(self.mapping, rule.table, column, cell):
            key = (cell.anchor, self.mapping.source[cell.anchor].key[0])
            behind = [(one, self.mapping.source[one].key[0]) for one in self._others(cell)]
            return self.shifted(self.column(*key), (*behind, key))
        number = f"{self.alias(cell.anchor)}.{NUMBER}"
        for other in self._others(cell):
            number += f" + (SELECT COUNT(*) FROM {self.table(other)})"
        if self.mapping.target[rule.table].types[column] == "int":
            return number
        return f"CAST({number} AS {'CHAR' if dialect == 'mysql' else 'TEXT'})"

    def _others(self, cell: mapping.Made) -> list[str]:
        """The old tables whose rows have the keys before those of the cell's."""
        owner = self.mapping.rules.get(cell.owner[0])
        anchors = [part.anchor for part in owner.parts] if owner else []
        return anchors[: anchors.index(cell.anchor)] if cell.anchor in anchors else []

    def select(self, rule: mapping.Rule, only: Callable[[str], bool] = lambda column: True) -> str:
        """The rows of a new table."""
        if rule.distinct:
            return self._distinct(rule)
        cells = [self.value(rule, c, cell) for c, cell in rule.cells.items() if only(c)]
        return f"SELECT {', '.join(cells)} FROM {self.rows(rule)}"

    def _distinct(self, rule: mapping.Rule) -> str:
        """The rows of a lookup table: every value once, numbered in their order."""
        name, dialect = self.plan.name(rule.distinct), self.plan.dialect
        value = self.value(rule, rule.distinct, rule.cells[rule.distinct])
        shown = []
        for column, cell in rule.cells.items():
            number = f"ROW_NUMBER() OVER (ORDER BY {name})"
            if isinstance(cell, mapping.Fixed):
                shown.append(literal(cell.value, dialect))
            elif column == rule.distinct:
                shown.append(name)
            elif self.mapping.target[rule.table].types[column] == "int":
                shown.append(number)
            else:
                shown.append(f"CAST({number} AS {'CHAR' if dialect == 'mysql' else 'TEXT'})")
        return (
            f"SELECT {', '.join(shown)} FROM (SELECT DISTINCT {value} AS {name} "
            f"FROM {self.rows(rule)} WHERE {value} IS NOT NULL) AS once"
        )
