"""Arguments for calls: few values of each type, combined so that every pair of values of two
parameters occurs.
"""

import functools
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reasoning.synthesis.migrator.sql.given_keys import given_rows, inserted
from reasoning.synthesis.migrator.sql.parse import placed
from reasoning.synthesis.migrator.sql.program import (
    Agg,
    Cmp,
    Col,
    Delete,
    Expr,
    Fresh,
    Function,
    Insert,
    Lit,
    Param,
    Program,
    Select,
    Update,
)
from reasoning.synthesis.migrator.sql.tables import Tables
from reasoning.synthesis.migrator.sql.visitors import nodes
from reasoning.synthesis.migrator.testing.database import FRESH_START, fresh_value

DOMAINS: dict[str, tuple] = {
    "int": (1, 2, 3),
    "str": ("a", "b", "c"),
    "float": (0.5, 1.5, 2.5),
    "decimal": (0.25, 1.25, 2.25),
    "bool": (0, 1),
    "date": ("2024-01-01", "2024-02-02", "2024-03-03"),
    "datetime": ("2024-01-01 10:00:00", "2024-02-02 10:00:00", "2024-03-03 10:00:00"),
}
"""Values by type. Columns of one type share them, so that a wrong column of the same type meets
equal and unequal values.
"""


def domain(kind: str) -> tuple:
    """The values of a type; those that are none of ours take texts."""
    return DOMAINS.get(kind, DOMAINS["str"])


@dataclass(frozen=True)
class Domains:
    """The values that each parameter of each function takes."""

    by_parameter: dict[tuple[str, str], tuple]
    """Values by (function, parameter)."""
    nullable: frozenset[tuple[str, str]] = frozenset()
    """(function, parameter) that NULL is tried for, too: those stored in no column that must have a
    value.
    """
    referring: frozenset[tuple[str, str]] = frozenset()
    """Nullable parameters that are stored in references, which NULL may leave open."""

    def of(self, function: Function, most: int = 3) -> list[tuple]:
        """The values of its parameters, at most so many each."""
        return [self.by_parameter[function.name, name][:most] for name in function.params]

    def rows(self, function: Function, most: int = 3) -> list[dict[str, Any]]:
        """Arguments that cover every pair of values."""
        return [
            dict(zip(function.params, row, strict=True))
            for row in pairwise(self.of(function, most))
        ]


def with_nulls(rows: list[dict[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of arguments in which each of some parameters is NULL, and one in which all are."""
    if not rows or not names:
        return []
    first, last = rows[0], rows[-1]
    found = [{**one, name: None} for name in names for one in (first, last)]
    found.append({**first, **dict.fromkeys(names)})
    return [row for n, row in enumerate(found) if row not in found[:n]]


def domains_of(program: Program, tables: Tables) -> Domains:
    """Values for all parameters: fresh keys where a column holds them, literals of the program
    where it compares with them.
    """
    fresh = _fresh_columns(program, tables)
    literals = _literals(program)
    found, nullable, referring = {}, set(), set()
    refers = {(edge.table, column) for edge in tables.edges for column in edge.columns}
    for function in program.functions:
        stored = _stored(function)
        for name, places in placed(function).items():
            found[function.name, name] = _values(places, tables, fresh, literals)
            kept = stored.get(name, set())
            needed = any(c in {*tables[t].required, *tables[t].key} for t, c in kept)
            if ("", "") not in places and not needed:
                nullable.add((function.name, name))
                referring |= {(function.name, name)} if kept & refers else set()
        for name in _counted(function):
            found[function.name, name] = (1, 2, 0)
        for name in function.params:
            found.setdefault((function.name, name), (1,))  # nothing uses it
    return Domains(found, frozenset(nullable), frozenset(referring))


QUOTED, NUMBER = re.compile(r"'((?:[^']|'')*)'"), re.compile(r"(?<![\w.{])\d{1,9}(?![\w.}])")
"""Constants in the text of an expression."""
MOST_CONSTANTS = 3
"""Constants of the programs that random calls use, for each type."""


def widened(
    domains: Domains, tables: Tables, old: Iterable[Function], compared: Iterable[Function]
) -> Domains:
    """The domains with the empty text, zero and the constants of both programs, for calls at
    random: what a function takes for a missing value may be there, too.

    Args:
      domains: values for the parameters of the old functions.
      tables: the old schema.
      old: the old functions.
      compared: functions of both programs whose constants count.
    """
    more: dict[str, list] = {"str": [""], "int": [0]}
    for node in nodes(tuple(function.statements for function in compared)):
        if isinstance(node, Lit) and type(node.value) in (str, int):
            more["str" if isinstance(node.value, str) else "int"].append(node.value)
        elif isinstance(node, Expr):
            more["str"] += [one.replace("''", "'") for one in QUOTED.findall(node.running)]
            more["int"] += map(int, NUMBER.findall(QUOTED.sub("", node.running)))
    more = {kind: list(dict.fromkeys(v))[: 1 + MOST_CONSTANTS] for kind, v in more.items()}
    found = dict(domains.by_parameter)
    for function in old:
        for name, places in placed(function).items():
            kind = "" if ("", "") in places else tables.type_of(places[0])
            fixed = any(column in tables[t].allowed for t, column in places if t in tables)
            known = found[function.name, name]
            if kind in more and not fixed and not any(map(_is_fresh, known)):
                found[function.name, name] = tuple(dict.fromkeys([*known, *more[kind]]))
    return replace(domains, by_parameter=found)


def _is_fresh(value: Any) -> bool:
    """Test if a value stands for a key that a call has given."""
    if isinstance(value, str):
        return value.startswith("~")
    return isinstance(value, int) and value >= FRESH_START


def _counted(function: Function) -> set[str]:
    """Parameters compared with an aggregate: they are 0, too, which lets empty groups in."""
    return {
        side.name
        for node in nodes(function.statements)
        if isinstance(node, Cmp) and any(isinstance(n, Agg) for n in nodes((node.left, node.right)))
        for side in (node.left, node.right)
        if isinstance(side, Param)
    }


def _stored(function: Function) -> dict[str, set[tuple[str, str]]]:
    """The columns that parameters are stored in as they are."""
    found: dict[str, set[tuple[str, str]]] = {}
    for one in function.statements:
        pairs = (
            list(zip(one.columns, one.values, strict=True))
            if isinstance(one, Insert)
            else one.sets
            if isinstance(one, Update)
            else ()
        )
        for column, value in pairs:
            if isinstance(value, Param):
                found.setdefault(value.name, set()).add((one.table, column))
    return found


def _values(places, tables, fresh, literals):
    if places[0] == ("", ""):
        return (1, 2)
    kind = tables.type_of(places[0])
    for place in places:
        if numbers := fresh.get(place):
            calls = ((1, 0), (2, 0), (1, 1), (3, 0))
            made = [fresh_value(kind, call, numbers[n]) for call, n in calls if n < len(numbers)]
            return tuple(made)
    known = [
        value
        for place in places
        for value in literals.get(place, ())
        if not isinstance(value, bool)
    ]
    known += [
        int(value)
        for place in places
        for value in literals.get(place, ())
        if isinstance(value, bool)
    ]
    return tuple(dict.fromkeys([*known[:2], *domain(kind)]))[:4]


def _fresh_columns(program: Program, tables: Tables) -> dict[tuple[str, str], list[int]]:
    """The columns in which fresh keys are stored, with their numbers, and those that
    refer to them.
    """
    found: dict[tuple[str, str], list[int]] = {}
    for function in program.functions:
        for statement in function.statements:
            rows = given_rows(statement)
            for value, column in inserted(statement).items():
                if not isinstance(value, Fresh):
                    continue
                known = found.setdefault((statement.table, column), [])
                numbers = (value.number, value.number + 1)[: 2 if column in rows else 1]
                known += [number for number in numbers if number not in known]
    for _ in range(3):
        for edge in tables.edges:
            for one, other in zip(edge.columns, edge.to_columns, strict=True):
                if (edge.to, other) in found:
                    found.setdefault((edge.table, one), found[edge.to, other])
    return found


def _literals(program: Program) -> dict[tuple[str, str], list]:
    """Literals by the (table, column) that they are compared with or stored in."""
    found: dict[tuple[str, str], list] = {}
    for function in program.functions:
        for tree in nodes(function.statements):
            if isinstance(tree, Select):
                names = {source.alias: source.table for source in tree.sources}
            elif isinstance(tree, Delete | Update):
                names = {tree.table: tree.table}
            elif isinstance(tree, Insert):
                names = {}
                for column, value in zip(tree.columns, tree.values, strict=True):
                    if isinstance(value, Lit) and value.value is not None:
                        found.setdefault((tree.table, column), []).append(value.value)
            else:
                continue
            for node in nodes(tree.where if hasattr(tree, "where") else ()):
                if (
                    isinstance(node, Cmp)
                    and isinstance(node.left, Col)
                    and isinstance(node.right, Lit)
                    and node.right.value is not None
                ):
                    found.setdefault((names.get(node.left.alias, ""), node.left.name), []).append(
                        node.right.value
                    )
    return {place: list(dict.fromkeys(values)) for place, values in found.items()}


def pairwise(domains: Sequence[Sequence]) -> list[tuple]:
    """Rows in which every pair of values of two positions occurs, greedily few.

    Args:
      domains: the values of each position; none is empty.
    """
    return [
        tuple(domains[n][v] for n, v in enumerate(row))
        for row in _covering(tuple(map(len, domains)))
    ]


@functools.lru_cache(maxsize=10_000)
def _covering(sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The same for positions in the domains."""
    if len(sizes) <= 2:
        return list(itertools.product(*map(range, sizes)))
    missing = {
        (a, x, b, y)
        for a, b in itertools.combinations(range(len(sizes)), 2)
        for x in range(sizes[a])
        for y in range(sizes[b])
    }
    rows = []
    while missing:
        row: list[int | None] = [None] * len(sizes)
        a, x, b, y = min(missing)
        row[a], row[b] = x, y
        for n in range(len(sizes)):
            if row[n] is None:
                row[n] = max(
                    range(sizes[n]),
                    key=lambda v, n=n: (_covers(row, n, v, missing), -((v + len(rows) + n) % 7)),
                )
        covered = {(i, row[i], j, row[j]) for i, j in itertools.combinations(range(len(row)), 2)}
        missing -= covered
        rows.append(tuple(row))  # type: ignore[arg-type]
    return rows


def _covers(row, n, v, missing):
    known = [(m, w) for m, w in enumerate(row) if w is not None and m != n]
    return sum(((m, w, n, v) if m < n else (n, v, m, w)) in missing for m, w in known)
