"""Flattened target data brought into DuckDB, from sets of tuples or from the relations of a target
that is there.
"""

from collections.abc import Iterable
from pathlib import Path

from reasoning.synthesis.connect.rows import load_rows
from reasoning.synthesis.engines.compile import flat_names, table_name
from reasoning.synthesis.engines.duck import quoted
from reasoning.synthesis.facts import plain
from reasoning.synthesis.schema import NEST, Attr, Collection, Schema, flat_columns, walk


def flat_schema(schema: Schema) -> Schema:
    """Every collection of a schema as a table of its own, with the attributes of its ancestors in
    front.
    """
    found = []
    for path, _ in walk(schema):
        kinds = [attr.type for _, attr in flat_columns(schema, path)]
        attrs = tuple(
            Attr(name, kind) for name, kind in zip(flat_names(schema, path), kinds, strict=True)
        )
        found.append(Collection(table_name(path), attrs))
    return Schema("relational", tuple(found))


def load_flat(base, schema: Schema, data: dict[str, Iterable[tuple]], folder: Path, prefix: str):
    """Create a table for every flattened relation, in an order that does not change, and
    fill it.
    """
    rows = (
        (table_name(path), [plain(value) for value in row])
        for path, found in data.items()
        for row in sorted(found, key=repr)
    )
    load_rows(base, flat_schema(schema), rows, folder, lambda path: prefix + path)


def flatten_tables(base, schema: Schema, relations: str, flat: str):
    """Create the flattened tables of a target from the tables of its relations, by joins on
    identities.

    Args:
      base: a connection of DuckDB.
      schema: the target's.
      relations: before the names of the relations' tables.
      flat: before the names of the tables to be made.
    """
    for path, collection in walk(schema):
        names = flat_names(schema, path)
        above = path.rpartition(NEST)[0]
        if not above:
            cells = [
                f"r.{quoted(a.name)} AS {quoted(n)}"
                for a, n in zip(collection.attrs, names, strict=True)
            ]
            joined = ""
        else:
            inherited = flat_names(schema, above)
            cells = [
                f"p.{quoted(old)} AS {quoted(new)}"
                for old, new in zip(inherited, names, strict=False)
            ]
            own = names[len(inherited) :]
            cells += [
                f"r.{quoted(a.name)} AS {quoted(n)}"
                for a, n in zip(collection.attrs, own, strict=True)
            ]
            joined = f" JOIN {quoted(flat + table_name(above))} p ON p.__id = r.__parent"
        cells += ["r.__id"] if collection.children else []
        source = quoted(relations + table_name(path))
        base.execute(
            f"CREATE TABLE {quoted(flat + table_name(path))} AS SELECT {', '.join(cells)} FROM "
            f"{source} r{joined}"
        )
    for path, collection in walk(schema):
        if collection.children:
            base.execute(f"ALTER TABLE {quoted(flat + table_name(path))} DROP COLUMN __id")
