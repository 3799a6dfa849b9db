"""A difference between two programs as a SQL script that anyone can run."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

from reasoning.synthesis.migrator.equivalence.results import Scenario
from reasoning.synthesis.migrator.sql.given_keys import given_rows
from reasoning.synthesis.migrator.sql.program import (
    Col,
    Expr,
    Fill,
    Fresh,
    Function,
    Lit,
    Out,
    Param,
    Program,
    Select,
    Source,
    Statement,
)
from reasoning.synthesis.migrator.sql.tables import Tables
from reasoning.synthesis.migrator.sql.unparse import literal, name_of, show_statement
from reasoning.synthesis.migrator.testing.database import (
    NOWHERE,
    compile_function,
    create_table,
    fresh_value,
)
from reasoning.synthesis.migrator.testing.row_order import OPEN

LOST = f"fails: {NOWHERE}"
"""An answer that shows only where references are checked."""


def scenario_script(
    scenario: Scenario, old: Program, old_tables: Tables, new: Program, new_tables: Tables
) -> str:
    """Write both programs' calls, one program after the other, each on its own tables; the answers
    stand next to the last call.

    The script is SQLite's; what the two halves print differs. Where it is a reference that leads
    nowhere, COMMIT fails in one of them.

    Args:
      scenario: the calls on which the programs differ, with their answers.
      old: the old program.
      old_tables: its schema.
      new: the new program.
      new_tables: its schema.

    Returns:
      The text of the script.
    """
    lines = [
        f"-- {' -> '.join(f'{name}({_shown(arguments)})' for name, arguments in scenario.calls)}"
    ]
    halves = (("old", old, old_tables, scenario.old, 0), ("new", new, new_tables, scenario.new, 1))
    for word, program, tables, answer, side in halves:
        used = _tables(program, tables, scenario)
        checking = LOST in (scenario.old, scenario.new)
        if answer == LOST:
            used = sorted({*used, *(edge.to for edge in tables.edges if edge.table in used)})
        lines += ["", f"-- The {word} program answers: {answer}"]
        lines += ["PRAGMA foreign_keys = ON;"] if checking else []
        # SQLite shows with this what no ORDER BY settles.
        lines += ["PRAGMA reverse_unordered_selects = ON;"] if OPEN in str(answer) else []
        lines += [f"{create_table(tables, name, used if checking else ())};" for name in used]
        lines += _before(scenario.start.rows[side], used)
        for number, (name, arguments) in enumerate(scenario.calls, scenario.first + 1):
            lines.append(f"-- {name}({_shown(arguments)})")
            called = [
                f"{show_statement(one)};"
                for one in bound(program.named(name), tables, arguments, number).statements
            ]
            lines += ["BEGIN;", *called, "COMMIT;"] if checking else called
        lines += ["ROLLBACK;  -- because COMMIT failed"] if answer == LOST else []
        lines += [f"DROP TABLE {name_of(name)};" for name in used]
    return "\n".join(lines) + "\n"


def _shown(arguments):
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def _tables(program, tables, scenario):
    named = {table for name in scenario.functions for table in program.named(name).tables}
    return sorted(name for name in tables.by_name if name in named)


def _before(rows: dict[str, list[tuple]], used: list[str]) -> list[str]:
    """INSERTs of the rows that the calls begin with."""
    return [
        f"INSERT INTO {name_of(name)} VALUES ({', '.join(map(literal, row))});"
        for name in used
        for row in rows.get(name, ())
    ]


def bound(function: Function, tables: Tables, arguments: dict[str, Any], number: int) -> Function:
    """Put literals for the parameters and fresh keys of a function, as in one call of a scenario.

    Args:
      function: the function.
      tables: the schema that it runs on.
      arguments: a value for each parameter.
      number: the number of the call, which makes its fresh keys differ from those of others.
    """
    kinds = compile_function(function, tables).fresh_types

    def fill(tree):
        if isinstance(tree, Param):
            return Lit(arguments[tree.name])
        if isinstance(tree, Fresh):
            return Lit(fresh_value(kinds.get(tree.number, "int"), number, tree.number))
        if isinstance(tree, tuple):
            return tuple(map(fill, tree))
        if is_dataclass(tree):
            return replace(
                tree, **{field.name: fill(getattr(tree, field.name)) for field in fields(tree)}
            )
        return tree

    statements = tuple(_numbered(one, kinds, number) for one in function.statements)
    return replace(function, statements=fill(statements), text="")


def _numbered(one: Statement, kinds: dict[int, str], number: int) -> Statement:
    """An INSERT ... SELECT whose rows have consecutive keys; any other statement as it is."""
    keys = given_rows(one)
    if not keys:
        return one
    assert isinstance(one, Fill)
    outs = zip(one.columns, one.select.outs, strict=True)
    inner = tuple(replace(out, name=column) for column, out in outs if column not in keys)
    values = tuple(Col("given", out.name) for out in inner)
    order = ", ".join(f"{{{n}}}" for n in range(len(values)))

    def key(column):
        first = fresh_value(kinds.get(keys[column].number, "int"), number, keys[column].number)
        text = f"{first} - 1 + ROW_NUMBER() OVER (ORDER BY {order})"
        return Out(Expr(text, text, values), column)

    chosen = Source("given", "given", None, replace(one.select, outs=inner))
    shown = tuple(Out(value, value.name) for value in values)
    select = Select((*map(key, keys), *shown), (chosen,))
    return replace(one, columns=(*keys, *(out.name for out in inner)), select=select)
