"""Instances as facts and back: one relation per collection, one fact per record.

Source: Dynamite (arXiv 2003.01331), facts of documents. Ours: typed values, a NULL of its own, and
identities that cannot collide.
"""

import datetime
import decimal
import math
import re
from collections import Counter, defaultdict
from typing import Any, NamedTuple

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.infer import Instance
from reasoning.synthesis.schema import (
    PARENT,
    Collection,
    Schema,
    flat_columns,
    is_edge,
    layout,
    walk,
)
from reasoning.synthesis.shapes import as_form, records_in, unknown_fields

Facts = dict[str, list[tuple]]
"""Relations by path: facts in the order of the records, arguments as in `schema.columns`."""


class Id(NamedTuple):
    """The identity of a source record: where it stands. Two records never share one, even if
    they hold the same.
    """

    path: str
    number: int


INT64 = 2**63
EXACT = 2**53
PLACES, WHOLE_DIGITS = 10, 28
"""Digits that a decimal keeps behind the point and before it."""
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIMES = {
    "date": _DAY,
    "datetime": f"{_DAY}([ T]([01][0-9]|2[0-3]):[0-9]{{2}}(:[0-9]{{2}}([.][0-9]{{1,6}}0*)?)?)?",
}
"""Texts that are dates and times, in every kind of source: Python alone also reads 20240102 and a
comma before fractions, and DuckDB takes 24:00 for the next day.
"""
HINTS = {
    "datetime": " (no time zone, at most microseconds; as str any text is kept)",
    "decimal": " (28 digits and 10 places; as str any text is kept)",
}
SURROGATE = re.compile("[\ud800-\udfff]")


def to_facts(
    schema: Schema, instance: Instance, where: str = "instance", loose: bool = False
) -> Facts:
    """The facts of an instance.

    Args:
      schema: its schema; an absent attribute is NULL, an absent nested collection is empty.
      instance: the data, as `connect.json_stream.read_instance` returns it.
      where: the name of the instance in an error.
      loose: a fragment of a graph may have edges whose nodes are left out.

    Returns:
      A list for every relation of the schema, possibly empty.

    Raises:
      UserError: an unknown collection or attribute, a value of another type, NULL where none may
        be, a key twice, a dangling edge.
    """
    if not isinstance(instance, dict):
        raise UserError(
            f"{where}: expected an object from names of collections to lists of records, not "
            f"{type(instance).__name__}"
        )
    if unknown := set(instance) - {collection.name for collection in schema.collections}:
        raise UserError(
            f"{where}: the collection {sorted(unknown)[0]!r} is not in the schema: remove it or "
            "add it there"
        )
    facts: Facts = {path: [] for path, _ in walk(schema)}
    for collection in schema.collections:
        _add(facts, collection, collection.name, instance.get(collection.name, []), None, where)
    if not loose:
        check_edges(schema, facts, where)
    return facts


def _add(facts, collection, path, records, parent, where):
    if not isinstance(records, list):
        raise UserError(f"{where}: {path} is {type(records).__name__}, not a list of records")
    names = {attr.name for attr in collection.attrs} | {child.name for child in collection.children}
    seen = set()
    for n, record in enumerate(records):
        place = f"{where}: {path}, record {n + 1}"
        if not isinstance(record, dict):
            raise UserError(f"{place} is {type(record).__name__}, not an object")
        if unknown := unknown_fields(record, names):
            raise UserError(
                f"{place} has {sorted(unknown)[0]!r}, which is not in the schema: remove it or add "
                "it there"
            )
        values = tuple(cast(record.get(attr.name), attr, place) for attr in collection.attrs)
        _check_key(collection, values, seen, place)
        own = (Id(path, len(facts[path])),) if collection.children else ()
        facts[path].append((() if parent is None else (parent,)) + values + own)
        for child in collection.children:
            inner = records_in(child.form, record.get(child.name), f"{place}: {child.name}")
            _add(facts, child, f"{path}?{child.name}", inner, own[0], where)


def _check_key(collection: Collection, values, seen, place):
    if not collection.key:
        return
    by_name = dict(zip((attr.name for attr in collection.attrs), values, strict=True))
    key = tuple(by_name[name] for name in collection.key)
    if None in key:
        raise UserError(
            f"{place} has NULL in its key ({', '.join(collection.key)}): give it a value"
        )
    if key in seen:
        shown = ", ".join(
            f"{name} = {value!r}" for name, value in zip(collection.key, key, strict=True)
        )
        raise UserError(f"{place} repeats the key {shown}: keys must be unique")
    seen.add(key)


def check_edges(schema: Schema, facts: Facts, where: str = "instance"):
    """Refuse an edge of a graph that starts or ends at a node that is not there."""
    if found := dangling(schema, facts, where):
        raise UserError(found[0])


def dangling(schema: Schema, facts: Facts, where: str = "instance") -> list[str]:
    """Sentences on the edges of a graph that start or end at a node that is not there."""
    if schema.kind != "graph":
        return []
    named = {
        (f.path, f.attrs[0]): f.to_path
        for f in schema.foreign_keys
        if f.attrs in (("_start",), ("_end",))
    }
    plan = layout(schema)
    position = {
        (path, column.name): n for path, columns in plan.items() for n, column in enumerate(columns)
    }
    nodes = {
        path: {fact[position[path, "_id"]] for fact in facts[path]}
        for path in plan
        if (path, "_id") in position
    }
    everywhere = set().union(*nodes.values())
    return [
        f"{where}: {edge.name}, record {n + 1}: {side} is {end!r}, and there is no "
        "such node: a dangling edge"
        for edge in schema.collections
        if is_edge(edge)
        for side in ("_start", "_end")
        for allowed in [nodes.get(named.get((edge.name, side), ""), everywhere)]
        for n, fact in enumerate(facts[edge.name])
        if (end := fact[position[edge.name, side]]) not in allowed
    ]


def cast(value: Any, attr, place: str = "value") -> Any:
    """A value as the type of its attribute holds it: dates and decimals as their own Python types,
    integers as floats in a "float".

    Raises:
      UserError: it is of another type, out of range, or NULL where none may be.
    """
    if value is None:
        if attr.nullable:
            return None
        raise UserError(
            f"{place}: {attr.name} is null or absent, and the schema says that it never is"
        )
    made = _CASTS[attr.type](value)
    if made is None:
        shown = value if isinstance(value, datetime.datetime | decimal.Decimal) else repr(value)
        raise UserError(
            f"{place}: {attr.name} is {shown}, which is no {attr.type}{HINTS.get(attr.type, '')}: "
            "fix the record or the schema"
        )
    return made


def _int(value):
    return (
        value
        if isinstance(value, int) and not isinstance(value, bool) and -INT64 <= value < INT64
        else None
    )


def _float(value):
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > EXACT:
        # Beyond this a float has no place for every whole number.
        return None if abs(value) >= 10**308 or int(float(value)) != value else float(value)
    made = (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    )
    return made + 0.0 if math.isfinite(made) else None


def _decimal(value):
    if isinstance(value, bool | float):
        value = getattr(value, "text", str(value))
    try:
        made = decimal.Decimal(value)
    except (decimal.InvalidOperation, TypeError, ValueError):
        return None
    return made if made.is_finite() and _fits(made) else None


def _fits(value: decimal.Decimal) -> bool:
    """Test whether a decimal keeps all its digits in DECIMAL(38, 10)."""
    digits, exponent = significant(value)
    return exponent >= -PLACES and len(digits) + exponent <= WHOLE_DIGITS


def significant(value: decimal.Decimal) -> tuple[str, int]:
    """The digits of a finite decimal without zeros at the end, and the exponent of the last.
    `Decimal.normalize` would round to 28 of them.
    """
    _, digits, exponent = value.as_tuple()
    shown = "".join(map(str, digits)).lstrip("0")
    kept = shown.rstrip("0")
    if not kept:
        return "", 0
    return kept, exponent + len(shown) - len(kept)  # type: ignore[operator]


def _time(kind):
    def parse(value):
        made = value if type(value) is kind else None
        utc = getattr(value, "utc", None)
        if utc is not None:
            # MongoDB's times are instants, which it shows in UTC.
            midnight = utc == utc.replace(hour=0, minute=0, second=0, microsecond=0)
            return utc if kind is datetime.datetime else utc.date() if midnight else None
        if isinstance(value, str) and pattern.fullmatch(value):
            try:
                made = kind.fromisoformat(value)
            except ValueError:
                return None
        # A time zone would be dropped, or the time moved to another zone: refused instead.
        return None if getattr(made, "tzinfo", None) is not None else made

    pattern = re.compile(TIMES["datetime" if kind is datetime.datetime else "date"])
    return parse


def is_time(text: str, kind: str) -> bool:
    """Test whether a text is a date, or a datetime, that is kept as it is."""
    return _CASTS[kind](text) is not None


def _str(value):
    if not isinstance(value, str):
        return None
    # A half of a surrogate pair, which JSON can write, is no text that a file can hold.
    return value if value.isascii() or not SURROGATE.search(value) else None


_CASTS = {
    "int": _int,
    "float": _float,
    "str": _str,
    "bool": lambda value: value if isinstance(value, bool) else None,
    "date": _time(datetime.date),
    "datetime": _time(datetime.datetime),
    "decimal": _decimal,
}


def plain(value: Any) -> Any:
    """A value as JSON writes it: dates in ISO form, decimals as text."""
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value) if isinstance(value, decimal.Decimal) else value


def from_facts(schema: Schema, facts: Facts) -> Instance:
    """The instance with these facts: children are found by their parent's identity in a hash table,
    in order.

    Args:
      schema: the schema of the facts; identities may be anything hashable.
      facts: as `to_facts` makes them, or an engine.
    """
    inside: dict[tuple[str, Any], list[dict]] = defaultdict(list)
    tops: Instance = {collection.name: [] for collection in schema.collections}
    for path, collection in reversed(list(walk(schema))):
        columns = layout(schema)[path]
        for fact in facts.get(path, []):
            row = dict(zip((column.name for column in columns), fact, strict=True))
            record = {attr.name: plain(row[attr.name]) for attr in collection.attrs}
            record |= {
                child.name: as_form(
                    child.form,
                    inside.pop((f"{path}?{child.name}", fact[-1]), []),
                    f"{path}.{child.name}",
                )
                for child in collection.children
            }
            (inside[path, row[PARENT]] if PARENT in row else tops[path]).append(record)
    return tops


def once(bags: dict[str, Counter]) -> dict[str, set[tuple]]:
    """The records of each collection without their counts, by path."""
    return {path: set(found) for path, found in bags.items()}


def flatten(schema: Schema, facts: Facts) -> dict[str, list[tuple]]:
    """Every relation with the attributes of its ancestors in place of identities, columns as in
    `schema.flat_columns`.

    Two instances mean the same data exactly if these hold the same tuples (or, with repetitions,
    the same counts).
    """
    above: dict[Any, tuple] = {}
    found: dict[str, list[tuple]] = {}
    for path, collection in walk(schema):
        found[path] = []
        start = 0 if "?" not in path else 1
        for fact in facts.get(path, []):
            values = (above[path.rpartition("?")[0], fact[0]] if start else ()) + fact[
                start : start + len(collection.attrs)
            ]
            if collection.children:
                above[path, fact[-1]] = values
            found[path].append(values)
        assert all(len(values) == len(flat_columns(schema, path)) for values in found[path])
    return found


def same_data(schema: Schema, one: Facts, other: Facts) -> bool:
    """Test whether two sets of facts mean the same data, repetitions and order left aside."""
    first, second = flatten(schema, one), flatten(schema, other)
    return all(set(first[path]) == set(second[path]) for path in first)


def repetitions(schema: Schema, facts: Facts) -> dict[str, int]:
    """Number of records of each relation repeat another one of the same parent in all values; such
    records become one.
    """
    return {
        path: sum(count - 1 for count in Counter(rows).values())
        for path, rows in flatten(schema, facts).items()
    }
