"""Old columns that a program writes and that would be dropped while a new column next to them stays
empty: a name that shares nothing with the old one must not lose data.

Our choice: if the empty column is the only one that can be meant, it is taken, and that is said;
else the user decides by --rename or --drop.
"""

from collections.abc import Container, Sequence

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator.correspondence.mapping import Copy, DataMapping, Fixed, Found
from reasoning.synthesis.migrator.correspondence.problem import (
    NOWHERE,
    WORTH_NOWHERE,
    Correspondence,
)
from reasoning.synthesis.migrator.correspondence.similarity import score
from reasoning.synthesis.migrator.sql.given_keys import inserted
from reasoning.synthesis.migrator.sql.program import Program, Update
from reasoning.synthesis.migrator.sql.tables import Place, Tables, near


class Undecided(UserError):
    """A column that would be lost, and more than one way to keep it."""

    def __init__(self, column: Place, text: str):
        super().__init__(text)
        self.column = column


def decided(
    renames: Sequence[str], drops: Sequence[str], source: Tables, target: Tables
) -> dict[Place, Place]:
    """The user's decisions: a place for each of some old columns, or NOWHERE.

    Args:
      renames: each "table.column=new_table.new_column".
      drops: each "table.column".
      source: the old schema.
      target: the new schema.

    Raises:
      UserError: one is none, or names no column, or one of another type.
    """
    found: dict[Place, Place] = {}
    for text in renames:
        old, _, new = text.partition("=")
        one, other = _place(old, source, "--rename"), _place(new, target, "--rename")
        if source.type_of(one) != target.type_of(other):
            raise UserError(
                f"--rename {text}: {old} is {source.type_of(one)} and {new} "
                f"{target.type_of(other)}: give a column of the same type"
            )
        found[one] = other
    return found | {_place(text, source, "--drop"): NOWHERE for text in drops}


def _place(text: str, tables: Tables, option: str) -> Place:
    table, _, column = text.strip().rpartition(".")
    if table not in tables or column not in tables[table].types:
        names = [f"{t.name}.{c}" for t in tables.by_name.values() for c in t.types]
        raise UserError(f"{option}: there is no column {text!r}{near(text, names)}")
    return table, column


def undecided(
    mapping: DataMapping, found: Correspondence, program: Program, known: Container[Place]
) -> tuple[dict[Place, Place], tuple[str, ...]]:
    """The places of columns that would be dropped without a decision.

    Args:
      mapping: the mapping of the data.
      found: its correspondence.
      program: the old program.
      known: columns that are decided on.

    Returns:
      A place for each, and a sentence on each; empty: there are none.

    Raises:
      Undecided: one has several places, or one place is that of several.
    """
    empty = {
        place: options for place in lost(mapping, found) if (options := _empty(mapping, place))
    }
    asked = {
        place: options
        for place, options in empty.items()
        if place in written(program) and place not in known
    }
    places: dict[Place, Place] = {}
    for place, options in asked.items():
        rivals = [other for other, theirs in asked.items() if set(theirs) & set(options)]
        if len(options) > 1 or len(rivals) > 1:
            listed = ", ".join(".".join(one) for one in options)
            raise Undecided(
                place,
                f"{'.'.join(place)} is written by the program and would be dropped, while {listed} "
                f"of the same type would stay empty: say --rename {'.'.join(place)}="
                f"{'.'.join(options[0])} or --drop {'.'.join(place)}",
            )
        places[place] = options[0]
    said = tuple(
        f"{'.'.join(place)} becomes {'.'.join(new)}, the only new column of its type there: "
        f"--drop {'.'.join(place)} if it is not meant"
        for place, new in places.items()
    )
    return places, said


def lost(mapping: DataMapping, found: Correspondence) -> list[Place]:
    """Stored columns of the old schema that have no place."""
    kept: set[Place] = set(found.referred)
    for part in mapping.parts:
        if part.only is not None:
            kept.add((part.anchor, part.only[0]))
        for cell in part.cells.values():
            copy = cell.of if isinstance(cell, Found) else cell
            if isinstance(copy, Copy):
                kept.add((copy.table, copy.column))
    kept |= {place for place, places in found.images.items() if places}
    return [
        (name, column)
        for name, table in mapping.source.by_name.items()
        for column in table.stored
        if (name, column) not in kept
    ]


def _copied(mapping: DataMapping) -> set[Place]:
    return {
        (cell.table, cell.column)
        for part in mapping.parts
        for cell in part.cells.values()
        if isinstance(cell, Copy)
    }


def _empty(mapping: DataMapping, place: Place) -> list[Place]:
    """New columns of the type of a lost one that nothing fills, in tables with rows of its own."""
    table, column = place
    source, found = mapping.source[table], []
    default = source.defaults.get(column)
    for rule in mapping.rules.values():
        if not any(part.anchor == table for part in rule.parts) or mapping.identity(rule.table):
            continue
        target = mapping.target[rule.table]
        for new, kind in target.types.items():
            cells = [part.cells.get(new) for part in rule.parts]
            plain = all(isinstance(cell, Fixed) for cell in cells) and new not in target.moments
            like = target.defaults.get(new) in (None, "", default)
            if plain and like and kind == source.types[column] and new not in source.types:
                found.append((rule.table, new))
    return found


def hints(mapping: DataMapping, found: Correspondence) -> list[str]:
    """A sentence on each column that is dropped, with the new one that may be meant, and on each
    whose place is not one by the names.
    """
    said = []
    for place, places in found.images.items():
        unlike = places and place not in found.referred and place in _copied(mapping)
        if unlike and score(mapping.source, mapping.target, place, places[0]) < WORTH_NOWHERE:
            said.append(
                f"{'.'.join(place)} becomes {'.'.join(places[0])}, and the names do not say so: "
                "please check"
            )
    for place in lost(mapping, found):
        also = ", ".join(".".join(one) for one in _empty(mapping, place))
        also = f"; {also} stays empty (--rename {'.'.join(place)}=... if it is meant)" * bool(also)
        said.append(
            f"{'.'.join(place)} has no place in the new schema: its values are dropped "
            f"(--database counts them){also}"
        )
    return said


def written(program: Program) -> set[Place]:
    """The columns that functions insert or set."""
    found: set[Place] = set()
    for function in program.functions:
        for one in function.statements:
            if isinstance(one, Update):
                found |= {(one.table, column) for column, _ in one.sets}
            elif columns := getattr(one, "columns", ()):
                found |= {(one.table, column) for column in columns if inserted(one)}
    return found
