"""The data mapping to the real schema, and what is taken for granted while both programs are
compared: keys that the old tables do not share, and references that one column holds in turn.
"""

from dataclasses import replace

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator.correspondence import mapping as maps
from reasoning.synthesis.migrator.correspondence.problem import Correspondence
from reasoning.synthesis.migrator.merging.find import Merged
from reasoning.synthesis.migrator.merging.shown_keys import referring, shown
from reasoning.synthesis.migrator.sketch.target import Unrewritable
from reasoning.synthesis.migrator.sql.program import Program
from reasoning.synthesis.migrator.sql.tables import Edge, Place, Tables


def merged_mapping(
    plain: maps.DataMapping, merges: list[Merged], target: Tables
) -> maps.DataMapping:
    """The mapping to the real schema.

    Args:
      plain: the mapping to the split schema.
      merges: the merged tables.
      target: the real schema.

    Raises:
      Unrewritable: nothing fills one of the old tables' rows, or their keys come from elsewhere.
    """
    where = {source: one for one in merges for source in one.sources}

    def owned(cell: maps.Cell) -> maps.Cell:
        held = where.get(cell.owner[0]) if isinstance(cell, maps.Made) else None
        return replace(cell, owner=(held.table, cell.owner[1])) if held else cell

    rules: dict[str, maps.Rule] = {}
    for name, rule in plain.rules.items():
        if name not in where:
            rules[name] = replace(rule, cells={c: owned(one) for c, one in rule.cells.items()})
    for held in merges:
        parts = []
        for part in held.parts:
            rule = plain.rules.get(part.source)
            if rule is None or rule.distinct:
                raise Unrewritable(f"nothing fills the rows of {part.source} in {held.table}")
            cells = {c: owned(one) for c, one in rule.cells.items()}
            cells[held.column] = maps.Fixed(part.value)
            for empty in held.foreign(part.source, target[held.table]):
                cells[empty] = maps.Fixed(target[held.table].defaults.get(empty))
            ordered = {c: cells[c] for c in target[held.table].stored if c in cells}
            parts.append(replace(rule, table=held.table, cells=ordered))
        rules[held.table] = replace(parts[0], also=tuple(parts[1:]))
    ordered_rules = {name: rules[name] for name in target.by_name if name in rules}
    found = replace(plain, target=target, rules=ordered_rules)
    apart = tuple(group for held in merges for group in _apart(found, held, target))
    return replace(found, source=replace(plain.source, apart=apart))


def _apart(mapping: maps.DataMapping, held: Merged, target: Tables):
    """Old columns that may share no value: those of a key that does not tell the rows apart."""
    table, parts = target[held.table], mapping.rules[held.table].parts
    for columns in dict.fromkeys(c for c in (table.key, *table.unique) if c):
        if held.column in columns:
            continue
        group = []
        for rule in parts:
            cells = [rule.cells.get(c) for c in columns]
            if any(isinstance(cell, maps.Made | maps.Fixed | None) for cell in cells):
                break  # made for each row, or NULL, which is like no value
            if any(not isinstance(c, maps.Copy) or c.table != rule.anchor for c in cells):
                raise Unrewritable(
                    f"{held.table} is unique by {', '.join(columns)}, which comes from several old "
                    "tables: add the column that tells the rows apart to this key"
                )
            group.append((rule.anchor, tuple(c.column for c in cells if isinstance(c, maps.Copy))))
        else:
            yield tuple(group)


def apart_of(source: Tables, target: Tables, merges: list[Merged]) -> Tables:
    """The old schema with the keys that its tables may not share, by the names alone."""
    groups = []
    for held in merges:
        table = target[held.table]
        for columns in dict.fromkeys(c for c in (table.key, *table.unique) if c):
            mine = [(p.source, tuple(p.columns.get(c, "") for c in columns)) for p in held.parts]
            if held.column not in columns and all(all(c) for _, c in mine):
                groups.append(tuple(mine))
    return replace(source, apart=tuple(groups))


def held_references(target: Tables, merges: list[Merged]) -> Tables:
    """The real schema with the references that a column holds for the rows of one old table."""
    edges = [
        Edge(one.table, (column,), old.to, old.to_columns, when=(one.column, one.value_of(source)))
        for one in merges
        for source, loose in one.loose.items()
        for column, old in loose
    ]
    return replace(target, edges=(*target.edges, *edges)) if edges else target


def merge_notes(merges: list[Merged], mapping: maps.DataMapping) -> tuple[str, ...]:
    """Sentences on the constants, on what was taken for granted, and on keys that change."""
    found = [one.words() for one in merges]
    for (table, column), keys in mapping.shifts.items():
        highest = " and of ".join(".".join(key) for key in keys[:-1])
        found.append(f"{table}.{column} is numbered anew: the highest value of {highest} is added")
    return (*found, *left_out(merges, mapping.source))


def left_out(merges: list[Merged], source: Tables) -> tuple[str, ...]:
    """Sentences on calls that no comparison makes."""
    found = []
    for group in source.apart:
        places = " and ".join(f"{table}.{', '.join(columns)}" for table, columns in group)
        found.append(
            f"{places} share one key now: a call that gives a row a value that one of the others "
            "has fails in the new program alone; such calls are left out of all comparisons"
        )
    for one in merges:
        for old, loose in one.loose.items():
            found += [
                f"{one.table}.{column} refers to {edge.to} for {one.column} = "
                f"{one.value_of(old)!r} without a reference in the new schema: calls that fail "
                "because of it in the old program alone are left out of all comparisons"
                for column, edge in loose
            ]
    return tuple(found)


def merged_images(plain: Correspondence, merges: list[Merged]) -> Correspondence:
    """The correspondence with the merged tables as places."""
    where = {source: one.table for one in merges for source in one.sources}
    images = {
        column: tuple((where.get(table, table), name) for table, name in places)
        for column, places in plain.images.items()
    }
    return replace(plain, images=images)


def renumbered(mapping: maps.DataMapping, program: Program, asked: bool) -> dict[Place, tuple]:
    """Old columns to whose values the highest ones of other tables are added, so that keys that
    two old tables share become different; with those keys, the column's own the last.

    Args:
      mapping: the mapping to the real schema.
      program: the old program; keys that it shows or is given keep their values unless asked.
      asked: True if the user wants other values.

    Raises:
      UserError: they are asked for, and a key is no single number.
    """
    found: dict[Place, tuple] = {}
    for group in mapping.source.apart:
        places = [(table, columns[0]) for table, columns in group]
        keyed = all(mapping.source[table].key == columns for table, columns in group)
        kinds = {mapping.source.type_of(place) for place in places}
        if not keyed or len(group[0][1]) != 1 or kinds != {"int"}:
            if asked and keyed:
                raise UserError(f"--renumber: the key of {places[0][0]} is no single whole number")
            continue
        if not asked and any(shown(program, mapping.source, place) for place in places):
            continue
        for n, place in enumerate(places[1:], 1):
            for one in (place, *referring(mapping.source, place)):
                found[one] = tuple(places[: n + 1])
    return found
