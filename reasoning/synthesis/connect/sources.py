"""Every kind of source, loaded into DuckDB: files that DuckDB reads itself, and streams
of records.
"""

import contextlib
import csv
import math
import re
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NamedTuple

from reasoning.synthesis.connect import databases, ladybug
from reasoning.synthesis.connect.duck_nested import nested_of
from reasoning.synthesis.connect.json_stream import stream_instance, stream_lines
from reasoning.synthesis.connect.places import SERVERS, kind_of, path_of
from reasoning.synthesis.connect.rows import load_rows, rows_of
from reasoning.synthesis.connect.unread import Unread
from reasoning.synthesis.connect.xml_stream import stream_xml
from reasoning.synthesis.engines.compile import SQL_TYPES
from reasoning.synthesis.engines.duck import confine, connect, stored
from reasoning.synthesis.errors import UserError, need
from reasoning.synthesis.facts import HINTS, INT64, TIMES, Facts, Id, from_facts, is_time
from reasoning.synthesis.infer import Instance
from reasoning.synthesis.names import file_name, inner, masked, quoted, table_name, text
from reasoning.synthesis.schema import NEST, Collection, Schema, layout, walk
from reasoning.synthesis.shapes import PLACE

WHOLE = {
    "tinyint",
    "smallint",
    "integer",
    "bigint",
    "hugeint",
    "utinyint",
    "usmallint",
    "uinteger",
    "ubigint",
    "uhugeint",
}
PATTERNS = {
    "int": "[-+]?[0-9]+",
    "float": "[-+]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][-+]?[0-9]+)?",
    "bool": "[tT]rue|TRUE|[fF]alse|FALSE|[tTfF01]",
    "decimal": "[-+]?[0-9]{1,28}([.][0-9]{0,10}0*)?",
    **TIMES,
}
"""Cells of CSV that DuckDB reads as they are."""
HOLDS = {
    "int": WHOLE,
    "float": {
        "float",
        "double",
        "tinyint",
        "smallint",
        "integer",
        "utinyint",
        "usmallint",
        "uinteger",
    },
    "decimal": {"decimal"} | WHOLE,
    "str": {"varchar", "enum", "uuid"},
    "bool": {"boolean"},
    "date": {"date"},
    "datetime": {"timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns"},
}
"""Our types, and DuckDB's types whose values they hold; any other would be rounded, cut or guessed
by a cast, and is refused.
"""


def load(
    base,
    schema: Schema,
    url: str,
    folder: Path,
    name: Callable[[str], str] = table_name,
    check: bool = True,
) -> Unread:
    """Bring all relations of a schema into tables of DuckDB. The source is opened for reading only.

    Args:
      base: a connection of DuckDB.
      schema: the source schema.
      url: a path or URL, see `kind_of`.
      folder: for temporary files.
      name: the name of a relation's table.
      check: refuse repeated keys, NULLs where none may be, and dangling edges.

    Returns:
      The fields, columns and collections that the schema does not name.

    Raises:
      UserError: it cannot be read, or does not fit the schema.
    """
    kind, unread = kind_of(url), Unread()
    if kind not in SERVERS and not path_of(url).exists():
        raise UserError(f"{masked(url)} is not there: give the path or URL of the data")
    duckdb = need("duckdb")
    try:
        if kind == "duckdb":
            _load_duckdb(base, schema, path_of(url), name, unread)
        elif kind == "folder":
            _load_folder(base, schema, url, folder, name, unread)
        else:
            # Closed at once when a record is refused: connections do not wait for the collector.
            with contextlib.closing(records(schema, url, unread)) as found:
                rows = rows_of(schema, found, masked(url), unread)
                load_rows(base, schema, rows, folder, name)
    except duckdb.Error as error:
        raise refusal_of(error, masked(url)) from error
    if check:
        check_loaded(base, schema, masked(url), name)
    return unread


def read_whole(schema: Schema, url: str, unread: list[str] | None = None) -> Instance:
    """A small source of any kind as an instance.

    Args:
      schema: its schema.
      url: a path or URL.
      unread: gets a sentence for everything that the schema does not name.

    Raises:
      UserError: it cannot be read, or does not fit the schema.
    """
    with tempfile.TemporaryDirectory() as folder, connect() as base:
        confine(base, [Path(folder)], url)
        left = load(base, schema, url, Path(folder))
        if unread is not None:
            unread.extend(left.sentences())
        return from_facts(schema, facts_of(base, schema, table_name))


def facts_of(base, schema: Schema, name: Callable[[str], str]) -> Facts:
    """The facts in the tables that `load` made, all of them in memory."""
    facts: Facts = {path: [] for path in layout(schema)}
    for path, columns in layout(schema).items():
        owners = [column.type.removeprefix("id:") if column.is_id else None for column in columns]
        cells = ", ".join(map(stored, columns))
        for row in base.execute(f"SELECT {cells} FROM {quoted(name(path))}").fetchall():
            facts[path].append(
                tuple(
                    Id(owner, value) if owner else value
                    for owner, value in zip(owners, row, strict=True)
                )
            )
    return facts


def refusal_of(error: Exception, what: str) -> UserError:
    """A sentence for what DuckDB complains about."""
    if place := re.search(r"CSV Error on Line: (\d+)", str(error)):
        said = re.search(
            r"^(Value with|Expected Number|Error when|Invalid unicode|Could not).*",
            str(error),
            re.MULTILINE,
        )
        said = said[0].strip().rstrip(".") if said else "malformed CSV"
        return UserError(f"{what}, line {place[1]}: {said}: fix the file or the schema")
    first = ", ".join(filter(None, (line.strip() for line in str(error).strip().splitlines()[:3])))
    if "No space left" in first or "out of disk" in first.lower():
        return UserError(
            f"no space is left while working on {what}: free some and run the same command with "
            "--resume"
        )
    return UserError(f"{what}: {first}: check the data against the schema")


def records(
    schema: Schema, url: str, unread: Unread | None = None
) -> Generator[tuple[str, dict[str, Any] | None], None, None]:
    """The records of a source one by one.

    Args:
      schema: its schema.
      url: a path or URL.
      unread: gets the columns and elements that the schema does not name; fields of JSON are in
        the records, for `rows_of` to list.

    Raises:
      UserError: it cannot be read.
    """
    unread = Unread() if unread is None else unread
    kind = kind_of(url)
    if kind in ("json", "lines"):
        tops = [collection.name for collection in schema.collections]
        only = tops[0] if len(tops) == 1 else None
        return stream_instance(path_of(url), only, frozenset(tops))
    if kind == "xml":
        return stream_xml(path_of(url), schema, unread)
    if kind == "folder":
        return _folder_records(schema, path_of(url))
    if kind == "ladybug":
        return ladybug.records(schema, path_of(url), unread)
    if kind == "cypher":
        raise UserError(
            f"{masked(url)}: Cypher can be written and not read: give node and edge files as a "
            "folder of CSV"
        )
    return databases.records(schema, url, kind, unread)


def _load_duckdb(base, schema, path, name, unread):
    """The file stays attached, under its path, as long as the connection: within a transaction it
    cannot be detached.
    """
    base.execute(f"ATTACH IF NOT EXISTS {text(str(path))} AS {quoted(str(path))} (READ_ONLY)")
    for collection in schema.collections:
        relation = f"{quoted(str(path))}.{quoted(collection.name)}"
        found = base.sql(f"FROM {relation}")
        _check_types(found, collection, f"{path}: {collection.name}", unread)
        _from_query(base, collection, relation, name)


def _load_folder(base, schema, url, folder, name, unread):
    """One file for each top-level collection; nested ones lie inside JSON lines or
    Parquet lists.
    """
    duckdb, path = need("duckdb"), path_of(url)
    for collection in schema.collections:
        file = next(
            (
                path / file_name(collection.name, end)
                for end in ("jsonl", "csv", "parquet", "json")
                if (path / file_name(collection.name, end)).exists()
            ),
            None,
        )
        if file is None:
            raise UserError(
                f"{path} holds no {collection.name}.jsonl, {collection.name}.json, "
                f"{collection.name}.csv or {collection.name}.parquet"
            )
        try:
            if file.suffix in (".jsonl", ".json"):
                part = Schema("document", (collection,))
                rows = rows_of(part, _lines(collection, file), str(file), unread)
                load_rows(base, part, rows, folder, name)
            elif file.suffix == ".csv":
                form = _check_header(file, collection)
                _from_query(base, collection, _csv_query(file, collection, form), name)
                _list_csv(base, file, collection, form, unread)
            else:
                _load_parquet(base, collection, file, name, unread)
        except duckdb.Error as error:
            found = _bad_cell(file, collection, form) if file.suffix == ".csv" else None
            raise found or refusal_of(error, str(file)) from error


def _load_parquet(base, collection: Collection, file: Path, name, unread: Unread):
    relation = f"read_parquet({text(str(file))})"
    _check_types(base.sql(f"FROM {relation}"), collection, str(file), unread)
    found = _types(base, relation)
    if collection.children or any(found[a.name].id == "timestamp_ns" for a in collection.attrs):
        _from_query(base, collection, relation, name)
    else:
        _view(base, collection, file, name(collection.name))


def _check_types(relation, collection: Collection, where: str, unread: Unread):
    """Refuse a table whose columns hold what the schema's types do not; list the others."""
    found = dict(zip(relation.columns, relation.types, strict=True))
    _check_fields(found, collection, where)
    _list_fields(found, collection, collection.name, unread)


def _list_fields(found: dict, collection: Collection, path: str, unread: Unread):
    """List columns and fields of structs that the schema does not name."""
    fields = [*collection.attrs, *collection.children]
    unread.columns(path, found, [field.name for field in fields] + [PLACE])
    for child in collection.children:
        nested = nested_of(found[child.name])
        if nested:
            _list_fields(nested.fields, child, f"{path}{NEST}{child.name}", unread)


def _check_fields(found: dict, collection: Collection, where: str):
    for field in [*collection.attrs, *collection.children]:
        if field.name not in found:
            raise UserError(f"{where} has no column {field.name!r}: fix the data or the schema")
    for attr in collection.attrs:
        kind = found[attr.name]
        scale = dict(kind.children).get("scale", 0) if kind.id == "decimal" else 0
        if kind.id not in HOLDS[attr.type] or scale > 10:
            raise UserError(
                f"{where}.{attr.name} is {kind}, which {attr.type} does not hold: fix the data or "
                "the schema"
            )
    for child in collection.children:
        kind = found[child.name]
        nested = nested_of(kind)
        if nested is None or (nested.form == "values" and child.form != "values"):
            raise UserError(
                f"{where}.{child.name} is {kind}, not a list of records: fix the data or the schema"
            )
        _check_fields(nested.fields, child, f"{where}.{child.name}")


def _view(base, collection: Collection, file: Path, table: str):
    """Flat Parquet is not copied: a view numbers its rows as a table does."""
    cells = [
        f"CAST({quoted(attr.name)} AS {SQL_TYPES[attr.type]}) AS {quoted(inner(attr.name))}"
        for attr in collection.attrs
    ]
    read = f"read_parquet({text(str(file))}, file_row_number = true)"
    base.execute(
        f"CREATE VIEW {quoted(table)} AS SELECT {', '.join(cells)}, file_row_number AS rowid FROM "
        f"{read}"
    )


class _Csv(NamedTuple):
    """The form of a CSV file."""

    separator: str
    """One of `SEPARATORS`."""
    header: list[str]
    """The names of the columns, in their order."""

    def read(self, file: Path) -> str:
        """A table function that reads the columns c0, c1, ... as text."""
        fields = ", ".join(f"c{n}: 'TEXT'" for n in range(len(self.header)))
        form = (
            f"header = true, auto_detect = false, delim = {text(self.separator)}, quote = '\"', "
            "escape = '\"', strict_mode = true"
        )
        return (
            f"read_csv({text(str(file))}, {form}, nullstr = '', allow_quoted_nulls = false, "
            f"columns = {{{fields}}})"
        )


def _csv_query(file: Path, collection: Collection, form: _Csv) -> str:
    """A SELECT in parentheses that reads CSV, with nothing guessed. Numbers and times are read as
    text first: DuckDB would round 1.5 to 2, cut decimals and move times to another zone.
    """
    cells = [_csv_cell(attr, f"c{form.header.index(attr.name)}") for attr in collection.attrs]
    return f"(SELECT {', '.join(cells)} FROM {form.read(file)})"


def _list_csv(base, file: Path, collection: Collection, form: _Csv, unread: Unread):
    """List columns of CSV that the schema does not name and that hold something."""
    known = {attr.name for attr in collection.attrs}
    others = [(n, name) for n, name in enumerate(form.header) if name not in known]
    if not others:
        return
    cells = ", ".join(f"count(c{n}), min(n) FILTER (c{n} IS NOT NULL)" for n, _ in others)
    numbered = f"SELECT *, row_number() OVER () AS n FROM {form.read(file)}"
    found = base.execute(f"SELECT {cells} FROM ({numbered})").fetchone()
    for (_, name), count, first in zip(others, found[::2], found[1::2], strict=True):
        if count:
            unread.found[collection.name, name or "(no name)"] = [count, first]


def _csv_cell(attr, cell: str) -> str:
    if attr.type not in PATTERNS:
        return f"{cell} AS {quoted(attr.name)}"
    wrong = f"error({text(attr.name + ' is ')} || {cell} || ', which is no {attr.type}')"
    return (
        f"CASE WHEN regexp_full_match({cell}, {text(PATTERNS[attr.type])}){_exact(attr, cell)} OR "
        f"{cell} IS NULL THEN {cell}::{SQL_TYPES[attr.type]} ELSE {wrong} END "
        f"AS {quoted(attr.name)}"
    )


def _exact(attr, cell: str) -> str:
    """The test that a float keeps a number of CSV: finite, and whole numbers whole."""
    if attr.type != "float":
        return ""
    value = f"TRY_CAST({cell} AS DOUBLE)"
    whole = f"TRY_CAST({value} AS HUGEINT) IS NOT DISTINCT FROM TRY_CAST({cell} AS HUGEINT)"
    few = f"NOT regexp_full_match({cell}, '[-+]?[0-9]{{16,}}')"
    return f" AND isfinite({value}) AND ({few} OR ({value} IS NOT NULL AND {whole}))"


def _bad_cell(file: Path, collection: Collection, form: _Csv) -> UserError | None:
    """Find the first cell that is no number or time of its type: DuckDB does not name it."""
    places = [
        (form.header.index(attr.name), attr) for attr in collection.attrs if attr.type in PATTERNS
    ]
    with file.open(encoding="utf-8-sig", newline="", errors="replace") as lines:
        rows = csv.reader(lines, delimiter=form.separator)
        next(rows)
        for row in rows:
            for n, attr in places:
                cell = row[n] if n < len(row) else ""
                fits = re.fullmatch(PATTERNS[attr.type], cell)
                if fits and attr.type == "int":
                    fits = len(cell) < 30 and -INT64 <= int(cell) < INT64
                if fits and attr.type == "float":
                    whole = re.fullmatch("[-+]?[0-9]+", cell)
                    fits = math.isfinite(float(cell)) and (
                        not whole or int(float(cell)) == int(cell)
                    )
                if fits and attr.type in ("date", "datetime"):
                    fits = is_time(cell, attr.type)
                if cell and not fits:
                    hint = HINTS.get(attr.type, "")
                    if attr.type in ("float", "decimal") and "," in cell:
                        hint = " (numbers have a point and no other mark)"
                    return UserError(
                        f"{file}, line {rows.line_num}: {attr.name} is {cell!r}, which is no "
                        f"{attr.type}{hint}: fix the file or the schema"
                    )
    return None


SEPARATORS = (",", ";", "\t")
"""Separators of CSV, the usual one first; spreadsheets write the others in many countries."""


def _check_header(file: Path, collection: Collection) -> _Csv:
    """The separator with which the header names the columns of the schema, each once, and the
    header. Raises UserError.
    """
    wanted, seen = [attr.name for attr in collection.attrs], []
    try:
        for separator in SEPARATORS:
            with file.open(encoding="utf-8-sig", newline="") as lines:
                seen.append(next(csv.reader(lines, delimiter=separator), []))
            if all(seen[-1].count(name) == 1 for name in wanted):
                return _Csv(separator, seen[-1])
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file}: byte {error.start} is no UTF-8: save the file as UTF-8"
        ) from error
    header = max(seen, key=len)
    wrong = next(name for name in wanted if header.count(name) != 1)
    raise UserError(
        f"{file}, line 1: the header is {', '.join(header)!r} and the schema says "
        f"{', '.join(wanted)!r}: {wrong!r} must be there once"
    )


def _types(base, relation: str) -> dict:
    """The types of the columns of a relation, by name."""
    found = base.sql(f"FROM {relation}")
    return dict(zip(found.columns, found.types, strict=True))


def _cell(path: str, attr, kind, cell: str) -> str:
    """A column of a database or of Parquet as the type of the schema. Nanoseconds are dropped by a
    cast, and refused instead.

    Args:
      path: the collection of the column, for the refusal.
      attr: the attribute that the column holds.
      kind: the type that DuckDB gives it.
      cell: the column as SQL writes it.
    """
    made = f"CAST({cell} AS {SQL_TYPES[attr.type]})"
    if kind.id == "timestamp_ns":
        wrong = f"error({text(f'{path}.{attr.name} is ')} || {cell}::TEXT || ', with nanoseconds')"
        made = (
            f"CASE WHEN {made}::TIMESTAMP_NS IS DISTINCT FROM {cell} THEN {wrong} ELSE {made} END"
        )
    return f"{made} AS {quoted(inner(attr.name))}"


def _from_query(base, collection, relation, name):
    """The relation of a top-level collection, with numbers as identities where it holds others,
    then those inside it.
    """
    found = _types(base, relation)
    cells = [
        _cell(collection.name, attr, found[attr.name], quoted(attr.name))
        for attr in collection.attrs
    ]
    lists = [
        f"{quoted(child.name)} AS {quoted('__' + inner(child.name))}"
        for child in collection.children
    ]
    own = ["row_number() OVER () - 1 AS __id"] if collection.children else []
    table = quoted(name(collection.name))
    base.execute(f"CREATE TABLE {table} AS SELECT {', '.join(cells + own + lists)} FROM {relation}")
    _unnest(base, collection, collection.name, name)


def _unnest(base, collection, path, name):
    table = quoted(name(path))
    kinds = _types(base, table) if collection.children else {}
    for child in collection.children:
        inner_path, column = f"{path}{NEST}{child.name}", "__" + inner(child.name)
        nested = nested_of(kinds[column])
        assert nested, f"{path}: {child.name} was checked before"
        cells = [
            _cell(inner_path, attr, nested.fields[attr.name], f"r.{quoted(attr.name)}")
            for attr in child.attrs
        ]
        lists = [
            f"r.{quoted(deep.name)} AS {quoted('__' + inner(deep.name))}" for deep in child.children
        ]
        own = ["row_number() OVER () - 1 AS __id"] if child.children else []
        unnested = nested.records(table, quoted(column))
        query = f"SELECT {', '.join(['__parent', *cells, *own, *lists])} FROM ({unnested})"
        base.execute(f"CREATE TABLE {quoted(name(inner_path))} AS {query}")
        base.execute(f"ALTER TABLE {table} DROP COLUMN {quoted(column)}")
        _unnest(base, child, inner_path, name)


def _folder_records(schema, path):
    """Records of a folder without DuckDB: for the engines in memory."""
    for collection in schema.collections:
        file = path / file_name(collection.name, "jsonl")
        if not file.exists():
            raise UserError(
                f"{file} is not there: only a folder of JSON lines can be read record by record"
            )
        yield from _lines(collection, file)


def _lines(collection, file):
    """The records of a file of JSON lines, or, called .json as `mongoexport` does, of a list."""
    if file.suffix == ".json":
        return stream_instance(file, collection.name, frozenset())
    return ((collection.name, record) for record in stream_lines(file))


ODD = {
    "float": ("NOT isfinite({0})", "is no finite number"),
    "date": (
        "{0} NOT BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'",
        "is not within the years 1 to 9999",
    ),
    "datetime": (
        "{0} NOT BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999'",
        "is not within the years 1 to 9999",
    ),
}
"""Values that some target would change, by type: the test, and a sentence on it."""


def check_values(base, schema: Schema, where: str, name: Callable[[str], str] = table_name):
    """Refuse values that files and other databases do not hold: NaN, infinite times.

    Args:
      base: the DuckDB connection that holds the tables.
      schema: the schema of the loaded data.
      where: the name of the data in an error.
      name: gives the table of a collection from its path.

    Raises:
      UserError: a float is NaN or infinite, or a time is outside the years 1 to 9999.
    """
    for path, collection in walk(schema):
        tests = [(a, *ODD[a.type]) for a in collection.attrs if a.type in ODD]
        if not tests:
            continue
        cells = ", ".join(
            f"count(*) FILTER ({test.format(quoted(inner(attr.name)))})" for attr, test, _ in tests
        )
        counts = base.execute(f"SELECT {cells} FROM {quoted(name(path))}").fetchone()
        for (attr, _, said), count in zip(tests, counts, strict=True):
            if count:
                raise UserError(
                    f"{where}: {path}.{attr.name} {said} in {count:,} records: make it NULL or "
                    "text, or fix the data"
                )


def check_loaded(base, schema: Schema, where: str, name: Callable[[str], str] = table_name):
    """Refuse NULLs where none may be, repeated keys and dangling edges in what was loaded.

    Arguments as `check_values`.

    Raises:
      UserError: one of these, or a value that `check_values` refuses.
    """
    check_values(base, schema, where, name)
    for path, collection in walk(schema):
        if firm := [attr.name for attr in collection.attrs if not attr.nullable]:
            nulls = ", ".join(f"count(*) - count({quoted(inner(column))})" for column in firm)
            counts = base.execute(f"SELECT {nulls} FROM {quoted(name(path))}").fetchone()
            for column, count in zip(firm, counts, strict=True):
                if count:
                    what = f"{where}: {path}.{column} is NULL in {count:,} records"
                    raise UserError(
                        f"{what}, and the schema says that it never is: fix the data or the schema"
                    )
    for collection in schema.collections:
        if collection.key:
            columns = ", ".join(quoted(inner(name)) for name in collection.key)
            query = (
                f"SELECT {columns}, count(*) FROM {quoted(name(collection.name))} GROUP BY "
                f"{columns} HAVING count(*) > 1 LIMIT 1"
            )
            if found := base.execute(query).fetchone():
                shown = ", ".join(
                    f"{k} = {v!r}" for k, v in zip(collection.key, found, strict=False)
                )
                raise UserError(
                    f"{where}: {collection.name} has the key {shown} {found[-1]} times: keys must "
                    "be unique"
                )
    for foreign in schema.foreign_keys if schema.kind == "graph" else ():
        side, to = quoted(inner(foreign.attrs[0])), quoted(name(foreign.to_path))
        query = (
            f"SELECT {side} FROM {quoted(name(foreign.path))} WHERE {side} NOT IN (SELECT "
            f"{quoted(inner('_id'))} FROM {to}) LIMIT 1"
        )
        if found := base.execute(query).fetchone():
            raise UserError(
                f"{where}: {foreign.path}: {foreign.attrs[0]} is {found[0]!r}, and there is no "
                "such node: a dangling edge"
            )
