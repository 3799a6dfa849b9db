"""Types of a side that only its example describes: JSON has no decimals, dates and times, so an
example shows them as text or numbers. Where the other side declares them, this one has them too.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from reasoning.synthesis.dynamite.sketch.correspondence import likeness
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.facts import Facts, cast, plain, to_facts
from reasoning.synthesis.infer import Instance
from reasoning.synthesis.schema import Attr, Collection, Schema, layout

KINDS = {"str": ("decimal", "date", "datetime"), "int": ("float", "decimal"), "float": ("decimal",)}
"""Types that text and numbers of JSON may stand for."""


def typed_alike(
    target: Schema, instance: Instance, source: Schema, facts: Facts
) -> tuple[Schema, list[str]]:
    """Give columns of a target the declared type of the source column that holds their values.

    Args:
      target: the schema inferred from `instance`.
      instance: the target example.
      source: the schema of the source, with declared types.
      facts: the source example.

    Returns:
      The schema, and a sentence for each column whose type was changed. A column stays what it is
      if a source column of that type holds its values, or if none of another type does.
    """
    held = _held(source, facts)
    shown = to_facts(target, instance, "target example", loose=True)
    notes: list[str] = []

    def changed(path: str, attr: Attr) -> Attr:
        place = [column.name for column in layout(target)[path]].index(attr.name)
        values = {fact[place] for fact in shown[path]} - {None}
        if not values or any(k == attr.type and values <= found for k, found in held.values()):
            return attr
        for kind in KINDS.get(attr.type, ()):
            made = _made(values, kind)
            like = [at for at, (k, found) in held.items() if k == kind and made and made <= found]
            if like:
                notes.append(
                    f"{path}.{attr.name} is {kind}, as {'.'.join(like[0])} of the source, which "
                    "holds its values: --target-schema may say otherwise"
                )
                return replace(attr, type=kind)
        return attr

    return _with_attrs(target, changed), notes


def typed_as_wanted(
    source: Schema, instance: Instance, target: Schema, facts: Facts
) -> tuple[Schema, list[str]]:
    """Give columns of a source the declared type of the target column whose values they hold.

    Args:
      source: the schema inferred from `instance`.
      instance: the source example.
      target: the schema of the target, with declared types.
      facts: the target example.

    Returns:
      The schema, and a sentence for each column whose type was changed. For each target column
      that no source column of its type can fill, that is the column of the likest name, unless
      another target column can only be filled by it as it is.
    """
    held = _held(source, to_facts(source, instance, "source example", loose=True))
    wanted = {at: (kind, found) for at, (kind, found) in _held(target, facts).items() if found}
    fills = {
        at: [place for place, (k, shown) in held.items() if k == kind and found <= shown]
        for at, (kind, found) in wanted.items()
    }
    needed = {places[0] for places in fills.values() if len(places) == 1}
    types: dict[tuple[str, str], str] = {}
    notes: list[str] = []
    for at, (kind, found) in wanted.items():
        able = [
            place
            for place, (k, shown) in held.items()
            if kind in KINDS.get(k, ()) and place not in needed and found <= _made(shown, kind)
        ]
        if fills[at] or not able:
            continue
        best = max(able, key=lambda place: (place in types, likeness(*place, *at)))
        if types.setdefault(best, kind) == kind:
            notes.append(
                f"{'.'.join(best)} of the source is {kind}, as {'.'.join(at)} of the target, whose "
                "values it holds: --source-schema may say otherwise"
            )

    def changed(path: str, attr: Attr) -> Attr:
        return replace(attr, type=types.get((path, attr.name), attr.type))  # type: ignore[arg-type]

    return _with_attrs(source, changed), notes


def held_as(schema: Schema, examples: Sequence[Facts], value: Any, kind: str) -> str:
    """A source column of another type that holds a value of the target in other clothes.

    Args:
      schema: the source schema.
      examples: the source examples.
      value: the value of the target.
      kind: its type there.

    Returns:
      A clause that names the column and both types; "" if there is none.
    """
    for facts in examples:
        for (path, name), (other, found) in _held(schema, facts).items():
            if other == kind or other.startswith("id:"):
                continue
            alike = {str(plain(one)) for one in found} | _made(found, kind)
            if value in alike or _made({value}, other) & found or str(plain(value)) in alike:
                return (
                    f"; {path}.{name} holds it as {other}, and values of different types are never "
                    f"equal: declare both {other} or both {kind} by --source-schema and "
                    "--target-schema"
                )
    return ""


def _held(schema: Schema, facts: Facts) -> dict[tuple[str, str], tuple[str, set]]:
    """The type and the values of every column, NULL left out."""
    return {
        (path, column.name): (column.type, {fact[p] for fact in facts[path]} - {None})
        for path, columns in layout(schema).items()
        for p, column in enumerate(columns)
    }


def _made(values: set, kind: str) -> set:
    """Values as another type holds them; none at all if one is none of that type."""
    try:
        return {cast(value, Attr("value", kind)) for value in values}  # type: ignore[arg-type]
    except UserError:
        return set()


def _with_attrs(schema: Schema, change: Callable[[str, Attr], Attr]) -> Schema:
    """The same schema with every attribute changed, given its path."""

    def typed(path: str, collection: Collection) -> Collection:
        attrs = tuple(change(path, attr) for attr in collection.attrs)
        inside = tuple(typed(f"{path}?{child.name}", child) for child in collection.children)
        return replace(collection, attrs=attrs, children=inside)

    return replace(schema, collections=tuple(typed(c.name, c) for c in schema.collections))
