"""Documents put together inside DuckDB, a bucket of them at a time, so that memory does not grow
with their number.
"""

from collections.abc import Callable
from typing import Any

from reasoning.synthesis.engines.compile import flat_names, table_name
from reasoning.synthesis.engines.duck import quoted
from reasoning.synthesis.engines.nest import nested_queries
from reasoning.synthesis.schema import NEST, Schema, find, walk

FLAT, FINAL = "t__", "o__"
"""Before the names of tables: the target's flattened collections, and the top-level ones with the
rest inside.
"""
BUCKET = 1_000_000
"""Rows of the largest collection inside that go into one bucket."""


def nest(base, target: Schema, name: str, once: Callable[[str, Callable[[], Any]], None]):
    """Make the table of a top-level collection with its nested collections inside.

    A document and everything in it fall into one bucket by the hash of the document's own values.
    Buckets are filled one after the other, each a step that is done once.

    Args:
      base: a connection of DuckDB with the flattened tables.
      target: the schema.
      name: a top-level collection that holds others.
      once: runs a step of this name unless it was done.
    """
    paths = [path for path, _ in walk(target) if path == name or path.startswith(name + NEST)]
    rows = max(
        base.execute(f"SELECT count(*) FROM {quoted(FLAT + table_name(path))}").fetchone()[0]
        for path in paths
    )
    buckets = max(1, -(-rows // BUCKET))
    for bucket in range(buckets):
        flat = {path: _part(target, path, name, bucket, buckets) for path in paths}
        query = nested_queries(Schema(target.kind, (find(target, name),)), flat, "duckdb")[name]
        verb = (
            f"INSERT INTO {quoted(FINAL + name)}"
            if bucket
            else f"CREATE TABLE {quoted(FINAL + name)} AS"
        )
        once(
            f"nest {name} {bucket}", lambda verb=verb, query=query: base.execute(f"{verb} {query}")
        )


def _part(target: Schema, path: str, top: str, bucket: int, buckets: int) -> str:
    """The rows of a flattened collection that belong into a bucket."""
    query = f"SELECT * FROM {quoted(FLAT + table_name(path))}"
    if buckets == 1:
        return query
    names = flat_names(target, path)[: len(find(target, top).attrs)]
    return f"{query} WHERE hash({', '.join(map(quoted, names))}) % {buckets} = {bucket}"
