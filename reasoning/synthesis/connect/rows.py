"""Records streamed as rows of relations, and rows brought into DuckDB by way of one JSON-lines file
for each relation.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reasoning.synthesis.connect.unread import Unread
from reasoning.synthesis.engines.compile import SQL_TYPES
from reasoning.synthesis.engines.duck import stored
from reasoning.synthesis.errors import UserError, writing
from reasoning.synthesis.facts import cast, plain
from reasoning.synthesis.names import quoted, table_name
from reasoning.synthesis.schema import Collection, Schema, layout, walk
from reasoning.synthesis.shapes import records_in, unknown_fields

Row = tuple[str, list]
"""The path of a relation and the values of one of its facts; identities are numbers."""


@dataclass(frozen=True)
class _Stream:
    """The name of a stream of records, and what was seen of it."""

    where: str
    unread: Unread
    counts: dict[str, int] = field(default_factory=dict)
    seen: dict[str, set[str]] = field(default_factory=dict)
    """The fields of the schema that some record has, by path."""


def rows_of(
    schema: Schema, records: Iterable[tuple[str, dict[str, Any] | None]], where: str, unread: Unread
) -> Iterator[Row]:
    """The facts of a stream of records, in constant memory.

    Args:
      schema: the schema that the records must fit.
      records: pairs of (top-level collection, record), as `json_stream.stream_instance` yields
        them.
      where: the name of the stream in an error.
      unread: gets the fields and collections that the schema does not name.

    Raises:
      UserError: a value of another type, or a record without any field of the schema; with the
        number of the record; or none of the collections is there, but others.
    """
    tops = {collection.name: collection for collection in schema.collections}
    stream, begun = _Stream(where, unread), set()
    for name, record in records:
        begun.add(name)
        if name not in tops:
            unread.found.setdefault((name, ""), [0, 0])[0] += record is not None
        elif record is not None:
            yield from _rows(tops[name], name, record, None, stream)
    if others := sorted(begun - set(tops)):
        if begun.isdisjoint(tops):
            raise UserError(
                f"{where} holds {others[0]!r} and none of the collections of the schema "
                f"({', '.join(tops)}): fix the data or the schema"
            )
        unread.missing.update((name, "") for name in set(tops) - begun)
    for path, collection in walk(schema):
        if unread.others(path):
            names = {field.name for field in [*collection.attrs, *collection.children]}
            unread.missing.update((path, name) for name in names - stream.seen[path])


def _rows(collection: Collection, path, record, parent, stream: _Stream):
    number = stream.counts[path] = stream.counts.get(path, -1) + 1
    place = f"{stream.where}: {path}, record {number + 1}"
    if not isinstance(record, dict):
        raise UserError(f"{place} is {type(record).__name__}, not an object")
    names = {attr.name for attr in collection.attrs} | {child.name for child in collection.children}
    seen = stream.seen.setdefault(path, set())
    if len(seen) < len(names):
        seen |= names & record.keys()
    if unknown := unknown_fields(record, names):
        # A record of other fields alone is no record of this collection.
        if names.isdisjoint(record):
            raise UserError(
                f"{place} has {sorted(unknown)[0]!r} and no field of the schema "
                f"({', '.join(sorted(names))}): fix the data or the schema"
            )
        for name in unknown:
            stream.unread.note(path, name, number + 1)
    values = [plain(cast(record.get(attr.name), attr, place)) for attr in collection.attrs]
    yield (
        path,
        ([] if parent is None else [parent]) + values + ([number] if collection.children else []),
    )
    for child in collection.children:
        for item in records_in(child.form, record.get(child.name), f"{place}: {child.name}"):
            yield from _rows(child, f"{path}?{child.name}", item, number, stream)


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
