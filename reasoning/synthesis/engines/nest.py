"""Nested documents in SQL: every child table is grouped by its parent's values and joined to it by
hashing.

sqlglot does not translate nesting between dialects, so each has a template of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.names import backticked, quoted, text
from reasoning.synthesis.schema import NEST, Collection, Schema, ancestors, find, flat_columns


class Template(NamedTuple):
    """Syntax of a dialect for records and lists of them."""

    quote: Callable[[str], str]
    """Function that quotes a name."""
    record: Callable[[list[tuple[str, str]]], str]
    """Function from pairs of (name, expression) to the expression of one record."""
    gather: str
    """Aggregates the records of a group; {0} is the record, {1} the columns that order them."""
    empty: str
    """Expression of the list of a parent that may have no children; {0} is the list or NULL."""
    same: str
    """Operator or expression that compares two values, NULL equal to NULL."""


def _struct(pairs):
    return "struct_pack(" + ", ".join(f"{quoted(name)} := {cell}" for name, cell in pairs) + ")"


def _spark_struct(pairs):
    return "named_struct(" + ", ".join(f"{text(name)}, {cell}" for name, cell in pairs) + ")"


def _json(function):
    return lambda pairs: (
        f"{function}(" + ", ".join(f"{text(name)}, {cell}" for name, cell in pairs) + ")"
    )


SAME = "{0} IS NOT DISTINCT FROM {1}"
TEMPLATES = {
    "duckdb": Template(quoted, _struct, "list({0} ORDER BY {1})", "coalesce({0}, [])", SAME),
    "postgres": Template(
        quoted,
        _json("jsonb_build_object"),
        "jsonb_agg({0} ORDER BY {1})",
        "coalesce({0}, '[]'::jsonb)",
        SAME,
    ),
    "sqlite": Template(
        quoted,
        _json("json_object"),
        "json_group_array({0} ORDER BY {1})",
        "json(coalesce({0}, '[]'))",
        "{0} IS {1}",
    ),
    "spark": Template(
        backticked, _spark_struct, "collect_list({0})", "coalesce({0}, array())", "{0} <=> {1}"
    ),
}
"""Dialects that the tests have run; no other is offered."""


@dataclass(frozen=True)
class Flat:
    """The flattened relations of a target, as SQL."""

    schema: Schema
    """The target's."""
    queries: dict[str, str]
    """A SELECT for each collection, as `compile.compile_program` makes them with identities."""
    keys: dict[str, list[str | None]]
    """Columns of the identities of each collection, as `compile.key_names` gives them."""
    positional: bool = False
    """Call nested fields f0, f1, ... instead of by their names: where two are one to DuckDB."""
    stored: bool = False
    """Keep the columns v0, ..., __l0, ... of the working database at the top."""
    by_value: bool = False
    """Order nested records by their values instead of the source: to compare documents."""


def nested_queries(flat: Flat, dialect: str) -> dict[str, str]:
    """For every top-level collection one SELECT with its nested collections inside.

    Args:
      flat: the flattened collections to nest.
      dialect: one of TEMPLATES.

    Raises:
      UserError: another dialect.
    """
    if dialect not in TEMPLATES:
        raise UserError(f"dialect {dialect!r} is none of {', '.join(TEMPLATES)}")
    return {
        top.name: _top(flat, top, TEMPLATES[dialect], dialect) for top in flat.schema.collections
    }


def field_names(collection: Collection, positional: bool) -> list[str]:
    """The names of a record's fields: attributes, then nested collections."""
    names = [field.name for field in [*collection.attrs, *collection.children]]
    return [f"f{n}" for n in range(len(names))] if positional else names


def _top(flat: Flat, collection: Collection, t: Template, dialect: str) -> str:
    inner = _query(flat, collection, collection.name, t)
    columns = [f"v{n}" for n in range(len(collection.attrs))]
    columns += [f"__l{n}" for n in range(len(collection.children))]
    names = columns if flat.stored else field_names(collection, False)
    cells = ", ".join(
        f"d.{t.quote(column)} AS {t.quote(name)}"
        for column, name in zip(columns, names, strict=True)
    )
    key = flat.keys[collection.name]
    nested = bool(collection.children) and bool(key) and bool(key[0])
    ordered = f" ORDER BY d.{t.quote(key[0])}" if nested and dialect == "duckdb" else ""
    return f"SELECT {cells} FROM ({inner}) d{ordered}"


def _query(flat: Flat, collection: Collection, path: str, t: Template) -> str:
    """All records of a collection with values and identities, one more column for every collection
    inside.
    """
    if not collection.children:
        return flat.queries[path]
    cells, joins = ["p.*"], []
    for n, child in enumerate(collection.children):
        inner_path = f"{path}{NEST}{child.name}"
        ties = _ties(flat, path, inner_path)
        group = ", ".join(f"c.{t.quote(column)}" for column in ties)
        record = t.record(_record(flat, child, inner_path, t.quote))
        order = ", ".join(f"c.{t.quote(column)}" for column in _order(flat, inner_path))
        order = record if flat.by_value else order
        gathered = t.gather.format(record, order) if "{1}" in t.gather else t.gather.format(record)
        rows = _query(flat, child, inner_path, t)
        inner = f"SELECT {group}, {gathered} AS {t.quote('__list')} FROM ({rows}) c"
        on = " AND ".join(
            t.same.format(f"p.{t.quote(column)}", f"c{n}.{t.quote(column)}") for column in ties
        )
        joins.append(f" LEFT JOIN ({inner} GROUP BY {group}) c{n} ON {on}")
        listed = t.empty.format(f"c{n}.{t.quote('__list')}")
        cells.append(f"{listed} AS {t.quote(f'__l{n}')}")
    return f"SELECT {', '.join(cells)} FROM ({flat.queries[path]}) p{''.join(joins)}"


def _ties(flat: Flat, path: str, inner_path: str) -> list[str]:
    """The columns that tie a record to the one around it: identities where both have them, values
    elsewhere. They are called alike on both sides.
    """
    return [
        name for level in tied_levels(flat.schema, flat.keys, path, inner_path) for name in level
    ]


def tied_levels(schema: Schema, keys, path: str, inner_path: str) -> list[list[str]]:
    """List the columns that tie a record to the one around it, level by level: identities where
    both have them, values elsewhere.

    Args:
      schema: the target schema.
      keys: for every path, the columns of the identities by level; None: no identity at that
        level.
      path: the collection around.
      inner_path: the collection inside it.

    Returns:
      For every level from the top to `path`, the names of its columns, the same on both sides.
    """
    found, start = [], 0
    mine, theirs = keys[path], keys[inner_path]
    for n, above in enumerate(ancestors(path)):
        width = len(find(schema, above).attrs)
        both = len(mine) > n and len(theirs) > n and mine[n] and theirs[n]
        found.append([f"__k{n}"] if both else [f"v{m}" for m in range(start, start + width)])
        start += width
    return found


def _order(flat: Flat, path: str) -> list[str]:
    """The columns that put nested records in order: the source's where rows are kept."""
    depth = len(ancestors(path)) - 1
    keys = flat.keys[path]
    if len(keys) > depth and keys[depth]:
        return [f"__k{depth}"]
    return [f"v{n}" for n in range(len(flat_columns(flat.schema, path)))]


def _record(flat: Flat, collection: Collection, path: str, name):
    """The fields of a nested record as the parent holds it: its own attributes and its own
    collections.
    """
    first = len(flat_columns(flat.schema, path)) - len(collection.attrs)
    cells = [f"c.{name(f'v{first + n}')}" for n in range(len(collection.attrs))]
    cells += [f"c.{name(f'__l{n}')}" for n in range(len(collection.children))]
    return list(zip(field_names(collection, flat.positional), cells, strict=True))
