"""Columns, and whole tables, of which names and types do not say which becomes which: another
assignment is as likely, and the program cannot tell, so the user decides by --rename.

Our choice throughout: words count and single letters do not, so that no chance decides.
"""

import itertools
from collections.abc import Collection

import numpy as np

from reasoning.synthesis.errors import UserError, need
from reasoning.synthesis.migrator.correspondence.mapping import Copy, DataMapping, Fixed, Made
from reasoning.synthesis.migrator.correspondence.problem import (
    Correspondence,
    reference_of,
    same_tables,
)
from reasoning.synthesis.migrator.correspondence.similarity import evidence, table_evidence
from reasoning.synthesis.migrator.correspondence.undecided import lost
from reasoning.synthesis.migrator.sql.tables import Place, Tables

CLEAR = 0.2
"""Names must speak for an assignment by more than this."""
TELLING = 0.9
"""So much do the words of two names say where they are the same."""
Pair = tuple[Place, Place]


class Ambiguous(UserError):
    """Columns that could as well change places."""


def refuse_ambiguous(
    mapping: DataMapping, found: Correspondence, decided: Collection[Place]
) -> None:
    """Refuse a mapping that names and types do not determine.

    Args:
      mapping: the mapping of the data.
      found: its correspondence.
      decided: columns whose places the user gives.

    Raises:
      Ambiguous: the options that settle it are in the text.
    """
    pairs = _pairs(mapping, found, decided)
    _refuse_taken(mapping, found, pairs, decided)
    free = [pair for pair in pairs if pair[0][0] not in {table for table, _ in decided}]
    for group in (_tables(mapping, free), _columns(mapping, pairs), _empty(mapping, pairs)):
        if group:
            columns = list(dict.fromkeys(".".join(one) for one, _ in group))
            places = " or ".join(dict.fromkeys(".".join(place) for _, place in group))
            said = [f"{'.'.join(one)}={'.'.join(to)}" for one, to in group]
            several = len(columns) > 1
            options = (" " if several else " or --rename ").join(said)
            raise Ambiguous(
                f"names and types do not say what becomes of {' and '.join(columns)}: {places} "
                f"would do for {'each' if several else 'it'}, and the program is the same: say it, "
                f"as by --rename {options} (nothing was written)"
            )


def _refuse_taken(
    mapping: DataMapping, found: Correspondence, pairs: list[Pair], decided: Collection[Place]
) -> None:
    """Refuse a column in a place that is by its name another one's, which would be dropped.

    Raises:
      Ambiguous: there is one.
    """
    gone = [one for one in lost(mapping, found) if one not in decided]
    for (column, place), other in itertools.product(pairs, gone):
        rule = mapping.rules.get(place[0])
        there = rule is not None and any(part.anchor == other[0] for part in rule.parts)
        same_type = mapping.source.type_of(other) == mapping.target.type_of(place)
        said = evidence(other, place)
        if there and same_type and said >= TELLING and evidence(column, place) < said / 2:
            old, new, named = (".".join(one) for one in (column, place, other))
            raise Ambiguous(
                f"{old} would become {new}, which is {named} by its name, and {named} would be "
                f"dropped: say --rename {named}={new}, with a place for {old} (--rename "
                f"{old}=...), or --drop {named} (nothing was written)"
            )


def _pairs(mapping, found, decided) -> list[Pair]:
    """The columns that are copied to other places than before, and these places."""
    source, target = mapping.source, mapping.target
    same = same_tables(source, target)
    copied = {
        (cell.table, cell.column)
        for part in mapping.parts
        for cell in part.cells.values()
        if isinstance(cell, Copy)
    }
    return [
        (column, places[0])
        for column, places in found.images.items()
        if places
        and column[0] not in same
        and column in copied
        and column not in found.referred
        and column not in decided
        and column not in itertools.chain(*mapping.twins)
        and places[0][0] in target
        and places[0][1] in target[places[0][0]].types
    ]


def _unlike(mapping: DataMapping, pair: Pair, homes: dict[str, set[str]]) -> int:
    """The number of properties in which a column and a place differ; a reference counts twice: a
    column that refers elsewhere, or nowhere, can hardly hold the same values.
    """
    (table, one), (new, other) = pair
    a, b = mapping.source[table], mapping.target[new]
    refers, to = reference_of(mapping.source, pair[0]), reference_of(mapping.target, pair[1])
    follows = bool(refers) == bool(to) and (
        not refers or not to or to[0] in homes.get(refers[0], {to[0]})
    )
    return (
        ((one in a.required) != (other in b.required))
        + ((one in a.key) != (other in b.key))
        + (((one,) in a.unique) != ((other,) in b.unique))
        + (a.defaults.get(one) != b.defaults.get(other))
        + ((one in a.moments) != (other in b.moments))
        + (set(a.allowed.get(one, ())) != set(b.allowed.get(other, ())))
        + 2 * (not follows)
    )


def _homes(pairs: list[Pair]) -> dict[str, set[str]]:
    homes: dict[str, set[str]] = {}
    for (table, _), (new, _) in pairs:
        homes.setdefault(table, set()).add(new)
    return homes


def _columns(mapping: DataMapping, pairs: list[Pair]) -> list[Pair]:
    """Columns of which two could change places, with the likeliest places by words and order."""
    homes, near = _homes(pairs), {}
    for (one, a), (other, b) in itertools.combinations(pairs, 2):
        kind = mapping.source.type_of(one)
        together = one[0] == other[0] or (a[0] == b[0] and one[0] != other[0] != a[0])
        if not together or a in (one, b) or b == other or kind != mapping.source.type_of(other):
            continue
        said = evidence(one, a) + evidence(other, b) - evidence(one, b) - evidence(other, a)
        if said > CLEAR or mapping.target.type_of(a) != mapping.target.type_of(b):
            continue
        before = _unlike(mapping, (one, a), homes) + _unlike(mapping, (other, b), homes)
        after = _unlike(mapping, (one, b), homes) + _unlike(mapping, (other, a), homes)
        if after <= before:
            near.setdefault((one, a), set()).add((other, b))
            near.setdefault((other, b), set()).add((one, a))
    for cycle in _cycles(mapping, pairs, homes):
        for pair, following in itertools.pairwise([*cycle, cycle[0]]):
            near.setdefault(pair, set()).add(following)
            near.setdefault(following, set()).add(pair)
    if not near:
        return []
    group, todo = set(), [next(iter(near))]
    while todo:
        if (at := todo.pop()) not in group:
            group.add(at)
            todo += near[at]
    return _likeliest(mapping, [pair for pair in pairs if pair in group])


def _cycles(mapping: DataMapping, pairs: list[Pair], homes: dict[str, set[str]]):
    """Three columns of a table or more, each of which could have the place of the next, though no
    two could change places: the best assignment in which one of them is elsewhere.
    """
    groups: dict[tuple, list[Pair]] = {}
    for one, place in pairs:
        kinds = mapping.source.type_of(one), mapping.target.type_of(place)
        if one != place:
            groups.setdefault((one[0], *kinds), []).append((one, place))
    for group in groups.values():
        if len(group) < 3:
            continue
        said = np.array([[evidence(one, place) for _, place in group] for one, _ in group])
        unlike = np.array(
            [[_unlike(mapping, (one, place), homes) for _, place in group] for one, _ in group]
        )
        loss = said.diagonal()[:, None] - said
        worse = np.maximum(unlike - unlike.diagonal()[:, None], 0)
        for n in range(len(group)):
            cost = loss + 10.0 * worse
            cost[n, n] = 1e6
            _, picks = need("scipy.optimize").linear_sum_assignment(cost)
            cycle = [n]
            while picks[cycle[-1]] != n:
                cycle.append(int(picks[cycle[-1]]))
            if len(cycle) > 2 and sum(cost[k, picks[k]] for k in cycle) <= CLEAR:
                yield [group[k] for k in cycle]


def _likeliest(mapping: DataMapping, group: list[Pair]) -> list[Pair]:
    """The columns of a group with its places: by words, then in declared order."""
    columns = sorted((one for one, _ in group), key=lambda one: _order(mapping.source, one))
    places = sorted((place for _, place in group), key=lambda one: _order(mapping.target, one))
    cost = np.array(
        [
            [0.001 * (n - m) ** 2 - evidence(one, place) for m, place in enumerate(places)]
            for n, one in enumerate(columns)
        ]
    )
    _, picks = need("scipy.optimize").linear_sum_assignment(cost)
    return [(one, places[pick]) for one, pick in zip(columns, picks, strict=True)]


def _order(tables: Tables, place: Place) -> tuple[int, int]:
    return list(tables.by_name).index(place[0]), list(tables[place[0]].types).index(place[1])


def _empty(mapping: DataMapping, pairs: list[Pair]) -> list[Pair]:
    """A column, its place, and a new column next to it that would do as well and stays empty, or
    gets invented keys.
    """
    referred = {(edge.to, column) for edge in mapping.source.edges for column in edge.to_columns}
    for column, place in pairs:
        free = Fixed if column in referred else Fixed | Made
        for rule in mapping.rules.values():
            new = mapping.target[rule.table]
            if not any(part.anchor == column[0] for part in rule.parts):
                continue
            for name, kind in new.types.items():
                other = (rule.table, name)
                if (
                    kind == mapping.target.type_of(place)
                    and name not in new.moments
                    and name not in new.computed
                    and all(isinstance(part.cells.get(name), free) for part in rule.parts)
                    and _said(column, place) - _said(column, other) <= CLEAR / 2
                    and _unlike(mapping, (column, other), {})
                    <= _unlike(mapping, (column, place), {})
                ):
                    return [(column, place), (column, other)]
    return []


def _said(column: Place, place: Place) -> float:
    return evidence(column, place) + table_evidence(column[0], place[0])


def _tables(mapping: DataMapping, pairs: list[Pair]) -> list[Pair]:
    """A column of each of two tables that could change places as a whole."""
    homes = _homes(pairs)
    single = {table: next(iter(new)) for table, new in homes.items() if len(new) == 1}
    for one, other in itertools.combinations(single, 2):
        a, b = single[one], single[other]
        if a == b or {one, other} & {a, b}:
            continue
        mine = [pair for pair in pairs if pair[0][0] == one]
        theirs = [pair for pair in pairs if pair[0][0] == other]
        swapped = _moved(mapping, mine, b), _moved(mapping, theirs, a)
        if None in swapped:
            continue
        said = table_evidence(one, a) + table_evidence(other, b)
        said -= table_evidence(one, b) + table_evidence(other, a)
        said += sum(evidence(*pair) for pair in mine + theirs) - sum(swapped)
        if said <= CLEAR and _references(mapping, homes, (one, other)):
            group = [mine[0], theirs[0]]
            if _order(mapping.target, mine[0][1]) > _order(mapping.target, theirs[0][1]):
                group = [(mine[0][0], theirs[0][1]), (theirs[0][0], mine[0][1])]
            return group
    return []


def _moved(mapping: DataMapping, pairs: list[Pair], table: str) -> float | None:
    """Weigh the words for a table's columns in another new table; None: they do not fit there."""
    new = mapping.target[table]
    cost = np.array(
        [
            [
                -evidence(column, (table, name))
                if kind == mapping.target.type_of(place)
                and _unlike(mapping, (column, (table, name)), {})
                <= _unlike(mapping, (column, place), {})
                else 1e6
                for name, kind in new.types.items()
            ]
            for column, place in pairs
        ]
    )
    if cost.shape[0] > cost.shape[1]:
        return None
    total = cost[need("scipy.optimize").linear_sum_assignment(cost)].sum()
    return None if total > 1e5 else -float(total)


def _references(mapping: DataMapping, homes: dict[str, set[str]], pair: tuple[str, str]) -> bool:
    """Test if as many references hold with two tables exchanged."""
    edges = {(edge.table, edge.to) for edge in mapping.target.edges}
    one, other = pair
    swapped = {**homes, one: homes[other], other: homes[one]}

    def held(where):
        return sum(
            any(
                (start, end) in edges
                for start in where.get(edge.table, {edge.table})
                for end in where.get(edge.to, {edge.to})
            )
            for edge in mapping.source.edges
        )

    return held(swapped) >= held(homes)
