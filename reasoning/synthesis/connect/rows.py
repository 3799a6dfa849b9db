"""Records streamed as rows of relations, and rows brought into DuckDB by way of one JSON-lines file
for each relation.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from reasoning.synthesis.engines.compile import SQL_TYPES
from reasoning.synthesis.engines.duck import stored
from reasoning.synthesis.errors import UserError, writing
from reasoning.synthesis.facts import cast, plain
from reasoning.synthesis.names import quoted, table_name
from reasoning.synthesis.schema import Collection, Schema, layout
from reasoning.synthesis.shapes import records_in, unknown_fields

Row = tuple[str, list]
"""The path of a relation and the values of one of its facts; identities are numbers."""


def rows_of(
    schema: Schema, records: Iterable[tuple[str, dict[str, Any] | None]], where: str
) -> Iterator[Row]:
    """The facts of a stream of records, in constant memory.

    Args:
      schema: the schema that the records must fit.
      records: pairs of (top-level collection, record), as `json_stream.stream_instance` yields
        them.
      where: the name of the stream in an error.

    Raises:
      UserError: an unknown collection or attribute, or a value of another type; with the number of
        the record.
    """
    tops = {collection.name: collection for collection in schema.collections}
    counts: dict[str, int] = {}
    for name, record in records:
        if name not in tops:
            raise UserError(
                f"{where}: the collection {name!r} is not in the schema: remove it or add it there"
            )
        if record is not None:
            yield from _rows(tops[name], name, record, None, counts, where)


def _rows(collection: Collection, path, record, parent, counts, where):
    number = counts[path] = counts.get(path, -1) + 1
    place = f"{where}: {path}, record {number + 1}"
    if not isinstance(record, dict):
        raise UserError(f"{place} is {type(record).__name__}, not an object")
    names = {attr.name for attr in collection.attrs} | {child.name for child in collection.children}
    if unknown := unknown_fields(record, names):
        raise UserError(
            f"{place} has {sorted(unknown)[0]!r}, which is not in the schema: remove it or add it "
            "there"
        )
    values = [plain(cast(record.get(attr.name), attr, place)) for attr in collection.attrs]
    yield (
        path,
        ([] if parent is None else [parent]) + values + ([number] if collection.children else []),
    )
    for child in collection.children:
        for item in records_in(child.form, record.get(child.name), f"{place}: {child.name}"):
            yield from _rows(child, f"{path}?{child.name}", item, number, counts, where)


def load_rows(base, schema: Schema, rows: Iterable[Row], folder: Path, name=table_name):
    """Create a table for every relation and fill it from a stream of rows.

    Args:
      base: a connection of DuckDB.
      schema: the schema of the relations.
      rows: as `rows_of` yields them.
      folder: for files that are removed again.
      name: the name of a relation's table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plan = layout(schema)
    paths = {path: folder / f"relation{n}.jsonl" for n, path in enumerate(plan)}
    try:
        with writing(folder), contextlib.ExitStack() as stack:
            files = {
                path: stack.enter_context(file.open("w", encoding="utf-8"))
                for path, file in paths.items()
            }
            for path, values in rows:
                cells = {f"c{n}": value for n, value in enumerate(values)}
                files[path].write(json.dumps(cells, ensure_ascii=False) + "\n")
        for path, columns in plan.items():
            kinds = (
                "{"
                + ", ".join(
                    f"c{n}: '{SQL_TYPES.get(c.type, 'BIGINT')}'" for n, c in enumerate(columns)
                )
                + "}"
            )
            cells = ", ".join(f"c{n} AS {stored(c)}" for n, c in enumerate(columns))
            read = f"read_json(?, format = 'newline_delimited', columns = {kinds})"
            base.execute(
                f"CREATE TABLE {quoted(name(path))} AS SELECT {cells} FROM {read}",
                [str(paths[path])],
            )
    finally:
        for file in paths.values():
            file.unlink(missing_ok=True)
