"""Every kind of source, loaded into DuckDB: files that DuckDB reads itself, and streams of records."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reasoning.synthesis.connect import databases
from reasoning.synthesis.connect.json_stream import stream_instance
from reasoning.synthesis.connect.places import kind_of, path_of
from reasoning.synthesis.connect.rows import load_rows, rows_of
from reasoning.synthesis.connect.xml_stream import stream_xml
from reasoning.synthesis.engines.compile import SQL_TYPES, table_name
from reasoning.synthesis.engines.duck import quoted
from reasoning.synthesis.errors import Refusal, need
from reasoning.synthesis.schema import NEST, Collection, Schema

TABLES = (".csv", ".parquet")


def load(base, schema: Schema, url: str, folder: Path, name: Callable[[str], str] = table_name):
    """Bring all relations of a schema into tables of DuckDB. The source is opened for reading only.

    Args:
      base: a connection of DuckDB.
      schema: of the source.
      url: a path or URL, see `kind_of`.
      folder: for temporary files.
      name: the name of a relation's table.

    Raises:
      Refusal: it cannot be read, or does not fit the schema.
    """
    kind = kind_of(url)
    if kind not in ("postgres", "mongodb", "neo4j") and not path_of(url).exists():
        raise Refusal(f"{url} is not there: give the path or URL of the data")
    duckdb = need("duckdb")
    try:
        if kind == "duckdb":
            _load_duckdb(base, schema, path_of(url), name)
        elif kind == "folder":
            _load_folder(base, schema, path_of(url), name)
        else:
            load_rows(base, schema, rows_of(schema, records(schema, url), url), folder, name)
    except duckdb.Error as error:
        raise refusal_of(error, url) from error
    check_ids(base, schema, url, name)


def refusal_of(error: Exception, what: str) -> Refusal:
    """A sentence for what DuckDB complains about."""
    first = ", ".join(filter(None, (line.strip() for line in str(error).strip().splitlines()[:3])))
    if "No space left" in first or "out of disk" in first.lower():
        return Refusal(f"no space is left while working on {what}: free some and run the same command with --resume")
    return Refusal(f"{what}: {first}: check the data against the schema")


def records(schema: Schema, url: str) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """The records of a source one by one. Raises Refusal if it cannot be read."""
    kind = kind_of(url)
    if kind == "json":
        return stream_instance(path_of(url))
    if kind == "xml":
        return stream_xml(path_of(url), schema)
    if kind == "folder":
        return _folder_records(schema, path_of(url))
    if kind == "cypher":
        raise Refusal(f"{url}: Cypher can be written and not read: give node and edge files as a folder of CSV")
    return databases.records(schema, url, kind)


def _load_duckdb(base, schema, path, name):
    base.execute(f"ATTACH '{str(path).replace(chr(39), chr(39) * 2)}' AS source_file (READ_ONLY)")
    try:
        for collection in schema.collections:
            _from_query(base, schema, collection, f"source_file.{quoted(collection.name)}", [], name)
    finally:
        base.execute("DETACH source_file")


def _load_folder(base, schema, path, name):
    """One file for each top-level collection; nested ones lie inside JSON lines or Parquet lists."""
    for collection in schema.collections:
        file = next(
            (path / f"{collection.name}{end}" for end in (".jsonl", *TABLES) if (path / f"{collection.name}{end}").exists()), None
        )
        if file is None:
            raise Refusal(f"{path} holds no {collection.name}.jsonl, {collection.name}.csv or {collection.name}.parquet")
        if file.suffix == ".csv":
            _check_header(file, collection)
        if file.suffix == ".parquet" and not collection.children:
            _view(base, collection, file, name(collection.name))
        else:
            _from_query(base, schema, collection, _reader(file, collection), [str(file)], name)


def _view(base, collection: Collection, file: Path, table: str):
    """Flat Parquet is not copied: a view numbers its rows as a table does."""
    cells = [f"CAST({quoted(attr.name)} AS {SQL_TYPES[attr.type]}) AS {quoted(attr.name)}" for attr in collection.attrs]
    place = str(file).replace("'", "''")
    read = f"read_parquet('{place}', file_row_number = true)"
    base.execute(f"CREATE VIEW {quoted(table)} AS SELECT {', '.join(cells)}, file_row_number AS rowid FROM {read}")


def _reader(file: Path, collection: Collection) -> str:
    """DuckDB's function that reads a file; the types are the schema's."""
    if file.suffix == ".parquet":
        return "read_parquet(?)"
    fields = ", ".join(f"{quoted(a.name)}: '{SQL_TYPES[a.type]}'" for a in collection.attrs)
    if file.suffix == ".csv":
        return f"read_csv(?, header = true, nullstr = '', allow_quoted_nulls = false, columns = {{{fields}}})"
    kinds = ", ".join(f"{quoted(name)}: '{kind}'" for name, kind in _fields(collection))
    return f"read_json(?, format = 'newline_delimited', columns = {{{kinds}}})"


def _fields(collection: Collection) -> list[tuple[str, str]]:
    own = [(attr.name, SQL_TYPES[attr.type]) for attr in collection.attrs]
    return own + [(child.name, struct_type(child) + "[]") for child in collection.children]


def struct_type(collection: Collection) -> str:
    """DuckDB's type of a record."""
    return "STRUCT(" + ", ".join(f"{quoted(name)} {kind}" for name, kind in _fields(collection)) + ")"


def _check_header(file: Path, collection: Collection):
    with file.open(encoding="utf-8", newline="") as text:
        header = next(csv.reader(text), [])
    if header != [attr.name for attr in collection.attrs]:
        wanted = ", ".join(attr.name for attr in collection.attrs)
        raise Refusal(f"{file}, line 1: the header is {', '.join(header)!r} and the schema says {wanted!r}: they must agree")


def _from_query(base, schema, collection, relation, arguments, name):
    """The relation of a top-level collection, with numbers as identities where it holds others, then those inside it."""
    cells = [f"CAST({quoted(attr.name)} AS {SQL_TYPES[attr.type]}) AS {quoted(attr.name)}" for attr in collection.attrs]
    lists = [f"{quoted(child.name)} AS {quoted('__' + child.name)}" for child in collection.children]
    own = ["row_number() OVER () - 1 AS __id"] if collection.children else []
    table = quoted(name(collection.name))
    base.execute(f"CREATE TABLE {table} AS SELECT {', '.join(cells + own + lists)} FROM {relation}", arguments)
    _unnest(base, collection, collection.name, name)


def _unnest(base, collection, path, name):
    table = quoted(name(path))
    for child in collection.children:
        inner_path, column = f"{path}{NEST}{child.name}", quoted("__" + child.name)
        cells = [f"CAST(r.{quoted(attr.name)} AS {SQL_TYPES[attr.type]}) AS {quoted(attr.name)}" for attr in child.attrs]
        lists = [f"r.{quoted(inner.name)} AS {quoted('__' + inner.name)}" for inner in child.children]
        own = ["row_number() OVER () - 1 AS __id"] if child.children else []
        unnested = f"SELECT __id AS __parent, unnest({column}) AS r FROM {table}"
        query = f"SELECT {', '.join(['__parent', *cells, *own, *lists])} FROM ({unnested})"
        base.execute(f"CREATE TABLE {quoted(name(inner_path))} AS {query}")
        base.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        _unnest(base, child, inner_path, name)


def _folder_records(schema, path):
    """Records of a folder without DuckDB: for the engines in memory."""
    for collection in schema.collections:
        file = path / f"{collection.name}.jsonl"
        if not file.exists():
            raise Refusal(f"{file} is not there: engines other than duckdb read a folder of JSON lines only")
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield collection.name, json.loads(line)
                except json.JSONDecodeError as error:
                    raise Refusal(f"{file}, line {number}, column {error.colno}: malformed JSON ({error.msg})") from error


def check_ids(base, schema: Schema, where: str, name: Callable[[str], str] = table_name):
    """Refuse repeated keys and dangling edges in what was loaded."""
    for collection in schema.collections:
        if collection.key:
            columns = ", ".join(map(quoted, collection.key))
            query = (
                f"SELECT {columns}, count(*) FROM {quoted(name(collection.name))} GROUP BY {columns} HAVING count(*) > 1 LIMIT 1"
            )
            if found := base.execute(query).fetchone():
                shown = ", ".join(f"{k} = {v!r}" for k, v in zip(collection.key, found, strict=False))
                raise Refusal(f"{where}: {collection.name} has the key {shown} {found[-1]} times: keys must be unique")
    for foreign in schema.foreign_keys if schema.kind == "graph" else ():
        side, to = quoted(foreign.attrs[0]), quoted(name(foreign.to_path))
        query = f"SELECT {side} FROM {quoted(name(foreign.path))} WHERE {side} NOT IN (SELECT _id FROM {to}) LIMIT 1"
        if found := base.execute(query).fetchone():
            raise Refusal(
                f"{where}: {foreign.path}: {foreign.attrs[0]} is {found[0]!r}, and there is no such node: a dangling edge"
            )
