"""The correspondence problem: the rankings of the places of every source column.

Our choice: names, table names and roles give a score of 0 to 100 (`similarity.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reasoning.synthesis.migrator.correspondence.similarity import score, similarity, singular
from reasoning.synthesis.migrator.sql.tables import Place, Tables

NOWHERE, REFERRED = ("", ""), ("", "referred")
"""Candidates that are no columns: nothing holds the value; the column with the key that it refers
to holds it.
"""
WORTH_NOWHERE, WORTH_REFERRED = 45, 50
"""Our choice: a column with a less likely place than this is dropped first, or found through its
reference.
"""
PINNED = 30
"""Our choice: a key gains so much in the table whose key replaces it in other tables' references,
more than names can take from it.
"""
MOST_CANDIDATES = 10
"""Places considered for one column."""


@dataclass(frozen=True)
class Correspondence:
    """Places of the source's values in the target."""

    images: dict[Place, tuple[Place, ...]]
    """Places in the target of every source column, the likeliest first; none: dropped."""
    referred: frozenset[Place]
    """Source columns whose place is that of the key that they refer to."""
    loss: int
    """Loss in score against the best choice for every column alone."""


@dataclass(frozen=True)
class Problem:
    """Rankings of all columns that have a choice."""

    source: Tables
    """Old schema."""
    target: Tables
    """New schema."""
    columns: tuple[Place, ...]
    """Source columns of tables that changed."""
    ranked: tuple[tuple[tuple[int, Place], ...], ...]
    """Pairs (score of 0 to 100, place) for each of these columns, best first."""
    required: frozenset[Place]
    """Columns that must have a place."""
    same: frozenset[str]
    """Tables with the same name and columns in both schemas: out of the problem."""
    twins: frozenset[frozenset[Place]] = frozenset()
    """Pairs of columns that always hold the same, so that one place serves both."""


def same_tables(source: Tables, target: Tables) -> frozenset[str]:
    """Tables with the same columns, types and keys in both schemas."""

    def alike(a, b):
        return all(
            getattr(a, what) == getattr(b, what)
            for what in ("types", "key", "required", "unique", "defaults", "computed")
        )

    return frozenset(
        name
        for name, table in source.by_name.items()
        if name in target and alike(table, target[name])
    )


def make_problem(
    source: Tables,
    target: Tables,
    required: frozenset[Place],
    twins: frozenset[frozenset[Place]] = frozenset(),
    decided: Mapping[Place, Place] | None = None,
) -> Problem:
    """Rank the places of every column of a table that changed.

    Args:
      source: the old schema.
      target: the new schema.
      required: source columns that must have a place.
      twins: pairs of source columns that always hold the same value.
      decided: places that the user gives, NOWHERE for a column to be dropped.
    """
    same = same_tables(source, target)
    places = [
        (name, column)
        for name, table in target.by_name.items()
        if name not in same
        for column in table.types
    ]
    columns = tuple(
        (name, c) for name, table in source.by_name.items() if name not in same for c in table.types
    )
    twin_of: dict[Place, set[Place]] = {}
    for one, other in map(sorted, twins):
        twin_of.setdefault(one, set()).add(other)
        twin_of.setdefault(other, set()).add(one)
    gain = _gains(source, target, decided or {})
    ranked = tuple(
        _rank(
            source, target, column, places, (column in required, twin_of.get(column, set()), gain)
        )
        for column in columns
    )
    ranked = tuple(
        _as_decided(source, target, (column, ranking), decided or {})
        for column, ranking in zip(columns, ranked, strict=True)
    )
    return Problem(source, target, columns, ranked, required, same, twins)


def _rank(source, target, column, places, what):
    """Our choice: a column that has the same table, name and type in both schemas is nobody else's
    place.

    A column that nobody reads may have no place; if it refers to a key, it may take one that
    refers, too, however that is called.
    """
    required, twins, gain = what

    def stays(place):
        return (
            place not in twins
            and place[0] in source
            and source[place[0]].types.get(place[1]) == target.type_of(place)
        )

    scores = [
        (score(source, target, column, place) + gain(column, place), place)
        for place in places
        if source.type_of(column) == target.type_of(place) and (place == column or not stays(place))
    ]
    nullable = column[1] not in source[column[0]].required
    scores = [
        (worth, place)
        for worth, place in scores
        if worth >= WORTH_NOWHERE or not nullable or place[1] not in target[place[0]].required
    ]
    if reference_of(source, column):
        scores.append((WORTH_REFERRED, REFERRED))
    if not required:

        def refers(place):
            return (
                bool(reference_of(source, column))
                and bool(place[0])
                and bool(reference_of(target, place))
            )

        scores = [one for one in scores if one[0] > WORTH_NOWHERE or refers(one[1])] + [
            (WORTH_NOWHERE, NOWHERE)
        ]
    at = list(source[column[0]].types).index(column[1])

    def order(one):
        worth, place = one
        where = list(target[place[0]].types).index(place[1]) if place[0] else at
        return -worth, bool(place[0]), abs(where - at), place

    return tuple(sorted(scores, key=order)[:MOST_CANDIDATES])


def _gains(source, target, decided) -> Callable[[Place, Place], int]:
    """Make the gain in score of a column in a place for other reasons than names: a key that others
    refer to in the table that these refer to now; a column next to one that the user has decided.
    """
    kin = {(column[0], place[0]) for column, place in decided.items() if place != NOWHERE}
    heirs = {}
    for edge in source.edges:
        near = max(target.by_name, key=lambda name: (_close(edge.table, name), name), default="")
        if near and edge.table != edge.to and _close(edge.table, near) > 0.5:
            heirs.setdefault((edge.to, edge.to_columns), []).append(near)
    pinned = {
        ((table, old), (edge.to, new))
        for (table, key), tables in heirs.items()
        for edge in target.edges
        if edge.table in tables and len(edge.to_columns) == len(key) and edge.to != edge.table
        for old, new in zip(key, edge.to_columns, strict=True)
    }

    def gain(column, place):
        apart = 0
        if (column[0], place[0]) in kin:
            apart = round(25 * (1 - similarity(singular(column[0]), singular(place[0]))))
        return apart + PINNED * ((column, place) in pinned)

    return gain


def _close(one: str, other: str) -> float:
    return similarity(singular(one), singular(other))


def _as_decided(source, target, given, decided):
    """The ranking of a column with the place that the user gives alone, and without those of others
    for any other column.
    """
    column, ranking = given
    if column not in decided:
        taken = set(decided.values()) - {NOWHERE}
        return tuple(one for one in ranking if one[1] not in taken)
    place = decided[column]
    # A merged table's rows are in a table of the old name at first.
    for one in (place, (column[0], place[1])):
        if one == NOWHERE or (one[0] in target and one[1] in target[one[0]].types):
            return ((100, one),)
    return ranking


def reference_of(source, column) -> Place | None:
    """The key column that this one refers to, alone or together with others."""
    for edge in source.edges:
        if edge.table == column[0] and column[1] in edge.columns:
            return edge.to, edge.to_columns[edge.columns.index(column[1])]
    return None
