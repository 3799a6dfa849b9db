"""Source data made up from the values of examples, where nobody gives a sample."""

import random
from typing import Any

from reasoning.synthesis.dynamite.sketch.correspondence import (
    AKIN,
    UNDECLARED,
    Place,
    Values,
    source_values,
)
from reasoning.synthesis.facts import Facts, Id
from reasoning.synthesis.schema import Collection, Column, Schema, columns, is_edge, walk

RECORDS = 6
"""Records made up for every collection."""
NULLS, FRESH = 0.1, 0.3
"""Shares of NULLs, and of values that the examples do not have."""


def made_up(
    schema: Schema, examples: tuple[Facts, ...], rng: random.Random, records: int = RECORDS
) -> Facts:
    """Facts that fit a schema: every value from the same column of the examples or, where that may
    be, a new one.

    References stay references: columns that a foreign key ties or that refer by name and values,
    and the ends of edges, take most of their values from the column named. Keys do not repeat, nor
    do the values of columns that look like one. Nested records fall to random parents. A graph's
    edges always join nodes that are there.

    Args:
      schema: the source schema.
      examples: the source facts of the examples.
      rng: the source of random numbers.
      records: number of records of every collection; twice as many of nested ones.
    """
    return _Maker(schema, source_values(schema, examples), rng).make(records)


class _Maker:
    """The facts made so far, and what the next ones are drawn from."""

    def __init__(self, schema: Schema, values: Values, rng: random.Random):
        self.schema, self.values, self.rng = schema, values, rng
        self.facts: Facts = {}
        self.drawn: dict[Place, set] = {}
        self.referred = {
            (f.path, a): (f.to_path, b)
            for f in schema.foreign_keys
            for a, b in zip(f.attrs, f.to_attrs, strict=True)
        }
        self.akin = {
            a: b
            for (a, b), price in sorted(values.joins.items(), key=lambda item: -item[1])
            if price <= AKIN + UNDECLARED
            and a != b
            and b in values.referred[a]
            and b in values.claimed[a]
            and a[0] != b[0]
        }

    def make(self, records: int) -> Facts:
        """All collections, those that are referred to first."""
        found = list(walk(self.schema))
        order = [path for path, _ in found]
        for _ in order:
            # A collection comes after the ones it refers to; circles stay as they are.
            for a, b in [(a[0], b[0]) for a, b in self.akin.items()]:
                if order.index(b) > order.index(a) and "?" not in b + a:
                    order.remove(b)
                    order.insert(order.index(a), b)
        graph = self.schema.kind == "graph"
        collections = dict(found)
        order.sort(key=lambda path: (path.count("?"), graph and is_edge(collections[path])))
        for path in order:
            self._fill(path, collections[path], records * (2 if "?" in path else 1))
        return self.facts

    def _fill(self, path: str, collection: Collection, records: int):
        plan = columns(self.schema, path)
        names = [column.name for column in plan]
        keys, found = set(), []
        for _ in range(records):
            row = tuple(self._value((path, p), column) for p, column in enumerate(plan))
            row = (*row[:-1], Id(path, len(found))) if collection.children else row
            key = tuple(row[names.index(name)] for name in collection.key) + (
                (row[0],) if "?" in path else ()
            )
            if not collection.key or (key not in keys and None not in key):
                keys.add(key)
                found.append(row)
        self.facts[path] = found

    def _value(self, place: Place, column: Column) -> Any:
        path, rng = place[0], self.rng
        if column.is_id:
            above = path.rpartition("?")[0]
            inside = place[1] == 0 and self.facts.get(above)
            return Id(above, rng.randrange(len(self.facts[above]))) if inside else None
        to = self.referred.get((path, column.name))
        if to is not None and self.facts.get(to[0]):
            at = [c.name for c in columns(self.schema, to[0])].index(to[1])
            return rng.choice(self.facts[to[0]])[at]
        if place in self.akin and self.facts.get(self.akin[place][0]) and rng.random() > NULLS:
            relation, at = self.akin[place]
            return rng.choice(self.facts[relation])[at]
        graph = column.name in ("_id", "_start", "_end")
        nullable = self._attr_nullable(path, column.name)
        if nullable and not graph and rng.random() < NULLS:
            return None
        pool = sorted({v for counter in self.values.by_place[place] for v in counter}, key=repr)
        if place in self.values.unique and column.type in ("int", "str"):
            return self._unused(place, column, pool)
        return self._fresh(column, pool) if rng.random() < FRESH else self._known(column, pool)

    def _attr_nullable(self, path: str, name: str) -> bool:
        collection = dict(walk(self.schema))[path]
        return any(a.name == name and a.nullable for a in collection.attrs) and (
            name not in collection.key
        )

    def _unused(self, place, column, pool):
        """A value of a column that looks like a key: known or new, never twice."""
        used = self.drawn.setdefault(place, set())
        number = len(used) + 1
        fresh = number if column.type == "int" else f"{column.name} {number}"
        options = [v for v in pool if v not in used]
        while fresh in used:
            number += 1
            fresh = number if column.type == "int" else f"{column.name} {number}"
        value = self.rng.choice(options) if options and self.rng.random() > FRESH else fresh
        used.add(value)
        return value

    def _fresh(self, column, pool):
        rng = self.rng
        if column.type == "str":
            return f"{column.name} {rng.randrange(100)}"
        if column.type == "int":
            far = max(pool, default=0) + rng.randrange(1, 50)
            return far if rng.random() < 0.5 else rng.randrange(1, 20)
        if column.type == "float":
            return float(rng.randrange(1, 100))
        return self._known(column, pool)

    def _known(self, column, pool):
        return self.rng.choice(pool) if pool else None
