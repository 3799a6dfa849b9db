"""The data mapping behind a correspondence: how every target table is filled from the source.

Our choice, throughout: one rule for a target table, whose first source table, the anchor, gives one
row for each of its own; other
source tables are joined to it by references. Keys that the target invents are made once for every
row of an anchor. The mapping is what the target must stay equal to while both programs run (the
simulation relation), so functions can be made and tested one by one.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from reasoning.synthesis.migrator.correspondence.join_trees import Tree, steiner_trees
from reasoning.synthesis.migrator.correspondence.problem import Correspondence
from reasoning.synthesis.migrator.correspondence.similarity import similarity
from reasoning.synthesis.migrator.sql.tables import Edge, Place, Tables

ALTERNATIVES = 6
"""Mappings tried for one correspondence: other joins of the source."""


@dataclass(frozen=True)
class Copy:
    """A source column's value."""

    table: str  # joined by the rule
    column: str  # its column


@dataclass(frozen=True)
class Made:
    """A key made for a row of the anchor of the target table that owns it."""

    owner: Place  # target table and its key column
    anchor: str  # source table: one key for each of its rows


@dataclass(frozen=True)
class Fixed:
    """Always the same: NULL, or the column's default."""

    value: Any  # of the column's type


@dataclass(frozen=True)
class Found:
    """The key of the row of a lookup table that holds a value."""

    lookup: str  # target table
    key: str  # its key
    value: str  # its unique column
    of: Copy  # the value


Cell = Copy | Made | Fixed | Found


@dataclass(frozen=True)
class Present:
    """Any value but NULL, in place of a constant."""


PRESENT = Present()


@dataclass(frozen=True)
class Rule:
    """Rule that fills one target table."""

    table: str  # of the target
    anchor: str  # the source table with as many rows
    tree: Tree  # references that join other source tables to it
    cells: dict[str, Cell]  # content of each column
    distinct: str = ""  # the column of a lookup table, whose values it has once each
    also: tuple["Rule", ...] = ()  # rules for further old tables, whose rows it takes, too
    only: tuple[str, Any] | None = None
    """A column of the anchor and the value that its rows have, or PRESENT."""

    @property
    def parts(self) -> tuple["Rule", ...]:
        """The rule for each old table whose rows it takes; mostly one."""
        return (replace(self, also=()), *self.also)

    @property
    def body(self) -> tuple[str, ...]:
        """The source tables, the anchor first."""
        mine = [self.anchor, *sorted(t for edge in self.tree for t in (edge.table, edge.to))]
        return tuple(dict.fromkeys([*mine, *(t for one in self.also for t in one.body)]))


@dataclass(frozen=True)
class DataMapping:
    """Rules for all target tables that are filled."""

    source: Tables  # old schema
    target: Tables  # new schema
    rules: dict[str, Rule]  # by target table
    twins: frozenset[frozenset[Place]] = frozenset()
    """Pairs of source columns of which one place holds both."""
    shifts: dict[Place, tuple[Place, ...]] = field(default_factory=dict)
    """Source columns whose values become others, and the keys whose highest values are added; the
    last is the column's own key, which is behind those.
    """

    @property
    def parts(self) -> list[Rule]:
        """The rules, one for each pair of a target table and an old table whose rows it takes."""
        return [part for rule in self.rules.values() for part in rule.parts]

    def identity(self, table: str) -> bool:
        """Test if a source table is in the target as it is."""
        rule = self.rules.get(table)
        if rule is None or table not in self.source or rule.tree or rule.also or rule.only:
            return False
        old, new = self.source[table], self.target[table]
        same = {column: Copy(table, column) for column in old.stored}
        if any((table, column) in self.shifts for column in old.stored):
            return False
        return rule.cells == same and old.defaults == new.defaults and old.computed == new.computed

    @property
    def touched(self) -> frozenset[str]:
        """Source tables that rules other than identities read."""
        return frozenset(
            t for name, rule in self.rules.items() if not self.identity(name) for t in rule.body
        )

    @property
    def changed(self) -> frozenset[str]:
        """Source tables that are not in the target as they are."""
        return frozenset(name for name in self.source.by_name if not self.identity(name))

    @property
    def made(self) -> frozenset[Place]:
        """Target columns that hold invented keys."""
        return frozenset(
            (rule.table, c)
            for rule in self.parts
            for c, cell in rule.cells.items()
            if isinstance(cell, Made)
        )

    def owned(self, table: str) -> list[str]:
        """Target tables with one row for each row of a source table: those that referred to none of
        the others last.
        """
        return [
            name
            for name, rule in self.rules.items()
            if any(part.anchor == table for part in rule.parts)
        ]


class Unfilled(Exception):
    """A target column that must have a value has none, and the sentence that says so."""


def mappings(source: Tables, target: Tables, found: Correspondence) -> Iterator[DataMapping]:
    """The mappings of a correspondence, smallest joins first.

    Raises:
      Unfilled: there is none.
    """
    produced, seen, problem = 0, set(), Unfilled("no mapping")
    for picks in itertools.product(range(3), repeat=2):
        maker = _Maker(source, target, found, picks)
        try:
            made = DataMapping(source, target, maker.all(), _twins(found))
        except Unfilled as unfilled:
            problem = unfilled
            continue
        mark = repr(sorted(made.rules.items()))
        if mark not in seen:
            seen.add(mark)
            produced += 1
            yield made
    if not produced:
        raise problem


def _twins(found: Correspondence) -> frozenset[frozenset[Place]]:
    """Pairs of columns of one table that share their place and refer to nothing."""
    takers: dict[Place, list[Place]] = {}
    for column, places in found.images.items():
        if column not in found.referred:
            for place in places:
                takers.setdefault(place, []).append(column)
    return frozenset(
        frozenset((columns[0], other))
        for columns in takers.values()
        for other in columns[1:]
        if other[0] == columns[0][0]
    )


class _Maker:
    """Makes the rules; `picks` says which anchor and which join tree is taken where there are
    several.
    """

    def __init__(
        self, source: Tables, target: Tables, found: Correspondence, picks: tuple[int, int]
    ):
        self.source, self.target, self.found, self.picks = source, target, found, picks
        self.places: dict[Place, list[Place]] = {}
        for column, places in found.images.items():
            for place in places:
                self.places.setdefault(place, []).append(column)
        self.rules: dict[str, Rule | None] = {}

    def all(self) -> dict[str, Rule]:
        for name in self.target.by_name:
            self.rule(name)
        return {
            name: rule for name in self.target.by_name if (rule := self.rules[name]) is not None
        }

    def rule(self, name: str) -> Rule | None:
        """The rule of a target table; None if nothing fills it, or while it is being made."""
        if name in self.rules:
            return self.rules[name]
        self.rules[name] = None
        anchor = self.anchor(name)
        if anchor is None:
            return None
        cells = {
            column: Copy(*self.main(name, column, anchor))
            for column in self.target[name].stored
            if (name, column) in self.places
        }
        tree = self.join(anchor, {cell.table for cell in cells.values()})
        tree = self.refer(name, anchor, cells, tree)
        self.fill(name, anchor, cells)
        ordered = {column: cells[column] for column in self.target[name].stored}
        self.rules[name] = Rule(
            name,
            anchor,
            self.join(
                anchor,
                {c.table for c in cells.values() if isinstance(c, Copy)}
                | {c.anchor for c in cells.values() if isinstance(c, Made)}
                | {t for e in tree for t in (e.table, e.to)},
            ),
            ordered,
        )
        return self.rules[name]

    def anchor(self, name: str) -> str | None:
        """The source table whose rows the target table's rows stand for."""
        table = self.target[name]
        givers: dict[str, int] = {}
        for column in table.types:
            for place in self.places.get((name, column), ()):
                if place not in self.found.referred or column in table.key:
                    givers[place[0]] = givers.get(place[0], 0) + 1
        if not givers:
            return self.parent_of_new(name)
        keyed = {
            place[0]
            for column in table.key
            for place in self.places.get((name, column), ())
            if place[1] in self.source[place[0]].key
        }

        def worth(giver):
            others = {other for other in givers if other != giver}
            return (
                giver not in keyed,
                not self.forward(giver, others),
                -similarity(giver, name),
                -givers[giver],
                giver,
            )

        ranked = sorted(givers, key=worth)
        return ranked[min(self.picks[0], len(ranked) - 1)]

    def forward(self, start: str, goals: set[str]) -> bool:
        """Test if references lead from a table to all others: then each of its rows has one partner
        there.
        """
        reached, todo = {start}, [start]
        while todo:
            at = todo.pop()
            new = {edge.to for edge in self.source.edges if edge.table == at} - reached
            reached |= new
            todo += sorted(new)
        return goals <= reached

    def parent_of_new(self, name: str) -> str | None:
        """The anchor of the target table that refers to a new one which no source column fills."""
        for edge in self.target.edges:
            if (
                edge.to == name
                and edge.table != name
                and not any((edge.table, column) in self.places for column in edge.columns)
            ):
                return self.anchor(edge.table)
        return None

    def main(self, name: str, column: str, anchor: str) -> Place:
        """The source column to copy: the anchor's own, else the one that is no reference."""
        options = self.places[name, column]
        return min(
            options,
            key=lambda place: (
                place in self.found.referred and place[0] != anchor,
                place[0] != anchor,
                place,
            ),
        )

    def join(self, anchor: str, tables: set[str]) -> Tree:
        trees = list(
            itertools.islice(steiner_trees({anchor, *tables}, self.source.edges), self.picks[1] + 1)
        )
        if not trees:
            raise Unfilled(f"no reference joins {anchor} to {', '.join(sorted(tables - {anchor}))}")
        return trees[-1]

    def refer(self, name: str, anchor: str, cells: dict[str, Cell], tree: Tree) -> Tree:
        """Fill the columns of references with the key of the row that belongs to this one's source
        row.

        Args:
          name: the target table.
          anchor: the source table whose rows its rows stand for.
          cells: the values of its columns so far; those of the references are added.
          tree: the references that join its source tables so far.

        Returns:
          The tree, with the joins that the new cells need.
        """
        for edge in self.target.edges:
            if edge.table != name or all(column in cells for column in edge.columns):
                continue
            there = self.rule(edge.to) if edge.to != name else None
            if there is None:
                continue
            keys = [there.cells[column] for column in edge.to_columns]
            needed = {
                key.table if isinstance(key, Copy) else key.anchor
                for key in keys
                if not isinstance(key, Fixed)
            }
            try:
                tree = self.join(anchor, needed | {t for e in tree for t in (e.table, e.to)})
            except Unfilled:
                continue
            for column, key in zip(edge.columns, keys, strict=True):
                cells.setdefault(column, key)
        return tree

    def fill(self, name: str, anchor: str, cells: dict[str, Cell]):
        """Make what is left of the key; everything else is the default, or NULL."""
        table = self.target[name]
        for column, kind in table.types.items():
            if column in cells or column in table.computed:
                continue
            if column in table.key and kind in ("int", "str"):
                cells[column] = Made((name, column), anchor)
            elif column in {*table.defaults, *table.moments} or column not in table.required:
                cells[column] = Fixed(table.defaults.get(column))
            else:
                raise Unfilled(
                    f"{name}.{column} is NOT NULL, and nothing in the old schema gives it a value: "
                    f"add a DEFAULT, or say by --rename TABLE.COLUMN={name}.{column} which one does"
                )


def condition(edge: Edge) -> list[tuple[Place, Place]]:
    """The equalities of a reference."""
    return [
        ((edge.table, a), (edge.to, b)) for a, b in zip(edge.columns, edge.to_columns, strict=True)
    ]
