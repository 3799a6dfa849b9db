"""Files as the importers of other databases read them: `neo4j-admin database import` and
`mongoimport`.
"""

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from typing import Any

from reasoning.synthesis.connect.cypher import ends_of
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.names import file_name
from reasoning.synthesis.schema import Collection, Schema, is_edge

NEO4J = {
    "int": "long",
    "float": "double",
    "bool": "boolean",
    "date": "date",
    "datetime": "localdatetime",
}
"""Types in headers of neo4j-admin; decimals are text there, which keeps their digits."""
OBJECT_ID = re.compile("[0-9a-f]{24}")
INT32 = 2**31
DECIMAL128 = 34
"""Digits of MongoDB's decimals."""


def check_neo4j(schema: Schema, where: str):
    """Refuse what the headers of neo4j-admin cannot say. Raises UserError."""
    for c in schema.collections:
        names = [c.name] + [field.name for field in [*c.attrs, *c.children]]
        if bad := next((name for name in names if set(name) & set(':;(){},"\r\n\0')), None):
            raise UserError(f"{where}: neo4j-admin cannot read the name {bad!r}: rename it")
        if c.children:
            raise UserError(f"{where}: a graph database holds no nested {c.children[0].name!r}")
        if is_edge(c):
            ends_of(schema, c, where)
        # It takes the names of files for regular expressions.
        pattern = set(c.name) & set("*+?[]|^$\\")
        file, files = c.name + ".csv", [f"{one.name}.csv" for one in schema.collections]
        if pattern or [one for one in files if re.fullmatch(file, one)] != [file]:
            raise UserError(
                f"{where}: neo4j-admin takes the file of {c.name!r} for a pattern: rename it"
            )


def neo4j_lines(schema: Schema, collection: Collection, lines: Iterable[str]) -> Iterator[str]:
    """The CSV of one label, header first.

    Args:
      schema: the schema of the graph.
      collection: the label.
      lines: its records as JSON.
    """
    ends = (
        dict(zip(("_start", "_end"), ends_of(schema, collection, ""), strict=True))
        if is_edge(collection)
        else {}
    )
    head = []
    for attr in collection.attrs:
        if attr.name == "_id" and not ends:
            kind = "{id-type: long}" if attr.type == "int" else ""
            head.append(f"_id:ID({collection.name}){kind}")
        elif attr.name in ends:
            head.append(f":{attr.name[1:].upper()}_ID({ends[attr.name]})")
        else:
            head.append(f"{attr.name}:{NEO4J.get(attr.type, 'string')}")
    yield ",".join(head)
    for line in lines:
        record = json.loads(line, parse_float=str)
        yield ",".join(_cell(record[attr.name], attr.type) for attr in collection.attrs)


def _cell(value: Any, kind: str) -> str:
    """A cell: nothing for NULL, text in quotes, so that empty text stays text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    shown = str(value).replace(" ", "T") if kind == "datetime" else str(value)
    return '"' + shown.replace('"', '""') + '"' if kind == "str" else shown


def neo4j_command(schema: Schema) -> str:
    """A shell script that imports the files next to it."""
    # The name of the database comes first: behind --nodes it would be taken for a file.
    parts = ["neo4j-admin database import full neo4j", "--overwrite-destination=true"]
    parts.append("--multiline-fields=true")
    for c in sorted(schema.collections, key=is_edge):
        option = "relationships" if is_edge(c) else "nodes"
        parts.append(shlex.quote(f"--{option}={c.name}={file_name(c.name, 'csv')}"))
    return '#!/bin/sh\ncd "$(dirname "$0")" || exit 1\n' + " \\\n  ".join(parts) + "\n"


def extended(collection: Collection, record: dict) -> dict:
    """A record in MongoDB's extended JSON. Texts of 24 small hexadecimal digits are object ids,
    wherever they stand, so that references still find theirs.

    Args:
      collection: the collection of the record.
      record: as JSON has it, decimals as text.

    Raises:
      UserError: a time with more than the milliseconds that MongoDB keeps.
    """
    found = {}
    for attr in collection.attrs:
        found[attr.name] = _value(record[attr.name], attr.type, f"{collection.name}.{attr.name}")
    for child in collection.children:
        found[child.name] = [extended(child, one) for one in record[child.name] or []]
    return found


def _value(value: Any, kind: str, where: str) -> Any:
    if value is None:
        return None
    if kind == "int" and not -INT32 <= value < INT32:
        return {"$numberLong": str(value)}
    if kind == "float":
        return float(value)
    if kind == "decimal":
        shown = str(value)
        shown = shown.rstrip("0").rstrip(".") if "." in shown else shown
        if len(shown.strip("-").replace(".", "").lstrip("0")) > DECIMAL128:
            raise UserError(
                f"{where} is {value}, and MongoDB keeps {DECIMAL128} digits: make it text in the "
                "target"
            )
        return {"$numberDecimal": shown}
    if kind in ("date", "datetime"):
        moment = f"{value} 00:00:00" if kind == "date" else value
        whole, _, part = moment.replace(" ", "T").partition(".")
        if len(part.rstrip("0")) > 3:
            raise UserError(
                f"{where} is {value}, and MongoDB keeps milliseconds: make it text in the target"
            )
        return {"$date": f"{whole}.{part[:3].ljust(3, '0')}Z"}
    return {"$oid": value} if kind == "str" and OBJECT_ID.fullmatch(value) else value
