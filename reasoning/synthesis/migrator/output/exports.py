"""The data mapping for other tools: rules and a file for Dynamite, a migration file for Alembic."""

import datetime
import json

from reasoning.synthesis.datalog import Atom, Const, Program, Rule, Term, Var, Wild
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator.correspondence.mapping import (
    Copy,
    DataMapping,
    Fixed,
    Made,
    condition,
)
from reasoning.synthesis.migrator.output.data_migration import AFTER, BEFORE, migration_steps
from reasoning.synthesis.schema import to_json
from reasoning.synthesis.syntax import show_program


def datalog_of(mapping: DataMapping) -> Program:
    """The mapping as rules that Dynamite runs.

    Raises:
      UserError: a key is invented for rows whose own key is not one column of its type: no rule can
        make it.
    """
    return Program(
        tuple(
            _rule(mapping, name, part)
            for name in mapping.target.by_name
            if name in mapping.rules
            for part in mapping.rules[name].parts
        )
    )


def _rule(mapping, name, rule):
    if mapping.shifts:
        raise UserError(
            f"{name} gets other numbers for keys that two old tables share, which no rule says: "
            "use --data"
        )
    if rule.distinct:
        raise UserError(f"{name} is a lookup table, which --mapping does not write: use --data")
    if rule.only:
        raise UserError(f"{name} takes some rows only, which --mapping does not write: use --data")
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
            variables[other] = variables[one] = (
                variables.get(one) or variables.get(other) or variable(one)
            )
    head: list[Term] = []
    for column, cell in rule.cells.items():
        if isinstance(cell, Fixed):
            head.append(Const(cell.value))
            continue
        place = (
            (cell.table, cell.column)
            if isinstance(cell, Copy)
            else (cell.anchor, _only_key(mapping, cell, name, column))
        )
        head.append(variable(place))
    body = tuple(
        Atom(table, tuple(variables.get((table, c), Wild()) for c in mapping.source[table].types))
        for table in rule.body
    )
    return Rule((Atom(name, tuple(head)),), body)


def _only_key(mapping, cell: Made, name, column):
    key = mapping.source[cell.anchor].key
    if (
        len(key) != 1
        or mapping.source.type_of((cell.anchor, key[0])) != mapping.target[name].types[column]
    ):
        raise UserError(
            f"{name}.{column} is a new key, and {cell.anchor} has no key of one column of its type "
            "to make it from: use the SQL script"
        )
    return key[0]


def dynamite_json(mapping: DataMapping) -> str:
    """The mapping in the form that `python -m reasoning.synthesis.dynamite run --mapping` reads.
    Raises UserError as `datalog_of`.
    """
    partial = list(dict.fromkeys(rule.table for rule in mapping.parts if rule.tree))
    notes = [
        f"{name}: rows without a partner in every joined table are left out here, and kept by the "
        "SQL script"
        for name in partial
    ]
    options = {"budget": 60.0, "seed": 0, "constants": [], "max_rules": 1, "learning": "directed"}
    data = {
        "format": "latentax dynamite mapping 1",
        "datalog": show_program(datalog_of(mapping)),
        "source_schema": to_json(mapping.source.schema),
        "target_schema": to_json(mapping.target.schema),
        "options": options,
        "statistics": {},
        "notes": notes,
        "examples": [],
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def alembic_file(
    mapping: DataMapping,
    dialect: str,
    revision: str,
    down_revision: str | None = None,
    back: DataMapping | str | None = "restore a backup",
) -> str:
    """A migration file as Alembic keeps them.

    Args:
      mapping: the mapping of the data.
      dialect: the SQL dialect of the database.
      revision: this one.
      down_revision: the one before.
      back: the mapping back (see `downgrade.downgrade_of`), or why there is none.
    """
    # Alembic has a transaction of its own.
    steps = [*BEFORE.get(dialect, ()), *migration_steps(mapping, dialect), *AFTER.get(dialect, ())]
    body = "\n".join(f"    op.execute(sa.text({_python(one)}))" for one in steps)
    stamp = datetime.date.today().isoformat()
    return (
        '"""Schema refactoring with its data, written by latentax Migrator.\n\nRevision ID: '
        f"{_plain(revision)}\nRevises: {_plain(down_revision or '')}\n"
        f'Create Date: {stamp}\n"""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\nrevision '
        f"= {revision!r}\n"
        f"down_revision = {down_revision!r}\nbranch_labels = None\ndepends_on = None\n\n\ndef "
        "upgrade() -> None:\n"
        f'    """Tables renamed, created, filled and dropped, in this order."""\n{body}\n\n\ndef '
        f"downgrade() -> None:\n{_downgrade(back, dialect)}"
    )


def _downgrade(back: DataMapping | str | None, dialect: str) -> str:
    """The body of the function that goes back."""
    if not isinstance(back, DataMapping):
        reason = f"{back or 'there is no way back'}: restore a backup"
        return f'    """Not offered."""\n    raise NotImplementedError({reason!r})\n'
    steps = [*BEFORE.get(dialect, ()), *migration_steps(back, dialect), *AFTER.get(dialect, ())]
    lines = "".join(f"    op.execute(sa.text({_python(one)}))\n" for one in steps)
    return f'    """The same backwards."""\n{lines}'


def _plain(text: str) -> str:
    """A text that ends no docstring."""
    return text.replace("\\", "/").replace('"', "'")


def _python(statement):
    """A statement as Python text; colons are escaped for SQLAlchemy, which takes them for
    parameters.
    """
    lines = statement.replace(":", "\\:").split("\n")
    if len(lines) == 1:
        return repr(lines[0])
    ended = [*(line + "\n" for line in lines[:-1]), lines[-1]]
    return "\n        " + "\n        ".join(map(repr, ended)) + "\n    "
