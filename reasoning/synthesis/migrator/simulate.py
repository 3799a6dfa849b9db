"""Functions tested one by one: both programs start in databases that the data mapping relates, and must stay so.

Our choice, and why nothing like a search through sequences is needed to reject a candidate: if the databases are related before a call and
after it, for every update, and related databases give every query the same rows, then so do all sequences. The source's databases are
reached by the program's own updates, so that what holds in them holds here. Invented keys are compared up to renaming.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from reasoning.synthesis.migrator.database import Broken, Compiled, Database, compile_function
from reasoning.synthesis.migrator.mapping import Copy, DataMapping, Fixed, Made, Rule, condition
from reasoning.synthesis.migrator.parse import placed
from reasoning.synthesis.migrator.program import Function, Insert, Program, Select
from reasoning.synthesis.migrator.show import literal, name_of
from reasoning.synthesis.migrator.values import DOMAINS, Domains, domains_of, pairwise

WALKS, STEPS, TRIES = 12, 5, 40
"""Databases, the updates that lead to each, and calls tried to find so many that succeed."""
NOW = 90
"""The number of the call under test: its fresh keys are none of those made before."""
ROUNDS = 4
"""How far fresh keys are told apart by the rows around them."""


@dataclass(frozen=True)
class Start:
    """A pair of related databases."""

    source: dict[str, list[tuple]]
    """Rows of the old schema."""
    target: dict[str, list[tuple]]
    """What the mapping makes of them."""
    arguments: dict[str, list[dict[str, Any]]]
    """Arguments to try, by function."""


@dataclass(frozen=True)
class Failure:
    """A call after which, or in which, the two programs differ."""

    function: str
    """That was called."""
    start: int
    """Number of the pair."""
    arguments: dict[str, Any]
    """Of the call."""
    what: str
    """The difference."""


@dataclass
class Simulation:
    """Related databases for the functions of a program that a mapping concerns."""

    program: Program
    """The old one."""
    mapping: DataMapping
    """That relates the databases."""
    source: Database
    """Old schema, as far as it is concerned."""
    target: Database
    """New schema, likewise."""
    starts: list[Start]
    """Where tests begin."""
    expected: dict = field(default_factory=dict)
    """What the old program does, by function, start and arguments: computed once."""
    tests: int = 0
    """Calls compared."""


@dataclass(frozen=True)
class Fails:
    """The outcome of a call that failed; one is like the other."""

    why: str = field(compare=False)
    """As the database says it."""


class Unrelated(Exception):
    """The mapping relates no database of the source to one of the target."""


def simulation(program: Program, mapping: DataMapping, concerned: Sequence[Function], seed: int = 0) -> Simulation:
    """Databases for testing the functions concerned.

    Args:
      program: the old program.
      mapping: a candidate for what relates the databases.
      concerned: functions to test.
      seed: of the random walks.

    Raises:
      Unrelated: what the mapping makes of reachable databases breaks keys or references of the new schema.
    """
    names = set(mapping.touched).union(*(f.tables & set(mapping.source.by_name) for f in concerned))
    for _ in range(3):
        filled = {name for name, rule in mapping.rules.items() if set(rule.body) & names}
        names |= {table for name in filled for table in mapping.rules[name].body}
    filled |= {name for name in mapping.target.by_name if name not in mapping.source and name not in mapping.rules}
    source, target = Database(mapping.source, names), Database(mapping.target, filled)
    builders = [f for f in program.functions if f.statements and not f.is_query and f.tables <= names]
    found = Simulation(program, mapping, source, target, [])
    chance = random.Random(f"walks {seed}")
    domains = domains_of(program, mapping.source)
    compiled = [compile_function(f, mapping.source) for f in builders]
    broken = None
    for walk in range(WALKS):
        _walk(found, compiled, domains, chance, walk)
        made = map_rows(found, filled)
        try:
            target.load(made)
        except Broken as problem:
            broken = problem
            continue
        rows = source.rows()
        if any(rows == start.source for start in found.starts):
            continue
        arguments = {f.name: _arguments(f, rows, domains, mapping) for f in concerned}
        found.starts.append(Start(rows, made, arguments))
    if not any(any(start.source.values()) for start in found.starts) and broken:
        raise Unrelated(str(broken))
    return found


def _walk(found: Simulation, compiled: list[Compiled], domains: Domains, chance: random.Random, walk: int):
    """Put the source into a state that updates reach, from random rows in tables that no update fills. The first walk is empty."""
    filled = {s.table for c in compiled for s in c.function.statements if isinstance(s, Insert)}
    rows = {} if walk == 0 else _given(found.source, [n for n in found.source.names if n not in filled], chance)
    found.source.load({})
    try:
        found.source.load(rows)
    except Broken:
        found.source.load({})
    inserting = [c for c in compiled if any(isinstance(s, Insert) for s in c.function.statements)]
    done, steps = 0, min(walk, STEPS + 2)
    for number in range(1, TRIES):
        if done >= steps or not compiled:
            break
        one = chance.choice(inserting if inserting and chance.random() < 0.8 else compiled)
        call = {name: pick(one.function, name, found.source, domains, chance) for name in one.function.params}
        try:
            found.source.call(one, call, number)
            done += 1
        except Broken:
            continue


def pick(function: Function, name: str, base: Database, domains: Domains, chance: random.Random) -> Any:
    """An argument: often a value that is there already where the parameter goes, or one that a reference asks for."""
    table, column = placed(function)[name][0]
    if table and chance.random() < 0.6:
        places = [(e.to, e.to_columns[e.columns.index(column)]) for e in base.edges if e.table == table and column in e.columns]
        for place in [*places, (table, column)]:
            if place[0] in base.names:
                sql = f"SELECT DISTINCT {name_of(place[1])} FROM {name_of(place[0])} WHERE {name_of(place[1])} IS NOT NULL"
                if there := base.base.execute(sql).fetchall():
                    return chance.choice(there)[0]
    return chance.choice(domains.by_parameter[function.name, name])


def _given(source: Database, names: list[str], chance) -> dict[str, list[tuple]]:
    """A few rows for tables that no update fills: keys differ, references lead to values of the same small range."""
    made = {}
    for name in names:
        table = source.tables[name]
        keys = table.keyed
        referring = {column for edge in source.edges if edge.table == name for column in edge.columns}
        rows = {}
        for n in range(2 + chance.randrange(2)):
            row = tuple(
                DOMAINS[kind][n if column in keys else chance.randrange(2 if column in referring else 3)]
                for column, kind in table.types.items()
            )
            rows[tuple(row[list(table.types).index(c)] for c in table.key) or row] = row
        made[name] = list(rows.values())
    return made


def _arguments(function: Function, rows, domains: Domains, mapping) -> list[dict[str, Any]]:
    """Arguments for one database: two values that are there and one of the domain for each parameter, pairwise."""
    options = []
    for name in function.params:
        table, column = placed(function)[name][0]
        there = []
        if table in rows:
            position = list(mapping.source[table].types).index(column)
            there = list(dict.fromkeys(row[position] for row in rows[table] if row[position] is not None))[:2]
        options.append(tuple(dict.fromkeys([*there, *domains.by_parameter[function.name, name]]))[:3])
    return [dict(zip(function.params, row, strict=True)) for row in pairwise(options)]


def map_rows(found: Simulation, names) -> dict[str, list[tuple]]:
    """The rows that the mapping makes of the source's present ones."""
    rules = found.mapping.rules
    return {name: found.source.base.execute(query_of(rules[name], found.mapping)).fetchall() for name in names if name in rules}


def query_of(rule: Rule, mapping: DataMapping) -> str:
    """The rule as a query over the source in SQLite; made keys are the anchor's row numbers beyond all other values."""
    cells = []
    for column, cell in rule.cells.items():
        if isinstance(cell, Copy):
            cells.append(f"{name_of(cell.table)}.{name_of(cell.column)}")
        elif isinstance(cell, Fixed):
            cells.append(literal(cell.value))
        else:
            assert isinstance(cell, Made)
            text = mapping.target[rule.table].types[column] == "str"
            number = f"{name_of(cell.anchor)}.rowid"
            cells.append(f"'m' || {number}" if text else f"{number} + 500000")
    return f"SELECT {', '.join(cells)} FROM {joined(rule)}"


def joined(rule: Rule, dialect: str = "sqlite", shown: Callable[[str], str] = str) -> str:
    """The FROM clause of a rule: everything is joined to the anchor, whose rows all stay; `shown` is what a table is called."""
    called = lambda table: name_of(shown(table), dialect)
    text, done, left = called(rule.anchor), {rule.anchor}, set(rule.tree)
    while left:
        edge = min(e for e in left if (e.table in done) != (e.to in done))
        left.discard(edge)
        new = edge.to if edge.table in done else edge.table
        column = lambda place: f"{called(place[0])}.{name_of(place[1], dialect)}"
        on = " AND ".join(f"{column(a)} = {column(b)}" for a, b in condition(edge))
        text += f" LEFT JOIN {called(new)} ON {on}"
        done.add(new)
    return text


def fail_of(found: Simulation, old: Function, new: Function) -> Failure | None:
    """The first call in which a candidate differs from the function that it stands for; None if there is none."""
    compiled = compile_function(new, found.mapping.target)
    before = compile_function(old, found.mapping.source)
    try_one = _try_query if old.is_query else _try_update
    for number, start in enumerate(found.starts):
        what = try_one(found, before, compiled, number, start)
        if what:
            return Failure(old.name, number, *what)
    return None


def _try_query(found, before, compiled, number, start):
    found.target.load(start.target)
    for at, arguments in enumerate(start.arguments[before.function.name]):
        mark = (before.function.name, number, at)
        if mark not in found.expected:
            found.source.load(start.source)
            found.expected[mark] = found.source.call(before, arguments, NOW)
        found.tests += 1
        got = found.target.call(compiled, arguments, NOW)
        if not same_rows(found.expected[mark], got, before.function.statements[0]):
            return arguments, f"rows {found.expected[mark][:4]} became {got[:4]}"
    return None


def _try_update(found, before, compiled, number, start):
    tables = _compared(found, before, compiled)
    found.target.load(start.target)
    found.source.load(start.source)
    for at, arguments in enumerate(start.arguments[before.function.name]):
        mark = (before.function.name, number, at, tables)
        if mark not in found.expected:
            found.expected[mark] = _attempt(found.source, before, arguments, lambda: _image(found, tables))
        found.tests += 1
        got = _attempt(found.target, compiled, arguments, lambda: fingerprint(found.target.rows(tables), found.mapping))
        if got != found.expected[mark]:
            return arguments, _difference(found.expected[mark], got)
    return None


def _difference(old, new) -> str:
    for which, outcome in (("new", new), ("old", old)):
        if isinstance(outcome, Fails):
            return f"it fails in the {which} program alone ({outcome.why})"
    return "the databases are no longer related"


def _compared(found: Simulation, before: Compiled, compiled: Compiled) -> tuple[str, ...]:
    """The target tables that the call can change, and those that share invented keys."""
    rules = found.mapping.rules
    names = {name for name, rule in rules.items() if set(rule.body) & before.writes} | compiled.writes
    made = {name for name, _ in found.mapping.made}
    return tuple(sorted((names | made if names & made else names) & set(found.target.names)))


def _attempt(base: Database, compiled: Compiled, arguments, look: Callable[[], Any]):
    """What `look` sees after a call, which is undone; `Fails` if the call fails."""
    base.mark()
    try:
        base.call(compiled, arguments, NOW)
        return look()
    except Broken as broken:
        return Fails(str(broken))
    finally:
        base.back()


def _image(found: Simulation, tables):
    rows = dict.fromkeys(tables, ()) | map_rows(found, tables)
    return fingerprint(rows, found.mapping)


def fingerprint(rows: dict[str, Sequence[tuple]], mapping: DataMapping) -> tuple:
    """The same for databases that are equal up to the names of invented keys (and, by chance, for few that are not).

    Invented keys are coloured by the rows around them, round after round, as Weisfeiler and Leman colour graphs.
    """
    colours: dict[Any, int] = {}
    made = {name: owners(mapping, name) for name in rows}
    if not any(made.values()):
        return tuple((name, frozenset(Counter(rows[name]).items())) for name in sorted(rows) if rows[name])

    def coloured(name, row):
        return (
            name,
            *(("key", colours.get((made[name][n], v), 0)) if n in made[name] and v is not None else v for n, v in enumerate(row)),
        )

    for _ in range(ROUNDS):
        around: dict[Any, list] = {}
        for name, found in rows.items():
            for row in found:
                shown = hash(coloured(name, row))
                for n in made[name]:
                    around.setdefault((made[name][n], row[n]), []).append((name, n, shown))
        colours = {value: hash(frozenset(Counter(seen).items())) for value, seen in around.items()}
    return (frozenset(Counter(coloured(name, row) for name, found in rows.items() for row in found).items()),)


def owners(mapping: DataMapping, table: str) -> dict[int, Any]:
    """The positions of invented keys in a target table, and the column that each was invented for."""
    cells = mapping.rules[table].cells if table in mapping.rules else {}
    return {n: cell.owner for n, cell in enumerate(cells.values()) if isinstance(cell, Made)}


def same_rows(one: Sequence[tuple], other: Sequence[tuple], select: Select) -> bool:
    """Whether two results agree: as multisets, and, where columns put out decide the order, in these columns' order.

    Our choice: behind a LIMIT, rows that the order leaves open may differ, so only their number and the ordered columns are compared.
    """
    names = {out.value: n for n, out in enumerate(select.outs)}
    keys = [names[column] for column, _ in select.order if column in names]
    ordered = lambda rows: [tuple(row[n] for n in keys) for row in rows]
    if len(one) != len(other) or (keys and ordered(one) != ordered(other)):
        return False
    return select.limit is not None or Counter(one) == Counter(other)
