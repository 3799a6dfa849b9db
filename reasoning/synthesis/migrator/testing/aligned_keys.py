"""Keys that the database gives, under the same numbers in two programs over tables of different
names.

Our choice: a key of the new program is the old one's that the data mapping copies there, else the
one given to a table of the same name, or with the most values in common. Which key is which is
decided by the INSERTs alone, never by what queries show, so that a query that shows another key
still differs.
"""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from reasoning.synthesis.migrator.correspondence.mapping import Copy, DataMapping, Made
from reasoning.synthesis.migrator.sql.given_keys import ROWS, given_rows, inserted
from reasoning.synthesis.migrator.sql.program import Fresh, Function, Lit, Program
from reasoning.synthesis.migrator.sql.visitors import nodes

COPIED, ALIKE, COMMON = 1000, 100, 2
"""Worth of a key that the mapping copies, of a number that is the same, and of a common value or
name of a column.
"""


@dataclass(frozen=True)
class _Home:
    """The statement that is given a key."""

    number: int
    """The key's number."""
    table: str
    """Table of the statement."""
    column: str
    """The key's column."""
    values: tuple[tuple[str, Any], ...]
    """The other columns and their values."""
    rows: bool
    """True if each row of a query has a key."""


def aligned_programs(
    old: Program, new: Program, mapping: DataMapping | None
) -> tuple[Program, Program]:
    """Both programs with the same numbers for the same given keys.

    Args:
      old: a program.
      new: another one with functions of the same names, or some of them.
      mapping: relates their databases; None: nothing is known.
    """
    names, pairs = {function.name: function for function in new.functions}, {}
    for function in old.functions:
        if function.name in names:
            pairs[function.name] = aligned(function, names[function.name], mapping)
    return tuple(  # type: ignore[return-value]
        replace(
            program, functions=tuple(pairs[f.name][side] if f.name in pairs else f for f in one)
        )
        for side, (program, one) in enumerate(((old, old.functions), (new, new.functions)))
    )


def aligned(old: Function, new: Function, mapping: DataMapping | None) -> tuple[Function, Function]:
    """Both functions with the same numbers for the same given keys, and keys of rows in the order
    of columns that both have.
    """
    homes, others = _homes(old), _homes(new)
    if not others or not homes:
        return old, new
    ranked = sorted(
        ((-_worth(a, b, mapping), n, m) for n, a in enumerate(homes) for m, b in enumerate(others))
    )
    mates: dict[int, int] = {}
    for worth, n, m in ranked:
        if worth < 0 and n not in mates.values() and m not in mates:
            mates[m] = n
    taken = {one.number for one in homes}
    numbers: dict[int, Fresh] = {}
    ordered: dict[int, Fresh] = {}
    for m, one in enumerate(others):
        if m in mates:
            mate = homes[mates[m]]
            mine, there = _common(mate, one, mapping)
            numbers[one.number] = Fresh(mate.number, by=there)
            ordered[mate.number] = Fresh(mate.number, by=mine)
            continue
        number = one.number
        while number in taken or number in (numbers[k].number for k in numbers):
            number += ROWS
        numbers[one.number] = Fresh(number)
    return _renumbered(old, ordered), _renumbered(new, numbers)


def _homes(function: Function) -> list[_Home]:
    """The first statement with each given key."""
    found: dict[int, _Home] = {}
    for one in function.statements:
        rows, values = given_rows(one), inserted(one)
        for value, column in values.items():
            if isinstance(value, Fresh) and value.given and value.number not in found:
                others = tuple((c, v) for v, c in values.items() if v != value)
                home = _Home(value.number, one.table, column, others, column in rows)
                found[value.number] = home
    return list(found.values())


def _worth(old: _Home, new: _Home, mapping: DataMapping | None) -> int:
    """The likeness of two keys; 0: they are not the same."""
    rule = mapping.rules.get(new.table) if mapping else None
    cells = [part.cells.get(new.column) for part in rule.parts] if rule else []
    copied = Copy(old.table, old.column) in cells
    if cells and not copied and all(isinstance(cell, Made) for cell in cells):
        return 0  # the old program has no such key
    names, values = zip(*old.values, strict=True) if old.values else ((), ())
    common = sum(v in values for _, v in new.values) + sum(c in names for c, _ in new.values)
    return COPIED * copied + ALIKE * (old.number == new.number) + COMMON * common + 1


def _common(
    old: _Home, new: _Home, mapping: DataMapping | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns of the rows of two INSERT ... SELECTs that hold the same, by the mapping, else by
    their names; empty: all.
    """
    if not (old.rows and new.rows):
        return (), ()
    rule = mapping.rules.get(new.table) if mapping else None
    mine = {column for column, value in old.values if not isinstance(value, Lit)}
    pairs = {}
    for column, _ in new.values:
        cells = [part.cells.get(column) for part in rule.parts] if rule else []
        held = [c.column for c in cells if isinstance(c, Copy) and c.table == old.table]
        for one in held or [column]:
            if one in mine and one not in pairs.values():
                pairs[column] = one
    left = mine - set(pairs.values())
    if not pairs or (rule is None and left):
        return (), ()
    return tuple(pairs.values()), tuple(pairs)


def _renumbered(function: Function, numbers: dict[int, Fresh]) -> Function:
    def changed(tree: Any) -> Any:
        if isinstance(tree, Fresh) and tree.number in numbers:
            to = numbers[tree.number]
            return replace(tree, number=to.number, by=to.by)
        if isinstance(tree, tuple):
            return tuple(map(changed, tree))
        if is_dataclass(tree):
            return replace(tree, **{f.name: changed(getattr(tree, f.name)) for f in fields(tree)})
        return tree

    if not any(isinstance(n, Fresh) and n.number in numbers for n in nodes(function.statements)):
        return function
    return replace(function, statements=changed(function.statements))
