"""How far each function of a refactoring was checked."""

from reasoning.synthesis.migrator.result import Refactoring

HEADER = ("function", "state", "one by one", "sequences", "solver")
"""Columns of the table."""


def strengths(found: Refactoring) -> list[tuple[str, str, str, str, str]]:
    """A line for every function: its name, what became of it, and how it was checked."""
    lines = []
    for function in found.new.functions:
        name = function.name
        if name in found.by_hand:
            lines.append((name, "by hand", "no", "no", "no"))
            continue
        state = "rewritten" if name in found.rewritten else "kept"
        lines.append((name, state, "yes" if name in found.rewritten else "same text", "", ""))
    return lines


def remarks(found: Refactoring) -> list[str]:
    """Parts of the schemas that no check covers."""
    return [
        f"not checked: {which} schema, {note}"
        for which, tables in (("old", found.source), ("new", found.target))
        for note in tables.not_read
    ]
