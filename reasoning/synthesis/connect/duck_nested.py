"""Nested columns of DuckDB and Parquet as records: lists of structs, structs, lists of bare values
and maps, as JSON has them (`shapes`).
"""

from dataclasses import dataclass
from typing import Any

from reasoning.synthesis.names import quoted, text
from reasoning.synthesis.shapes import KEY, PLACE, VALUE


@dataclass(frozen=True)
class Nested:
    """A nested column."""

    form: str
    """One of `shapes.FORMS`."""
    fields: dict[str, Any]
    """The types of DuckDB of the fields of its records, by name."""
    inner: tuple[str, ...] = ()
    """Fields of the structs behind the keys of a map."""

    def records(self, table: str, column: str) -> str:
        """A query for the records of a column of a table: the row number of the record around, and
        a struct.

        Args:
          table: the quoted name of a table with the column `__id`.
          column: the quoted name of the column.
        """
        if self.form == "object":
            query = f"SELECT __id AS __parent, {column} AS r FROM {table}"
            return f"{query} WHERE {column} IS NOT NULL"
        values = f"map_entries({column})" if self.form == "map" else column
        opened = f"SELECT __id AS __parent, unnest({values}) AS e"
        if self.form == "values":
            made = f"{{{text(VALUE)}: e, {text(PLACE)}: place}}"
            place = f"generate_subscripts({column}, 1) - 1 AS place"
            return f"SELECT __parent, {made} AS r FROM ({opened}, {place} FROM {table})"
        if self.form == "map" and self.inner:
            parts = [f"{text(KEY)}: e.key"]
            parts += [f"{text(name)}: e.value.{quoted(name)}" for name in self.inner]
            return f"SELECT __parent, {{{', '.join(parts)}}} AS r FROM ({opened} FROM {table})"
        return f"SELECT __parent, e AS r FROM ({opened} FROM {table})"


def nested_of(kind: Any) -> Nested | None:
    """The nested column of a type of DuckDB; None if its values are not nested."""
    parts = dict(kind.children) if kind.id in ("list", "struct", "map") else {}
    if kind.id == "struct":
        return Nested("object", parts)
    if kind.id == "map":
        value = parts[VALUE]
        inside = dict(value.children) if value.id == "struct" else {}
        # A field called as the key itself would hide it.
        if KEY in inside:
            return None
        fields = {KEY: parts[KEY], **(inside or {VALUE: value})}
        return Nested("map", fields, tuple(inside))
    if kind.id != "list":
        return None
    child = parts["child"]
    if child.id == "struct":
        return Nested("list", dict(child.children))
    import duckdb

    return Nested("values", {VALUE: child, PLACE: duckdb.sqltype("BIGINT")})
