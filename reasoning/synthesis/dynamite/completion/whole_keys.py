"""Joins by the whole of a key: where a rule ties two records by a part of a declared key or
reference, the rest is asked for as well if the example allows it.

Our choice: the cheapest rule has as few equalities as the example needs, and a small example seldom
has the same number under two tenants. The records of the example stay the same.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from reasoning.synthesis.dynamite.completion.candidate import Candidate
from reasoning.synthesis.dynamite.completion.tidy import values_used
from reasoning.synthesis.dynamite.sketch.correspondence import GENERIC, words
from reasoning.synthesis.dynamite.sketch.sketch import Sketch
from reasoning.synthesis.facts import Facts
from reasoning.synthesis.schema import Schema, columns, find

KIND = "type"
"""Word of a column that says what a reference next to it refers to, as in Rails: `owner_type` next
to `owner_id`.
"""


def with_whole_keys(
    sketch: Sketch, candidate: Candidate, sources: tuple[Facts, ...], schema: Schema
) -> Candidate:
    """The candidate with the equalities that make its joins whole, and with the kinds of its
    references, as far as they hold in every derivation of the examples.

    Args:
      sketch: the sketch that it completes.
      candidate: a completion that is right on the examples.
      sources: the source facts of every example.
      schema: the source schema.
    """
    seen = values_used(sketch, candidate, sources)
    fixed = dict(candidate.constants)
    classes = [set(group) for group in candidate.classes]
    for one in sorted(candidate.copies):
        for other in sorted(candidate.copies - {one}):
            tied = [
                (p, q)
                for group in candidate.classes
                for p in group & set(sketch.of_copy(one))
                for q in group & set(sketch.of_copy(other))
            ]
            for p, q in _rest(sketch, schema, tied):
                if not {p, q} & set(fixed) and seen[p] == seen[q] and None not in seen[p]:
                    _unite(classes, p, q)
            for p, value in _kinds(sketch, schema, tied, seen):
                if not any(p in group for group in classes):
                    fixed.setdefault(p, value)
    groups = tuple(sorted((frozenset(group) for group in classes), key=min))
    return replace(candidate, classes=groups, constants=tuple(sorted(fixed.items())))


def _rest(sketch: Sketch, schema: Schema, tied) -> Iterator[tuple[int, int]]:
    """The pairs of positions that a declared reference or key ties together with those that are
    tied.
    """
    for p, q in tied:
        (path, at), (to_path, to_at) = sketch.place(p), sketch.place(q)
        here = [column.name for column in columns(schema, path)]
        there = [column.name for column in columns(schema, to_path)]
        # Columns that functions make stand behind those of the schema.
        if at >= len(here) or to_at >= len(there):
            continue
        first, to_first = p - at, q - to_at
        declared = [
            list(zip(f.attrs, f.to_attrs, strict=True))
            for f in schema.foreign_keys
            if (f.path, f.to_path) == (path, to_path)
        ]
        for pairs in declared:
            if (here[at], there[to_at]) in pairs:
                yield from ((first + here.index(a), to_first + there.index(b)) for a, b in pairs)
        key = find(schema, to_path).key
        if there[to_at] in key:
            alike = [
                (a, b) for b in key for a in here if words(a) == words(b) and words(b) - GENERIC
            ]
            yield from ((first + here.index(a), to_first + there.index(b)) for a, b in alike)


def _kinds(sketch: Sketch, schema: Schema, tied, seen) -> Iterator[tuple[int, Any]]:
    """The positions of columns that name the relation referred to, with that name."""
    for p, q in tied:
        path, at = sketch.place(p)
        here = [column.name for column in columns(schema, path)]
        if at >= len(here):
            continue
        base = words(here[at]) - GENERIC
        for n, name in enumerate(here):
            values = set(seen[p - at + n])
            value = values.pop() if len(values) == 1 else None
            named = isinstance(value, str) and words(value) == words(
                sketch.place(q)[0].rpartition("?")[2]
            )
            if base and words(name) == base | {KIND} and named:
                yield p - at + n, value


def _unite(classes: list[set[int]], p: int, q: int):
    """Make two positions equal."""
    touching = [group for group in classes if group & {p, q}]
    classes[:] = [group for group in classes if group not in touching]
    classes.append({p, q}.union(*touching))
