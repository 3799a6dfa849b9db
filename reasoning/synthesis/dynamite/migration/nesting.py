"""Documents put together inside DuckDB, a bucket of them at a time, so that memory does not grow
with their number.
"""

from collections.abc import Callable
from typing import Any

from reasoning.synthesis.connect.sinks import odd_names
from reasoning.synthesis.engines.nest import Flat, nested_queries
from reasoning.synthesis.names import quoted, table_name
from reasoning.synthesis.schema import NEST, Schema, find, walk

FLAT, FINAL = "t__", "o__"
"""Prefixes of the names of tables: the target's flattened collections, and the top-level ones with
the rest inside.
"""
BUCKET = 250_000
"""Rows of the largest collection inside that go into one bucket. Lists in the order of their source
take memory while a bucket is nested: with a million rows, 120 MB did not suffice.
"""
Keys = dict[str, list[str | None]]
"""Columns of the identities of each collection, as `compile.key_names` gives them."""


def final_table(name: str) -> str:
    """The quoted table of a top-level collection with the rest inside."""
    return quoted(FINAL + table_name(name))


def nest(
    base, target: Schema, keys: Keys, name: str, once: Callable[[str, Callable[[], Any]], None]
):
    """Make the table of a top-level collection with its nested collections inside.

    A document and everything in it fall into one bucket by the hash of what ties them. Buckets are
    filled one after the other, each a step that is done once.

    Args:
      base: a connection of DuckDB with the flattened tables.
      target: the schema.
      keys: the columns of the identities in these tables.
      name: a top-level collection that holds others.
      once: runs a step of this name unless it was done.
    """
    paths = [path for path, _ in walk(target) if path == name or path.startswith(name + NEST)]
    rows = max(
        base.execute(f"SELECT count(*) FROM {quoted(FLAT + table_name(path))}").fetchone()[0]
        for path in paths
    )
    buckets = max(1, -(-rows // BUCKET))
    part = Schema(target.kind, (find(target, name),))
    for bucket in range(buckets):
        queries = {path: _part(target, keys, path, name, bucket, buckets) for path in paths}
        flat = Flat(part, queries, keys, odd_names(target, name), stored=True)
        query = nested_queries(flat, "duckdb")[name]
        table = final_table(name)
        verb = f"INSERT INTO {table}" if bucket else f"CREATE TABLE {table} AS"
        once(
            f"nest {name} {bucket}", lambda verb=verb, query=query: base.execute(f"{verb} {query}")
        )


def _part(target: Schema, keys: Keys, path: str, top: str, bucket: int, buckets: int) -> str:
    """The rows of a flattened collection that belong into a bucket."""
    query = f"SELECT * FROM {quoted(FLAT + table_name(path))}"
    if buckets == 1:
        return query
    inside = [p for p in keys if p == top or p.startswith(top + NEST)]
    by_rows = all(keys[p] and keys[p][0] for p in inside)
    names = ["__k0"] if by_rows else [f"v{n}" for n in range(len(find(target, top).attrs))]
    return f"{query} WHERE hash({', '.join(map(quoted, names))}) % {buckets} = {bucket}"
