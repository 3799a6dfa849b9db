"""Queries over the source, rewritten over the target: places for columns, joins by Steiner trees.

Source: Migrator (arXiv 1904.05498), sketches of queries. Our choice: tables that a query joins by
references are rewritten together as
one tree in which a target table stands once; other joins, and those of a table with itself, join
such trees. A table that a query joins only for the number of its rows keeps a target table with the
same rows.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from reasoning.synthesis.migrator.correspondence.join_trees import (
    Tree,
    cost,
    steiner_trees,
    tables_of,
)
from reasoning.synthesis.migrator.correspondence.mapping import condition
from reasoning.synthesis.migrator.sketch.target import Unrewritable, View
from reasoning.synthesis.migrator.sql.program import (
    And,
    Cmp,
    Col,
    InSelect,
    Lookup,
    Out,
    Pred,
    Select,
    Source,
)
from reasoning.synthesis.migrator.sql.tables import Edge
from reasoning.synthesis.migrator.sql.visitors import (
    change,
    columns,
    conjunction,
    conjuncts,
    here,
    nodes,
)

MOST = 12
"""Alternatives for one query."""
MOST_PLACINGS = 64
"""Choices of places for the columns of one group of tables."""


@dataclass(frozen=True)
class Chain:
    """Target tables joined as a tree, and where the source's columns are in it."""

    places: dict[Col, tuple[str, str]]
    """Target (table, column) of each column used."""
    tree: Tree
    """The references."""
    tables: tuple[str, ...]
    """All tables."""


def rewritten(select: Select, view: View, reader: str) -> list[Select]:
    """Counterparts of a query, likeliest first.

    Raises:
      Unrewritable: it reads a column without a place, or tables that nothing joins in the target.
    """
    if any(source.select is not None for source in select.sources):
        return _over_subqueries(select, view, reader)
    return _rewritten(select, view, reader)


def _over_subqueries(select: Select, view: View, reader: str) -> list[Select]:
    """Counterparts of a query over subqueries in FROM."""
    inner = [source for source in select.sources if source.select is not None]
    options = [rewritten(source.select, view, reader)[:3] for source in inner]
    found = []
    for picked in itertools.islice(itertools.product(*options), MOST):
        new = dict(zip((source.table for source in inner), picked, strict=True))
        sources = tuple(replace(s, select=new.get(s.table)) for s in select.sources)
        found += _rewritten(replace(select, sources=sources), view, reader)
    return found[:MOST]


def _rewritten(select: Select, view: View, reader: str) -> list[Select]:
    select = flattened(select, view)
    by_alias = {source.alias: source.table for source in select.sources}
    if all(table not in view.mapping.source for table in by_alias.values()):
        return [select]
    groups, loose = _groups(select, by_alias, view)
    on = tuple(source.on for source in select.sources)
    shown = (select.outs, select.where, select.order, select.group, select.having, on)
    used = columns(shown) + [c for join in loose for c in join]
    chains = [
        list(itertools.islice(_chains(group, used, by_alias, select, view, reader), MOST))
        for group in groups
    ]
    if empty := [group for group, found in zip(groups, chains, strict=True) if not found]:
        raise Unrewritable(
            f"{reader}: no reference of the new schema joins what {', '.join(sorted(empty[0]))} "
            "became"
        )
    found = []
    outer = {source.alias: source.on for source in select.sources if source.on is not None}
    chains = [
        [
            chain
            for chain in found
            if not group & set(outer) or _root(chain, outer[next(iter(group))])
        ]
        for group, found in zip(groups, chains, strict=True)
    ]
    if not all(chains):
        raise Unrewritable(f"{reader}: the condition of a LEFT JOIN is over several tables now")
    for picked in itertools.islice(itertools.product(*chains), MOST):
        for where in wheres(select.where, view, reader):
            found.append(_build(replace(select, where=where), groups, picked, loose))
    return found[:MOST]


def _root(chain: Chain, on: Pred) -> str:
    """The table of a chain behind a LEFT JOIN that its condition is over; empty: several."""
    named = {chain.places[c][0] for c in columns(on) if c in chain.places}
    return next(iter(named)) if len(named) == 1 else "" if named else chain.tables[0]


def _left(chain: Chain, names: dict[str, str], on: Pred) -> list[Source]:
    """A chain behind a LEFT JOIN: the table that its condition is over, and those tied to it.

    Our choice: each row of the old table has its row in every table of the chain, so that a LEFT
    JOIN of each finds what one of them together would; tests check it.
    """
    root = _root(chain, on)
    made, done, left = [Source(root, names[root], on)], {root}, set(chain.tree)
    while left:
        edge = min(e for e in left if (e.table in done) != (e.to in done))
        left.discard(edge)
        new = edge.to if edge.table in done else edge.table
        tied = [
            Cmp("=", Col(names[a[0]], a[1]), Col(names[b[0]], b[1])) for a, b in condition(edge)
        ]
        made.append(Source(new, names[new], conjunction(tied)))
        done.add(new)
    return made


def flattened(select: Select, view: View) -> Select:
    """IN over a reference whose columns have no place any more becomes a join."""
    by_alias = {source.alias: source.table for source in select.sources}
    for part in conjuncts(select.where):
        if not isinstance(part, InSelect) or len(part.columns) != 1:
            continue
        inner, outer = part.select, (by_alias[part.columns[0].alias], part.columns[0].name)
        names = {source.alias: source.table for source in inner.sources}
        end = inner.outs[0].value
        if (
            not isinstance(end, Col)
            or names[end.alias] not in view.mapping.source
            or inner.group
            or inner.limit
            or any(source.on is not None for source in (*select.sources, *inner.sources))
            or any(source.select is not None for source in inner.sources)
        ):
            continue
        far = (names[end.alias], end.name)
        if (view.images.get(outer) and view.images.get(far)) or not _reference(view, outer, far):
            continue
        fresh = {alias: alias if alias not in by_alias else f"{alias}_in" for alias in names}
        renamed = change(inner, lambda c, fresh=fresh: Col(fresh[c.alias], c.name))
        sources = (
            *select.sources,
            *(Source(table, fresh[alias]) for alias, table in names.items()),
        )
        rest = [other for other in conjuncts(select.where) if other is not part]
        where = conjunction([*rest, renamed.where]) if rest or renamed.where != And(()) else And(())
        joined = replace(
            select,
            sources=sources,
            joins=(*select.joins, *renamed.joins, (part.columns[0], renamed.outs[0].value)),
            where=where,
        )
        return flattened(joined, view)
    return select


def _reference(view, one, other):
    pairs = [
        frozenset(pair)
        for edge in view.mapping.source.edges
        for pair in condition(edge)
        if len(edge.columns) == 1
    ]
    return frozenset((one, other)) in pairs


def wheres(where: Pred, view: View, reader: str) -> list[Pred]:
    """The condition with its subqueries rewritten; columns outside of them are left as they are."""
    inner = list(
        dict.fromkeys(node.select for node in here(where) if isinstance(node, InSelect | Lookup))
    )
    options = [rewritten(select, view, reader)[:3] for select in inner]
    found = []
    for picked in itertools.product(*options):
        found.append(_swapped(where, dict(zip(inner, picked, strict=True))))
    return found


def _swapped(tree, new):
    if isinstance(tree, InSelect | Lookup):
        return replace(tree, select=new[tree.select])
    if isinstance(tree, tuple):
        return tuple(_swapped(part, new) for part in tree)
    if hasattr(tree, "__dataclass_fields__"):
        return replace(
            tree, **{name: _swapped(getattr(tree, name), new) for name in tree.__dataclass_fields__}
        )
    return tree


def _groups(select: Select, by_alias, view: View):
    """Sets of aliases joined by references, no source table twice in one; and the joins between
    them.
    """
    group = {alias: frozenset([alias]) for alias in by_alias}
    loose = []
    for left, right in select.joins:
        one, other = group[left.alias], group[right.alias]
        if one is other:
            continue
        twice = {by_alias[a] for a in one} & {by_alias[a] for a in other}
        known = (
            by_alias[left.alias] in view.mapping.source
            and by_alias[right.alias] in view.mapping.source
        )
        if (
            known
            and not twice
            and _reference(
                view, (by_alias[left.alias], left.name), (by_alias[right.alias], right.name)
            )
        ) or (known and not twice and _part_of_reference(view, select, by_alias, left, right)):
            merged = one | other
            group |= dict.fromkeys(merged, merged)
        else:
            loose.append((left, right))
    loose = [(left, right) for left, right in loose if group[left.alias] is not group[right.alias]]
    return list(dict.fromkeys(group[alias] for alias in by_alias)), loose


def _part_of_reference(view, select, by_alias, left, right):
    """Test if a join is one equality of a composite reference whose columns are all joined."""

    def place(column):
        return (by_alias[column.alias], column.name)

    mine = {
        frozenset((place(a), place(b)))
        for a, b in select.joins
        if {a.alias, b.alias} == {left.alias, right.alias}
    }
    wanted = frozenset((place(left), place(right)))
    return any(
        len(edge.columns) > 1
        and wanted in (pairs := {frozenset(pair) for pair in condition(edge)})
        and pairs <= mine
        for edge in view.mapping.source.edges
    )


def _chains(group, used, by_alias, select, view: View, reader: str) -> Iterator[Chain]:
    """Trees of target tables for one group, those with few tables and the query's own
    joins first.
    """
    mine = [column for column in used if column.alias in group]
    if by_alias[next(iter(group))] not in view.mapping.source:
        (alias,) = group
        yield Chain(
            {column: (by_alias[alias], column.name) for column in mine},
            frozenset(),
            (by_alias[alias],),
        )
        return
    prefer = _preferred(select, by_alias, view)
    found = []
    for places in placings(mine, by_alias, view, reader):
        terminals = {place[0] for place in places.values()} | set(
            _counted(group, places, by_alias, select, view)
        )
        for tree in itertools.islice(steiner_trees(terminals, view.edges, prefer), MOST):
            tables = tuple(
                tables_of(tree, [place[0] for place in places.values()] or sorted(terminals))
            )
            found.append((len(tables), cost(tree, prefer), len(found), Chain(places, tree, tables)))
    yield from (chain for *_, chain in sorted(found, key=lambda one: one[:3]))


def placings(
    mine: list[Col], by_alias: dict[str, str], view: View, reader: str
) -> list[dict[Col, tuple[str, str]]]:
    """List choices of a place for each column, those over few tables first.

    Args:
      mine: the columns of the old query.
      by_alias: the source table of each alias.
      view: the new schema as old statements see it.
      reader: the name of the function in an error.

    Returns:
      Target (table, column) by column, at most `MOST` choices.

    Raises:
      Unrewritable: a column has no place.
    """
    options = [view.place((by_alias[column.alias], column.name), reader) for column in mine]
    picked = list(
        itertools.islice(
            itertools.product(*(enumerate(option) for option in options)), MOST_PLACINGS
        )
    )
    picked.sort(
        key=lambda pick: (len({place[0] for _, place in pick}), sum(rank for rank, _ in pick))
    )
    return [dict(zip(mine, (place for _, place in pick), strict=True)) for pick in picked[:MOST]]


def _counted(group, places, by_alias, select, view: View) -> list[str]:
    """Tables to keep for the number of their rows: those of aliases that neither show a column of
    their own nor are referred to.
    """
    kept = []
    for alias in sorted(group):
        owned = set(view.mapping.owned(by_alias[alias]))
        shown = any(place[0] in owned for column, place in places.items() if column.alias == alias)
        if not shown and not _parent(alias, group, by_alias, select, view):
            kept.append(view.main(by_alias[alias]))
    return kept


def _parent(alias, group, by_alias, select, view):
    """Test if the alias is joined as the target of a reference of another one: exactly one row for
    each of that one's.
    """
    for left, right in select.joins:
        for child, parent in ((left, right), (right, left)):
            if parent.alias == alias and child.alias in group:
                ends = (by_alias[child.alias], child.name), (by_alias[alias], parent.name)
                if any(
                    (e.table, e.columns[0]) == ends[0] and (e.to, e.to_columns[0]) == ends[1]
                    for e in view.mapping.source.edges
                ):
                    return True
    return False


def _preferred(select, by_alias, view: View) -> frozenset[Edge]:
    """Target references that are the query's own joins."""
    wanted = set()
    for left, right in select.joins:
        ends = [view.images.get((by_alias[c.alias], c.name), ()) for c in (left, right)]
        wanted |= {frozenset(pair) for pair in itertools.product(*ends)}
    return frozenset(
        edge for edge in view.edges if all(frozenset(pair) in wanted for pair in condition(edge))
    )


def _build(select: Select, groups, chains, loose) -> Select:
    """The query over the chosen chains."""
    counts: dict[str, int] = {}
    for chain in chains:
        for table in chain.tables:
            counts[table] = counts.get(table, 0) + 1
    sources, joins, moved, taken, behind = [], [], {}, set(), []
    for group, chain in zip(groups, chains, strict=True):
        names = {}
        for table in chain.tables:
            own = next(iter(group)) if len(group) == len(chain.tables) == 1 else table
            name = own if counts[table] > 1 or own != table else table
            while name in taken:
                name += "_2"
            names[table] = name
            taken.add(name)
        on = next((s.on for s in select.sources if s.alias in group and s.on is not None), None)
        moved |= {column: Col(names[place[0]], place[1]) for column, place in chain.places.items()}
        if on is not None:
            behind += [(source, n == 0) for n, source in enumerate(_left(chain, names, on))]
            continue
        sources += [Source(table, names[table]) for table in chain.tables]
        joins += [
            (Col(names[a[0]], a[1]), Col(names[b[0]], b[1]))
            for edge in sorted(chain.tree)
            for a, b in condition(edge)
        ]
    for source, given in behind:
        on = change(source.on, moved.__getitem__) if given else source.on
        sources.append(replace(source, on=on))
    outs = tuple(Out(change(out.value, moved.__getitem__), out.name) for out in select.outs)
    shown = {s.table: s.select for s in select.sources if s.select is not None}
    sources = [replace(one, select=shown.get(one.table)) for one in sources]
    tied = [(moved[a], moved[b]) for a, b in loose if moved[a] != moved[b]]
    whole = (select.where, select.order, select.group, select.having)
    changed = change(whole, moved.__getitem__)
    return replace(
        select,
        outs=outs,
        sources=tuple(sources),
        joins=(*joins, *tied),
        where=changed[0],
        order=changed[1],
        group=changed[2],
        having=changed[3],
    )


def mentions(tree, tables: frozenset[str]) -> bool:
    """Test if a tree names one of the tables."""
    return any(isinstance(node, Source) and node.table in tables for node in nodes(tree))
