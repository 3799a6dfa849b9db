"""The data goes along: a script of DDL and INSERT ... SELECT that turns a database of the old
schema into one of the new.
"""

from collections.abc import Iterator

from reasoning.synthesis.migrator.correspondence.mapping import Copy, DataMapping, Fixed, Made
from reasoning.synthesis.migrator.sql.ddl_statements import Written, statements_of
from reasoning.synthesis.migrator.sql.ddl_text import numbered
from reasoning.synthesis.migrator.sql.tables import ordered_by
from reasoning.synthesis.migrator.sql.unparse import literal, name_of
from reasoning.synthesis.migrator.testing.mapped_databases import joined

OLD = "old_"
"""Before the names of the old tables while both are there."""
BEFORE = {
    "sqlite": ("PRAGMA foreign_keys = OFF", "PRAGMA legacy_alter_table = ON"),
    "mysql": ("SET FOREIGN_KEY_CHECKS = 0",),
}
AFTER = {
    "sqlite": ("PRAGMA legacy_alter_table = OFF", "PRAGMA foreign_keys = ON"),
    "mysql": ("SET FOREIGN_KEY_CHECKS = 1",),
}
"""References of tables that stay must neither follow a renamed table nor be checked meanwhile."""


def migration_sql(mapping: DataMapping, dialect: str = "sqlite") -> str:
    """A script that turns a database of the old schema into one of the new, in a transaction.

    Tables that stay as they are are not touched. Keys that the new schema invents are the key of
    the source row they belong to, where that is one column of the same type, else row numbers in
    the order of that key. What is neither a table nor an index is left to the reader, as a comment.
    """
    begin = "START TRANSACTION" if dialect == "mysql" else "BEGIN"
    done = [
        *BEFORE.get(dialect, ()),
        begin,
        *migration_steps(mapping, dialect),
        "COMMIT",
        *AFTER.get(dialect, ()),
    ]
    left = [
        f"-- Not done here (the new schema, line {one.line}): {one.text.splitlines()[0]}"
        for one in statements_of(mapping.target.ddl, mapping.target.dialect)
        if one.kind not in ("TABLE", "INDEX")
    ]
    lines = [
        "-- Data of the old schema into the new one; written by latentax Migrator.",
        *left,
        *(f"{one};" for one in done),
    ]
    return "\n".join(lines) + "\n"


def migration_steps(mapping: DataMapping, dialect: str) -> list[str]:
    """The statements of the script between BEGIN and COMMIT: tables set aside, created, filled, old
    ones dropped, indices.
    """
    gone = rebuilt(mapping, dialect)
    created = [
        name
        for name in ordered_by(mapping.target.by_name, mapping.target.edges)
        if name in gone or name not in mapping.source
    ]
    last = ordered_by(gone, mapping.source.edges)[::-1]
    texts = {
        one.table: one.text
        for one in statements_of(mapping.target.ddl, mapping.target.dialect)
        if one.kind == "TABLE"
    }
    steps = [step for name in last for step in _set_aside(name, dialect)]
    steps += [texts[name] for name in created]
    for name in created:
        if name in mapping.rules:
            names = ", ".join(name_of(column, dialect) for column in mapping.rules[name].cells)
            steps.append(
                f"INSERT INTO {name_of(name, dialect)} "
                f"({names})\n{select_of(mapping, name, dialect, gone)}"
            )
    cascade = " CASCADE" if dialect == "postgres" else ""
    steps += [f"DROP TABLE {name_of(OLD + name, dialect)}{cascade}" for name in last]
    if dialect == "postgres":
        steps += [*_references_again(mapping, gone), *_numbers_on(mapping, created)]
    return [*steps, *_indices(mapping, created, dialect)]


def rebuilt(mapping: DataMapping, dialect: str) -> list[str]:
    """Source tables that do not stay as they are.

    Our choice: in DuckDB and MySQL, whose references cannot be led from a table to its successor,
      those that refer to them, too.
    """
    source, target = mapping.source, mapping.target

    def edges(tables, name):
        return {edge for edge in tables.edges if edge.table == name}

    def stays(name):
        return name in target and mapping.identity(name) and source[name] == target[name]

    gone = {
        name
        for name in source.by_name
        if not stays(name) or edges(source, name) != edges(target, name)
    }
    while dialect in ("duckdb", "mysql"):
        more = {edge.table for edge in source.edges if edge.to in gone} - gone
        if not more:
            break
        gone |= more
    return sorted(gone)


def _set_aside(name: str, dialect: str) -> Iterator[str]:
    """Under another name; DuckDB renames no table that anything depends on, so that there it is
    copied and dropped.
    """
    old, new = name_of(name, dialect), name_of(OLD + name, dialect)
    if dialect == "duckdb":
        yield f"CREATE TABLE {new} AS SELECT * FROM {old}"
        yield f"DROP TABLE {old}"
    else:
        yield f"ALTER TABLE {old} RENAME TO {new}"


def _indices(mapping: DataMapping, created: list[str], dialect: str) -> Iterator[str]:
    """The indices of new tables, and what changed in those of tables that stay."""
    before, after = (
        [one for one in statements_of(tables.ddl, tables.dialect) if one.kind == "INDEX"]
        for tables in (mapping.source, mapping.target)
    )
    same = {one.tree.sql() for one in before} & {one.tree.sql() for one in after}
    for one in before:
        if one.tree.sql() not in same and one.table in mapping.target and one.table not in created:
            yield f"DROP INDEX {name_of(_index_name(one), dialect)}" + (
                f" ON {name_of(one.table, dialect)}" if dialect == "mysql" else ""
            )
    yield from (one.text for one in after if one.table in created or one.tree.sql() not in same)


def _index_name(one: Written) -> str:
    return one.tree.this.name


def _numbers_on(mapping: DataMapping, created: list[str]) -> Iterator[str]:
    """PostgreSQL's sequences know nothing of keys that were given: they continue behind the
    highest.
    """
    for one in statements_of(mapping.target.ddl, mapping.target.dialect):
        if one.kind == "TABLE" and one.table in created and one.table in mapping.rules:
            for column in numbered(one):
                sequence = (
                    f"pg_get_serial_sequence({literal(name_of(one.table))}, {literal(column)})"
                )
                yield (
                    f"SELECT setval({sequence}, (SELECT MAX({name_of(column)}) FROM "
                    f"{name_of(one.table)}))"
                )


def _references_again(mapping, gone) -> Iterator[str]:
    """PostgreSQL's references follow a renamed table and go with it: those of tables that stay are
    declared anew.
    """
    for edge in mapping.target.edges:
        if edge.to in gone and edge.table not in gone and edge.table in mapping.source:
            names, to = (
                ", ".join(map(name_of, columns)) for columns in (edge.columns, edge.to_columns)
            )
            yield (
                f"ALTER TABLE {name_of(edge.table)} ADD FOREIGN KEY ({names}) REFERENCES "
                f"{name_of(edge.to)} ({to})"
            )


def select_of(mapping: DataMapping, name: str, dialect: str, moved: list[str]) -> str:
    """The rows of a target table out of the renamed tables."""
    rule = mapping.rules[name]

    def shown(table):
        return OLD + table if table in moved else table

    cells = []
    for column, cell in rule.cells.items():
        if isinstance(cell, Copy):
            cells.append(f"{name_of(shown(cell.table), dialect)}.{name_of(cell.column, dialect)}")
        elif isinstance(cell, Fixed):
            cells.append(literal(cell.value, dialect))
        else:
            cells.append(
                _key_sql(mapping, cell, mapping.target[name].types[column], shown, dialect)
            )
    return f"SELECT {', '.join(cells)} FROM {joined(rule, dialect, shown)}"


def _key_sql(mapping, cell: Made, kind, shown, dialect):
    key = mapping.source[cell.anchor].key
    table = name_of(shown(cell.anchor), dialect)
    if len(key) == 1 and mapping.source.type_of((cell.anchor, key[0])) == kind:
        return f"{table}.{name_of(key[0], dialect)}"
    order = ", ".join(
        f"{name_of(column, dialect)}" for column in key or mapping.source[cell.anchor].types
    )
    same = " AND ".join(
        f"k.{name_of(c, dialect)} = {table}.{name_of(c, dialect)}"
        for c in key or mapping.source[cell.anchor].types
    )
    number = (
        f"(SELECT k.n FROM (SELECT {order}, ROW_NUMBER() OVER (ORDER BY {order}) AS n FROM "
        f"{table}) AS k WHERE {same})"
    )
    return (
        number
        if kind == "int"
        else f"CAST({number} AS CHAR)"
        if dialect == "mysql"
        else f"CAST({number} AS TEXT)"
    )
