"""Configurations are frozen dataclasses; here they become JSON, come back, and are compared field
by field.
"""

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from jaxrl.app.errors import UserError
from jaxrl.app.progress import warn

T = TypeVar("T")


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as JSON-ready nested dictionaries (tuples become lists)."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_dict(cls: type[T], data: dict[str, Any], where: str = "") -> T:
    """The inverse of `to_dict`.

    Renamed fields are found by the class attribute `OLD_NAMES`, `{old: new}`.

    Removed fields are listed in the class attribute `REMOVED`, `{name: value that did nothing}`;
    they are left out, with a warning if another value was stored.

    A field that is not there takes its default: what was stored before the field existed was made
      without it, and new fields come with
    defaults that change nothing.

    Raises:
      UserError: for a field that `cls` does not have, or one that is missing and has no default.
    """
    if not isinstance(data, dict):
        raise UserError(
            f"the stored configuration was changed: field {where.rstrip('.')} is {data!r}, which "
            "holds no settings; restore it"
        )
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    data = {getattr(cls, "OLD_NAMES", {}).get(name, name): value for name, value in data.items()}
    removed = getattr(cls, "REMOVED", {})
    for name in sorted(set(removed) & set(data)):
        if data.pop(name) != removed[name]:
            warn(
                f"the stored configuration has {where}{name}, which was removed since: a run that "
                "is continued learns without it"
            )
    for name in sorted(set(fields) ^ set(data)):
        trouble = "is unknown" if name in data else "is missing"
        if name in data or not has_default(fields[name]):
            raise UserError(
                f"the stored configuration was changed, or written by another version: field "
                f"{where}{name} {trouble}; restore it"
            )
    return cls(
        **{
            name: _from_json(hints[name], data[name], f"{where}{name}.")
            for name in fields
            if name in data
        }
    )


def has_default(field: dataclasses.Field) -> bool:
    """Return True if a field of a dataclass may be left out."""
    return (
        field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    )


def _from_json(hint, value, where):
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, where)
    if typing.get_origin(hint) in (typing.Union, types.UnionType) and value is not None:
        inner = next(arg for arg in typing.get_args(hint) if arg is not types.NoneType)
        return _from_json(inner, value, where)
    kinds = {int: int, float: int | float, str: str, bool: bool}.get(hint, object)
    if not isinstance(value, kinds) or (isinstance(value, bool) and hint in (int, float)):
        raise UserError(
            f"the stored configuration was changed: field {where.rstrip('.')} is "
            f"{value!r}, which is no {hint.__name__}; restore it"
        )
    return _tuples(value)


def _tuples(value):
    """JSON has lists only, configurations tuples only, at any depth."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def flatten(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one with dotted names."""
    flat = {}
    for name, value in data.items():
        flat |= (
            flatten(value, f"{prefix}{name}.")
            if isinstance(value, dict)
            else {prefix + name: value}
        )
    return flat


def changed(config: T, values: Mapping[str, Any]) -> T:
    """A configuration with other values.

    Args:
      config: a frozen dataclass; its parts are dataclasses too.
      values: by dotted name, such as "encoder.norm"; in this order, so that a part comes before its
        own fields.

    Raises:
      AttributeError: there is no such part.
      TypeError: there is no such field.
    """
    found: Any = config
    for name, value in values.items():
        first, _, rest = name.partition(".")
        new = changed(getattr(found, first), {rest: value}) if rest else value
        found = dataclasses.replace(found, **{first: new})
    return found


def differences(old: dict[str, Any], new: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted names of the fields that differ between two `to_dict` results, with both values (None
    where absent).
    """
    old, new = flatten(old), flatten(new)
    return {
        name: (old.get(name), new.get(name))
        for name in sorted(old | new)
        if old.get(name) != new.get(name)
    }
