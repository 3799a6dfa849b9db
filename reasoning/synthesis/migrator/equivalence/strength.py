"""The strength of what is claimed of each function of a refactoring."""

from collections.abc import Iterable
from typing import Any

from reasoning.synthesis.migrator.correspondence.mapping import Copy
from reasoning.synthesis.migrator.correspondence.undecided import hints
from reasoning.synthesis.migrator.result import Refactoring
from reasoning.synthesis.migrator.sql.ddl_statements import statements_of
from reasoning.synthesis.migrator.sql.ddl_text import collations
from reasoning.synthesis.migrator.sql.program import Compound, Function, Lit, Select
from reasoning.synthesis.migrator.sql.tables import Tables
from reasoning.synthesis.migrator.sql.visitors import nodes
from reasoning.synthesis.migrator.testing.mapped_databases import any_order

HEADER = ("function", "state", "one by one", "sequences of calls", "solver, all arguments", "NULL")
"""Columns of the table."""


def strengths(found: Refactoring) -> list[tuple[str, ...]]:
    """A line for every function: its name, what became of it, and how far it was checked."""
    return [(function.name, *_strength(found, function.name)) for function in found.new.functions]


def _strength(found: Refactoring, name: str) -> tuple[str, ...]:
    if name in found.by_hand or not found.old.named(name).statements:
        state = "by hand" if name in found.by_hand else "kept, not read"
        return (state, "no", "no", "no", "no")
    inside = name in found.checked.functions
    if name in found.never:
        single = "failed on every try"
    elif name in found.idle:
        single = "no effect on any try"
    elif name in found.not_alone:
        single = "in sequences only"
    else:
        single = "no difference" if name in found.rewritten else "same text"
    deep = f"up to {found.checked.bound} updates" if inside else "cannot differ"
    null = f"differs: {found.differs[name]}" if name in found.differs else "tried"
    state = "rewritten" if name in found.rewritten else "kept"
    return (state, single, deep, _solved(found, name, inside), null if inside else "cannot differ")


def _solved(found: Refactoring, name: str, inside: bool) -> str:
    said = found.verified
    if not said.startswith("no difference"):
        return "not asked"
    if not inside:
        return "cannot differ"
    out = said.partition("; not covered: ")[2].partition("; ")[0]
    for part in out.split("), "):
        if part.startswith(f"{name} ("):
            return f"not covered: {part.removeprefix(name)[2:].rstrip(')')}"
    ordered = any(getattr(one, "order", ()) for one in found.old.named(name).statements)
    bound = said.removeprefix("no difference within bound ").split(" ")[0]
    return f"up to {bound} updates{', but for the order of rows' if ordered else ''}"


def remarks(found: Refactoring) -> list[str]:
    """Sentences that a reader must know before trusting the program."""
    return [
        *_other_moments(found),
        *(f"{name} differs for NULL: {how}" for name, how in found.differs.items()),
        *(f"{name} changed nothing on any try, so nothing was seen of it" for name in found.idle),
        *found.notes,
        *(
            one
            for one in hints(found.mapping, found.correspondence)
            if not any(note.startswith(one.partition(", and")[0] + ",") for note in found.notes)
        ),
        *unread(found.source, found.target),
        *not_compared(found.old.named(name) for name in found.rewritten),
    ]


def unread(source: Tables, target: Tables) -> list[str]:
    """Parts of the schemas that the checks do not cover."""
    both = (("old", source), ("new", target))
    found = [
        f"not checked: {which} schema, {note}" for which, tables in both for note in tables.not_read
    ]
    if loose := [f"{which} {place}" for which, tables in both for place in tables.loose]:
        shown = ", ".join(loose[:6]) + (", ..." if len(loose) > 6 else "")
        found.append(
            "not checked: NULL in primary keys, which SQLite takes unless NOT NULL is written "
            f"({shown})"
        )
    if target.dialect == "mysql" and any(
        "str" in t.types.values() for t in target.by_name.values()
    ):
        found.append(
            "not checked: capitals and spaces at the end, which usual collations of MySQL ignore; "
            "texts are compared letter by letter"
        )
    return found


def not_compared(functions: Iterable[Function]) -> list[str]:
    """Sentences on outputs that the tests do not compare."""
    return [
        f"not checked: the numbers of ROW_NUMBER in {function.name}, which ties leave open"
        for function in functions
        if function.is_query
        and any(any_order(out.value) for out in getattr(function.statements[0], "outs", ()))
    ]


def other_ends(pairs: Iterable[tuple[Function, Function]]) -> list[str]:
    """Sentences on numbers of LIMIT and OFFSET and on locks that one of two given programs alone
    has: tests have few rows, and take no locks.
    """
    said = []
    for one, other in pairs:
        ends = [
            {
                f"{word} {value.value}"
                for node in nodes(function.statements)
                for word, value in _ends(node)
                if isinstance(value, Lit)
            }
            for function in (one, other)
        ]
        if ends[0] != ends[1] and one.statements and other.statements:
            before, now = (" and ".join(sorted(some)) or "none" for some in ends)
            said.append(
                f"not checked: rows beyond the few of a test, and locks, in {one.name}: {before} "
                f"before, {now} now"
            )
    return said


def _ends(node) -> list[tuple[str, Any]]:
    if not isinstance(node, Select | Compound):
        return []
    found = [("LIMIT", node.limit), ("OFFSET", node.offset)]
    return [*found, ("lock", Lit(node.lock))] if getattr(node, "lock", "") else found


def _other_moments(found: Refactoring) -> list[str]:
    """Sentences on columns whose computed default or collation is another one in the new schema,
    which no test sees: rows inserted without them differ, or texts that were equal.
    """
    said = []
    compared = [
        collations(statements_of(tables.ddl, tables.dialect))
        for tables in (found.source, found.target)
    ]
    for rule in found.mapping.parts:
        for column, cell in rule.cells.items():
            if not isinstance(cell, Copy):
                continue
            ways = (
                compared[0].get((cell.table, cell.column), "no COLLATE"),
                compared[1].get((rule.table, column), "no COLLATE"),
            )
            if ways[0] != ways[1]:
                said.append(
                    f"{cell.table}.{cell.column} has {ways[0]} and its place {rule.table}.{column} "
                    f"{ways[1]}: texts that are equal in one of them may differ in the other"
                )
            old = found.source[cell.table].moments.get(cell.column)
            new = found.target[rule.table].moments.get(column)
            if old != new:
                said.append(
                    f"{cell.table}.{cell.column} has the DEFAULT {old or 'of a constant or none'} "
                    f"and its place {rule.table}.{column} {new or 'a constant or none'}: rows that "
                    "are inserted without it differ"
                )
    return said
