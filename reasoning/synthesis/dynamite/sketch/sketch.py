"""Rule sketches: copies of source relations whose arguments are holes, for one flattened target
collection.

Source: arXiv 2003.01331, sketch generation. Where the paper gives a whole nested target one rule,
ours has one rule for every
collection in it, with the records around it in front: sibling collections need no product, and
parents without children stay.
"""

import functools
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from reasoning.synthesis.dynamite.sketch.correspondence import (
    Place,
    Values,
    constants,
    likeness,
    sources_of,
    words,
)
from reasoning.synthesis.schema import Attr, find

MOST_COPIES = 3
"""Most copies of one relation in one body, as in the paper's prototype."""
MOST_BETWEEN = 2
"""Most copies of a relation that no head column comes from and that joins others in two roles."""


@dataclass(frozen=True)
class Sketch:
    """Everything that a rule may be made of. Positions, copies and head columns are numbers into
    these tuples.
    """

    path: str
    """The target collection."""
    head: tuple[tuple[str, Attr], ...]
    """Its flattened columns."""
    copies: tuple[str, ...]
    """Source relations; several copies of one stand side by side."""
    positions: tuple[tuple[int, int], ...]
    """All holes: number of the copy, number of the argument."""
    partners: dict[tuple[int, int], int]
    """Pairs of positions p < q that may be equal, with the cost of it."""
    constants: dict[int, tuple[Any, ...]]
    """Values that a position may be compared with."""
    sources: tuple[dict[int, int], ...]
    """For every head column the positions it may come from, with a cost by name and function;
    empty: `literals` fills it.
    """
    literals: tuple[Any, ...]
    """For every head column without a source the value that it always has: NULL, or a constant that
    the user gave.
    """

    firm: frozenset[int] = frozenset()
    """Positions with NULLs in the examples, of which a rule may ask that they hold something."""
    calls: dict[int, Any] = field(default_factory=dict)
    """Positions of columns that functions make (`derived.Derived`)."""
    likely: frozenset[tuple[int, Any]] = frozenset()
    """Positions with a constant that the target's names hold: a row of type "product" for the
    collection `product`, the key "_sku" for the column `sku`.
    """

    def place(self, position: int) -> Place:
        """The column that a position stands for."""
        copy, argument = self.positions[position]
        return self.copies[copy], argument

    def of_copy(self, copy: int) -> range:
        """The positions of a copy."""
        return self._spans[copy]

    @functools.cached_property
    def moves(self) -> dict:
        """Facts at the positions of other copies, by the order of the copies: `lessons.lifted`."""
        return {}

    @functools.cached_property
    def tables(self) -> dict:
        """Hash tables of the example's facts, which thousands of candidates join: see
        `memory.matches`.
        """
        return {}

    @functools.cached_property
    def _spans(self) -> tuple[range, ...]:
        owners = [owner for owner, _ in self.positions]
        starts = [owners.index(copy) for copy in range(len(self.copies))]
        return tuple(range(start, start + owners.count(copy)) for copy, start in enumerate(starts))


@dataclass(frozen=True)
class Reach:
    """Limits of a sketch; the search begins with the least."""

    wide: int = 0
    """Copies of every relation in reach; 0: as many as the head asks for."""
    partial: bool = False
    """The rule makes some of the records only: one value of a head column in a source column is
    enough.
    """
    loose: bool = False
    """Joins of a key with anything that it shares a value with."""
    fixed: tuple[tuple[int, Any], ...] = ()
    """Head columns that no source fills, with the value that they have in every record."""
    hint: str = ""
    """A word that the names of the right columns hold."""
    effort: float = 0.0
    """Propagations of the solver after which the search is given up; 0: only when time runs out."""


@dataclass(frozen=True)
class NoSource:
    """A target attribute that no source attribute can fill: values are copied, never computed."""

    path: str
    """Its collection."""
    attr: str
    """Its name."""
    example: Any
    """A value that stands in no source column of its type."""


def make_sketch(
    values: Values,
    path: str,
    head: tuple[tuple[str, Attr], ...],
    rows: tuple[set[tuple], ...],
    given: tuple[Any, ...],
    reach: Reach,
) -> Sketch | NoSource:
    """The sketch for one target collection.

    Args:
      values: the values of the columns of the source examples.
      path: the target collection.
      head: its flattened columns.
      rows: its flattened records in each example.
      given: constants from the user.
      reach: limits on the size of the sketch.

    Returns:
      The sketch, or the attribute that makes it impossible.
    """
    filled: list[list[Place]] = []
    literals: list[Any] = []
    missing = None
    fixed = dict(reach.fixed)
    for n, (owner, attr) in enumerate(head):
        if n in fixed:
            filled.append([])
            literals.append(fixed[n])
            continue
        wanted = tuple({row[n] for row in found} - {None} for found in rows)
        options = sources_of(values, attr.type, wanted, reach.partial) if any(wanted) else []
        if any(wanted) and not options:
            options = sources_of(values, attr.type, wanted, reach.partial, derived=True)
        # NULL throughout says nothing: a column of the same name is copied, and the question asked.
        options = options or ([] if any(wanted) else empty_namesakes(values, attr))
        literal = None if options else _literal({row[n] for found in rows for row in found}, given)
        if any(wanted) and not options:
            missing = missing or NoSource(owner, attr.name, _orphan(values, attr.type, wanted))
            if literal is None:
                return NoSource(owner, attr.name, _orphan(values, attr.type, wanted))
        filled.append(options)
        literals.append(literal)
    if missing and not any(filled):
        return missing
    pairs = values.loose_joins if reach.loose else values.joins
    copies = _copies(values, filled, pairs, reach.wide)
    positions = tuple(
        (n, p) for n, relation in enumerate(copies) for p in range(_width(values, relation))
    )
    place = [(copies[n], p) for n, p in positions]
    partners = {
        (p, q): pairs[place[p], place[q]]
        for q in range(len(positions))
        for p in range(q)
        if (place[p], place[q]) in pairs
        and positions[p] != positions[q]
        and _sensible(values, place, positions, p, q)
    }
    options_of = constants(values, given)
    compared = {
        p: tuple(options_of[place[p]]) for p in range(len(positions)) if place[p] in options_of
    }
    sources = tuple(
        _named(values, place, (path, _hinted(reach.hint, attr)), options)
        for (path, attr), options in zip(head, filled, strict=True)
    )
    calls = {p: values.derived[one] for p, one in enumerate(place) if one in values.derived}
    firm = frozenset(p for options in sources for p in options if place[p] in values.with_nulls)
    likely = frozenset(
        (p, value)
        for p, found in compared.items()
        for value in found
        if isinstance(value, str)
        and words(value)
        and any(words(value) <= words(name) for name in [path, *(attr.name for _, attr in head)])
    )
    return Sketch(
        *(path, head, copies, positions, partners, compared, sources, tuple(literals)),
        *(firm, calls, likely),
    )


def _hinted(hint: str, attr: Attr) -> Attr:
    return Attr(f"{hint}_{attr.name}", attr.type) if hint else attr


def empty_namesakes(values: Values, attr: Attr) -> list[Place]:
    """Source columns of an attribute's name and type that are NULL throughout the examples."""
    return [
        place
        for place, counters in values.by_place.items()
        if not any(counters)
        and values.type(place) == attr.type
        and words(values.name(place)) == words(attr.name)
    ]


def _literal(found: set, given: tuple[Any, ...]) -> Any:
    """The constant from the user that a column always holds; None if it holds something else as
    well.
    """
    if len(found) != 1:
        return None
    (value,) = found

    def alike(c):
        return c == value and isinstance(c, bool) == isinstance(value, bool)

    return value if any(map(alike, given)) else None


def _orphan(values, kind, wanted):
    """A value of the target that no source column of its type holds; if there is none,
    any value.
    """
    held = {
        v
        for place, counters in values.by_place.items()
        if values.type(place) == kind
        for counter in counters
        for v in counter
    }
    everything = sorted(set().union(*wanted), key=repr)
    return next((value for value in everything if value not in held), everything[0])


def _width(values, relation):
    return sum(path == relation for path, _ in values.by_place)


def _copies(values, filled, pairs, wide) -> tuple[str, ...]:
    """As many copies of a relation as head columns can come from one of its columns; one or two of
    those that lie between or next to.
    """
    need: dict[str, int] = {}
    for relation in {place[0] for options in filled for place in options}:
        here = [
            sum((relation, p) in options for options in filled)
            for p in range(_width(values, relation))
        ]
        need[relation] = min(MOST_COPIES, max(here))
    links = {(a[0], b[0]) for a, b in pairs}
    named = dict(need)
    for relation in _near(links, set(named), hops=3 if wide else 2):
        neighbors = max(
            (count for other, count in named.items() if (relation, other) in links), default=1
        )
        need.setdefault(relation, min(MOST_BETWEEN, neighbors))

    def holds(relation):
        return any(any(values.by_place[relation, p]) for p in range(_width(values, relation)))

    found = sorted(filter(holds, need))
    return tuple(relation for relation in found for _ in range(max(wide, need[relation])))


def _near(links, start, hops):
    """The relations at most so many joins away."""
    distance = dict.fromkeys(start, 0)
    queue = deque(sorted(start))
    while queue:
        here = queue.popleft()
        for a, b in sorted(links):
            if a == here and b not in distance and distance[here] < hops:
                distance[b] = distance[here] + 1
                queue.append(b)
    return set(distance)


def _sensible(values, place, positions, p, q):
    """Not a key with itself in another copy: two copies of one record say no more than one."""
    relation = place[p][0]
    key = find(values.schema, relation).key
    single = values.name(place[p]) == "__id" or (
        key == (values.name(place[p]),) and "?" not in relation
    )
    same_copy = positions[p][0] == positions[q][0]
    return not (single and place[p] == place[q]) and not (
        same_copy and values.type(place[p]).startswith("id:")
    )


def _named(values, place, column, options):
    """Positions for a head column; those whose name is about as alike as the best one's cost
    nothing.
    """
    path, attr = column
    alike = {
        option: likeness(path, attr.name, option[0], values.name(option)) for option in options
    }
    best = max(alike.values(), default=0.0)
    return {
        p: int(alike[found] < best - 0.1)
        + (values.derived[found].rank if found in values.derived else 0)
        for p, found in enumerate(place)
        if found in alike
    }
