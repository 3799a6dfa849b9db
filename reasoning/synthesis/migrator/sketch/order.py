"""Order of the DELETEs and UPDATEs of several target tables, in which none reads what an earlier
one changed.

Our choice: references are taken to be checked at once, as engines do unless declared otherwise,
so that rows that refer go first; where no order serves both, a snapshot chooses all rows before the
first change. References declared DEFERRABLE INITIALLY DEFERRED ask for no order.
"""

import itertools
from collections.abc import Callable, Sequence

from reasoning.synthesis.migrator.sketch.target import Unrewritable
from reasoning.synthesis.migrator.sql.program import (
    Col,
    Delete,
    Drop,
    Function,
    InSelect,
    Insert,
    Out,
    Pred,
    Select,
    Snapshot,
    Source,
    Statement,
    Update,
)
from reasoning.synthesis.migrator.sql.tables import Edge, Tables, ordered_by
from reasoning.synthesis.migrator.sql.visitors import reads, writes

Options = list[tuple[Statement, ...]]
"""Alternatives for one target table, likeliest first; the last is usually to do nothing."""
MOST_SNAPSHOTS = 6
"""Ways to choose the rows of all tables at once."""
MOST_ORDERS = 720
"""Most orders tried."""


def in_order(
    plans: dict[str, list[Pred]], make: Callable[[str, Pred], Statement], target: Tables
) -> list[Options]:
    """Options for every table, in an order in which no statement reads what an earlier one changed,
    and rows that refer go first.

    Where there is no such order, all rows are chosen in a snapshot before anything changes.

    Args:
      plans: ways to choose the rows of each table, likeliest first.
      make: the statement for a table and one of them.
      target: the new schema.

    Raises:
      Unrewritable: a snapshot is needed, and a table has no key to be chosen by.
    """
    order = ordered_by(plans, target.edges)[::-1]
    first = {table: make(table, plans[table][0]) for table in order}

    def sound(done):
        return all(
            not (reads(first[late]) - {late}) & writes(first[early])
            for early, late in itertools.combinations(done, 2)
        )

    sound_orders = [
        done for done in itertools.islice(itertools.permutations(order), MOST_ORDERS) if sound(done)
    ]

    def fitting(done):
        return not late_references([first[table] for table in done], target)

    right = next(filter(fitting, sound_orders), None)
    if right is None and sound_orders and not fitting(order):
        right = sound_orders[
            0
        ]  # tables that refer to one another: no order serves references that are checked at once
    if right is not None:
        return [[*((make(table, where),) for where in plans[table]), ()] for table in right]
    picks = sorted(
        itertools.islice(itertools.product(*(range(len(plans[t])) for t in order)), MOST_ORDERS),
        key=sum,
    )
    chosen = [
        {t: plans[t][n] for t, n in zip(order, pick, strict=True)}
        for pick in picks[:MOST_SNAPSHOTS]
    ]
    return [[*dict.fromkeys(at_once(order, one, make, target) for one in chosen), ()]]


def late_references(statements: Sequence[Statement], tables: Tables) -> list[Edge]:
    """References that are broken between two of these statements if rows take part in both, and not
    deferred.
    """
    found = []
    for edge in tables.edges:
        if edge.table == edge.to or (edge.table, edge.columns) in tables.deferred:
            continue
        mine = [
            s
            for s in statements
            if isinstance(s, Insert | Delete | Update) and s.table in (edge.table, edge.to)
        ]
        if any(_breaks(one, other, edge) for one, other in itertools.combinations(mine, 2)):
            found.append(edge)
    return found


def _breaks(one, other, edge: Edge) -> bool:
    def sets(statement, names):
        return isinstance(statement, Update) and any(
            column in names for column, _ in statement.sets
        )

    def moved(a, b):
        return (
            a.table == edge.to
            and b.table == edge.table
            and sets(a, edge.to_columns)
            and sets(b, edge.columns)
        )

    if moved(one, other) or moved(other, one):
        return True
    if isinstance(one, Insert) and isinstance(other, Insert):
        return one.table == edge.table and other.table == edge.to
    freed = isinstance(other, Delete) or sets(other, edge.columns)
    return isinstance(one, Delete) and one.table == edge.to and other.table == edge.table and freed


def late_functions(functions: Sequence[Function], tables: Tables) -> dict[str, list[Edge]]:
    """The functions that may need references to be checked at the end of a transaction,
    and which.
    """
    found = {function.name: late_references(function.statements, tables) for function in functions}
    return {name: edges for name, edges in found.items() if edges}


def key_of(table: str, target: Tables) -> tuple[str, ...]:
    """Its key. Raises Unrewritable if it has none."""
    if not target[table].key:
        raise Unrewritable(f"{table} has no primary key to choose its rows by")
    return target[table].key


def at_once(
    order: Sequence[str], chosen: dict[str, Pred], make, target: Tables
) -> tuple[Statement, ...]:
    """Choose the keys of all rows in a snapshot for each table, then change the tables.

    Args:
      order: the tables, in the order of their changes.
      chosen: for each table the condition that chooses its rows.
      make: gives the statement for a table and a condition.
      target: the new schema.

    Returns:
      The snapshots, the changes, and the statements that drop the snapshots.

    Raises:
      Unrewritable: a table has no key.
    """
    if (rooted := _through_root(order, chosen, make, target)) is not None:
        return rooted
    made: list[Statement] = []
    for n, table in enumerate(order, 1):
        outs = tuple(Out(Col(table, key), key) for key in key_of(table, target))
        made.append(
            Snapshot(
                _unused(f"chosen_{n}", target),
                Select(outs, (Source(table, table),), (), chosen[table]),
            )
        )
    for n, table in enumerate(order, 1):
        name, keys = _unused(f"chosen_{n}", target), key_of(table, target)
        kept = Select(tuple(Out(Col(name, key), key) for key in keys), (Source(name, name),))
        made.append(make(table, InSelect(tuple(Col(table, key) for key in keys), kept)))
    return (*made, *(Drop(_unused(f"chosen_{n}", target)) for n in range(1, len(order) + 1)))


def _through_root(order, chosen, make, target) -> tuple[Statement, ...] | None:
    """The same with one snapshot, of the keys of a table that all others refer to; None if there is
    none.
    """

    def refers(table, root):
        return next(
            (
                e
                for e in target.edges
                if (e.table, e.to, e.to_columns) == (table, root, target[root].key)
            ),
            None,
        )

    for root in order:
        edges = {table: refers(table, root) for table in order if table != root}
        if not all(edges.values()) or not target[root].key:
            continue
        keys, name = target[root].key, _unused("chosen", target)
        chosen_keys = tuple(Out(Col(root, key), key) for key in keys)
        kept = Select(tuple(Out(Col(name, key), key) for key in keys), (Source(name, name),))
        made: list[Statement] = [
            Snapshot(name, Select(chosen_keys, (Source(root, root),), (), chosen[root]))
        ]
        for table in [*edges, root]:
            columns_ = edges[table].columns if table != root else keys
            made.append(
                make(table, InSelect(tuple(Col(table, column) for column in columns_), kept))
            )
        return (*made, Drop(name))
    return None


def _unused(name: str, target: Tables) -> str:
    """The name, with as many more letters as make it no table's."""
    taken = {table.lower() for table in target.by_name}
    while name in taken:
        name += "_"
    return name
