"""ON DELETE and ON UPDATE in test databases: as triggers, since references are only checked at the
end of a call there; and which tables change by them.

Our choice: RESTRICT counts as NO ACTION, so a call that deletes the rows that refer first or last
succeeds in both programs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from reasoning.synthesis.migrator.correspondence.mapping import Copy, DataMapping
from reasoning.synthesis.migrator.sql.program import Delete, Statement, Update
from reasoning.synthesis.migrator.sql.tables import Edge, Tables
from reasoning.synthesis.migrator.sql.unparse import literal, name_of


def acting(tables: Tables) -> list[tuple[Edge, tuple[str, str]]]:
    """The references that act, each with its ON DELETE and ON UPDATE."""
    return [
        (edge, tables.actions[edge.table, edge.columns])
        for edge in tables.edges
        if (edge.table, edge.columns) in tables.actions
    ]


def triggers(tables: Tables, names: Iterable[str]) -> Iterator[str]:
    """CREATE TRIGGER statements of SQLite for the references among some tables."""
    there = set(names)
    for number, (edge, (on_delete, on_update)) in enumerate(acting(tables)):
        if not {edge.table, edge.to} <= there:
            continue
        child, parent = name_of(edge.table), name_of(edge.to)
        pairs = list(zip(map(name_of, edge.columns), map(name_of, edge.to_columns), strict=True))
        old = " AND ".join(f"{a} = OLD.{b}" for a, b in pairs)
        if on_delete:
            done = (
                f"DELETE FROM {child} WHERE {old}"
                if on_delete == "CASCADE"
                else f"UPDATE {child} SET {_emptied(tables, edge, on_delete)} WHERE {old}"
            )
            yield f"CREATE TRIGGER gone_{number} AFTER DELETE ON {parent} BEGIN {done}; END"
        if on_update:
            moved = ", ".join(f"{a} = NEW.{b}" for a, b in pairs)
            sets = moved if on_update == "CASCADE" else _emptied(tables, edge, on_update)
            differ = " OR ".join(f"OLD.{b} IS NOT NEW.{b}" for _, b in pairs)
            keys = ", ".join(b for _, b in pairs)
            yield (
                f"CREATE TRIGGER moved_{number} AFTER UPDATE OF {keys} ON {parent} WHEN {differ} "
                f"BEGIN UPDATE {child} SET {sets} WHERE {old}; END"
            )


def keys_apart(tables: Tables, names: Iterable[str]) -> Iterator[str]:
    """CREATE TRIGGER statements of SQLite that refuse a key which another table of its group
    has.
    """
    there = set(names)
    for number, group in enumerate(tables.apart):
        for table, mine in group:
            for other, columns in group:
                if table == other or not {table, other} <= there:
                    continue
                pairs = zip(map(name_of, columns), map(name_of, mine), strict=True)
                same = " AND ".join(f"{a} = NEW.{b}" for a, b in pairs)
                for event in ("INSERT", f"UPDATE OF {', '.join(map(name_of, mine))}"):
                    name = name_of(f"apart_{number}_{table}_{other}_{event[:6]}")
                    yield (
                        f"CREATE TRIGGER {name} AFTER {event} ON {name_of(table)} WHEN EXISTS "
                        f"(SELECT 1 FROM {name_of(other)} WHERE {same}) BEGIN "
                        "SELECT RAISE(ABORT, 'another old table has this key'); END"
                    )


def _emptied(tables: Tables, edge: Edge, action: str) -> str:
    defaults = tables[edge.table].defaults if action == "SET DEFAULT" else {}
    return ", ".join(f"{name_of(c)} = {literal(defaults.get(c))}" for c in edge.columns)


def also_changed(statement: Statement, tables: Tables) -> set[str]:
    """Tables that change by references to the rows that a statement deletes or gives another
    key, and by references to those.
    """
    if not tables.actions or not isinstance(statement, Delete | Update):
        return set()
    sets = {column for column, _ in statement.sets} if isinstance(statement, Update) else set()
    found: set[str] = set()
    waiting = [(statement.table, isinstance(statement, Delete), sets)]
    while waiting:
        table, gone, changed = waiting.pop()
        for edge, (on_delete, on_update) in acting(tables):
            action = on_delete if gone else on_update if changed & set(edge.to_columns) else ""
            if edge.to != table or not action or edge.table in found:
                continue
            found.add(edge.table)
            goes = gone and action == "CASCADE"
            waiting.append((edge.table, goes, set() if goes else set(edge.columns)))
    return found


def changed_actions(source: Tables, target: Tables) -> frozenset[str]:
    """Tables at the ends of references whose actions are others in the new schema."""
    sides = [
        {(edge.table, edge.columns, edge.to): on for edge, on in acting(one)}
        for one in (source, target)
    ]
    return frozenset(
        name
        for mark in sides[0].keys() | sides[1].keys()
        if sides[0].get(mark) != sides[1].get(mark)
        for name in (mark[0], mark[2])
    )


def other_references(source: Tables, target: Tables, same: Iterable[str]) -> tuple[str, ...]:
    """A sentence on each reference between unchanged tables that one schema alone has."""
    kept, sides = set(same), []
    for tables in (source, target):
        sides.append({(e.table, e.columns, e.to, e.to_columns) for e in tables.edges})
    said = (
        (sides[1] - sides[0], "new", "leave it open fail there"),
        (sides[0] - sides[1], "old", "failed because of it succeed now"),
    )
    return tuple(
        f"{table}.{', '.join(columns)} refers to {to} in the {which} schema alone: calls that "
        f"{what}"
        for edges, which, what in said
        for table, columns, to, _ in sorted(edges)
        if {table, to} <= kept
    )


def without_new_actions(mapping: DataMapping) -> tuple[DataMapping, tuple[str, ...]]:
    """The mapping with the new schema's actions left out where the old reference has none, and a
    sentence on each.

    Our choice: an old program whose call fails because of a reference has no counterpart that
    fails in a schema that deletes what refers; that the new one succeeds is said, not refused.
    """
    source, target, notes = mapping.source, mapping.target, []
    quiet = dict(target.actions)
    plain = {(edge.table, edge.columns) for edge in source.edges} - set(source.actions)
    for edge, on in acting(target):
        cells = [
            mapping.rules[edge.table].cells.get(column) if edge.table in mapping.rules else None
            for column in edge.columns
        ]
        copies = [cell for cell in cells if isinstance(cell, Copy)]
        mark = tuple(cell.column for cell in copies)
        if len(copies) == len(cells) and (copies[0].table, mark) in plain:
            del quiet[edge.table, edge.columns]
            events = zip(("ON DELETE", "ON UPDATE"), on, strict=True)
            said = " ".join(f"{event} {action}" for event, action in events if action)
            notes.append(
                f"{edge.table}.{', '.join(edge.columns)} is {said} in the new schema alone: calls "
                f"that fail in the old program because of such rows succeed in the new one"
            )
    if not notes:
        return mapping, ()
    return replace(mapping, target=replace(target, actions=quiet)), tuple(notes)
