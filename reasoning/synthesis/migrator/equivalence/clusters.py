"""Dependencies of queries: for every query the updates, arguments and tables that it could
ever depend on.

Our choice. Leaving out a call that writes nothing a query depends on changes no answer of the
query, so sequences with such calls need no test; neither do different values for a parameter that
is only stored where nothing looks. Dependence is by column, in both programs: what a query names,
what the updates name that write such columns, keys and references of these tables.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reasoning.synthesis.migrator.sql.parse import placed
from reasoning.synthesis.migrator.sql.program import (
    Delete,
    Fill,
    Function,
    Insert,
    Select,
    Source,
    Update,
)
from reasoning.synthesis.migrator.sql.tables import Tables
from reasoning.synthesis.migrator.sql.visitors import columns, nodes, reads, writes
from reasoning.synthesis.migrator.testing.actions import also_changed
from reasoning.synthesis.migrator.testing.inputs import Domains, pairwise, with_nulls

Pair = tuple[Function, Function]
Place = tuple[int, str, str]
"""Side (0 old, 1 new), table, column."""


@dataclass(frozen=True)
class Cluster:
    """Queries over the same tables, and all that they depend on."""

    queries: tuple[str, ...]
    """Functions asked at the end of a sequence."""
    updates: tuple[str, ...]
    """Functions that sequences are made of."""
    tables: tuple[frozenset[str], frozenset[str]]
    """Tables of the old schema and of the new one that matter to them."""
    arguments: dict[tuple[str, int], list[dict[str, Any]]]
    """Arguments of the calls, by function and number of values for each parameter (2 or 3)."""


def clusters(
    pairs: dict[str, Pair],
    differing: Iterable[str],
    schemas: tuple[Tables, Tables],
    domains: Domains,
    values: int = 3,
) -> list[Cluster]:
    """Clusters for all queries in which a difference could show, small ones first; updates that no
    query depends on have their own.

    Args:
      pairs: old and new functions by name, those inside the fragment.
      differing: functions that are not the same text on the same tables.
      schemas: old and new.
      domains: values for all parameters.
      values: most values for each parameter.
    """
    differing = set(differing) & set(pairs)  # those outside the fragment are never run
    queries = [
        name
        for name, pair in pairs.items()
        if pair[0].is_query and (name in differing or _disturbed(pair, pairs, differing, schemas))
    ]
    groups: dict[tuple, list[str]] = {}
    for name in queries:
        groups.setdefault(tuple(frozenset(_reads(f)) for f in pairs[name]), []).append(name)
    found = [_cluster(tuple(names), pairs, schemas, domains, values) for names in groups.values()]
    covered = {name for cluster in found for name in cluster.updates}
    found += [
        _cluster((), pairs, schemas, domains, values, name)
        for name in pairs
        if name in differing - covered and not pairs[name][0].is_query
    ]
    return sorted(found, key=lambda cluster: (len(cluster.updates), cluster.queries))


def _reads(function: Function) -> set[str]:
    return set().union(*map(reads, function.statements))


def _writes(function: Function, tables: Tables) -> set[str]:
    return set().union(*(writes(s) | also_changed(s, tables) for s in function.statements))


def _disturbed(query: Pair, pairs, differing, schemas) -> bool:
    """Test if an unchanged query reads a table that a changed update writes."""
    return any(
        _reads(query[n]) & _writes(pairs[name][n], schemas[n]) for name in differing for n in (0, 1)
    )


def _cluster(
    names, pairs: dict[str, Pair], schemas, domains: Domains, values: int, alone: str = ""
) -> Cluster:
    """Everything that some queries, or one update alone, depend on."""
    needed: set[Place] = set()
    for name in [*names, *([alone] if alone else [])]:
        needed |= {place for side in (0, 1) for place in _named(pairs[name][side], side, schemas)}
    updates: list[str] = [alone] if alone else []
    waiting = [name for name, pair in pairs.items() if not pair[0].is_query and name != alone]
    grown = True
    while grown:
        needed |= {
            place
            for side in (0, 1)
            for place in _keys({t for s, t, _ in needed if s == side}, side, schemas)
        }
        now = [
            name
            for name in waiting
            if any(_touches(pairs[name][side], side, needed, schemas) for side in (0, 1))
        ]
        waiting = [name for name in waiting if name not in now]
        for name in now:
            needed |= {
                place for side in (0, 1) for place in _chosen_by(pairs[name][side], side, schemas)
            }
        updates += now
        grown = bool(now)
    order = [name for name in pairs if name in updates]
    functions = [*names, *order]
    tables = tuple(
        frozenset().union(
            *(
                _reads(pairs[name][side]) | _writes(pairs[name][side], schemas[side])
                for name in functions
            )
        )
        & frozenset(schemas[side].by_name)
        for side in (0, 1)
    )
    rows = {
        (name, most): _arguments(pairs[name], needed, domains, min(most, values), name in names)
        for name in functions
        for most in (2, 3)
    }
    return Cluster(names, tuple(order), tables, rows)  # type: ignore[arg-type]


def _named(function: Function, side: int, schemas) -> set[Place]:
    """All columns that a function names, of tables of its schema; a table whose rows only count by
    all of its key.
    """
    found: set[Place] = set()
    for tree in nodes(function.statements):
        found |= _places(tree, side)
        if isinstance(tree, Source):
            found |= {
                (side, tree.table, key)
                for key in (schemas[side][tree.table].key if tree.table in schemas[side] else ())
            }
            found |= {(side, tree.table, "")}
    return found


def _places(tree, side) -> set[Place]:
    if isinstance(tree, Select):
        names = {source.alias: source.table for source in tree.sources}
        on = tuple(source.on for source in tree.sources)
        used = columns((tree.outs, tree.joins, tree.where, tree.order, tree.group, tree.having, on))
    elif isinstance(tree, Delete | Update):
        names, used = (
            {tree.table: tree.table},
            columns((tree.where, tree.sets if isinstance(tree, Update) else ())),
        )
    else:
        return set()
    return {(side, names.get(column.alias, column.alias), column.name) for column in used}


def _keys(tables: set[str], side: int, schemas) -> set[Place]:
    """Columns that decide whether a change of these tables succeeds: keys, and references among
    them.
    """
    found = {
        (side, name, key)
        for name in tables
        if name in schemas[side]
        for key in schemas[side][name].keyed
    }
    for edge in schemas[side].edges:
        if {edge.table, edge.to} <= tables:
            found |= {(side, edge.table, column) for column in edge.columns} | {
                (side, edge.to, column) for column in edge.to_columns
            }
    return found


def _touches(function: Function, side: int, needed: set[Place], schemas) -> bool:
    tables = {table for at, table, _ in needed if at == side}
    for statement in function.statements:
        if also_changed(statement, schemas[side]) & tables:
            return True
        if isinstance(statement, Insert | Fill | Delete) and statement.table in tables:
            return True
        if isinstance(statement, Update) and any(
            (side, statement.table, column) in needed for column, _ in statement.sets
        ):
            return True
    return False


def _chosen_by(function: Function, side: int, schemas) -> set[Place]:
    """Columns that decide which rows an update changes, and to which values."""
    changed = _writes(function, schemas[side])
    return _named(function, side, schemas) | {(side, t, "") for t in changed}


def _arguments(
    pair: Pair, needed: set[Place], domains: Domains, most: int, query: bool
) -> list[dict[str, Any]]:
    """Pairwise over the parameters that matter; the others have one value."""
    old = pair[0]
    matters = set()
    for side, function in enumerate(pair):
        stored = {
            (side, s.table, c)
            for s in function.statements
            if isinstance(s, Insert) and s.conflict is None
            for c in s.columns
        }
        for name, places in placed(function).items():
            if query or any(
                (side, *place) in needed or (side, *place) not in stored for place in places
            ):
                matters.add(name)
    options = [
        domains.by_parameter[old.name, name][: most if name in matters else 1]
        for name in old.params
    ]
    rows = [dict(zip(old.params, row, strict=True)) for row in pairwise(options)]
    # In long sequences NULL is worth its time only where it leaves a reference open.
    known = domains.nullable if most > 2 else domains.referring & domains.nullable
    return rows + with_nulls(
        rows, [name for name in old.params if name in matters and (old.name, name) in known]
    )
