"""Flattened target data brought into DuckDB, from an engine in memory or from the relations of a
target that is there.
"""

from pathlib import Path

from reasoning.synthesis.connect.rows import load_rows
from reasoning.synthesis.datalog import Program
from reasoning.synthesis.engines.compile import flat_names, key_names
from reasoning.synthesis.engines.memory import flat_records
from reasoning.synthesis.facts import Facts, plain
from reasoning.synthesis.names import inner, quoted, table_name
from reasoning.synthesis.schema import Attr, Collection, Schema, ancestors, flat_columns, walk


def load_flat(base, program: Program, target: Schema, facts: Facts, folder: Path, prefix: str):
    """Create a table for every flattened relation from the reference engine, with identities.

    Args:
      base: a connection of DuckDB.
      program: the rules.
      target: their target.
      facts: the source data.
      folder: for files that are removed again.
      prefix: prefix of the names of the tables.
    """
    for path, _ in walk(target):
        keys = [name for name in key_names(program, path, target) if name]
        attrs = [
            Attr(name, attr.type)
            for name, (_, attr) in zip(
                flat_names(target, path), flat_columns(target, path), strict=True
            )
        ] + [Attr(name, "str") for name in keys]
        schema = Schema("relational", (Collection("flat", tuple(attrs)),))
        rows = (
            ("flat", [*map(plain, values), *("-".join(f"{n:012d}" for n in k) for k in found if k)])
            for values, found in flat_records(program, path, target, facts)
        )
        load_rows(base, schema, rows, folder, lambda _: "load__flat")
        made, table = quoted("load__flat"), quoted(prefix + table_name(path))
        cells = ", ".join(f"{quoted(inner(a.name))} AS {quoted(a.name)}" for a in attrs)
        base.execute(f"CREATE TABLE {table} AS SELECT {cells} FROM {made} ORDER BY rowid")
        base.execute(f"DROP TABLE {made}")


def flatten_tables(base, schema: Schema, relations: str, flat: str) -> dict[str, list[str | None]]:
    """Create the flattened tables of a target from the tables of its relations, by joins on
    identities.

    Args:
      base: a connection of DuckDB.
      schema: the target's.
      relations: prefix of the names of the relations' tables.
      flat: prefix of the names of the tables to make.

    Returns:
      The columns of the identities.
    """
    keys: dict[str, list[str | None]] = {}
    for path, collection in walk(schema):
        depth, above = len(ancestors(path)) - 1, ancestors(path)[-2:-1]
        names = flat_names(schema, path)
        first = len(names) - len(collection.attrs)
        cells = [f"p.{quoted(name)}" for name in names[:first]]
        cells += [
            f"r.{quoted(inner(attr.name))} AS {quoted(name)}"
            for attr, name in zip(collection.attrs, names[first:], strict=True)
        ]
        cells += [f"p.__k{n}" for n in range(depth)]
        cells.append(f"r.{'__id' if collection.children else 'rowid'} AS __k{depth}")
        joined = ""
        if above:
            parent = quoted(flat + table_name(above[0]))
            joined = f" JOIN {parent} p ON p.__k{depth - 1} = r.__parent"
        base.execute(
            f"CREATE TABLE {quoted(flat + table_name(path))} AS SELECT {', '.join(cells)} FROM "
            f"{quoted(relations + table_name(path))} r{joined}"
        )
        keys[path] = [f"__k{n}" for n in range(depth + 1)]
    return keys
