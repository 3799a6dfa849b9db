"""Nested documents in SQL: every child table is grouped by its parent's values and joined to it by
hashing.

sqlglot does not translate nesting between dialects, so each has a template of its own.
"""

from collections.abc import Callable
from typing import NamedTuple

from reasoning.synthesis.engines.compile import flat_names
from reasoning.synthesis.errors import Refusal
from reasoning.synthesis.schema import NEST, Collection, Schema, flat_columns


class Template(NamedTuple):
    """Syntax of a dialect for records and lists of them."""

    quote: str
    """Around names."""
    record: Callable[[list[tuple[str, str]]], str]
    """From pairs of (name, expression) to one record."""
    gather: str
    """Aggregates the records of a group; {0} is the record."""
    empty: str
    """What a parent without children gets; {0} is the list or NULL."""
    same: str
    """Whether two values are equal, NULL equal to NULL."""


def _struct(pairs):
    return "struct_pack(" + ", ".join(f'"{name}" := {cell}' for name, cell in pairs) + ")"


def _spark_struct(pairs):
    return "named_struct(" + ", ".join(f"{text(name)}, {cell}" for name, cell in pairs) + ")"


def _json(function):
    return lambda pairs: (
        f"{function}(" + ", ".join(f"{text(name)}, {cell}" for name, cell in pairs) + ")"
    )


def text(value: str) -> str:
    """A text literal."""
    return "'" + value.replace("'", "''") + "'"


SAME = "{0} IS NOT DISTINCT FROM {1}"
TEMPLATES = {
    "duckdb": Template('"', _struct, "list({0})", "coalesce({0}, [])", SAME),
    "postgres": Template(
        '"', _json("jsonb_build_object"), "jsonb_agg({0})", "coalesce({0}, '[]'::jsonb)", SAME
    ),
    "sqlite": Template(
        '"',
        _json("json_object"),
        "json_group_array({0})",
        "json(coalesce({0}, '[]'))",
        "{0} IS {1}",
    ),
    "spark": Template(
        "`", _spark_struct, "collect_list({0})", "coalesce({0}, array())", "{0} <=> {1}"
    ),
}
"""Dialects that the tests have run; no other is offered."""


def nested_queries(schema: Schema, flat: dict[str, str], dialect: str) -> dict[str, str]:
    """For every top-level collection one SELECT with its nested collections inside.

    Args:
      schema: the target's.
      flat: a SELECT for each collection, flattened, as `compile.compile_program` makes them; or
        names of tables in parentheses.
      dialect: one of TEMPLATES.

    Raises:
      Refusal: another dialect.
    """
    if dialect not in TEMPLATES:
        raise Refusal(f"dialect {dialect!r} is none of {', '.join(TEMPLATES)}")
    return {
        top.name: _query(schema, flat, top, top.name, TEMPLATES[dialect])
        for top in schema.collections
    }


def _query(schema, flat, collection: Collection, path: str, t: Template) -> str:
    """All records of a collection, its ancestors' values first, one more column for every
    collection inside.
    """

    def name(word):
        return t.quote + word.replace(t.quote, 2 * t.quote) + t.quote

    if not collection.children:
        return flat[path]
    mine = flat_names(schema, path)
    cells, joins = [f"p.{name(column)}" for column in mine], []
    for n, child in enumerate(collection.children):
        inner_path = f"{path}{NEST}{child.name}"
        above = flat_names(schema, inner_path)[: len(mine)]
        group = ", ".join(f"c.{name(column)}" for column in above)
        pairs = _record(schema, child, inner_path, name)
        rows = _query(schema, flat, child, inner_path, t)
        inner = (
            f"SELECT {group}, {t.gather.format(t.record(pairs))} AS {name('__list')} FROM "
            f"({rows}) c"
        )
        on = " AND ".join(
            t.same.format(f"p.{name(a)}", f"c{n}.{name(b)}")
            for a, b in zip(mine, above, strict=True)
        )
        joins.append(f" LEFT JOIN ({inner} GROUP BY {group}) c{n} ON {on}")
        listed = t.empty.format(f"c{n}.{name('__list')}")
        cells.append(f"{listed} AS {name(child.name)}")
    return f"SELECT {', '.join(cells)} FROM ({flat[path]}) p{''.join(joins)}"


def _record(schema, collection, path, name):
    """The fields of a nested record as the parent holds it: its own attributes and its own
    collections.
    """
    own = flat_names(schema, path)[len(flat_columns(schema, path)) - len(collection.attrs) :]
    fields = [
        (attr.name, f"c.{name(column)}") for attr, column in zip(collection.attrs, own, strict=True)
    ]
    return fields + [(child.name, f"c.{name(child.name)}") for child in collection.children]
