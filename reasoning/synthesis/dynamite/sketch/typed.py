"""Types of a target that only its example describes: JSON has no decimals, dates and times, so an
example shows them as text or numbers. Where the source declares them, the target has them too.
"""

from dataclasses import replace

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.facts import Facts, cast, to_facts
from reasoning.synthesis.infer import Instance
from reasoning.synthesis.schema import Attr, Collection, Schema, layout

KINDS = {"str": ("decimal", "date", "datetime"), "int": ("decimal",), "float": ("decimal",)}
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
    held = {
        (path, column.name): (column.type, {fact[p] for fact in facts[path]} - {None})
        for path, columns in layout(source).items()
        for p, column in enumerate(columns)
    }
    shown = to_facts(target, instance, "target example", loose=True)
    notes: list[str] = []

    def changed(path: str, attr: Attr) -> Attr:
        place = [column.name for column in layout(target)[path]].index(attr.name)
        values = {fact[place] for fact in shown[path]} - {None}
        if not values or any(k == attr.type and values <= found for k, found in held.values()):
            return attr
        for kind in KINDS.get(attr.type, ()):
            try:
                made = {cast(value, Attr(attr.name, kind)) for value in values}  # type: ignore[arg-type]
            except UserError:
                continue
            if like := [at for at, (k, found) in held.items() if k == kind and made <= found]:
                notes.append(
                    f"{path}.{attr.name} is {kind}, as {'.'.join(like[0])} of the source, which "
                    "holds its values: --target-schema may say otherwise"
                )
                return replace(attr, type=kind)
        return attr

    def typed(path: str, collection: Collection) -> Collection:
        attrs = tuple(changed(path, attr) for attr in collection.attrs)
        inside = tuple(typed(f"{path}?{child.name}", child) for child in collection.children)
        return replace(collection, attrs=attrs, children=inside)

    found = replace(target, collections=tuple(typed(c.name, c) for c in target.collections))
    return found, notes
