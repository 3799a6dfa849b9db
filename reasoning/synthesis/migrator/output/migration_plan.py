"""The plan of a data migration: which tables stay, are altered in place, rebuilt, created, dropped.

Our choice: a table is altered in place (renamed columns, added and dropped ones) where the dialect
can do so; everything that refers to it then stays as it is. Else it is rebuilt.
"""

from dataclasses import dataclass, field

from reasoning.synthesis.migrator.correspondence.mapping import Copy, DataMapping, Fixed, Made
from reasoning.synthesis.migrator.output.table_shapes import Constraint, Renames, Shape, shape_of
from reasoning.synthesis.migrator.sql.ddl_statements import (
    Written,
    creates_table,
    options_of,
    statements_of,
)
from reasoning.synthesis.migrator.sql.tables import Tables, ordered_by
from reasoning.synthesis.migrator.sql.unparse import name_of, table_name

OLD, NEW = "old_", "new_"
"""Prefixes of the names of old tables, or of new ones in SQLite, while both are there."""


@dataclass
class Plan:
    """The fate of every table."""

    mapping: DataMapping
    """The mapping of the data."""
    dialect: str
    """SQL dialect of the script."""
    in_place: dict[str, str] = field(default_factory=dict)
    """Old tables that are altered in place, and their new names."""
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    """Names of the columns of these tables while the data is moved."""
    rebuilt: list[str] = field(default_factory=list)
    """Old tables that make way for a new one of the same name."""
    dropped: list[str] = field(default_factory=list)
    """Old tables that go; those that refer to others first."""
    created: list[str] = field(default_factory=list)
    """New tables; those that others refer to first."""
    old: dict[str, Written] = field(default_factory=dict)
    """CREATE TABLE statements of the old schema."""
    new: dict[str, Written] = field(default_factory=dict)
    """Statements of the new schema, likewise."""
    shapes: dict[str, tuple[Shape, Shape]] = field(default_factory=dict)
    """Definitions before and after of the tables altered in place, by old name."""

    def name(self, name: str) -> str:
        """A name as SQL writes it."""
        return name_of(name, self.dialect)

    def target(self, table: str) -> str:
        """A new table, as SQL writes it, under its final name."""
        return table_name(table, self._schema(self.mapping.target, table), self.dialect)

    def filled(self, table: str) -> str:
        """A new table while it is being filled."""
        if self.dialect == "sqlite" and table in self.rebuilt and table in self.created:
            return self.name(NEW + table)
        return self.target(table)

    def source(self, table: str) -> str:
        """An old table while the data is moved."""
        if table in self.in_place:
            return self.target(self.in_place[table])
        return table_name(self.aside(table), self._schema(self.mapping.source, table), self.dialect)

    def aside(self, table: str) -> str:
        """The bare name of an old table while the data is moved."""
        stays = self.dialect == "sqlite" and table not in self.in_place.values()
        return table if stays or table not in self.rebuilt else OLD + table

    def column(self, table: str, column: str) -> str:
        """A column of an old table while the data is moved, as SQL writes it."""
        return self.name(self.columns.get(table, {}).get(column, column))

    def _schema(self, tables: Tables, table: str) -> str:
        return tables[table].schema if table in tables else ""


def plan_of(mapping: DataMapping, dialect: str) -> Plan:
    """Decide on every table; all that can be altered in place is."""
    plan = Plan(mapping, dialect)
    for tables, found in ((mapping.source, plan.old), (mapping.target, plan.new)):
        found |= {
            one.table: one
            for one in statements_of(tables.ddl, tables.dialect)
            if creates_table(one)
        }
    heirs = _heirs(mapping)
    while True:
        renames: Renames = {
            name: (heir, _renamed(mapping, name, heir)) for name, heir in heirs.items()
        }
        bad = [n for n, heir in heirs.items() if not _alterable(plan, n, heir, renames, heirs)]
        if dialect in ("duckdb", "mysql"):  # their references cannot be led to a successor
            bad += [e.table for e in mapping.source.edges if e.table in heirs and e.to not in heirs]
        if not bad:
            break
        for name in set(bad):
            del heirs[name]
    for name, heir in heirs.items():
        plan.in_place[name] = heir
        plan.columns[name] = renames[name][1]
        plan.shapes[name] = (
            shape_of(plan.old[name], dialect, renames),
            shape_of(plan.new[heir], dialect, {}),
        )
    taken = set(plan.in_place.values())
    plan.created = [
        n for n in ordered_by(mapping.target.by_name, mapping.target.edges) if n not in taken
    ]
    leaving = [n for n in mapping.source.by_name if n not in plan.in_place]
    plan.rebuilt = [name for name in leaving if name in plan.created or name in taken]
    plan.dropped = ordered_by(leaving, mapping.source.edges)[::-1]
    return plan


def _heirs(mapping: DataMapping) -> dict[str, str]:
    """For old tables the new one that has a row for each of its rows and most of its columns."""
    found: dict[str, str] = {}
    for name in mapping.source.by_name:
        options = []
        for heir, rule in mapping.rules.items():
            if rule.anchor != name or heir in found.values() or rule.distinct:
                continue
            if rule.also or rule.only:  # other old tables' rows, or some rows alone
                continue
            copies = [c for c in rule.cells.values() if isinstance(c, Copy)]
            if any((c.table, c.column) in mapping.shifts for c in copies):  # other values
                continue
            kept = sum(isinstance(c, Copy) and c.table == name for c in rule.cells.values())
            options.append((heir == name, kept, heir))
        if options and (best := max(options))[1]:
            found[name] = best[2]
    return found


def _renamed(mapping: DataMapping, name: str, heir: str) -> dict[str, str]:
    """New names of the columns that stay; dropped ones step aside if their name is taken."""
    cells, new = mapping.rules[heir].cells, {}
    for column in mapping.source[name].stored:
        places = [c for c, cell in cells.items() if cell == Copy(name, column)]
        if places:
            new[column] = column if column in places else places[0]
    for column in mapping.source[name].computed:
        if column in mapping.target[heir].computed and column not in new.values():
            new[column] = column
    for column in mapping.source[name].types:
        if column not in new and column in mapping.target[heir].types:
            new[column] = OLD + column
    return new


def kept_columns(plan: Plan, name: str) -> dict[str, str]:
    """Columns of a table altered in place that stay, and their new names."""
    return _kept(plan.mapping, name, plan.in_place[name], plan.columns[name])


def _kept(mapping, name, heir, renamed):
    return {
        old: new
        for old, new in renamed.items()
        if new in mapping.target[heir].types and not (new == OLD + old and old != new)
    }


def _alterable(plan: Plan, name, heir, renames: Renames, heirs) -> bool:
    """Test if ALTER TABLE makes the new table of the old one in this dialect."""
    mapping, dialect = plan.mapping, plan.dialect
    before = shape_of(plan.old[name], dialect, renames)
    after = shape_of(plan.new[heir], dialect, {})
    kept = _kept(mapping, name, heir, renames[name][1])
    if any(key not in kept for key in mapping.source[name].key) or (
        heir in heirs and (heir != name and heirs[heir] != heir and heirs[heir] in heirs)
    ):
        return False
    old_key = [c.columns for c in before.constraints if c.kind == "PRIMARY KEY"]
    new_key = [c.columns for c in after.constraints if c.kind == "PRIMARY KEY"]
    if old_key != new_key:
        return False
    if any(before.columns[n].more != after.columns[n].more for n in kept.values()):
        return False
    added = [c for c in after.columns if c not in kept.values()]
    if any(after.columns[n].more - {after.columns[n].kind.upper()} for n in added):
        return False  # but for SERIAL, which numbers the rows that are there
    rule = mapping.rules[heir]
    for column in added:
        cell = rule.cells.get(column)
        numbered = isinstance(cell, Made) and numbering(mapping, heir, column, cell)
        if numbered or (not isinstance(cell, Fixed | None) and not mapping.source[name].key):
            return False
    gone, new = changed_constraints(before, after, set(after.columns))
    if any(one.kind == "OTHER" for one in (*gone, *new)):
        return False
    if dialect == "sqlite":
        if options_of(plan.old[name].text) != options_of(plan.new[heir].text):
            return False
        return _sqlite_alters(before, after, kept, gone, new)
    if dialect == "duckdb":
        stays = heir == name and before == after and all(a == b for a, b in kept.items())
        return stays or _duckdb_alters(plan, name, before, after, kept)
    return not any(one.kind == "CHECK" and not one.name for one in gone if _whole(one, after))


def _whole(one: Constraint, after: Shape) -> bool:
    """Test if all columns of a constraint stay, so that it does not go with one of them."""
    return all(column in after.columns for column in one.columns)


def changed_constraints(before: Shape, after: Shape, _columns: set[str]):
    """Constraints that go, and new ones."""
    gone = [one for one in before.constraints if one not in after.constraints]
    return gone, [one for one in after.constraints if one not in before.constraints]


def _sqlite_alters(before: Shape, after: Shape, kept, gone, new) -> bool:
    """SQLite adds nullable columns, or such with a constant, and drops columns without a role."""
    if any(before.columns[n] != after.columns[n] for n in kept.values()):
        return False
    added = {c for c in after.columns if c not in kept.values()}
    leaving = {c for c in before.columns if c not in kept.values()}
    for column in added:
        one = after.columns[column]
        constant = one.default and not one.default.upper().startswith(("CURRENT", "("))
        if (one.required and not constant) or (one.default and not constant):
            return False
    if any(one.kind != "FOREIGN KEY" or not set(one.columns) <= added for one in new):
        return False
    if any(len(one.columns) != 1 or after.columns[one.columns[0]].default for one in new):
        return False
    return not gone and not any(set(one.columns) & leaving for one in before.constraints)


def _duckdb_alters(plan: Plan, name, before: Shape, after: Shape, kept) -> bool:
    """DuckDB alters no table that references or indices depend on."""
    source = plan.mapping.source
    indexed = {
        one.table for one in statements_of(source.ddl, source.dialect) if one.kind == "INDEX"
    }
    tied = any(name in (edge.table, edge.to) for edge in source.edges)
    target = plan.mapping.target
    tied |= any(plan.mapping.rules and name in (edge.table, edge.to) for edge in target.edges)
    same = all(before.columns[n] == after.columns[n] for n in kept.values())
    plain = all(not c.required for n, c in after.columns.items() if n not in kept.values())
    constraints = set(before.constraints) == set(after.constraints)
    return same and plain and constraints and not tied and name not in indexed


def needed_keys(plan: Plan, name: str) -> frozenset[str]:
    """Columns of a new table's key that must be NOT NULL although SQLite lets them be NULL: the old
    schema forbids NULL there, or rows are joined by the old key.
    """
    loose, rule = plan.mapping.target[name].loose, plan.mapping.rules.get(name)
    if rule is None or not loose:
        return frozenset()
    joined = joined_tables(plan)

    def same(cell) -> bool:
        if not isinstance(cell, Copy) or cell.table in joined:
            return False
        return cell.column in plan.mapping.source[cell.table].loose

    return frozenset(c for c in loose if not all(same(one.cells.get(c)) for one in rule.parts))


def joined_tables(plan: Plan) -> set[str]:
    """Old tables whose rows are in several new tables, or joined to others."""
    bodies = [rule.body for rule in plan.mapping.parts]
    once = [table for body in bodies for table in body]
    return {t for body in bodies for t in body if len(body) > 1 or once.count(t) > 1}


def numbering(mapping: DataMapping, table: str, column: str, cell: Made) -> bool:
    """Test if an invented key is a row number; else it is the key of the row it is made for.

    Args:
      mapping: the mapping of the data.
      table: the new table.
      column: its column with the invented key.
      cell: the rule for this column.
    """
    key = mapping.source[cell.anchor].key
    kind = mapping.target[table].types[column]
    return len(key) != 1 or mapping.source.type_of((cell.anchor, key[0])) != kind
