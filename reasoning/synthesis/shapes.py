"""JSON as it is: nested objects, lists of bare values and maps with free keys, as nested
collections of records and back.

A nested collection has a *form*: "list" (a list of records), "object" (one record or null),
"values" (a list of bare values: records with `value` and the place `#` from 0), "map" (an object
whose keys are data: records with `key`, then `value` or the fields of the object behind it).
"""

import re
from typing import Any

from reasoning.synthesis.errors import UserError

KEY, VALUE, PLACE = "key", "value", "#"
"""Fields of the records of maps and of lists of values."""
FORMS = ("list", "object", "values", "map")


def form_of(values: list[Any], hints: frozenset[str]) -> str | None:
    """The form of a nested field.

    Args:
      values: the values of the field in all records, NULL left out.
      hints: texts of the target: keys among them are data.

    Returns:
      None if it is an attribute.
    """
    filled = [value for value in values if value not in ([], {})]
    if not any(isinstance(value, list | dict) for value in values):
        return None
    items = [item for value in filled if isinstance(value, list) for item in value]
    if filled and all(isinstance(value, dict) for value in filled):
        return "map" if is_map(filled, hints) else "object"
    return "values" if items and not any(isinstance(i, dict | list) for i in items) else "list"


def is_map(objects: list[dict], hints: frozenset[str]) -> bool:
    """Guess whether the keys of objects are data: values of one kind, under keys that no field is
    called, that vary from object to object, or that the target holds as values.
    """
    kinds = {type(value) for one in objects for value in one.values()} - {type(None)}
    if len(kinds) > 1 or not kinds <= {dict, str, int, float, bool}:
        return False
    keys = {key for one in objects for key in one}
    odd = any(not re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_$-]*", key) for key in keys)
    common = set.intersection(*(set(one) for one in objects))
    varied = len(objects) > 1 and not common and len(keys) > 1
    return odd or varied or bool(keys & hints)


def texts(instance: Any) -> frozenset[str]:
    """All texts that stand as values in an instance."""
    if isinstance(instance, dict):
        return frozenset().union(*map(texts, instance.values()))
    if isinstance(instance, list):
        return frozenset().union(*map(texts, instance))
    return frozenset([instance]) if isinstance(instance, str) else frozenset()


def records_in(form: str, value: Any, place: str) -> list[dict]:
    """The records of a nested field, from any of the forms.

    Args:
      form: as the schema says.
      value: as the data has it; null and nothing are no records.
      place: the name of the field in an error.

    Raises:
      UserError: something else stands there.
    """
    if value is None or value == [] or (value == {} and form != "object"):
        return []
    if isinstance(value, list) and form != "values":
        return value
    if form == "values" and isinstance(value, list):
        if all(isinstance(item, dict) for item in value):
            return value
        return [{VALUE: item, PLACE: n} for n, item in enumerate(value)]
    if form == "map" and isinstance(value, dict):
        return [_entry(key, inside, place) for key, inside in value.items()]
    if form in ("object", "list") and isinstance(value, dict):
        return [value]
    raise UserError(
        f"{place} is {type(value).__name__}, not {_said(form)}: fix the record or the schema"
    )


def unknown_fields(record: dict, names: set[str]) -> list[str]:
    """The fields of a record that a schema does not name and that hold something."""
    return [
        name
        for name, value in record.items()
        if name not in names and value not in (None, [], {}) and name != PLACE
    ]


def _said(form):
    return {"values": "a list of values", "map": "an object of entries"}.get(
        form, "a record or a list of records"
    )


def _entry(key: str, inside: Any, place: str) -> dict:
    if not isinstance(inside, dict):
        return {KEY: key, VALUE: inside}
    if KEY in inside:
        raise UserError(f"{place}.{key} has a field {KEY!r}, the name of the key itself: rename it")
    return {KEY: key, **inside}


def reshaped(collection, record: dict) -> dict:
    """A record, as it stands in JSON, of lists of records."""
    found = dict(record)
    for child in collection.children:
        inner = [reshaped(child, one) for one in found.get(child.name) or []]
        found[child.name] = as_form(child.form, inner, f"{collection.name}.{child.name}")
    return found


def is_plain(collection) -> bool:
    """Test whether all collections in it are lists of records."""
    return all(child.form == "list" and is_plain(child) for child in collection.children)


def as_form(form: str, records: list[dict], place: str) -> Any:
    """Records as a nested field of a form.

    Raises:
      UserError: several records where the form has one, or a key twice.
    """
    if form == "list":
        return records
    if form == "object":
        if len(records) > 1:
            raise UserError(
                f"{place} has {len(records)} records and is one object, not a list: show a list in "
                "the target example"
            )
        return records[0] if records else None
    if form == "values":
        return [record[VALUE] for record in records]
    keys = [record.get(KEY) for record in records]
    if None in keys or len(set(keys)) < len(keys):
        wrong = next((k for k in keys if k is None or keys.count(k) > 1), None)
        raise UserError(
            f"{place} has the key {wrong!r} twice or NULL: keys of an object are unique"
        )
    return {
        record[KEY]: record[VALUE]
        if set(record) == {KEY, VALUE}
        else {k: v for k, v in record.items() if k != KEY}
        for record in records
    }
