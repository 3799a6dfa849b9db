"""The way back: the mapping from the new schema to the old one, where every old row can be made
again.

Our choice: an old table's rows are those of the new table that has one row for each of them; its
columns are looked for there, then in new tables that references tie to it. What is found is then
tried on random databases: there and back must be the identity.
"""

import random
from typing import Any

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator.correspondence.join_trees import steiner_trees
from reasoning.synthesis.migrator.correspondence.mapping import Cell, Copy, DataMapping, Fixed, Rule
from reasoning.synthesis.migrator.sql.tables import Tables, ordered_by
from reasoning.synthesis.migrator.testing.database import Broken, Database
from reasoning.synthesis.migrator.testing.inputs import domain
from reasoning.synthesis.migrator.testing.mapped_databases import query_of

TRIES, ROWS = 12, 4
"""Random databases, and rows of each of their tables."""


def downgrade_of(mapping: DataMapping) -> DataMapping:
    """The mapping back.

    Raises:
      UserError: the old rows cannot be made again; says why.
    """
    if mapping.shifts:
        table = next(iter(mapping.shifts))[0]
        raise UserError(f"there is no way back: the keys of {table} are numbered anew")
    rules = {name: _rule(mapping, name) for name in mapping.source.by_name}
    back = DataMapping(mapping.target, mapping.source, rules)
    _tried(mapping, back)
    return back


def _rule(mapping: DataMapping, name: str) -> Rule:
    """The rows of an old table over the new schema."""
    table = mapping.source[name]
    places: dict[str, list[tuple[str, str]]] = {}
    for new, rule in ((part.table, part) for part in mapping.parts):
        for column, cell in rule.cells.items():
            if isinstance(cell, Copy) and cell.table == name:
                places.setdefault(cell.column, []).append((new, column))
    owned = [new for new in mapping.owned(name) if not mapping.rules[new].distinct]
    if not owned:
        held = [rule.table for rule in mapping.parts if name in rule.body]
        what = f"the rows of {name} are merged into {held[0]}" if held else f"{name} is dropped"
        raise UserError(f"there is no way back: {what}")
    if lost := [c for c in table.stored if c not in places]:
        raise UserError(f"there is no way back: {name}.{lost[0]} is dropped")
    referring = {
        new: any(e.table == new and e.to in owned and e.to != new for e in mapping.target.edges)
        for new in owned
    }
    # A row may lack its part in a table that refers, never in the one that is referred to.
    anchor = max(
        owned,
        key=lambda new: (
            all(new in dict(places[column]) for column in table.key),
            not referring[new],
            sum(new in dict(p) for p in places.values()),
            new == name,
        ),
    )
    cells: dict[str, Cell] = {}
    for column in table.stored:
        options = places[column]
        options.sort(key=lambda place: (place[0] != anchor, place[0] not in owned, place))
        cells[column] = Copy(*options[0])
    needed = {anchor, *(c.table for c in cells.values() if isinstance(c, Copy))}
    tree = next(steiner_trees(needed, mapping.target.edges), None)
    if tree is None:
        raise UserError(f"there is no way back: no reference joins the parts of {name}")
    return Rule(name, anchor, tree, cells, only=_telling(mapping, name, anchor))


def _telling(mapping: DataMapping, name: str, anchor: str) -> tuple[str, Any] | None:
    """The column and constant by which an old table's rows are found in the new table that took
    those of others, too.

    Raises:
      UserError: there is none.
    """
    parts = mapping.rules[anchor].parts
    if len(parts) == 1:
        return None
    mine = next(part for part in parts if part.anchor == name)
    for column, cell in mine.cells.items():
        others = [part.cells.get(column) for part in parts if part is not mine]
        if isinstance(cell, Fixed) and all(isinstance(o, Fixed) and o != cell for o in others):
            return column, cell.value
    raise UserError(f"there is no way back: nothing tells the rows of {name} from others")


def _tried(mapping: DataMapping, back: DataMapping) -> None:
    """Go there and back on random databases.

    Raises:
      UserError: other rows came back.
    """
    chance, done = random.Random("there and back"), 0
    old, new = Database(mapping.source, mapping.source.by_name), None
    try:
        new = Database(mapping.target, mapping.target.by_name)
        for _ in range(TRIES):
            try:
                old.load(_rows(mapping, chance))
                new.load(_image(mapping, old))
            except Broken:
                continue
            rows = old.rows()
            again = _image(back, new)
            for name, found in rows.items():
                if sorted(found, key=repr) != sorted(again[name], key=repr):
                    raise UserError(
                        f"there is no way back: other rows of {name} come back, "
                        f"{sorted(again[name], key=repr)[:2]} for {sorted(found, key=repr)[:2]}"
                    )
            done += any(rows.values())
    finally:
        old.close()
        if new is not None:
            new.close()
    if not done:
        raise UserError("there is no way back that could be tried: no database fits both schemas")


def _image(mapping: DataMapping, base: Database) -> dict[str, list[tuple]]:
    return {
        name: base.base.execute(query_of(rule, mapping)).fetchall()
        for name, rule in mapping.rules.items()
    }


def _rows(mapping: DataMapping, chance: random.Random) -> dict[str, list[tuple]]:
    """A few rows for each old table; references lead to rows that are there."""
    source, made = mapping.source, {}
    for name in ordered_by(source.by_name, source.edges):
        table, rows = source[name], {}
        refers = {
            column: (edge.to, other)
            for edge in source.edges
            if edge.table == name and edge.to in made
            for column, other in zip(edge.columns, edge.to_columns, strict=True)
        }
        for n in range(ROWS):
            row = []
            for column in table.stored:
                values = domain(table.types[column])
                if column in refers:
                    to, other = refers[column]
                    there = [r[source[to].stored.index(other)] for r in made[to]]
                    values = tuple(v for v in there if v is not None) or (None,)
                    value = (
                        values[n % len(values)] if column in table.keyed else chance.choice(values)
                    )
                elif column in table.keyed:
                    value = _nth(table.types[column], n + ROWS * _rank(source, name))
                else:
                    value = chance.choice(values)
                if column not in {*table.required, *table.key} and chance.random() < 0.2:
                    value = None
                row.append(value)
            key = tuple(row[table.stored.index(c)] for c in table.key) or tuple(row)
            rows[key] = tuple(row)
        made[name] = list(rows.values())
    return made


def _rank(source: Tables, name: str) -> int:
    """The number of a table among those that share no key with it."""
    groups = [[table for table, _ in group] for group in source.apart]
    return next((group.index(name) for group in groups if name in group), 0)


def _nth(kind: str, n: int):
    """The n-th of different values of a type."""
    values = domain(kind)
    if n < len(values):
        return values[n]
    return n + 1 if kind == "int" else f"{values[-1]}{n}"
