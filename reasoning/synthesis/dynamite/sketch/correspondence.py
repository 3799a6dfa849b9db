"""Source attributes that can fill each target attribute, by containment of values: the first
step of Dynamite.

Source: arXiv 2003.01331, attribute mapping; typed values and the choice of constants are ours.
"""

import difflib
import functools
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from reasoning.synthesis.facts import Facts
from reasoning.synthesis.schema import Column, Schema, layout

Place = tuple[str, int]
"""A column: the relation's path and the position of the argument."""
MOST_CONSTANTS = 8
"""A column with more different values than this gives no constants."""
DECLARED, AKIN, KEY, COINCIDENCE, RIVALED = 1, 2, 3, 6, 9
"""Prices of equalities: a declared reference; one to a column without repetitions, by name too; or
not by name; any other; one whose column another key claims by name.
"""
GENERIC = frozenset({"id", "key", "code", "no", "nr", "num", "number", "pk", "uuid", "name"})
"""Words that name a record's own key anywhere: alone they tie nothing to anything."""
ENDS = ("_start", "_end")
"""Columns of edges that refer to nodes."""
UNDECLARED = 2
"""Added to the price of a reference that is not declared in a schema that declares some."""
UNJOINED = ("float", "bool")
"""Types whose values never name records. Our choice."""


@dataclass(frozen=True)
class Values:
    """The values of every source column in each example, NULL left out."""

    schema: Schema
    """The source's."""
    by_place: dict[Place, tuple[Counter, ...]]
    """Counts of values, one Counter for each example."""
    derived: dict[Place, Any] = field(default_factory=dict)
    """Columns behind those of the schema that functions make (`derived.Derived`)."""
    with_nulls: frozenset[Place] = frozenset()
    """The columns that are NULL somewhere in the examples."""

    @functools.cached_property
    def columns(self) -> dict[Place, Column]:
        """The columns themselves."""
        return {
            (path, p): column
            for path, found in layout(self.schema).items()
            for p, column in enumerate(found)
        } | {
            place: Column(f"{one.function} of {place[0]}", "str")
            for place, one in self.derived.items()
        }

    def type(self, place: Place) -> str:
        return self.columns[place].type

    def name(self, place: Place) -> str:
        return self.columns[place].name

    @functools.cached_property
    def first(self) -> dict[Place, frozenset]:
        """The values in the first example, which alone tells references: later ones may be
        fragments in which they dangle.
        """
        return {place: frozenset(counters[0]) for place, counters in self.by_place.items()}

    @functools.cached_property
    def unique(self) -> frozenset[Place]:
        """The columns that hold something, and nothing twice, in the first example."""
        return frozenset(
            place
            for place, found in self.by_place.items()
            if found[0] and found[0].total() == len(found[0]) and place not in self.derived
        )

    @functools.cached_property
    def referred(self) -> dict[Place, frozenset[Place]]:
        """For every column, those without repetitions that hold all its values: what a reference
        looks like.
        """
        keys = sorted(self.unique)
        return {
            place: frozenset(
                key
                for key in keys
                if self.type(key) == self.type(place) and found <= self.first[key]
            )
            for place, found in self.first.items()
        }

    @functools.cached_property
    def joins(self) -> dict[tuple[Place, Place], int]:
        """See the function `joins`."""
        return joins(self)

    @functools.cached_property
    def loose_joins(self) -> dict[tuple[Place, Place], int]:
        """`joins` with every pair of which one side is a key: the other side's name says nothing,
        and either side may hold values that the other does not.
        """
        return joins(self, loose=True)

    @functools.cached_property
    def claimed(self) -> dict[Place, frozenset[Place]]:
        """For every column the keys that are declared to be referred to by it, or by name."""
        declared = declared_joins(self.schema)
        return {
            place: frozenset(
                key
                for key in keys
                if key != place and ((place, key) in declared or akin(self, place, key))
            )
            for place, keys in self.referred.items()
        }


def source_values(schema: Schema, examples: tuple[Facts, ...]) -> Values:
    """Count the values of all columns, those of identities included."""
    found, nulls = {}, set()
    for path, columns in layout(schema).items():
        for p in range(len(columns)):
            if any(f[p] is None for facts in examples for f in facts[path]):
                nulls.add((path, p))
            found[path, p] = tuple(
                Counter(f[p] for f in facts[path] if f[p] is not None) for facts in examples
            )
    return Values(schema, found, with_nulls=frozenset(nulls))


def sources_of(
    values: Values, kind: str, wanted: tuple[set, ...], partial: bool = False, derived: bool = False
) -> list[Place]:
    """The columns that hold all values of a target attribute, in every example.

    Args:
      values: the values of the source's columns.
      kind: the target attribute's type; only columns of the same type count.
      wanted: the target attribute's values in each example, NULL left out.
      partial: one of the values is enough, for rules that make some of the records only.
      derived: columns that functions make, instead of those that are there.
    """
    enough = (
        (lambda pairs: any(a & b for a, b in pairs))
        if partial
        else (lambda pairs: all(a <= b for a, b in pairs))
    )
    return [
        place
        for place, counters in values.by_place.items()
        if values.type(place) == kind
        and (place in values.derived) == derived
        and enough([(a, b.keys()) for a, b in zip(wanted, counters, strict=True)])
    ]


def joins(values: Values, loose: bool = False) -> dict[tuple[Place, Place], int]:
    """The pairs of columns that a rule may equate, both ways round, with the price of such an
    equality.

    A pair may be equated if one column's values contain the other's, if a declared foreign key says
    so, if the values overlap and a third column contains both, or if a key and a column of a like
    name overlap. Identities join only those of the same collection.
    """
    places = [
        place
        for place in values.by_place
        if values.type(place) not in UNJOINED
        and any(values.by_place[place])
        and place not in values.derived
    ]
    declared = declared_joins(values.schema)
    by_type: dict[str, list[Place]] = {}
    for place in places:
        by_type.setdefault(values.type(place), []).append(place)
    above = {
        a: frozenset(b for b in by_type[values.type(a)] if values.first[a] <= values.first[b])
        for a in places
    }
    return {
        (a, b): _cost(values, a, b, (a, b) in declared)
        for group in by_type.values()
        for a in group
        for b in group
        if _overlap(values, a, b)
        and (
            (a, b) in declared
            or above[a] & above[b]
            or _half_matched(values, a, b)
            or (loose and (a in values.unique or b in values.unique))
        )
    }


def _half_matched(values: Values, a: Place, b: Place) -> bool:
    """Test whether a key meets a column of a like name though both hold values that the other does
    not: an inner join with records left over on either side.
    """
    return (a in values.unique or b in values.unique) and akin(values, a, b)


def declared_joins(schema: Schema) -> set[tuple[Place, Place]]:
    """Pairs of columns tied by foreign keys, by nesting, or by referring to the same column; both
    ways round.
    """
    plan = layout(schema)
    at = {
        (path, column.name): (path, p)
        for path, columns in plan.items()
        for p, column in enumerate(columns)
    }
    groups: dict[Any, set[Place]] = {}
    for foreign in schema.foreign_keys:
        for attr, to_attr in zip(foreign.attrs, foreign.to_attrs, strict=True):
            groups.setdefault((foreign.to_path, to_attr), {at[foreign.to_path, to_attr]}).add(
                at[foreign.path, attr]
            )
    for path, columns in plan.items():
        for p, column in enumerate(columns):
            if column.is_id:
                groups.setdefault(column.type, set()).add((path, p))
    return {(a, b) for group in groups.values() for a in group for b in group}


def _overlap(values, a, b):
    return any(
        one.keys() & other.keys()
        for one, other in zip(values.by_place[a], values.by_place[b], strict=True)
    )


def _cost(values, a, b, declared):
    if declared:
        return DECLARED
    undeclared = UNDECLARED if values.schema.foreign_keys else 0
    if b in values.referred[a] or a in values.referred[b]:
        if akin(values, a, b):
            return AKIN + undeclared
        sides = [(x, y) for x, y in ((a, b), (b, a)) if y in values.referred[x]]
        free = [(x, y) for x, y in sides if not values.claimed[x]]
        taken = all(
            bool(values.claimed[y])
            or any(z[0] == x[0] and z != x and y in keys for z, keys in values.claimed.items())
            for x, y in free
        )
        return (KEY + taken if free else RIVALED) + undeclared
    if _half_matched(values, a, b):
        return KEY + undeclared
    if common := values.referred[a] & values.referred[b]:
        both = a[0] == b[0] and a[1] == b[1] and common & values.claimed[a]
        return (AKIN if both else KEY) + undeclared
    return COINCIDENCE + undeclared


def akin(values: Values, a: Place, b: Place) -> bool:
    """Test whether the names of two columns suggest that they hold the same thing: "id" of "person"
    and "person_id".
    """
    first, second = words(values.name(a)), words(values.name(b))
    if not first or not second:
        return False
    one, other = words(a[0].rpartition("?")[2]), words(b[0].rpartition("?")[2])
    # The ends of edges are all called alike, and say nothing of what they refer to.
    first, second = (
        frozenset(GENERIC) if values.name(place) in ENDS else found
        for place, found in ((a, first), (b, second))
    )
    if first <= GENERIC and second <= GENERIC:
        # "id" and "id" of different collections say nothing, unless one belongs to the other.
        return a[0] == b[0] or bool(one & other)
    return (
        (not first <= GENERIC and first <= other | second)
        or (not second <= GENERIC and second <= one | first)
        or _squeezed(one | first) == _squeezed(second)
        or _squeezed(other | second) == _squeezed(first)
    )


def _squeezed(found: set[str]) -> list[str]:
    """The letters of some words: "customerid" is "customer" and "id"."""
    return sorted("".join(found))


def words(name: str) -> set[str]:
    """The words of a name in small letters, without a plural s: "PersonIds" gives person and id."""
    found = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)
    return {word.lower().removesuffix("s") for word in found}


def likeness(path: str, name: str, other_path: str, other_name: str) -> float:
    """Score the likeness of two attributes' names, from 0 to 1: the attribute's name counts more
    than its collection's.

    Args:
      path: the collection of one attribute.
      name: the name of that attribute.
      other_path: the collection of the other attribute.
      other_name: the name of the other attribute.
    """

    def ratio(a, b):
        return difflib.SequenceMatcher(None, a.lower(), b.lower()).ratio()

    return 0.75 * ratio(name, other_name) + 0.25 * ratio(path, other_path)


def constants(values: Values, given: tuple[Any, ...]) -> dict[Place, list[Any]]:
    """The constants that each column may be compared with.

    The published prototype has a fixed list of words. Our choice: the values of a column in which
    few values repeat, that is no reference and no identity; and those that the user gives, wherever
    they occur.
    """
    named = {
        place for pair in declared_joins(values.schema) if pair[0] != pair[1] for place in pair
    }
    named |= {
        place
        for pair, price in values.joins.items()
        if price <= AKIN and pair[0] != pair[1]
        for place in pair
    }
    found = {}
    for place, counters in values.by_place.items():
        if place in values.derived:
            continue
        total = sum(counters, Counter())
        asked = [
            value for value in total if any(value == c and type(value) is type(c) for c in given)
        ]
        few = (
            values.type(place) in ("str", "int", "bool")
            and 0 < len(total) <= MOST_CONSTANTS
            and place not in named
        )
        repeated = any(0 < len(counter) < counter.total() for counter in counters)
        found[place] = sorted(total, key=repr) if few and repeated else asked
    return {place: list(options) for place, options in found.items() if options}
