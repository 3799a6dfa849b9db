"""The target as a mapping shows it to rewritten statements: places of source columns, and
references that joins may follow.
"""

import itertools
from dataclasses import dataclass

from reasoning.synthesis.migrator.correspondence.mapping import Cell, Copy, DataMapping, Made
from reasoning.synthesis.migrator.correspondence.problem import Correspondence
from reasoning.synthesis.migrator.sql.tables import Edge, Place


class Unrewritable(Exception):
    """A statement that has no counterpart under a correspondence, and the sentence that
    says why.
    """


class ByHand(Unrewritable):
    """A statement for which nothing is tried: its function is kept by hand, and the rest done."""


@dataclass(frozen=True)
class View:
    """The target as statements of the source see it."""

    mapping: DataMapping
    """Rules of the target tables."""
    images: dict[Place, tuple[Place, ...]]
    """All places of each source column, the correspondence's first."""
    edges: tuple[Edge, ...]
    """Declared references of the target, and columns filled from the same source key."""

    def place(self, column: Place, reader: str = "") -> tuple[Place, ...]:
        """The places of a source column. Raises Unrewritable if there are none."""
        found = self.images.get(column, ())
        if not found:
            raise Unrewritable(
                f"{reader or 'a statement'} needs {'.'.join(column)}, which has no place in the "
                "new schema"
            )
        return found

    def holding(self, cell: Cell) -> list[Place]:
        """Target columns that are filled with just this."""
        return [
            (name, c)
            for name, rule in self.mapping.rules.items()
            for c, one in rule.cells.items()
            if one == cell
        ]

    def main(self, table: str) -> str:
        """The target table with a row for each row of a source table, or into which it
        was merged.
        """
        owned = self.mapping.owned(table)
        merged = [name for name, rule in self.mapping.rules.items() if table in rule.body]
        if not owned and not merged:
            raise Unrewritable(f"nothing in the new schema holds the rows of {table}")
        return table if table in owned else (owned or merged)[0]


def view_of(mapping: DataMapping, found: Correspondence) -> View:
    """The view that a mapping gives."""
    images: dict[Place, list[Place]] = {column: [] for column in found.images}
    for name, rule in mapping.rules.items():
        for column, cell in rule.cells.items():
            if isinstance(cell, Copy):
                images[cell.table, cell.column].append((name, column))
    for column, places in found.images.items():
        for name, c in places:
            if name not in mapping.rules:
                continue
            cell = mapping.rules[name].cells.get(c)
            twin = isinstance(cell, Copy) and (cell.table, cell.column) != column
            shared = twin and (name, c) in found.images.get((cell.table, cell.column), ())
            if c in mapping.target[name].computed or shared:
                images[column].append((name, c))
    ranked = {
        column: tuple(sorted(places, key=lambda p: _rank(mapping, found, column, p)))
        for column, places in images.items()
    }
    for column in found.referred:
        if not ranked.get(column):
            ranked[column] = found.images[column]
    return View(mapping, ranked, (*mapping.target.edges, *_undeclared(mapping)))


def _rank(mapping, found, column, place):
    direct = found.images.get(column, ())
    return (
        direct.index(place) if place in direct else len(direct),
        mapping.rules[place[0]].anchor != column[0],
        place,
    )


def _undeclared(mapping: DataMapping):
    """Pairs of target tables that hold the same source key, or a source reference and what it
    refers to.
    """
    declared, united = {_ends(edge) for edge in mapping.target.edges}, _united(mapping)
    for one, other in itertools.permutations(sorted(mapping.rules), 2):
        if mapping.identity(one) and mapping.identity(other):
            continue
        for left, right, of_key in _ties(mapping, one, other):
            if not of_key and united.get((one, left), one) == united.get((other, right), other):
                continue
            if _pair(one, left, other, right) not in declared:
                declared.add(_pair(one, left, other, right))
                yield Edge(one, left, other, right, declared=False)


def _ends(edge):
    return _pair(edge.table, edge.columns, edge.to, edge.to_columns)


def _united(mapping: DataMapping) -> dict[tuple[str, tuple[str, ...]], tuple]:
    """For columns that declared references make equal, directly or by way of others, the
    same mark.
    """
    mark = {}
    for _ in range(len(mapping.target.edges)):
        before = dict(mark)
        for edge in mapping.target.edges:
            end = mark.get((edge.to, edge.to_columns), (edge.to, edge.to_columns))
            mark[edge.to, edge.to_columns] = mark[edge.table, edge.columns] = end
        if mark == before:
            break
    return mark


def _pair(table, columns, to, to_columns):
    return frozenset([(table, columns), (to, to_columns)])


def _ties(mapping, one, other):
    """Columns of two target tables that hold the same key of a source row."""
    cells, there = mapping.rules[one].cells, mapping.rules[other].cells

    def find(rule, cell):
        return next((column for column, mine in rule.items() if mine == cell), None)

    for table in mapping.source.by_name.values():
        left, right = (
            tuple(find(rule, Copy(table.name, key)) for key in table.key) for rule in (cells, there)
        )
        if table.key and None not in left and None not in right:
            yield left, right, True
    for edge in mapping.source.edges:
        left = tuple(find(cells, Copy(edge.table, column)) for column in edge.columns)
        right = tuple(find(there, Copy(edge.to, column)) for column in edge.to_columns)
        if None not in left and None not in right:
            yield left, right, False
    for column, cell in cells.items():
        if isinstance(cell, Made) and (twin := find(there, cell)):
            yield (column,), (twin,), False
