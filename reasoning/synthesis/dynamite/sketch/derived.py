"""Source columns made by functions of text, for target columns that no source column fills.

Our choice: the paper copies values only. A function is tried only where its results hold all values
that a target column has in the examples.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reasoning.synthesis.datalog import Const
from reasoning.synthesis.dynamite.sketch.correspondence import Place, Values, sources_of
from reasoning.synthesis.facts import Facts
from reasoning.synthesis.functions import FUNCTIONS, compute

MOST_MARKS, MOST_PARTS, MOST_START = 12, 5, 20
"""Separators tried of one column; parts between them; places where a substring may begin."""
MOST_BETWEEN, MOST_AROUND = 3, 20
"""Letters between the columns of a concatenation; before and after them."""
RANKS = {"concat": 0, "lower": 0, "upper": 0, "trim": 0, "before": 0, "after": 0}
"""Prices by function; any other costs 2, 3 or 4: a separator says more than a place."""
LAST = {"before_last": 2, "after_last": 2, "part": 3}


@dataclass(frozen=True)
class Derived:
    """A column that a function makes."""

    relation: str
    """The path of its relation."""
    function: str
    """One of `functions.FUNCTIONS`."""
    args: tuple[int | Const, ...]
    """Numbers of columns of the relation, and constants."""

    @property
    def rank(self) -> int:
        return RANKS.get(self.function, LAST.get(self.function, 4))

    def of(self, fact: tuple) -> Any:
        """Its value in a record."""
        return compute(
            self.function, tuple(a.value if isinstance(a, Const) else fact[a] for a in self.args)
        )


def extended(
    values: Values, sources: tuple[Facts, ...], wanted: Sequence[tuple[str, tuple[set, ...]]]
) -> tuple[Values, tuple[Facts, ...]]:
    """The source with a column for every function that might make a target column.

    Args:
      values: the values of the source's columns.
      sources: the facts of every example.
      wanted: for every target column its type and its values in each example, NULL left out.

    Returns:
      Values and facts with the columns behind those that are there; the same ones if no function
      is needed.
    """
    found: list[Derived] = []
    for kind, sets in wanted:
        if kind == "str" and any(sets) and not sources_of(values, kind, sets):
            found += [one for one in _fitting(values, sources, sets) if one not in found]
    if not found:
        return values, sources
    made: tuple[Facts, ...] = tuple(dict(facts) for facts in sources)
    by_place, derived = dict(values.by_place), {}
    for relation in {one.relation for one in found}:
        mine = [one for one in found if one.relation == relation]
        width = sum(path == relation for path, _ in values.by_place)
        for facts in made:
            facts[relation] = [(*f, *(one.of(f) for one in mine)) for f in facts[relation]]
        for p, one in enumerate(mine, width):
            derived[relation, p] = one
            by_place[relation, p] = tuple(
                Counter(f[p] for f in facts[relation] if f[p] is not None) for facts in made
            )
    return replace(values, by_place=by_place, derived=derived), made


def _fitting(values: Values, sources, sets) -> Iterator[Derived]:
    """The functions whose results hold all values of a target column."""
    by_relation: dict[str, list[Place]] = {}
    for place in values.by_place:
        if values.type(place) in ("str", "int"):
            by_relation.setdefault(place[0], []).append(place)
    for relation, places in by_relation.items():
        for place in places:
            if values.type(place) == "str":
                yield from _of_one(values, place, sets)
        yield from _concatenations(sources, relation, [p for _, p in places], sets)


def _of_one(values: Values, place: Place, sets) -> Iterator[Derived]:
    held = values.by_place[place]
    for function, rest in _calls([v for counter in held for v in counter], sets):

        def made(counter, function=function, rest=rest):
            return {FUNCTIONS[function](value, *rest) for value in counter}

        if all(one <= made(counter) for one, counter in zip(sets, held, strict=True)):
            yield Derived(place[0], function, (place[1], *map(Const, rest)))


def _calls(found: list[str], sets) -> Iterator[tuple[str, tuple]]:
    for function in ("lower", "upper", "trim"):
        yield function, ()
    marks = Counter(mark for value in found[:200] for mark in _marks(value))
    for mark, _ in sorted(marks.most_common(MOST_MARKS), key=lambda item: -len(item[0])):
        for function in ("before", "after", "before_last", "after_last"):
            yield function, (mark,)
        for number in range(1, MOST_PARTS + 1):
            yield "part", (mark, number)
    lengths = {len(value) for one in sets for value in one}
    if len(lengths) == 1 and sum(map(len, sets)) > 1:
        length = lengths.pop()
        for start in range(1, MOST_START + 1):
            yield "substring", (start, length)


def _marks(value: str) -> Iterator[str]:
    """Separators in a text: runs of what is no letter or digit, and their letters."""
    for run in re.findall(r"[\W_]+", value):
        if len(run) <= 3:
            yield run
        yield from set(run)


def _concatenations(sources, relation: str, columns: list[int], sets) -> Iterator[Derived]:
    """Columns of one record one after the other, with the same text between and around them."""
    sizes = (1, 2, 3) if len(columns) <= 8 else (1, 2)
    for size in sizes:
        for chosen in itertools.permutations(columns, size):
            texts = _frame(sources, relation, chosen, sets)
            if texts is not None:
                first, *others = texts
                args: list = [Const(first)] if first else []
                for column, text in zip(chosen, others, strict=True):
                    args += [column] + ([Const(text)] if text else [])
                yield Derived(relation, "concat", tuple(args))


def _frame(sources, relation, chosen, sets) -> tuple[str, ...] | None:
    """The constant texts around columns that make all wanted values; None if none do."""
    frames: set | None = None
    for facts, wanted in zip(sources, sets, strict=True):
        rows = [
            tuple(str(fact[c]) for c in chosen)
            for fact in facts[relation]
            if all(fact[c] not in (None, "") for c in chosen)
        ]
        for value in wanted:
            here = {frame for row in rows if (frame := _around(value, row)) is not None}
            frames = here if frames is None else frames & here
            if not frames:
                return None
    if not frames or (len(chosen) == 1 and sum(map(len, sets)) < 2):
        return None
    best = min(frames, key=lambda frame: (sum(map(len, frame)), frame))
    return best if len(chosen) > 1 or any(best) else None


def _around(value: str, row: tuple[str, ...]) -> tuple[str, ...] | None:
    """The texts before, between and after the cells of a row in a value."""
    place, texts = 0, []
    for n, cell in enumerate(row):
        at = value.find(cell, place)
        if at < 0 or at - place > (MOST_AROUND if n == 0 else MOST_BETWEEN):
            return None
        texts.append(value[place:at])
        place = at + len(cell)
    rest = value[place:]
    return (*texts, rest) if len(rest) <= MOST_AROUND else None
