"""The data goes along: a script of DDL and INSERT ... SELECT that turns a database of the old
schema into one of the new.

Our choice: everything is checked before anything moves; the script is one transaction, and, for
SQLite's shell, one input: a line that ends in a semicolon would let the shell continue after an
error, so that semicolons begin lines.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

from reasoning.synthesis.errors import need
from reasoning.synthesis.migrator.correspondence.mapping import Copy, DataMapping, Fixed, Made
from reasoning.synthesis.migrator.output.data_checks import STOP, checks_of, failing, stop_sql
from reasoning.synthesis.migrator.output.data_queries import Queries
from reasoning.synthesis.migrator.output.live_objects import name_in, old_name, only_there
from reasoning.synthesis.migrator.output.migration_plan import (
    NEW,
    OLD,
    Plan,
    changed_constraints,
    kept_columns,
    needed_keys,
    numbering,
    plan_of,
)
from reasoning.synthesis.migrator.output.table_shapes import definition
from reasoning.synthesis.migrator.sql.ddl_statements import Written, creates_table, statements_of
from reasoning.synthesis.migrator.sql.ddl_text import numbered
from reasoning.synthesis.migrator.sql.null_keys import with_not_null
from reasoning.synthesis.migrator.sql.tables import Place
from reasoning.synthesis.migrator.sql.unparse import literal

BEFORE = {"sqlite": ("PRAGMA foreign_keys = OFF",), "mysql": ("SET FOREIGN_KEY_CHECKS = 0",)}
AFTER = {"sqlite": ("PRAGMA foreign_keys = ON",), "mysql": ("SET FOREIGN_KEY_CHECKS = 1",)}
"""References must not be followed while tables are dropped and renamed."""
MOST_ROWS = 2**64 - 1
"""A LIMIT that leaves nothing out keeps MySQL from merging a derived table into the statement."""
FIRST = ("SCHEMA", "EXTENSION", "TYPE", "DOMAIN", "SEQUENCE")
"""Kinds of statements that tables may need."""
LAST = ("VIEW", "TRIGGER", "COMMENT")
"""Kinds of statements that need tables."""


def migration_sql(mapping: DataMapping, dialect: str = "sqlite") -> str:
    """A script that turns a database of the old schema into one of the new, in a transaction.

    Tables that stay are not touched; others are altered in place where that suffices. Keys that
    the new schema invents are the key of the source row they belong to, where that is one column
    of the same type, else row numbers in the order of that key.
    """
    begin = "START TRANSACTION" if dialect == "mysql" else "BEGIN"
    plan = plan_of(mapping, dialect)
    done = [
        *BEFORE.get(dialect, ()),
        begin,
        *migration_steps(mapping, dialect, plan),
        "COMMIT",
        *AFTER.get(dialect, ()),
    ]
    lines = [
        "-- Data of the old schema into the new one; written by latentax Migrator.",
        *(f"-- {' '.join(line.split())}" for line in notes(plan)),
        *(
            f"-- Not done here (the new schema, line {one.line}): {one.text.splitlines()[0]}"
            for one in _left_over(plan)
        ),
    ]
    if dialect == "sqlite":
        lines.append("-- Semicolons begin lines, so that the sqlite3 shell stops at an error.")
        return "\n".join(lines) + "\n" + "\n; ".join(done) + "\n;\n"
    return "\n".join([*lines, *(f"{one};" for one in done)]) + "\n"


def notes(plan: Plan) -> list[str]:
    """Describe what happens to the tables, a sentence each."""
    found = []
    for name, heir in plan.in_place.items():
        if _changed(plan, name):
            found.append(f"{name}: altered in place" + (f" to {heir}" if heir != name else ""))
    found += [f"{name}: built anew" for name in plan.rebuilt if name in plan.created]
    found += [f"{name}: created" for name in plan.created if name not in plan.rebuilt]
    found += [
        f"{name}: {', '.join(sorted(needed))} written NOT NULL, since SQLite lets this key be NULL"
        for name in plan.created
        if (needed := needed_keys(plan, name))
    ]
    found += [f"{name}: dropped" for name in plan.dropped if name not in plan.created]
    if plan.dialect == "mysql" and found:
        found.append("MySQL commits before every DDL statement: back up before you run this")
    return found


def migration_steps(mapping: DataMapping, dialect: str, plan: Plan | None = None) -> list[str]:
    """The statements of the script between BEGIN and COMMIT."""
    plan = plan or plan_of(mapping, dialect)
    before, after = _others(plan)
    checks = [*(stop_sql(check, dialect) for check in checks_of(plan)), *only_there(plan)]
    if checks and dialect == "mysql":
        strict = (
            "SET SESSION sql_mode = CONCAT_WS(',', NULLIF(@@sql_mode, ''), 'STRICT_ALL_TABLES')"
        )
        checks = [strict, f"CREATE TEMPORARY TABLE {STOP} (message int)", *checks]
        checks.append(f"DROP TEMPORARY TABLE {STOP}")
    return [
        *checks,
        *before,
        *_set_aside(plan),
        *_renames(plan),
        *_added(plan),
        *_created(plan),
        *_filled(plan),
        *(_numbers_on(plan) if dialect == "postgres" else ()),
        *_tightened(plan),
        *_dropped(plan),
        *_indices(plan),
        *after,
        *_references_hold(plan),
    ]


def _alter(plan: Plan, table: str) -> str:
    return f"ALTER TABLE {plan.target(table)}"


def _others(plan: Plan) -> tuple[list[str], list[str]]:
    """Statements of other kinds, before and after the tables change: types and sequences; views
    and triggers, dropped before and made again.
    """
    source, target = plan.mapping.source, plan.mapping.target
    old = statements_of(source.ddl, source.dialect)
    there = {" ".join(one.text.split()) for one in old}
    new = statements_of(target.ddl, target.dialect)
    kept = {" ".join(one.text.split()) for one in new}
    fresh = [one for one in new if " ".join(one.text.split()) not in there]
    first = [one.text for one in fresh if one.kind in FIRST]
    moving = {name.lower() for name in (*plan.dropped, *plan.created)}
    last, drops = [], []
    for one in old:
        if one.kind not in ("VIEW", "TRIGGER"):
            continue
        same = " ".join(one.text.split()) in kept
        words = {word.strip('"`[](),;').split(".")[-1].lower() for word in one.text.split()}
        if same and not words & moving:
            continue
        name = _view_name(one)
        drops.append(f"DROP {one.kind} {'IF EXISTS ' if plan.dialect != 'postgres' else ''}{name}")
        if same:
            last.append(one.text)
    last += [one.text for one in fresh if one.kind in LAST]
    return [*drops, *first] if plan.dialect != "postgres" else [*first, *drops], last


def _view_name(one: Written) -> str:
    exp = need("sqlglot").exp
    named = one.tree.this
    if isinstance(named, exp.Schema):
        named = named.this
    return named.sql() if hasattr(named, "sql") else str(named)


def _left_over(plan: Plan) -> list[Written]:
    """Statements of the new schema that are neither done nor in the old one."""
    source, target = plan.mapping.source, plan.mapping.target
    there = {" ".join(one.text.split()) for one in statements_of(source.ddl, source.dialect)}
    return [
        one
        for one in statements_of(target.ddl, target.dialect)
        if one.kind not in ("TABLE", "INDEX", *FIRST, *LAST, "SET", "PRAGMA")
        and not one.merged
        and " ".join(one.text.split()) not in there
    ]


def _set_aside(plan: Plan) -> Iterator[str]:
    """Tables whose names are needed, under other names."""
    for name in plan.dropped:
        aside = plan.aside(name)
        if aside == name:
            continue
        old = old_name(plan, name)
        if plan.dialect == "duckdb":  # it renames no table that anything depends on
            yield f"CREATE TABLE {plan.source(name)} AS SELECT * FROM {old}"
            yield f"DROP TABLE {old}"
        else:
            yield f"ALTER TABLE {old} RENAME TO {plan.name(aside)}"


def _renames(plan: Plan) -> Iterator[str]:
    """Tables and columns of tables altered in place, under their new names."""
    waiting = {name: heir for name, heir in plan.in_place.items() if name != heir}
    turning = {}
    while waiting:
        free = [name for name, heir in waiting.items() if heir not in waiting]
        if not free:  # names that change places
            name = sorted(waiting)[0]
            turning[name] = waiting.pop(name)
            yield f"ALTER TABLE {old_name(plan, name)} RENAME TO {plan.name(NEW + name)}"
            continue
        for name in free:
            heir = waiting.pop(name)
            yield f"ALTER TABLE {old_name(plan, name)} RENAME TO {plan.name(heir)}"
    for name, heir in turning.items():
        yield f"ALTER TABLE {plan.name(NEW + name)} RENAME TO {plan.name(heir)}"
    for name, heir in plan.in_place.items():
        moves = {old: new for old, new in plan.columns[name].items() if old != new}
        chain = []
        while moves:
            free = [old for old, new in moves.items() if new not in moves]
            if not free:
                old = sorted(moves)[0]
                chain.append((OLD + old, moves.pop(old)))
                yield _rename_column(plan, heir, old, OLD + old)
                continue
            for old in free:
                yield _rename_column(plan, heir, old, moves.pop(old))
        for old, new in chain:
            yield _rename_column(plan, heir, old, new)


def _rename_column(plan: Plan, table: str, old: str, new: str) -> str:
    return f"{_alter(plan, table)} RENAME COLUMN {plan.name(old)} TO {plan.name(new)}"


def added_columns(plan: Plan, name: str) -> list[str]:
    """New columns of a table altered in place."""
    kept = set(kept_columns(plan, name).values())
    return [column for column in plan.shapes[name][1].columns if column not in kept]


def _added(plan: Plan) -> Iterator[str]:
    """New columns; those with a value to be filled in are nullable and without keys at first."""
    for name, heir in plan.in_place.items():
        for column in added_columns(plan, name):
            bare = plan.dialect != "sqlite" and not _fixed(plan, heir, column)
            text = definition(plan.new[heir], column, plan.dialect, nullable=bare)
            yield f"{_alter(plan, heir)} ADD COLUMN {text}"


def _fixed(plan: Plan, heir: str, column: str) -> bool:
    one = plan.shapes[next(n for n, h in plan.in_place.items() if h == heir)][1]
    single = any(column in c.columns for c in one.constraints)
    return isinstance(plan.mapping.rules[heir].cells.get(column), Fixed | None) and not single


def _created(plan: Plan) -> Iterator[str]:
    for name in plan.created:
        written = plan.new[name]
        if needed := needed_keys(plan, name):
            written = replace(written, text=with_not_null(written.text, needed))
        if plan.filled(name) == plan.target(name):
            yield written.text
        else:
            yield _under(written, plan.filled(name), plan.dialect)
        if not written.alters:
            continue
        # Keys of other statements; references wait until all tables are there.
        yield from (text for text in written.alters if "FOREIGN KEY" not in text.upper())


def _under(written: Written, name: str, dialect: str) -> str:
    """A CREATE TABLE under another name, else as written."""
    tokens = need("sqlglot").tokenize(written.text, read=dialect)
    for n, token in enumerate(tokens):
        if token.token_type.name == "L_PAREN":
            begin = end = n - 1
            while begin > 1 and tokens[begin - 1].token_type.name == "DOT":
                begin -= 2
            start, stop = tokens[begin].start, tokens[end].end + 1
            return written.text[:start] + name + written.text[stop:]
    raise AssertionError(written.text)


def _filled(plan: Plan) -> Iterator[str]:
    """Rows of new tables, and values of new columns."""
    queries = Queries(plan)
    for name in plan.created:
        if (rule := plan.mapping.rules.get(name)) is not None:
            computed = plan.mapping.target[name].moments
            for part in rule.parts:
                # A computed default is left to the database.
                written = [
                    c for c, v in part.cells.items() if c not in computed or v != Fixed(None)
                ]
                always = _always(plan, name, set(written))
                names = ", ".join(plan.name(column) for column in written)
                select = queries.select(part, written.__contains__)
                yield f"INSERT INTO {plan.filled(name)} ({names}){always}\n{select}"
    for name, heir in plan.in_place.items():
        rule, table = plan.mapping.rules[heir], plan.target(heir)
        for column in added_columns(plan, name):
            cell = rule.cells.get(column)
            if isinstance(cell, Fixed | None):
                continue
            # The new table may be called like an old one, which must not hide it.
            queries.aliases = {one: plan.name(OLD + one) for one in rule.body}
            queries.aliases[name] = "this_row"
            here = " AND ".join(
                f"{queries.column(name, key)} = {table}.{plan.column(name, key)}"
                for key in plan.mapping.source[name].key
            )
            value, rows = queries.value(rule, column, cell), queries.rows(rule)
            if (
                plan.dialect == "mysql"
            ):  # it reads no table in its own UPDATE, but what is made of it
                mine = f"{queries.table(name)} AS this_row"
                whole = f"(SELECT * FROM {queries.table(name)} LIMIT {MOST_ROWS}) AS this_row"
                rows = rows.replace(mine, whole)
            queries.aliases = {}
            yield (
                f"UPDATE {table} SET {plan.name(column)} = "
                f"(SELECT {value} FROM {rows} WHERE {here})"
            )


def _always(plan: Plan, table: str, columns: set[str]) -> str:
    """Given keys of GENERATED ALWAYS AS IDENTITY are written only when one says so."""
    exp = need("sqlglot").exp
    identities = [
        part.name
        for part in plan.new[table].tree.this.expressions
        if isinstance(part, exp.ColumnDef)
        and any(
            isinstance(c.kind, exp.GeneratedAsIdentityColumnConstraint) and c.kind.this
            for c in part.args.get("constraints") or ()
        )
    ]
    return " OVERRIDING SYSTEM VALUE" if columns & set(identities) else ""


def _tightened(plan: Plan) -> Iterator[str]:
    """Definitions of columns that stay or were added, and constraints, of tables altered in
    place.
    """
    if plan.dialect == "sqlite":
        return
    for name, heir in plan.in_place.items():
        before, after = plan.shapes[name]
        alter, kept = _alter(plan, heir), kept_columns(plan, name)
        gone, new = changed_constraints(before, after, set(after.columns))
        back = {new: old for old, new in kept.items()}
        for one in gone:
            if all(column in after.columns for column in one.columns) or plan.dialect == "mysql":
                word = (
                    "FOREIGN KEY"
                    if plan.dialect == "mysql" and one.kind[0] == "F"
                    else ("INDEX" if plan.dialect == "mysql" else "CONSTRAINT")
                )
                yield f"{alter} DROP {word} {plan.name(_constraint_name(plan, name, one, back))}"
        for column, now in after.columns.items():
            was = before.columns.get(column) if column in kept.values() else None
            bare = was is None and not _fixed(plan, heir, column)
            if was == now or (was is None and not bare):
                continue
            if plan.dialect == "mysql":
                text = _without_keys(definition(plan.new[heir], column, plan.dialect, False))
                yield f"{alter} MODIFY COLUMN {text}"
                continue
            named = plan.name(column)
            if was is not None and was.kind != now.kind:
                yield f"{alter} ALTER COLUMN {named} TYPE {now.kind}"
            if now.default != (was.default if was else ""):
                text = f"SET DEFAULT {now.default}" if now.default else "DROP DEFAULT"
                yield f"{alter} ALTER COLUMN {named} {text}"
            if now.required != (was.required if was else False):
                yield f"{alter} ALTER COLUMN {named} {'SET' if now.required else 'DROP'} NOT NULL"
        for one in new:
            if one.kind == "FOREIGN KEY" or all(not _fixed_one(plan, heir, c) for c in one.columns):
                label = f"CONSTRAINT {plan.name(one.name)} " if one.name else ""
                yield f"{alter} ADD {label}{one.text}"


def _fixed_one(plan: Plan, heir: str, column: str) -> bool:
    name = next(n for n, h in plan.in_place.items() if h == heir)
    return column in added_columns(plan, name) and _fixed(plan, heir, column)


def _without_keys(text: str) -> str:
    """A column's definition without keys and references, which MODIFY would declare again."""
    sqlglot = need("sqlglot")
    tree = sqlglot.parse_one(f"CREATE TABLE t ({text})", read="mysql")
    exp, part = sqlglot.exp, tree.this.expressions[0]
    keys = (exp.PrimaryKeyColumnConstraint, exp.UniqueColumnConstraint, exp.Reference)
    part.set("constraints", [c for c in part.constraints if not isinstance(c.kind, keys)])
    return part.sql("mysql")


def _constraint_name(plan: Plan, name: str, one, back: dict[str, str]) -> str:
    """The name that the DDL gives a constraint, else the one that the engine gives."""
    if one.name:
        return one.name
    columns = [back.get(column, column) for column in one.columns]
    if plan.dialect == "mysql":
        if one.kind == "UNIQUE":
            return columns[0]
        before = [c for c in plan.shapes[name][0].constraints if c.kind == "FOREIGN KEY"]
        return f"{name}_ibfk_{before.index(one) + 1}"
    ending = {"FOREIGN KEY": "fkey", "UNIQUE": "key", "PRIMARY KEY": "pkey"}.get(one.kind, "check")
    return "_".join([name, *columns, ending]) if ending != "pkey" else f"{name}_pkey"


def _dropped(plan: Plan) -> Iterator[str]:
    """Columns and tables that go; PostgreSQL's references to them first."""
    for name, heir in plan.in_place.items():
        kept = set(kept_columns(plan, name))
        for column in plan.mapping.source[name].types:
            if column not in kept:
                yield f"{_alter(plan, heir)} DROP COLUMN {plan.column(name, column)}"
    again = list(_references_again(plan)) if plan.dialect == "postgres" else []
    yield from (drop for drop, _ in again)
    yield from _numbers_of_all(plan)
    for name in plan.dropped:
        if plan.dialect == "sqlite" and name in plan.created:
            yield f"DROP TABLE {plan.name(name)}"
            yield "PRAGMA legacy_alter_table = ON"
            yield f"ALTER TABLE {plan.name(NEW + name)} RENAME TO {plan.name(name)}"
            yield "PRAGMA legacy_alter_table = OFF"
        else:
            yield f"DROP TABLE {plan.source(name)}"
    yield from (add for _, add in again)
    for name in plan.created:
        yield from (t for t in plan.new[name].alters if "FOREIGN KEY" in t.upper())


def _numbers_of_all(plan: Plan) -> Iterator[str]:
    """AUTOINCREMENT of a new table continues behind every key that the tables that its rows come
    from ever gave.
    """
    for name in plan.created if plan.dialect == "sqlite" else ():
        rule = plan.mapping.rules.get(name)
        if rule is None or "AUTOINCREMENT" not in plan.new[name].text.upper():
            continue
        giving = [
            literal(plan.in_place.get(table, table))
            for table, _ in _numbered_before(plan, name, plan.mapping.target[name].key)
            if "AUTOINCREMENT" in plan.old[table].text.upper()
        ]
        if not giving:
            continue
        here = literal(NEW + name if name in plan.rebuilt else name)
        old = ", ".join([here, *giving])
        yield (
            f"INSERT INTO sqlite_sequence (name, seq) SELECT {here}, MAX(seq) FROM sqlite_sequence "
            f"WHERE name IN ({old}) HAVING MAX(seq) IS NOT NULL"
        )
        yield (
            f"DELETE FROM sqlite_sequence WHERE name = {here} AND rowid < "
            f"(SELECT MAX(rowid) FROM sqlite_sequence WHERE name = {here})"
        )


def _numbered_before(plan: Plan, name: str, columns: Iterable[str]) -> list[Place]:
    """The old columns numbered by the database whose values some columns of a new table take."""
    found: list[Place] = []
    for part, column in itertools.product(plan.mapping.rules[name].parts, columns):
        cell = part.cells.get(column)
        if isinstance(cell, Copy):
            found.append((cell.table, cell.column))
        elif isinstance(cell, Made) and not numbering(plan.mapping, name, column, cell):
            found.append((cell.anchor, plan.mapping.source[cell.anchor].key[0]))
    return [
        (table, column)
        for table, column in dict.fromkeys(found)
        if column in numbered(plan.old[table], plan.dialect)
    ]


def _references_again(plan: Plan) -> Iterator[tuple[str, str]]:
    """References of tables that stay to rebuilt ones, dropped and declared anew."""
    for name, heir in plan.in_place.items():
        before, after = plan.shapes[name]
        back = {new: old for old, new in kept_columns(plan, name).items()}
        for edge in plan.mapping.target.edges:
            if edge.table != heir or edge.to not in plan.rebuilt:
                continue  # the table of that name is the one that it was
            for one in after.constraints:
                if one.kind == "FOREIGN KEY" and one.columns == edge.columns:
                    if one not in before.constraints:
                        continue
                    label = _constraint_name(plan, name, one, back)
                    yield (
                        f"{_alter(plan, heir)} DROP CONSTRAINT {plan.name(label)}",
                        f"{_alter(plan, heir)} ADD CONSTRAINT {plan.name(label)} {one.text}",
                    )


def _indices(plan: Plan) -> Iterator[str]:
    """The indices of new tables, and what changed in those of tables that stay."""
    source, target = plan.mapping.source, plan.mapping.target
    before, after = (
        [one for one in statements_of(tables.ddl, tables.dialect) if one.kind == "INDEX"]
        for tables in (source, target)
    )
    new = {_index_text(one, {}, {}) for one in after}
    old = set()
    for one in before:
        if one.table not in plan.in_place:
            continue
        heir, columns = plan.in_place[one.table], plan.columns[one.table]
        text = _index_text(one, {one.table: heir}, columns)
        old.add(text)
        kept = kept_columns(plan, one.table)
        exp = need("sqlglot").exp
        whole = all(c.name in kept for c in one.tree.find_all(exp.Column))
        if text not in new and (whole or plan.dialect in ("sqlite", "duckdb")):
            schema = source[one.table].schema
            index = ".".join(plan.name(part) for part in (schema, name_in(one)) if part)
            on = f" ON {plan.target(heir)}" if plan.dialect == "mysql" else ""
            yield f"DROP INDEX {index}{on}"
    yield from (one.text for one in after if _index_text(one, {}, {}) not in old)


def _index_text(one: Written, tables: dict[str, str], columns: dict[str, str]) -> str:
    """An index's SQL with new names."""
    exp, tree = need("sqlglot").exp, one.tree.copy()
    for node in tree.find_all(exp.Identifier):
        if isinstance(node.parent, exp.Table):
            node.set("this", tables.get(node.this, node.this))
        elif isinstance(node.parent, exp.Column):
            node.set("this", columns.get(node.this, node.this))
        node.set("quoted", True)
    return tree.sql()


def _numbers_on(plan: Plan) -> Iterator[str]:
    """PostgreSQL's sequences know nothing of keys that were given: they continue behind the
    highest, and behind every key that the old sequence gave.
    """
    made = {name: name for name in plan.created if name in plan.mapping.rules}
    kept = {heir: name for name, heir in plan.in_place.items() if _changed(plan, name)}
    for table in (*made, *kept):
        for column in numbered(plan.new[table]):
            sequence = f"pg_get_serial_sequence({literal(plan.target(table))}, {literal(column)})"
            known = [f"(SELECT MAX({plan.name(column)}) FROM {plan.target(table)})", "0"]
            for place in _numbered_before(plan, table, [column]):
                if plan.in_place.get(place[0]) == table:
                    continue  # this very sequence
                here = plan.columns.get(place[0], {}).get(place[1], place[1])
                names = literal(plan.source(place[0])), literal(here)
                old = f"pg_get_serial_sequence({', '.join(names)})"
                known.append(f"pg_sequence_last_value(CAST({old} AS regclass))")
            least = "0"
            if table in kept:  # its sequence stays, and is set only where it is behind
                least = f"COALESCE(pg_sequence_last_value(CAST({sequence} AS regclass)), 0)"
            yield (
                f"SELECT setval({sequence}, top) FROM (SELECT GREATEST({', '.join(known)}) AS top) "
                f"AS numbers WHERE top > {least}"
            )


def _changed(plan: Plan, name: str) -> bool:
    before, after = plan.shapes[name]
    return (
        before != after
        or plan.in_place[name] != name
        or any(old != new for old, new in plan.columns[name].items())
    )


def _references_hold(plan: Plan) -> Iterator[str]:
    """SQLite checks no reference while they are off."""
    if plan.dialect == "sqlite":
        words = "\"table\" || ' refers to a row of ' || parent || ' that is not there'"
        yield failing(words, "pragma_foreign_key_check", plan.dialect)


def written_tables(mapping: DataMapping) -> list[Written]:
    """The CREATE TABLE statements of the new schema."""
    return [
        one
        for one in statements_of(mapping.target.ddl, mapping.target.dialect)
        if creates_table(one)
    ]
