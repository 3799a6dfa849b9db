"""Schemas out of files: our own JSON form, JSON Schema, descriptions of graphs, and SQL DDL by way
of `ddl.py`.
"""

import json
from pathlib import Path
from typing import Any

from reasoning.synthesis.ddl import from_ddl
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.schema import TYPES, Attr, Collection, ForeignKey, Schema, checked

JSON_TYPES = {"integer": "int", "number": "float", "string": "str", "boolean": "bool"}
JSON_FORMATS = {"date": "date", "date-time": "datetime"}


def read_schema(path: str | Path, unread: list[str] | None = None) -> Schema:
    """A schema from a file: `.sql` is DDL, `.json` is distinguished by its keys.

    Args:
      path: JSON with "collections" is our own form, with "nodes" a graph, with "properties" JSON
        Schema.
      unread: gets a sentence for everything of a DDL that is left out; None: see `from_ddl`.

    Raises:
      UserError: no such file, malformed, or none of these.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}): give the path of a schema") from error
    if path.suffix == ".sql":
        return from_ddl(text, where=str(path), unread=unread)
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}, line {error.lineno}, column {error.colno}: malformed JSON ({error.msg}): "
            "fix it"
        ) from error
    return parse_schema(data, str(path))


def parse_schema(data: Any, where: str = "schema") -> Schema:
    """A schema from decoded JSON of any of the three forms. Raises UserError if it is none."""
    if isinstance(data, dict) and "collections" in data:
        return from_json(data, where)
    if isinstance(data, dict) and "nodes" in data:
        return from_graph(data, where)
    if isinstance(data, dict) and "properties" in data:
        return from_json_schema(data, where)
    raise UserError(
        f'{where}: expected an object with "collections" (ours), "nodes" (a graph) or "properties" '
        "(JSON Schema)"
    )


def from_json(data: dict, where: str = "schema") -> Schema:
    """Our own form: `{"kind": ..., "collections": {name: {"fields": {...}, "key": [...]}},
    "foreign_keys": [...]}`.

    A field is a type ("int", "str!" for one that is never null) or another `{"fields": ...}`.

    Raises:
      UserError: another shape, or what `schema.checked` refuses.
    """
    collections = data["collections"]
    if not isinstance(collections, dict):
        raise UserError(
            f'{where}: "collections" is {_kind_of(collections)}, not an object from names to '
            "collections"
        )
    tops = tuple(_collection(name, body, f"{where}: {name}") for name, body in collections.items())
    references = data.get("foreign_keys", [])
    if not isinstance(references, list):
        raise UserError(f'{where}: "foreign_keys" is {_kind_of(references)}, not a list')
    foreign = tuple(_foreign_key(reference, where) for reference in references)
    return checked(Schema(data.get("kind", "document"), tops, foreign), where)


def _collection(name, body, where):
    if not isinstance(body, dict) or not isinstance(body.get("fields"), dict):
        raise UserError(f'{where}: expected {{"fields": {{...}}}}, not {_kind_of(body)}')
    fields = body["fields"].items()
    attrs = tuple(
        _attr(field, value, where) for field, value in fields if not isinstance(value, dict)
    )
    children = tuple(
        _collection(field, value, f"{where}.{field}")
        for field, value in fields
        if isinstance(value, dict)
    )
    return Collection(name, attrs, children, tuple(body.get("key", ())), body.get("form", "list"))


def _attr(name, value, where):
    if not isinstance(value, str) or value.removesuffix("!") not in TYPES:
        raise UserError(f"{where}.{name}: {value!r} is none of the types {', '.join(TYPES)}")
    return Attr(name, value.removesuffix("!"), not value.endswith("!"))  # type: ignore[arg-type]


def _foreign_key(reference, where):
    try:
        return ForeignKey(
            reference["from"],
            tuple(reference["attrs"]),
            reference["to"],
            tuple(reference["to_attrs"]),
        )
    except (KeyError, TypeError) as error:
        raise UserError(
            f'{where}: a foreign key needs "from", "attrs", "to" and "to_attrs", not {reference!r}'
        ) from error


def from_graph(data: dict, where: str = "schema") -> Schema:
    """A graph: `{"nodes": {label: {property: type}}, "edges": {label: {"from": label, "to": label,
    "properties": {...}}}}`.

    Nodes get `_id` (its type under "_id", else "int"), edges `_start` and `_end` of the types of
    the nodes that they join.

    Raises:
      UserError: another shape, or an edge between labels that are not there.
    """
    ids, collections, foreign = {}, [], []
    for label, properties in data["nodes"].items():
        if not isinstance(properties, dict):
            raise UserError(
                f"{where}: the node {label} is {_kind_of(properties)}, not an object of properties"
            )
        ids[label] = properties.get("_id", "int").removesuffix("!")
        inner = {"_id": ids[label] + "!"} | {
            name: kind for name, kind in properties.items() if name != "_id"
        }
        collections.append(
            _collection(label, {"fields": inner, "key": ["_id"]}, f"{where}: {label}")
        )
    for label, edge in data.get("edges", {}).items():
        ends = [edge.get("from"), edge.get("to")] if isinstance(edge, dict) else [None]
        if unknown := [end for end in ends if end not in ids]:
            raise UserError(
                f'{where}: the edge {label} joins {unknown[0]!r}: "from" and "to" must be labels '
                "of nodes"
            )
        if other := sorted(set(edge) - {"from", "to", "properties"}):
            raise UserError(
                f"{where}: the edge {label} has {other[0]!r}: its properties stand under "
                '"properties"'
            )
        fields = {"_start": ids[ends[0]] + "!", "_end": ids[ends[1]] + "!"} | edge.get(
            "properties", {}
        )
        collections.append(_collection(label, {"fields": fields}, f"{where}: {label}"))
        foreign += [
            ForeignKey(label, (side,), end, ("_id",))
            for side, end in zip(("_start", "_end"), ends, strict=True)
        ]
    return checked(Schema("graph", tuple(collections), tuple(foreign)), where)


def from_json_schema(data: dict, where: str = "schema") -> Schema:
    """JSON Schema of an instance: an object whose properties are arrays of objects, nested
    likewise; `$ref` within the file.

    Raises:
      UserError: a property that is neither a scalar nor an array of objects.
    """
    tops = []
    for name, value in data["properties"].items():
        items = _resolved(data, value).get("items")
        if not isinstance(items, dict):
            raise UserError(
                f"{where}: properties.{name} is no array of objects: a collection is one"
            )
        tops.append(_json_schema_collection(data, name, _resolved(data, items), f"{where}: {name}"))
    return checked(Schema("document", tuple(tops)), where)


def _json_schema_collection(root, name, node, where):
    attrs, children, required = [], [], set(node.get("required", ()))
    for field, value in node.get("properties", {}).items():
        value = _resolved(root, value)
        kinds = value.get("type", "object")
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        plain = [kind for kind in kinds if kind != "null"]
        if plain == ["array"] and isinstance(value.get("items"), dict):
            children.append(
                _json_schema_collection(
                    root, field, _resolved(root, value["items"]), f"{where}.{field}"
                )
            )
        elif len(plain) == 1 and plain[0] in JSON_TYPES:
            kind = (
                JSON_FORMATS.get(value.get("format", ""), JSON_TYPES[plain[0]])
                if plain == ["string"]
                else JSON_TYPES[plain[0]]
            )
            attrs.append(Attr(field, kind, field not in required or "null" in kinds))  # type: ignore[arg-type]
        else:
            raise UserError(
                f"{where}.{field}: type {kinds} is neither one scalar nor an array of objects: "
                "make it one"
            )
    return Collection(name, tuple(attrs), tuple(children))


def _resolved(root, node):
    if not isinstance(node, dict):
        return {}
    reference = node.get("$ref")
    if reference is None:
        return node
    target = root
    for part in reference.removeprefix("#/").split("/"):
        if not isinstance(target, dict) or part not in target:
            raise UserError(f"schema: {reference!r} points at nothing in this file")
        target = target[part]
    return target


def _kind_of(value) -> str:
    return {dict: "an object", list: "a list", str: "a string", type(None): "null"}.get(
        type(value), f"a {type(value).__name__}"
    )
