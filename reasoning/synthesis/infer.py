"""Schemas inferred from an instance: what every record of a collection has in common."""

import math
from dataclasses import replace
from typing import Any

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.schema import Attr, Collection, Kind, Schema, checked
from reasoning.synthesis.shapes import PLACE, form_of, records_in

Instance = dict[str, list[dict[str, Any]]]
"""Collections by name: lists of records; a list of records inside a record is a nested collection.
"""
GRAPH_FIELDS = {"_id", "_start", "_end"}


def infer_schema(
    instance: Instance,
    kind: Kind | None = None,
    where: str = "instance",
    hints: frozenset[str] = frozenset(),
) -> Schema:
    """The narrowest schema that an instance fits.

    Integers next to floats are "float"; an attribute that is NULL or absent somewhere is nullable;
    one that is NULL everywhere is "str". Text that looks like a date stays "str": a guess that a
    schema can correct. Our choice: keys are not guessed, but for `_id` of nodes.

    Args:
      instance: at least one collection; empty collections need a schema and are refused.
      where: the name of the instance in an error.
      hints: texts of the other side: an object with keys among them is a map (`shapes.is_map`).
      kind: None: graph if every collection has `_id` or `_start`, relational if nothing is nested,
        else document.

    Raises:
      UserError: values of unlike types under one name, or something that is neither a scalar nor a
        list of records.
    """
    if not isinstance(instance, dict) or not instance:
        raise UserError(
            f"{where}: expected an object whose keys are collections and whose values are lists of "
            "records"
        )
    tops = tuple(
        _collection(name, records, f"{where}: {name}", hints) for name, records in instance.items()
    )
    names = [{attr.name for attr in top.attrs} for top in tops]
    if kind is None:
        kind = (
            "graph"
            if all(n & GRAPH_FIELDS for n in names)
            else "document"
            if any(top.children for top in tops)
            else "relational"
        )
    return checked(Schema(kind, tops), where)


def loosened(schema: Schema) -> Schema:
    """The same schema with every value nullable but identities of graphs: that a small example has
    no NULL does not say that the data has none.
    """

    def loose(collection: Collection) -> Collection:
        attrs = tuple(
            replace(attr, nullable=attr.name not in GRAPH_FIELDS) for attr in collection.attrs
        )
        return replace(collection, attrs=attrs, children=tuple(map(loose, collection.children)))

    return replace(schema, collections=tuple(map(loose, schema.collections)))


def without_places(schema: Schema) -> Schema:
    """The same schema without the places of values in lists: in a target they follow from the order
    of the records.
    """

    def bare(collection: Collection) -> Collection:
        attrs = tuple(a for a in collection.attrs if collection.form != "values" or a.name != PLACE)
        return replace(collection, attrs=attrs, children=tuple(map(bare, collection.children)))

    return replace(schema, collections=tuple(map(bare, schema.collections)))


def _collection(name, records, where, hints, form="list"):
    if not isinstance(records, list):
        raise UserError(f"{where}: expected a list of records, not {type(records).__name__}")
    if not records:
        raise UserError(
            f"{where}: it has no record, so its attributes are unknown: add one or give a schema"
        )
    values: dict[str, list] = {}
    for n, record in enumerate(records):
        if not isinstance(record, dict):
            raise UserError(
                f"{where}: record {n + 1} is {type(record).__name__}, not an object: leave the "
                "field out, or write it as text"
            )
        for field, value in record.items():
            values.setdefault(field, []).append(value)
    attrs, children = [], []
    for field, found in values.items():
        shape = form_of([value for value in found if value is not None], hints)
        if shape is not None:
            place = f"{where}.{field}"
            inner = [item for value in found for item in records_in(shape, value, place)]
            if inner:
                children.append(_collection(field, inner, place, hints, shape))
        else:
            nullable = len(found) < len(records) or any(value is None for value in found)
            attrs.append(Attr(field, _type(found, f"{where}.{field}"), nullable))
    key = ("_id",) if "_id" in values else ()
    return Collection(name, tuple(attrs), tuple(children), key, form)


def _type(values, where):
    kinds = {type_of(value, where) for value in values if value is not None}
    if kinds == {"int", "float"}:
        return "float"
    if len(kinds) > 1:
        raise UserError(
            f"{where}: values of the types {' and '.join(sorted(kinds))} under one name: give them "
            "one type"
        )
    return kinds.pop() if kinds else "str"


def type_of(value: Any, where: str = "value") -> str:
    """The type that a value of JSON shows. Raises UserError if it is no finite scalar."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float) and math.isfinite(value):
        return "float"
    if isinstance(value, str):
        return "str"
    raise UserError(
        f"{where}: {value!r} is neither text, a finite number, true, false nor null, and "
        "other records have one of these there"
    )
