"""Source data made up from the values of examples, where nobody gives a sample."""

import random

from reasoning.synthesis.facts import Facts, Id
from reasoning.synthesis.schema import Schema, columns, is_edge, walk

RECORDS = 6
"""Of every collection."""


def made_up(
    schema: Schema, examples: tuple[Facts, ...], rng: random.Random, records: int = RECORDS
) -> Facts:
    """Facts that fit a schema: every value from the same column of the examples or, where that may
    be, a new one.

    References stay references: columns that a foreign key ties, and the ends of edges, take their
      values from the column named.
    Keys do not repeat. Nested records fall to random parents.
    """
    facts: Facts = {}
    referred = {
        (f.path, a): (f.to_path, b)
        for f in schema.foreign_keys
        for a, b in zip(f.attrs, f.to_attrs, strict=True)
    }
    order = sorted(walk(schema), key=lambda item: is_edge(item[1]) and schema.kind == "graph")
    pools = {
        (path, p): _pool(examples, path, p)
        for path, _ in order
        for p in range(len(columns(schema, path)))
    }
    for path, collection in order:
        keys, found = set(), []
        for _ in range(records * (2 if "?" in path else 1)):
            row = tuple(
                _value(schema, path, p, column, pools, referred, facts, rng)
                for p, column in enumerate(columns(schema, path))
            )
            row = (*row[:-1], Id(path, len(found))) if collection.children else row
            names = [column.name for column in columns(schema, path)]
            key = tuple(row[names.index(name)] for name in collection.key) + (
                (row[0],) if "?" in path else ()
            )
            if not collection.key or (key not in keys and None not in key):
                keys.add(key)
                found.append(row)
        facts[path] = found
    return facts


def _pool(examples, path, p):
    return sorted(
        {
            fact[p]
            for facts in examples
            for fact in facts[path]
            if fact[p] is not None and not isinstance(fact[p], Id)
        },
        key=repr,
    )


def _value(schema, path, p, column, pools, referred, facts, rng):
    if column.is_id:
        above = path.rpartition("?")[0]
        return (
            Id(above, rng.randrange(len(facts[above])))
            if p == 0 and above in facts and facts[above]
            else None
        )
    to = referred.get((path, column.name))
    if to is not None and facts.get(to[0]):
        place = [c.name for c in columns(schema, to[0])].index(to[1])
        return rng.choice(facts[to[0]])[place]
    pool = pools[path, p]
    if column.type == "str" and rng.random() < 0.3:
        return f"{column.name} {rng.randrange(100)}"
    if column.type == "int" and rng.random() < 0.3:
        return (
            (max(pool, default=0) + rng.randrange(1, 50))
            if rng.random() < 0.5
            else rng.randrange(1, 20)
        )
    return rng.choice(pool) if pool else None
