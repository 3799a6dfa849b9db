"""Functions tested one by one: both programs start in databases that the data mapping relates, and
must stay so.

Our choice, and why nothing like a search through sequences is needed to reject a candidate: if the
databases are related before a call and
after it, for every update, and related databases give every query the same rows, then so do all
sequences. The source's databases are reached by the program's own updates, so that what holds in
them holds here. Invented keys are compared up to renaming.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reasoning.synthesis.migrator.correspondence.mapping import DataMapping
from reasoning.synthesis.migrator.correspondence.required_columns import read_places
from reasoning.synthesis.migrator.sql.parse import placed
from reasoning.synthesis.migrator.sql.program import Fill, Function, Insert, Program, Update
from reasoning.synthesis.migrator.sql.tables import Place, Tables, ordered_by
from reasoning.synthesis.migrator.sql.unparse import name_of
from reasoning.synthesis.migrator.testing.actions import changed_actions
from reasoning.synthesis.migrator.testing.database import (
    Broken,
    Compiled,
    Database,
    compile_function,
)
from reasoning.synthesis.migrator.testing.inputs import (
    Domains,
    domain,
    domains_of,
    pairwise,
    with_nulls,
)
from reasoning.synthesis.migrator.testing.mapped_databases import query_of

WALKS, STEPS, TRIES = 12, 5, 40
"""Databases, the updates that lead to each, and calls tried to find so many that succeed."""
NULLS = 0.15
"""Share of NULL among arguments drawn at random, where it is allowed."""
NOW = 90
"""The number of the call under test: its fresh keys are none of those made before."""


@dataclass(frozen=True)
class Start:
    """A pair of related databases."""

    source: dict[str, list[tuple]]
    """Rows of the old schema."""
    target: dict[str, list[tuple]]
    """Image of the source rows under the mapping."""
    arguments: dict[str, list[dict[str, Any]]]
    """Arguments to try, by function; none is NULL."""
    with_null: dict[str, list[dict[str, Any]]]
    """Arguments likewise, with NULL among them."""


@dataclass
class Simulation:
    """Related databases for the functions of a program that a mapping concerns."""

    program: Program
    """The old program."""
    mapping: DataMapping
    """The mapping that relates the databases."""
    source: Database
    """Old schema, as far as it is concerned."""
    target: Database
    """New schema, likewise."""
    starts: list[Start]
    """Pairs of databases in which tests begin."""
    expected: dict = field(default_factory=dict)
    """Results of the old program, by function, start and arguments: computed once."""
    tests: int = 0
    """Calls compared."""
    succeeded: set[str] = field(default_factory=set)
    """Updates of the old program that succeeded in a test."""
    effective: set[str] = field(default_factory=set)
    """Updates that succeeded in a test and changed something."""

    def close(self) -> None:
        """Close both databases."""
        self.source.close()
        self.target.close()


class Unrelated(Exception):
    """The mapping relates no database of the source to one of the target."""


def simulation(
    program: Program, mapping: DataMapping, concerned: Sequence[Function], seed: int = 0
) -> Simulation:
    """Databases for testing the functions concerned.

    Args:
      program: the old program.
      mapping: a candidate for what relates the databases.
      concerned: functions to test.
      seed: seed of the random walks.

    Raises:
      Unrelated: data that the mapping makes of reachable databases breaks keys or references of
        the new schema.
    """
    names = set(mapping.touched).union(*(f.tables & set(mapping.source.by_name) for f in concerned))
    other = changed_actions(mapping.source, mapping.target)
    names |= other & set(mapping.source.by_name)
    for _ in range(3):
        filled = {name for name, rule in mapping.rules.items() if set(rule.body) & names}
        names |= {table for name in filled for table in mapping.rules[name].body}
    filled |= {
        name
        for name in mapping.target.by_name
        if name not in mapping.source and name not in mapping.rules
    }
    source, target = Database(mapping.source, names), Database(mapping.target, filled)
    builders = [
        f for f in program.functions if f.statements and not f.is_query and f.tables <= names
    ]
    found = Simulation(program, mapping, source, target, [])
    try:
        _find_starts(found, concerned, filled, builders, seed)
    except BaseException:
        found.close()
        raise
    return found


def _find_starts(found: Simulation, concerned, filled, builders, seed):
    """Walk to related databases. Raises Unrelated if there are none but empty ones."""
    program, mapping, source, target = found.program, found.mapping, found.source, found.target
    chance = random.Random(f"walks {seed}")
    domains = domains_of(program, mapping.source)
    plain = replace(domains, nullable=frozenset())
    compiled = [compile_function(f, mapping.source) for f in builders]
    broken = None
    for walk in range(WALKS):
        # Every other database has NULL in its cells, unless the new schema has no place for it.
        for values in (domains, plain) if walk % 2 else (plain,):
            _walk(found, compiled, values, chance, walk)
            made = map_rows(found, filled)
            try:
                target.load(made)
                break
            except Broken as problem:
                broken = problem
        else:
            continue
        rows = source.rows()
        if any(rows == start.source for start in found.starts):
            continue
        arguments = {f.name: _arguments(f, rows, domains, mapping) for f in concerned}
        with_null = {
            f.name: with_nulls(
                arguments[f.name], [p for p in f.params if (f.name, p) in domains.nullable]
            )
            for f in concerned
        }
        found.starts.append(Start(rows, made, arguments, with_null))
    if not any(any(start.source.values()) for start in found.starts) and broken:
        raise Unrelated(str(broken))


def _walk(
    found: Simulation, compiled: list[Compiled], domains: Domains, chance: random.Random, walk: int
):
    """Put the source into a state that updates reach, from random rows in tables that no update
    fills. The first walk is empty.
    """
    filled = {s.table for c in compiled for s in c.function.statements if isinstance(s, Insert)}
    rows = (
        {}
        if walk == 0
        else _given(
            found.source,
            [n for n in found.source.names if n not in filled],
            chance,
            NULLS if domains.nullable else 0.0,
        )
    )
    found.source.load({})
    late: list[str] = []
    try:
        found.source.load(rows)
    except Broken:
        found.source.load({})
        late = ordered_by(rows, found.source.edges)
    inserting = [c for c in compiled if any(isinstance(s, Insert) for s in c.function.statements)]
    done, steps = 0, min(walk, STEPS + 2)
    for number in range(1, TRIES):
        if done >= steps or not compiled:
            break
        one = chance.choice(inserting if inserting and chance.random() < 0.8 else compiled)
        call = {
            name: pick(one.function, name, found.source, domains, chance)
            for name in one.function.params
        }
        try:
            found.source.call(one, call, number)
            done += 1
        except Broken:
            continue
    for name in late:
        _refer(found.source, name, rows[name], chance)
    if walk:
        _fill_unwritten(found, chance)


def _fill_unwritten(found: Simulation, chance: random.Random) -> None:
    """Put values into columns that the program reads and never writes: the data may have some."""
    base = found.source
    for table, column in unwritten(found.program, base.tables):
        if table in base.names:
            values = domain(base.tables.type_of((table, column)))
            base.fill(table, column, lambda values=values: chance.choice(values))


def unwritten(program: Program, tables: Tables) -> list[Place]:
    """Columns that some function reads and none writes, of tables that functions fill; keys and
    references are none.
    """
    filled, written = set(), set()
    for function in program.functions:
        for one in function.statements:
            pairs = one.sets if isinstance(one, Update) else ()
            written |= {(one.table, column) for column, _ in pairs}
            if isinstance(one, Insert | Fill):
                filled.add(one.table)
                written |= {(one.table, column) for column in one.columns}
    refer = {(edge.table, column) for edge in tables.edges for column in edge.columns}
    return [
        (table, column)
        for table, column in sorted(read_places(program, tables))
        if table in filled
        and (table, column) not in written | refer
        and column in tables[table].stored
        and column not in tables[table].keyed | tables[table].numbered
    ]


def _refer(source: Database, name: str, rows: list[tuple], chance: random.Random) -> None:
    """Put rows into a table that no update fills, with references to rows that are there by now:
    their keys may be such as no row drawn at random has.
    """
    stored = source.tables[name].stored
    for row in rows:
        cells = dict(zip(stored, row, strict=True))
        for edge in source.edges:
            if edge.table != name or any(cells[column] is None for column in edge.columns):
                continue
            columns = ", ".join(map(name_of, edge.to_columns))
            there = source.base.execute(f"SELECT {columns} FROM {name_of(edge.to)}").fetchall()
            cells |= dict(zip(edge.columns, chance.choice(there), strict=True)) if there else {}
        source.add(name, tuple(cells.values()))


def pick(
    function: Function, name: str, base: Database, domains: Domains, chance: random.Random
) -> Any:
    """Choose an argument: often a value that is there already in the parameter's column, or one
    that a reference asks for.

    Args:
      function: the function to call.
      name: the parameter.
      base: the database that the call runs on.
      domains: the values of every parameter.
      chance: the source of random numbers.

    Returns:
      The value; None, for NULL, only where the parameter allows it.
    """
    table, column = placed(function).get(name, [("", "")])[0]
    if table and chance.random() < 0.6:
        places = [
            (e.to, e.to_columns[e.columns.index(column)])
            for e in base.edges
            if e.table == table and column in e.columns
        ]
        for place in [*places, (table, column)]:
            if place[0] in base.names:
                sql = (
                    f"SELECT DISTINCT {name_of(place[1])} FROM {name_of(place[0])} WHERE "
                    f"{name_of(place[1])} IS NOT NULL"
                )
                if there := base.base.execute(sql).fetchall():
                    return chance.choice(there)[0]
    if (function.name, name) in domains.nullable and chance.random() < NULLS:
        return None
    return chance.choice(domains.by_parameter[function.name, name])


def _given(
    source: Database, names: list[str], chance: random.Random, nulls: float
) -> dict[str, list[tuple]]:
    """A few rows for tables that no update fills: keys differ, references lead to values of the
    same small range.
    """
    made = {}
    for name in names:
        table = source.tables[name]
        keys = table.keyed
        referring = {
            column for edge in source.edges if edge.table == name for column in edge.columns
        }
        rows = {}
        for n in range(2 + chance.randrange(2)):
            row = tuple(
                None
                if column not in keys and column not in table.required and chance.random() < nulls
                else _apart(source.tables, name, kind, n)
                if column in keys
                else domain(kind)[chance.randrange(2 if column in referring else 3)]
                for column, kind in table.types.items()
                if column not in table.computed
            )
            rows[tuple(row[table.stored.index(c)] for c in table.key) or row] = row
        made[name] = list(rows.values())
    return made


def _apart(tables: Tables, name: str, kind: str, n: int) -> Any:
    """The n-th key of a table; tables that share no key have others."""
    groups = [[table for table, _ in group] for group in tables.apart]
    rank = next((group.index(name) for group in groups if name in group), 0)
    if not rank or kind not in ("int", "str"):
        return domain(kind)[n]
    return 100 * rank + n if kind == "int" else f"{domain(kind)[n]}{rank}"


def _arguments(function: Function, rows, domains: Domains, mapping) -> list[dict[str, Any]]:
    """Arguments for one database: two values that are there and one of the domain for each
    parameter, pairwise.
    """
    options = []
    for name in function.params:
        table, column = placed(function).get(name, [("", "")])[0]
        there = []
        if table in rows and column in mapping.source[table].stored:
            position = mapping.source[table].stored.index(column)
            there = list(
                dict.fromkeys(row[position] for row in rows[table] if row[position] is not None)
            )[:2]
        options.append(
            tuple(dict.fromkeys([*there, *domains.by_parameter[function.name, name]]))[:3]
        )
    return [dict(zip(function.params, row, strict=True)) for row in pairwise(options)]


def map_rows(found: Simulation, names) -> dict[str, list[tuple]]:
    """The rows that the mapping makes of the source's present ones."""
    rules = found.mapping.rules
    return {
        name: found.source.base.execute(query_of(rules[name], found.mapping)).fetchall()
        for name in names
        if name in rules
    }
