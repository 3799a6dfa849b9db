"""The data goes along: DDL and INSERT ... SELECT for the old database's rows, a mapping for Dynamite, a migration file for Alembic."""

import datetime
import json
import re

from reasoning.synthesis.datalog import Atom, Const, Program, Rule, Term, Var, Wild
from reasoning.synthesis.errors import Refusal
from reasoning.synthesis.migrator.mapping import Copy, DataMapping, Fixed, Made, condition
from reasoning.synthesis.migrator.show import literal, name_of
from reasoning.synthesis.migrator.simulate import joined
from reasoning.synthesis.schema import to_json
from reasoning.synthesis.syntax import show_program

OLD = "old_"
"""Before the names of the old tables while both are there."""
BEFORE = {"sqlite": ("PRAGMA foreign_keys = OFF;", "PRAGMA legacy_alter_table = ON;"), "mysql": ("SET FOREIGN_KEY_CHECKS = 0;",)}
AFTER = {"sqlite": ("PRAGMA legacy_alter_table = OFF;", "PRAGMA foreign_keys = ON;"), "mysql": ("SET FOREIGN_KEY_CHECKS = 1;",)}
"""References of tables that stay must neither follow a renamed table nor be checked meanwhile."""


def migration_sql(mapping: DataMapping, dialect: str = "sqlite") -> str:
    """A script that turns a database of the old schema into one of the new: tables renamed, created, filled, old ones dropped.

    Tables that stay as they are are not touched. Keys that the new schema invents are the key of the source row they belong to, where
    that is one column of the same type, else row numbers in the order of that key.
    """
    moved = sorted(name for name in mapping.source.by_name if not mapping.identity(name) or name not in mapping.target)
    created = [name for name in parents_first(mapping) if not (name in mapping.source and mapping.identity(name))]
    lines = [
        "-- Data of the old schema into the new one; written by latentax Migrator.",
        *BEFORE.get(dialect, ()),
        _begin(dialect),
    ]
    lines += [f"ALTER TABLE {name_of(name, dialect)} RENAME TO {name_of(OLD + name, dialect)};" for name in moved]
    statements = create_statements(mapping.target.ddl)
    lines += [statements[name.lower()] + ";" for name in created]
    for name in created:
        if name in mapping.rules:
            names = ", ".join(name_of(column, dialect) for column in mapping.rules[name].cells)
            lines.append(f"INSERT INTO {name_of(name, dialect)} ({names})\n{select_of(mapping, name, dialect, moved)};")
    cascade = " CASCADE" if dialect == "postgres" else ""
    lines += [f"DROP TABLE {name_of(OLD + name, dialect)}{cascade};" for name in _children_first(mapping, moved)]
    lines += _references_again(mapping, moved) if dialect == "postgres" else []
    return "\n".join([*lines, "COMMIT;", *AFTER.get(dialect, ())]) + "\n"


def _begin(dialect):
    return "START TRANSACTION;" if dialect == "mysql" else "BEGIN;"


def _references_again(mapping, moved):
    """PostgreSQL's references follow a renamed table and go with it: those of tables that stay are declared anew."""
    for edge in mapping.target.edges:
        if edge.to in moved and edge.table not in moved and edge.table in mapping.source:
            names, to = (", ".join(map(name_of, columns)) for columns in (edge.columns, edge.to_columns))
            yield f"ALTER TABLE {name_of(edge.table)} ADD FOREIGN KEY ({names}) REFERENCES {name_of(edge.to)} ({to});"


def create_statements(ddl: str) -> dict[str, str]:
    """The CREATE TABLE statements of a DDL text by table in small letters, as written. Comments are left out."""
    plain = re.sub(r"--[^\n]*|/\*.*?\*/", "", ddl, flags=re.DOTALL)
    found = {}
    for part in _statements(plain):
        named = re.match(r'\s*CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?["`]?([\w]+)["`]?', part, re.IGNORECASE)
        if named:
            found[named[1].lower()] = part.strip()
    return found


def _statements(text):
    """Split at semicolons outside quotes."""
    return [part for part in re.findall(r"(?:'[^']*'|\"[^\"]*\"|[^;'\"])+", text) if part.strip()]


def parents_first(mapping: DataMapping) -> list[str]:
    """Target tables, those referred to before those that refer."""
    return _ordered(list(mapping.target.by_name), mapping.target.edges)


def _children_first(mapping, names):
    return _ordered(names, mapping.source.edges)[::-1]


def _ordered(names, edges):
    left, done = list(names), []
    while left:
        free = [n for n in left if not any(e.table == n and e.to in left and e.to != n for e in edges)]
        done.append((free or left)[0])
        left.remove(done[-1])
    return done


def select_of(mapping: DataMapping, name: str, dialect: str, moved: list[str]) -> str:
    """The rows of a target table out of the renamed tables."""
    rule = mapping.rules[name]
    shown = lambda table: OLD + table if table in moved else table
    cells = []
    for column, cell in rule.cells.items():
        if isinstance(cell, Copy):
            cells.append(f"{name_of(shown(cell.table), dialect)}.{name_of(cell.column, dialect)}")
        elif isinstance(cell, Fixed):
            cells.append(literal(cell.value, dialect))
        else:
            cells.append(_key_sql(mapping, cell, mapping.target[name].types[column], shown, dialect))
    text = joined(rule, dialect)
    for table in sorted(set(rule.body) & set(moved), key=len, reverse=True):
        text = re.sub(rf"(?<![\w.]){re.escape(name_of(table, dialect))}(?![\w])", name_of(OLD + table, dialect), text)
    return f"SELECT {', '.join(cells)} FROM {text}"


def _key_sql(mapping, cell: Made, kind, shown, dialect):
    key = mapping.source[cell.anchor].key
    table = name_of(shown(cell.anchor), dialect)
    if len(key) == 1 and mapping.source.type_of((cell.anchor, key[0])) == kind:
        return f"{table}.{name_of(key[0], dialect)}"
    order = ", ".join(f"{name_of(column, dialect)}" for column in key or mapping.source[cell.anchor].types)
    same = " AND ".join(
        f"k.{name_of(c, dialect)} = {table}.{name_of(c, dialect)}" for c in key or mapping.source[cell.anchor].types
    )
    number = f"(SELECT k.n FROM (SELECT {order}, ROW_NUMBER() OVER (ORDER BY {order}) AS n FROM {table}) AS k WHERE {same})"
    return number if kind == "int" else f"CAST({number} AS CHAR)" if dialect == "mysql" else f"CAST({number} AS TEXT)"


def datalog_of(mapping: DataMapping) -> Program:
    """The mapping as rules that Dynamite runs.

    Raises:
      Refusal: a key is invented for rows whose own key is not one column of its type: no rule can make it.
    """
    return Program(tuple(_rule(mapping, name) for name in mapping.target.by_name if name in mapping.rules))


def _rule(mapping, name):
    rule = mapping.rules[name]
    variables: dict[tuple[str, str], Var] = {}
    taken: set[str] = set()

    def variable(place):
        if place not in variables:
            base = place[1] if place[1] not in taken else f"{place[1]}_{len(taken)}"
            variables[place] = Var(base)
            taken.add(base)
        return variables[place]

    for edge in sorted(rule.tree):
        for one, other in condition(edge):
            variables[other] = variables[one] = variables.get(one) or variables.get(other) or variable(one)
    head: list[Term] = []
    for column, cell in rule.cells.items():
        if isinstance(cell, Fixed):
            head.append(Const(cell.value))
            continue
        place = (cell.table, cell.column) if isinstance(cell, Copy) else (cell.anchor, _only_key(mapping, cell, name, column))
        head.append(variable(place))
    body = tuple(
        Atom(table, tuple(variables.get((table, c), Wild()) for c in mapping.source[table].types)) for table in rule.body
    )
    return Rule((Atom(name, tuple(head)),), body)


def _only_key(mapping, cell: Made, name, column):
    key = mapping.source[cell.anchor].key
    if len(key) != 1 or mapping.source.type_of((cell.anchor, key[0])) != mapping.target[name].types[column]:
        raise Refusal(
            f"{name}.{column} is a new key, and {cell.anchor} has no key of one column of its type to make it from: use the SQL script"
        )
    return key[0]


def dynamite_json(mapping: DataMapping) -> str:
    """The mapping in the form that `python -m reasoning.synthesis.dynamite run --mapping` reads. Raises Refusal as `datalog_of`."""
    partial = [rule.table for rule in mapping.rules.values() if rule.tree]
    notes = [
        f"{name}: rows without a partner in every joined table are left out here, and kept by the SQL script" for name in partial
    ]
    options = {"budget": 60.0, "seed": 0, "constants": [], "max_rules": 1, "learning": "directed"}
    data = {"format": "latentax dynamite mapping 1", "datalog": show_program(datalog_of(mapping)),
            "source_schema": to_json(mapping.source.schema), "target_schema": to_json(mapping.target.schema),
            "options": options, "statistics": {}, "notes": notes, "examples": []}  # fmt: skip
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def alembic_file(mapping: DataMapping, dialect: str, revision: str, down_revision: str | None = None) -> str:
    """A migration file as Alembic keeps them; going back is not offered, because dropped columns are gone."""
    script = migration_sql(mapping, dialect)
    bare = [one.strip() for one in _statements(re.sub(r"--[^\n]*", "", script))]
    steps = [
        one for one in bare if one.upper() not in ("BEGIN", "START TRANSACTION", "COMMIT")
    ]  # Alembic has a transaction of its own
    body = "\n".join(f"    op.execute(sa.text({_python(one)}))" for one in steps)
    stamp = datetime.date.today().isoformat()
    return (
        f'"""Schema refactoring with its data, written by latentax Migrator.\n\nRevision ID: {revision}\nRevises: {down_revision or ""}\n'
        f'Create Date: {stamp}\n"""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\nrevision = {revision!r}\n'
        f"down_revision = {down_revision!r}\nbranch_labels = None\ndepends_on = None\n\n\ndef upgrade() -> None:\n"
        f'    """Tables renamed, created, filled and dropped, in this order."""\n{body}\n\n\ndef downgrade() -> None:\n'
        '    """Not offered: dropped columns are gone."""\n    raise NotImplementedError("restore a backup")\n'
    )


def _python(statement):
    return '"""' + statement.replace("\\", "\\\\").replace('"""', '\\"""').replace(":", "\\\\:") + '"""'


def in_words(mapping: DataMapping) -> dict[str, str]:
    """For every target table a sentence on where its rows come from."""
    found = {}
    for name, rule in mapping.rules.items():
        if name in mapping.source and mapping.identity(name):
            found[name] = "as it is"
            continue
        joined_ = [table for table in rule.body if table != rule.anchor]
        made = [column for column, cell in rule.cells.items() if isinstance(cell, Made)]
        found[name] = f"one row for each of {rule.anchor}" + (f", joined with {', '.join(joined_)}" if joined_ else "")
        found[name] += f"; {', '.join(made)} made for it" if made else ""
    return found
