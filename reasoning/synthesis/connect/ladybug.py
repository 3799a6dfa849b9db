"""Graphs in Ladybug (the successor of Kuzu): an embedded database that speaks Cypher, read and
written by way of its Python package.
"""

import contextlib
import datetime
import decimal
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reasoning.synthesis.connect.cypher import ends_of
from reasoning.synthesis.connect.sqlite_sink import rows_of
from reasoning.synthesis.connect.unread import Unread
from reasoning.synthesis.errors import UserError, need, writing
from reasoning.synthesis.names import backticked, check_names
from reasoning.synthesis.schema import Collection, Schema, is_edge

BATCH = 2_000
"""Records handed over in one statement."""
PROGRESS = "latentax_progress"
KEPT = ("_label", "_src", "_dst", "rowid")
"""Names of properties that Ladybug keeps for itself, apart from `_id`, which gets another."""
EMPTY = {
    "int": 0,
    "float": 0.5,
    "str": "",
    "bool": False,
    "date": datetime.date(2000, 1, 1),
    "datetime": datetime.datetime(2000, 1, 1),
    "decimal": "0",
}
TYPES = {
    "int": "INT64",
    "float": "DOUBLE",
    "str": "STRING",
    "bool": "BOOLEAN",
    "date": "DATE",
    "datetime": "TIMESTAMP",
    "decimal": "DECIMAL(38, 10)",
}


def records(schema: Schema, path: Path, unread: Unread) -> Iterator[tuple[str, dict[str, Any]]]:
    """The nodes and edges of a database, opened for reading only. `_id` is the primary key of a
    node's table.

    Args:
      schema: its collections are the tables to read, by the same names.
      path: the database.
      unread: gets the properties that the schema does not name.

    Raises:
      UserError: no such database, table or property.
    """
    with _opened(path, True) as run:
        tables = {name: kind for _, name, kind, *_ in run("CALL show_tables() RETURN *")}
        for collection in schema.collections:
            kind = "REL" if is_edge(collection) else "NODE"
            if tables.get(collection.name) != kind:
                raise UserError(
                    f"{path} has no {kind} table {collection.name!r}: check the schema against the "
                    "database"
                )
            names = [attr.name for attr in collection.attrs]
            there = [row[1] for row in run(f"CALL table_info({_text(collection.name)}) RETURN *")]
            key = [] if is_edge(collection) else [_key(run, collection.name)]
            unread.columns(collection.name, there, [*names, *key])
            for query in _queries(run, collection):
                for row in run(query):
                    yield collection.name, dict(zip(names, map(_plain, row), strict=True))


def _row(values, skip: bool = False) -> dict[str, Any]:
    """A record for a statement; decimals as text, which keeps their digits."""
    found = {
        f"v{n}": str(value) if isinstance(value, decimal.Decimal) else value
        for n, value in enumerate(values)
    }
    return found | {"skip": skip}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, uuid.UUID) else value


def _queries(run, collection: Collection) -> Iterator[str]:
    """One query for a label of nodes; one for each pair of labels that an edge connects."""
    table = backticked(collection.name)
    if not is_edge(collection):
        key = _key(run, collection.name)
        cells = ", ".join(
            f"n.{backticked(key if a.name == '_id' else a.name)}" for a in collection.attrs
        )
        yield f"MATCH (n:{table}) RETURN {cells}"
        return
    for start, end, *_ in run(f"CALL show_connection({_text(collection.name)}) RETURN *"):
        place = {
            "_start": f"a.{backticked(_key(run, start))}",
            "_end": f"b.{backticked(_key(run, end))}",
        }
        cells = ", ".join(place.get(a.name, f"e.{backticked(a.name)}") for a in collection.attrs)
        yield (f"MATCH (a:{backticked(start)})-[e:{table}]->(b:{backticked(end)}) RETURN {cells}")


def _key(run, name: str) -> str:
    """The primary key of a table of nodes."""
    return next(row[1] for row in run(f"CALL table_info({_text(name)}) RETURN *") if row[-1])


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@contextlib.contextmanager
def _opened(path: Path, read_only: bool):
    """A function that runs Cypher and yields rows; errors become sentences."""
    ladybug = need("ladybug")

    def run(query: str, values: dict | None = None) -> Iterator[list]:
        found = connection.execute(query, values or {})
        while found.has_next():
            yield found.get_next()

    try:
        with (
            ladybug.Database(str(path), read_only=read_only) as base,
            ladybug.Connection(base) as connection,
        ):
            yield run
    except RuntimeError as error:
        said = " ".join(str(error).split())
        raise UserError(f"{path}: {said}: check the schema against the database") from error


class LadybugSink:
    """A database file under another name, filled in ranges, each one transaction."""

    def __init__(self, schema: Schema, path: Path, work: Path):
        self.schema, self.path, self.file = schema, path, work / "target.lbug"
        check_ladybug(schema, str(path))
        with _opened(self.file, False) as run:
            there = {row[1] for row in run("CALL show_tables() RETURN *")}
            if PROGRESS not in there:
                for query in self._tables():
                    list(run(query))

    def _tables(self) -> Iterator[str]:
        for c in sorted(self.schema.collections, key=is_edge):
            fields = [
                f"{backticked(self._name(c, a.name))} {TYPES[a.type]}"
                for a in c.attrs
                if a.name not in ("_start", "_end")
            ]
            if is_edge(c):
                start, end = ends_of(self.schema, c, str(self.path))
                first = f"FROM {backticked(start)} TO {backticked(end)}"
                yield f"CREATE REL TABLE {backticked(c.name)}({', '.join([first, *fields])})"
            else:
                key = f"PRIMARY KEY ({backticked(self._name(c, '_id'))})"
                yield f"CREATE NODE TABLE {backticked(c.name)}({', '.join([*fields, key])})"
        # Last: a crash before it begins the tables anew.
        yield f"CREATE NODE TABLE {PROGRESS}(name STRING, rows INT64, PRIMARY KEY (name))"

    def _name(self, collection: Collection, name: str) -> str:
        """`_id` is a name that Ladybug keeps for itself: `id` there, or `id_` if that is taken."""
        if name != "_id":
            return name
        taken = {attr.name.lower() for attr in collection.attrs}
        return next(one for one in ("id", "id_", "id__", "id___") if one not in taken)

    def done(self, name: str) -> int:
        with _opened(self.file, False) as run:
            rows = list(run(f"MATCH (p:{PROGRESS} {{name: $n}}) RETURN p.rows", {"n": name}))
        return rows[0][0] if rows else 0

    def write(self, base, table: str, name: str, start: int, stop: int) -> int:
        """Add a range of rows as nodes or edges and note the point that was reached, in one
        transaction.

        Arguments as `Sink.write`.

        Returns:
          The number of nodes or edges that were made: fewer than the rows if an edge has no nodes.
        """
        collection = next(c for c in self.schema.collections if c.name == name)
        rows = base.execute(rows_of(collection, table, start, stop))
        query, written = self._statement(collection), 0
        # The types of a list are those of its first element, and NULL has none.
        empty = _row([EMPTY[attr.type] for attr in collection.attrs], True)
        with _opened(self.file, False) as run:
            list(run("BEGIN TRANSACTION"))
            while batch := rows.fetchmany(BATCH):
                listed = [empty, *(_row(row) for row in batch)]
                # An edge whose nodes are not there makes nothing: the caller reports fewer rows.
                written += sum(made for (made,) in run(query, {"rows": listed}))
            mark = f"MERGE (p:{PROGRESS} {{name: $n}}) SET p.rows = $r"
            list(run(mark, {"n": name, "r": stop}))
            list(run("COMMIT"))
        return written

    def _statement(self, collection: Collection) -> str:
        shown = ", ".join(
            f"{backticked(self._name(collection, a.name))}: CAST(r.v{n}, {_text(TYPES[a.type])})"
            for n, a in enumerate(collection.attrs)
            if a.name not in ("_start", "_end")
        )
        table, inside = backticked(collection.name), f" {{{shown}}}" if shown else ""
        rows = "UNWIND $rows AS r WITH r WHERE NOT r.skip"
        if not is_edge(collection):
            return f"{rows} CREATE (n:{table}{inside}) RETURN count(*)"
        names = [a.name for a in collection.attrs]
        nodes = []
        ends = zip("ab", ("_start", "_end"), ends_of(self.schema, collection, ""), strict=True)
        for letter, side, label in ends:
            node = next(c for c in self.schema.collections if c.name == label)
            key = backticked(self._name(node, "_id"))
            nodes.append(f"({letter}:{backticked(label)} {{{key}: r.v{names.index(side)}}})")
        match = f"MATCH {', '.join(nodes)}"
        return f"{rows} {match} CREATE (a)-[e:{table}{inside}]->(b) RETURN count(*)"

    def finish(self, base):
        with _opened(self.file, False) as run:
            list(run(f"DROP TABLE {PROGRESS}"))
            list(run("CHECKPOINT"))
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.file, self.path)


def check_ladybug(schema: Schema, where: str):
    """Refuse what a Ladybug file cannot hold. Raises UserError."""
    names = [c.name for c in schema.collections]
    check_names([*names, PROGRESS], "ladybug", where)
    for c in schema.collections:
        if c.children:
            raise UserError(f"{where}: a graph database holds no nested {c.children[0].name!r}")
        if not is_edge(c) and "_id" not in [a.name for a in c.attrs]:
            raise UserError(
                f"{where}: {c.name} has neither _id (a node) nor _start and _end (an edge): only "
                "graphs go into a graph database"
            )
        names = [a.name for a in c.attrs]
        check_names(names, "ladybug", f"{where}: {c.name}")
        if kept := [name for name in names if name.lower() in KEPT]:
            raise UserError(f"{where}: {c.name}: Ladybug keeps the name {kept[0]!r}: rename it")
        if is_edge(c):
            ends_of(schema, c, where)
