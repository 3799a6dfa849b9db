"""Targets that finished tables are written to: in ranges, each whole or not at all, under another
name until the last one is there.
"""

import json
import os
import re
import shutil
import uuid
from pathlib import Path
from typing import Protocol

from reasoning.synthesis.connect.cypher import cypher_of, load_script
from reasoning.synthesis.connect.importers import check_neo4j, extended, neo4j_command, neo4j_lines
from reasoning.synthesis.connect.ladybug import LadybugSink, check_ladybug
from reasoning.synthesis.connect.places import kind_of, path_of
from reasoning.synthesis.connect.postgres_sink import PostgresSink
from reasoning.synthesis.connect.sqlite_sink import SqliteSink, cells, fields, rows_of
from reasoning.synthesis.errors import UserError, writing
from reasoning.synthesis.names import SYSTEM_COLUMNS, check_names, file_name, masked, quoted, text
from reasoning.synthesis.schema import NEST, Collection, Schema, is_edge, walk
from reasoning.synthesis.shapes import is_plain, reshaped


class Sink(Protocol):
    """A target that is filled in ranges of rows."""

    def done(self, name: str) -> int:
        """Number of rows of a collection that are safely there."""
        ...

    def write(self, base, table: str, name: str, start: int, stop: int) -> int:
        """Add a range of rows of a DuckDB table, in the order of its rowid; all of them are there
        afterwards, or none.

        Args:
          base: the DuckDB connection that holds the table.
          table: the DuckDB table to read, as SQL writes its name.
          name: the top-level collection that the rows belong to.
          start: rowid of the first row.
          stop: rowid after the last row.

        Returns:
          The number of rows that were written.
        """
        ...

    def finish(self, base):
        """Give everything its final name at once."""
        ...


def open_sink(schema: Schema, url: str, work: Path, overwrite: bool) -> Sink:
    """The sink behind a path or URL.

    Args:
      schema: the target's.
      url: see `places.kind_of`; a folder gets JSON lines for documents and CSV for tables and
        graphs, unless csv://, jsonl:// or parquet:// says otherwise.
      work: a folder for what is not finished.
      overwrite: replace a target that is there.

    Raises:
      UserError: the target is there already, or cannot hold such data.
    """
    check_target(schema, url, overwrite)
    kind = kind_of(url)
    if kind == "postgres":
        return PostgresSink(schema, url, overwrite, _run_id(work))
    if kind == "sqlite":
        return SqliteSink(schema, path_of(url), work)
    if kind == "ladybug":
        return LadybugSink(schema, path_of(url), work)
    ending = {"json": "jsonl", "cypher": "jsonl", "duckdb": "parquet"}.get(kind) or _folder_format(
        schema, url
    )
    if ending in IMPORTERS:
        ending, kind = "jsonl", ending
    return PartsSink(schema, path_of(url), work, ending, kind)


def _run_id(work: Path) -> str:
    """A number of the run, kept in its folder: two runs on one server share nothing."""
    file = work / "run-id"
    with writing(file):
        if not file.exists():
            file.write_text(uuid.uuid4().hex[:12])
        return file.read_text()


def check_target(schema: Schema, url: str, overwrite: bool):
    """Refuse a target that cannot be, before anything is written. Raises UserError."""
    kind = kind_of(url)
    if kind in ("xml", "lines", "mysql"):
        raise UserError(
            f"{masked(url)}: writing to {kind} is not offered: write a folder (jsonl://, csv://, "
            "mongoexport://) and import it"
        )
    check_target_names(schema, url, kind)
    if kind != "postgres" and path_of(url).exists():
        if not overwrite:
            raise UserError(
                f"{masked(url)} is there already: choose another target, or --overwrite to "
                "replace it"
            )
        _check_replaceable(schema, url, path_of(url), kind == "folder")
    if kind == "sqlite" and any(collection.children for collection in schema.collections):
        raise UserError(
            f"{masked(url)}: SQLite holds tables and this target is nested: write JSON lines, "
            "DuckDB or PostgreSQL"
        )


def check_target_names(schema: Schema, url: str, kind: str):
    """Refuse names that the target cannot hold as they are. Raises UserError."""
    where = masked(url)
    ending = _folder_format(schema, url) if kind == "folder" else kind
    if kind == "folder":
        files = [file_name(c.name, IMPORTERS.get(ending, ending)) for c in schema.collections]
        check_names([name.casefold() for name in files], ending, where)
    if kind == "ladybug":
        check_ladybug(schema, where)
    if ending == "neo4j-admin":
        check_neo4j(schema, where)
    if kind in ("duckdb", "postgres", "sqlite"):
        check_names([c.name for c in schema.collections], kind, where)
    for path, collection in walk(schema):
        fields_of = [field.name for field in [*collection.attrs, *collection.children]]
        if ending in ("duckdb", "parquet") or (kind == "postgres" and "?" not in path):
            check_names(fields_of, ending, f"{where}: {path}")
            taken = set(fields_of) & set(SYSTEM_COLUMNS) if kind == "postgres" else set()
            if taken:
                raise UserError(
                    f"{where}: {path}: every table of PostgreSQL has a column {min(taken)} of its "
                    "own: rename it"
                )
        elif ending == "postgres" and any("\0" in name for name in fields_of):
            raise UserError(f"{where}: {path}: PostgreSQL holds no name with NUL in it: rename it")
        elif ending == "csv" and any(set(name) & set("\r\0") or not name for name in fields_of):
            raise UserError(f"{where}: {path}: a CSV header cannot hold such a name: rename it")


def _check_replaceable(schema, url, path: Path, folder: bool):
    """Only what a migration could have written is replaced: a file by a file, a folder without
    anything else in it by a folder.
    """
    if path.is_dir() != folder:
        what = ("file", "folder") if folder else ("folder", "file")
        raise UserError(
            f"{masked(url)} is a {what[0]} and a {what[1]} is to be written there: choose "
            "another target"
        )
    names = [c.name for c in schema.collections]
    endings = [*COPY, "json"]
    ours = {file_name(name, ending) for name in names for ending in endings} if folder else set()
    ours |= {"load.cypher", "import.sh"}
    if folder and (other := sorted({file.name for file in path.iterdir()} - ours)):
        raise UserError(
            f"{masked(url)} holds {other[0]!r}, which no migration wrote, and would be replaced: "
            "choose another target"
        )


def _folder_format(schema, url):
    scheme = url.partition("://")[0] if "://" in url else ""
    return scheme or ("jsonl" if schema.kind == "document" else "csv")


IMPORTERS = {"neo4j-admin": "csv", "mongoexport": "json"}
"""Folders in the form of an importer, and the ending of their files."""
COPY = {
    "jsonl": "FORMAT json",
    "csv": "FORMAT csv, HEADER false, NULLSTR ''",
    "parquet": "FORMAT parquet",
}


class PartsSink:
    """One file per range, put together at the end: folders, instance files, Cypher,
    DuckDB files.
    """

    def __init__(self, schema: Schema, path: Path, work: Path, ending: str, kind: str):
        self.schema, self.path, self.work, self.ending, self.kind = schema, path, work, ending, kind
        self.parts = work / "parts"
        with writing(self.parts):
            self.parts.mkdir(parents=True, exist_ok=True)

    def _files(self, name: str) -> list[tuple[int, Path]]:
        """The finished parts of a collection, as (rows up to there, file), in order."""
        number = [collection.name for collection in self.schema.collections].index(name)
        files = [
            (int(file.stem.split("-")[1]), file)
            for file in self.parts.glob(f"{number}-*.{self.ending}")
        ]
        return sorted(files)

    def done(self, name: str) -> int:
        return max((stop for stop, _ in self._files(name)), default=0)

    def write(self, base, table: str, name: str, start: int, stop: int):
        """Write a range of rows to a file of its own, which has its final name only when it is
        whole.

        Arguments and result as `Sink.write`.
        """
        number = [collection.name for collection in self.schema.collections].index(name)
        part = self.parts / f"{number}-{stop:015d}.{self.ending}"
        partial = part.with_suffix(".partial")
        collection = next(c for c in self.schema.collections if c.name == name)
        words = ", ".join(f"v{n}" for n, a in enumerate(collection.attrs) if a.type == "str")
        force = f", FORCE_QUOTE ({words})" if self.ending == "csv" and words else ""
        # CSV and odd JSON get their names where the file is put together.
        odd = self.ending == "csv" or odd_names(self.schema, name)
        if self.ending == "jsonl" and _timed(collection):
            named = ", ".join(_json_cells(collection, odd))
        else:
            named = ", ".join(cells(collection)) if odd else fields(collection)
        query = f"SELECT {named} FROM ({rows_of(collection, table, start, stop)})"
        copied = base.execute(
            f"COPY ({query}) TO {text(str(partial))} ({COPY[self.ending]}{force})"
        ).fetchone()[0]
        partial.replace(part)
        return copied

    def finish(self, base):
        final = self.work / "final"
        with writing(self.path):
            shutil.rmtree(final, ignore_errors=True)
            final.mkdir()
            made = self._assemble(base, final)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.is_dir():
                shutil.rmtree(self.path)
            os.replace(made, self.path)

    def _assemble(self, base, final: Path) -> Path:
        if self.kind == "json":
            return self._instance(final / "instance.json")
        if self.kind == "cypher":
            return self._cypher(final / "graph.cypher")
        if self.kind == "duckdb":
            return self._duckdb(base, final / "base.duckdb")
        for collection in self.schema.collections:
            ending = IMPORTERS.get(self.kind, self.ending)
            self._join(base, collection, final / file_name(collection.name, ending))
        if self.kind == "neo4j-admin":
            (final / "import.sh").write_text(neo4j_command(self.schema), encoding="utf-8")
        if self.schema.kind == "graph" and self.ending == "csv":
            (final / "load.cypher").write_text(load_script(self.schema), encoding="utf-8")
        return final

    def _join(self, base, collection: Collection, file: Path):
        parts = [part for _, part in self._files(collection.name)]
        if self.ending == "parquet":
            listed = ", ".join(text(str(part)) for part in parts)
            base.execute(
                f"COPY (SELECT * FROM read_parquet([{listed}])) TO {text(str(file))} (FORMAT "
                "parquet)"
            )
            return
        changed = odd_names(self.schema, collection.name) or not is_plain(collection)
        if self.kind in IMPORTERS:
            with file.open("w", encoding="utf-8") as out:
                out.writelines(line + "\n" for line in self._for_importer(collection))
            return
        if self.ending == "jsonl" and changed:
            with file.open("w", encoding="utf-8") as lines:
                lines.writelines(line + "\n" for line in self._lines(collection.name))
            return
        with file.open("wb") as out:
            if self.ending == "csv":
                out.write((",".join(_csv(attr.name) for attr in collection.attrs) + "\n").encode())
            for part in parts:
                with part.open("rb") as one:
                    shutil.copyfileobj(one, out)

    def _lines(self, name: str):
        """The records of a collection as lines of JSON, under their names."""
        collection = next(c for c in self.schema.collections if c.name == name)
        odd, bare = odd_names(self.schema, name), not is_plain(collection)
        for _, part in self._files(name):
            with part.open(encoding="utf-8") as lines:
                for line in lines:
                    if odd or bare:
                        record = json.loads(line, parse_float=_marked)
                        record = _named(collection, record, True) if odd else record
                        line = _unmarked(reshaped(collection, record))
                    yield line.rstrip("\n")

    def _for_importer(self, collection: Collection):
        if self.kind == "neo4j-admin":
            yield from neo4j_lines(self.schema, collection, self._lines(collection.name))
            return
        odd = odd_names(self.schema, collection.name)
        for _, part in self._files(collection.name):
            with part.open(encoding="utf-8") as lines:
                for line in lines:
                    record = json.loads(line, parse_float=str)
                    record = _named(collection, record, True) if odd else record
                    record = reshaped(collection, extended(collection, record))
                    yield json.dumps(record, ensure_ascii=False)

    def _instance(self, file: Path) -> Path:
        with file.open("w", encoding="utf-8") as out:
            for n, collection in enumerate(self.schema.collections):
                out.write(f"{',' if n else '{'}\n{json.dumps(collection.name)}: [")
                for m, line in enumerate(self._lines(collection.name)):
                    out.write(("," if m else "") + "\n" + line)
                out.write("]")
            out.write("\n}\n")
        return file

    def _cypher(self, file: Path) -> Path:
        order = sorted(self.schema.collections, key=is_edge)
        with file.open("w", encoding="utf-8") as out:
            for collection in order:
                for line in self._lines(collection.name):
                    record = json.loads(line, parse_float=_Digits)
                    out.write(cypher_of(collection, record, self.schema) + "\n")
        return file

    def _duckdb(self, base, file: Path) -> Path:
        base.execute(f"ATTACH {text(str(file))} AS target_file")
        for collection in self.schema.collections:
            listed = ", ".join(text(str(part)) for _, part in self._files(collection.name))
            base.execute(
                f"CREATE TABLE target_file.{quoted(collection.name)} AS SELECT * FROM "
                f"read_parquet([{listed}])"
            )
        base.execute("DETACH target_file")
        return file


def _timed(collection: Collection) -> bool:
    """Test whether a collection, or one inside it, holds times."""
    return any(a.type == "datetime" for a in collection.attrs) or any(
        map(_timed, collection.children)
    )


def _json_cells(collection: Collection, odd: bool, record: str = "") -> list[str]:
    """The fields of a record with its times as JSON has them, with a "T": DuckDB writes a space.

    Args:
      collection: the collection of the record.
      odd: the fields have numbers for names (`odd_names`).
      record: the variable that holds a nested record; empty: a row of the top-level table.
    """
    names = _field_names(collection)
    inside = [f"f{n}" for n in range(len(names))] if odd else names
    here = [f"{record}.{quoted(n)}" for n in inside] if record else cells(collection)
    found = []
    for field, cell in zip([*collection.attrs, *collection.children], here, strict=True):
        if isinstance(field, Collection):
            one = f"{record}x"
            pairs = ", ".join(_json_cells(field, odd, one))
            made = f"[struct_pack({pairs}) FOR {one} IN {cell}]" if _timed(field) else cell
        else:
            timed = field.type == "datetime"
            made = f"replace(CAST({cell} AS VARCHAR), ' ', 'T')" if timed else cell
        found.append(made)
    shown = cells(collection) if odd and not record else inside
    both = zip(shown, found, strict=True)
    return [f"{quoted(n)} := {m}" if record else f"{m} AS {quoted(n)}" for n, m in both]


MARK = f"number {uuid.uuid4().hex} "
"""Prefix of the digits of a number that passes through Python: a float would lose some."""


def _marked(digits: str) -> str:
    return MARK + digits


def _unmarked(record: dict) -> str:
    """A record as JSON, numbers with all their digits."""
    return re.sub(f'"{MARK}([^"]*)"', r"\1", json.dumps(record, ensure_ascii=False))


class _Digits(float):
    """A number that is shown as it was written."""

    def __new__(cls, text: str):
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __str__(self) -> str:
        return self.text


def _csv(name):
    odd = set(name) & set(',"\n\ufeff')  # a mark of byte order at the beginning would be dropped
    return '"' + name.replace('"', '""') + '"' if odd else name


def _field_names(collection: Collection) -> list[str]:
    return [field.name for field in [*collection.attrs, *collection.children]]


def odd_names(schema: Schema, name: str) -> bool:
    """Test whether a record holds two names that are one to DuckDB, or one that it cannot hold:
    its nested fields are then called f0, f1, ... in the working database.
    """
    for path, collection in walk(schema):
        if path == name or path.startswith(name + NEST):
            names = [n.lower() for n in _field_names(collection)]
            if len(set(names)) < len(names) or any("\0" in n or not n for n in names):
                return True
    return False


def _named(collection: Collection, record: dict, top: bool) -> dict:
    """A record of the working database under its names."""
    names = _field_names(collection)
    columns = cells(collection) if top else [f"f{n}" for n in range(len(names))]
    found = {name: record[column] for name, column in zip(names, columns, strict=True)}
    for child in collection.children:
        found[child.name] = [_named(child, one, False) for one in found[child.name]]
    return found
