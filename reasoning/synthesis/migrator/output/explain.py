"""A refactoring in sentences."""

from reasoning.synthesis.migrator.correspondence.mapping import Copy, DataMapping, Fixed, Made, Rule
from reasoning.synthesis.migrator.correspondence.problem import reference_of
from reasoning.synthesis.migrator.correspondence.similarity import score
from reasoning.synthesis.migrator.result import Refactoring
from reasoning.synthesis.migrator.sql.tables import Place

UNLIKELY = 60
"""A column whose place has a lower score than this was not found by its name."""


def explain(found: Refactoring) -> str:
    """Describe the place of every column, the source of every table, and the changed functions."""
    return (
        "\n".join(
            [*columns_in_words(found), "", *tables_in_words(found), "", *functions_in_words(found)]
        )
        + "\n"
    )


def columns_in_words(found: Refactoring) -> list[str]:
    """A line for every source column that is not where it was."""
    lines = ["Columns:"]
    for column in found.correspondence.images:
        places = [
            (name, c)
            for name, whole in found.mapping.rules.items()
            for rule in whole.parts
            for c, cell in rule.cells.items()
            if cell == Copy(*column)
        ]
        if places == [column]:
            continue
        where = ", ".join(".".join(place) for place in places) or _unstored(found, column)
        doubt = [
            p
            for p in found.correspondence.images[column][:1]
            if column not in found.correspondence.referred
            and score(found.source, found.target, column, p) < UNLIKELY
        ]
        lines.append(
            f"  {'.'.join(column)} -> {where}"
            + ("  (the names do not say so: please check)" if doubt else "")
        )
    filled = {(name, c) for name, rule in found.mapping.rules.items() for c in rule.cells}
    new = [
        f"{t.name}.{c}"
        for t in found.target.by_name.values()
        for c in t.types
        if (t.name, c) not in filled
    ]
    return (
        lines
        + ([f"  filled by nothing: {', '.join(new)}"] if new else [])
        + (["  all stay"] if len(lines) == 1 else [])
    )


def _unstored(found: Refactoring, column: Place) -> str:
    """Describe what becomes of a column of which no new column is a copy."""
    key = reference_of(found.source, column)
    if column in found.correspondence.referred and key is not None:
        return f"found by the reference to {'.'.join(key)}"
    images = found.correspondence.images[column]
    return ", ".join(".".join(one) for one in images) or "dropped: nothing reads it"


def tables_in_words(found: Refactoring) -> list[str]:
    """A line for every target table that is not filled by itself."""
    words = in_words(found.mapping)
    return ["Tables:"] + [f"  {name}: {text}" for name, text in words.items() if text != "as it is"]


def functions_in_words(found: Refactoring) -> list[str]:
    """Names of the functions that are rewritten, kept, or left to be rewritten by hand."""
    same = [f.name for f in found.new.functions if f.text and f.name not in found.by_hand]
    new = [f.name for f in found.new.functions if not f.text]
    lines = [f"Functions: {len(new)} rewritten ({', '.join(new)}), {len(same)} as they were"]
    return lines + ([f"  by hand: {', '.join(found.by_hand)}"] if found.by_hand else [])


def in_words(mapping: DataMapping) -> dict[str, str]:
    """For every target table a sentence on where its rows come from."""
    found = {}
    for name, rule in mapping.rules.items():
        if name in mapping.source and mapping.identity(name):
            found[name] = "as it is"
            continue
        if rule.also:
            named = [f"{one.anchor} ({_constants(one, rule)})" for one in rule.parts]
            found[name] = f"the rows of {' and of '.join(named)}"
            continue
        joined_ = [table for table in rule.body if table != rule.anchor]
        made = [column for column, cell in rule.cells.items() if isinstance(cell, Made)]
        found[name] = f"one row for each of {rule.anchor}" + (
            f", joined with {', '.join(joined_)}" if joined_ else ""
        )
        if rule.distinct:
            found[name] = f"one row for each value of {rule.distinct} in {rule.anchor}"
        found[name] += f" that has a {rule.only[0]}" if rule.only else ""
        found[name] += f"; {', '.join(made)} made for it" if made else ""
    return found


def _constants(part: Rule, whole: Rule) -> str:
    """The columns that tell the rows of one old table from those of the others."""
    telling = [
        (column, cell.value)
        for column, cell in part.cells.items()
        if all(isinstance(one.cells.get(column), Fixed) for one in whole.parts)
        and len({repr(one.cells.get(column)) for one in whole.parts}) == len(whole.parts)
        and isinstance(cell, Fixed)
    ]
    return ", ".join(f"{column} = {value!r}" for column, value in telling) or "all"
