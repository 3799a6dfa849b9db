"""Source columns that a program cannot do without."""

from reasoning.synthesis.migrator.sql.program import (
    Cmp,
    Col,
    Delete,
    InSelect,
    Insert,
    Program,
    Select,
    Snapshot,
    Update,
)
from reasoning.synthesis.migrator.sql.tables import Place, Tables
from reasoning.synthesis.migrator.sql.visitors import columns, conjuncts, here, nodes

Links = set[frozenset[Place]]
"""Pairs of columns that a reference ties."""


def read_places(program: Program, tables: Tables) -> dict[Place, str]:
    """Source columns whose values decide what is put out or changed, each with a function that
    needs it.

    Columns that only join tables along a reference, in a join or in IN, are none of them: another
      join may take their place.
    """
    links = {
        frozenset(((e.table, a), (e.to, b)))
        for e in tables.edges
        for a, b in zip(e.columns, e.to_columns, strict=True)
    }
    found: dict[Place, str] = {}
    for function in program.functions:
        linked = {
            id(node.select)
            for node in nodes(function.statements)
            if isinstance(node, InSelect) and _inner_link(node, links)
        }
        linked |= {id(s.select) for s in function.statements if isinstance(s, Snapshot)}
        for tree in nodes(function.statements):
            if isinstance(tree, Select | Delete | Update):
                for place in _needed(tree, links, id(tree) in linked):
                    if place[0] in tables:
                        found.setdefault(place, function.name)
    return found


def _names(tree) -> dict[str, str]:
    return (
        {s.alias: s.table for s in tree.sources}
        if isinstance(tree, Select)
        else {tree.table: tree.table}
    )


def _needed(tree, links: Links, linked: bool) -> list[Place]:
    """Columns that one statement or subquery needs, its own subqueries aside."""
    names = _names(tree)

    def place(column):
        return (names[column.alias], column.name)

    if isinstance(tree, Select):
        mine = [] if linked else columns(tree.outs)
        mine += columns((tree.order, tree.group, tree.having))
        for part in (c for s in tree.sources if s.on is not None for c in conjuncts(s.on)):
            ends = columns(part)
            tied = isinstance(part, Cmp) and frozenset(map(place, ends)) in links
            mine += [] if tied else ends
        mine += [c for pair in tree.joins if frozenset(map(place, pair)) not in links for c in pair]
    else:
        mine = []
    inside = [node for node in here(tree.where) if isinstance(node, InSelect)]
    tying = [
        node
        for node in inside
        if _inner_link(node, links, [place(column) for column in node.columns])
        or all(source.table.startswith("chosen_") for source in node.select.sources)
    ]
    mine += _plain(tree.where, tying)
    return [place(column) for column in mine]


def _plain(where, skipped) -> list[Col]:
    """Columns of a condition without those before the skipped INs."""
    if isinstance(where, InSelect):
        return [] if any(where is one for one in skipped) else list(where.columns)
    if isinstance(where, Col):
        return [where]
    if isinstance(where, tuple):
        return [c for part in where for c in _plain(part, skipped)]
    if hasattr(where, "__dataclass_fields__") and not isinstance(where, Select):
        return [
            c for name in where.__dataclass_fields__ for c in _plain(getattr(where, name), skipped)
        ]
    return []


def _inner_link(node: InSelect, links: Links, outer: list[Place] | None = None) -> bool:
    """Test if IN compares columns with those that references tie them to; without `outer`, whether
    references end there.
    """
    names, values = _names(node.select), [out.value for out in node.select.outs]
    if not all(isinstance(value, Col) for value in values):
        return False
    far = [(names[value.alias], value.name) for value in values]
    if outer is None:

        def ends(place, name):
            return any(place in link and any(p[1] == name for p in link) for link in links)

        return all(
            ends(place, column.name) for place, column in zip(far, node.columns, strict=True)
        )
    return all(frozenset(pair) in links for pair in zip(outer, far, strict=True))


def twin_columns(program: Program) -> frozenset[frozenset[Place]]:
    """Pairs of columns of one table into which every INSERT puts the same and no UPDATE anything.

    Our choice: the data script checks that they hold the same in the data.
    """
    equal: dict[str, set[frozenset[str]]] = {}
    for function in program.functions:
        if not function.statements and function.outside:
            continue
        for statement in function.statements:
            if not isinstance(statement, Insert):
                continue
            given = list(zip(statement.columns, statement.values, strict=True))
            pairs = {
                frozenset((a, b))
                for n, (a, x) in enumerate(given)
                for b, y in given[:n]
                if x == y and getattr(x, "value", 0) is not None
            }
            equal[statement.table] = equal.get(statement.table, pairs) & pairs
    changed = {
        (s.table, column)
        for f in program.functions
        for s in f.statements
        if isinstance(s, Update)
        for column, _ in s.sets
    }
    return frozenset(
        frozenset((table, column) for column in pair)
        for table, pairs in equal.items()
        for pair in pairs
        if not any((table, column) in changed for column in pair)
    )
