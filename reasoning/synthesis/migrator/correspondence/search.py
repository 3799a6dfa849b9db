"""Search for correspondences, the target columns that hold a source column's values, best first.

Source: Migrator (arXiv 1904.05498), value correspondences by weighted MaxSAT over names and types.
Ours: a k-best search over the rankings
of single columns, which is exact for the same weights; two columns that want one place are the only
thing that ties columns together. `maxsat.py` has the solver, for problems with so many conflicts
that the search does not get through them.
"""

import heapq
from collections.abc import Callable, Iterator

from reasoning.synthesis.migrator.correspondence.maxsat import assignments_by_maxsat
from reasoning.synthesis.migrator.correspondence.problem import (
    NOWHERE,
    REFERRED,
    WORTH_NOWHERE,
    Correspondence,
    Problem,
    reference_of,
)
from reasoning.synthesis.migrator.correspondence.similarity import copy_score, score, similarity
from reasoning.synthesis.migrator.sql.tables import Place

COPY = 90
"""Least score of a second place."""
MOST_POPS = 20_000
"""Assignments tried before MaxSAT takes over."""


def correspondences(
    problem: Problem, in_time: Callable[[], bool] = lambda: True
) -> Iterator[Correspondence]:
    """All correspondences, likeliest first; each with copies into columns that nothing else fills,
    then without.

    Args:
      problem: rankings.
      in_time: the search ends once this says False.
    """
    for loss, places in _all(problem):
        if not in_time():
            return
        found = resolve(problem, places, loss)
        if found is None:
            continue
        copied = with_copies(problem, found)
        if copied is not found:
            yield copied
        yield found


def _all(problem):
    """Assignments of the search; if it gives up, of MaxSAT, those already seen passed over."""
    if not problem.columns:
        yield 0, ()
        return
    seen = set()
    for one in assignments(problem):
        if one is None:
            yield from (other for other in assignments_by_maxsat(problem) if other[1] not in seen)
            return
        seen.add(one[1])
        yield one


def assignments(problem: Problem) -> Iterator[tuple[int, tuple[Place, ...]] | None]:
    """(loss, a place for every column) without two columns in one place, likeliest first.

    A step goes one place down the ranking of one column; where two columns want the same place, one
    of these two must step. None at the end says that MOST_POPS assignments have been tried and
    more are left.
    """
    if not all(problem.ranked):
        return
    losses = [[ranking[0][0] - one[0] for one in ranking] for ranking in problem.ranked]
    start = (0,) * len(problem.ranked)
    queue, seen = [(0, start)], {start}
    for _ in range(MOST_POPS):
        if not queue:
            return
        loss, ranks = heapq.heappop(queue)
        places = tuple(problem.ranked[n][rank][1] for n, rank in enumerate(ranks))
        clash = _clash(places, problem)
        if clash is None:
            yield loss, places
        for n in clash or range(len(ranks)):
            if ranks[n] + 1 < len(losses[n]):
                following = (*ranks[:n], ranks[n] + 1, *ranks[n + 1 :])
                if following not in seen:
                    seen.add(following)
                    heapq.heappush(
                        queue, (loss + losses[n][ranks[n] + 1] - losses[n][ranks[n]], following)
                    )
    yield None


def _clash(places, problem: Problem) -> tuple[int, int] | None:
    seen: dict[Place, int] = {}
    for n, place in enumerate(places):
        if place[0] and (first := seen.setdefault(place, n)) != n:
            if frozenset((problem.columns[first], problem.columns[n])) in problem.twins:
                continue
            return first, n
    return None


def resolve(problem: Problem, places: tuple[Place, ...], loss: int) -> Correspondence | None:
    """The correspondence of an assignment; None if a column that must have a place has none."""
    images: dict[Place, tuple[Place, ...]] = {
        (name, c): ((name, c),) for name in problem.same for c in problem.source[name].types
    }
    images |= {
        column: (place,) if place[0] else ()
        for column, place in zip(problem.columns, places, strict=True)
    }
    referred = frozenset(
        column for column, place in zip(problem.columns, places, strict=True) if place == REFERRED
    )
    for column in sorted(referred):
        seen, at = {column}, column
        while at in referred and (there := reference_of(problem.source, at)) and there not in seen:
            at = there
            seen.add(at)
        if at not in referred:
            fitting = [
                place
                for place in images.get(at, ())
                if problem.target.type_of(place) == problem.source.type_of(column)
            ]
            images[column] = tuple(fitting)
    if any(not images[column] for column in problem.required if column in images):
        return None
    return Correspondence(images, referred, loss)


def with_copies(problem: Problem, found: Correspondence) -> Correspondence:
    """The same with second places: target columns that nothing fills and that are called like a
    source column.

    A column that a declared reference fills anyway is none. Returns `found` itself if there are
    none.
    """
    source, target = problem.source, problem.target
    filled = {place for places in found.images.values() for place in places}
    images = dict(found.images)
    for name, table in target.by_name.items():
        if name in problem.same:
            continue
        givers = {
            column[0]
            for column, places in found.images.items()
            if any(place[0] == name for place in places) and column not in found.referred
        }
        referring = {
            column for edge in target.edges if edge.table == name for column in edge.columns
        }
        for column, kind in table.types.items():
            if (name, column) in filled or column in referring:
                continue
            alike = [
                (copy_score(place, (name, column), place[0] in givers), place)
                for place in found.images
                if source.type_of(place) == kind
                and images[place]
                and (place in found.referred or _alike(problem, place, images[place][0]))
            ]
            best = max(alike, default=(0, NOWHERE), key=lambda one: (one[0], one[1]))
            if best[0] >= COPY and not (
                column in table.key and best[1][1] not in source[best[1][0]].key
            ):
                images[best[1]] = (*images[best[1]], (name, column))
    return found if images == found.images else Correspondence(images, found.referred, found.loss)


def _alike(problem: Problem, column: Place, place: Place) -> bool:
    """Test if a column is in its place for its name, too: one that another one pushed into a place
    at random must not come back as a copy, or the other one is lost.
    """
    return score(problem.source, problem.target, column, place) >= WORTH_NOWHERE


def why_none(problem: Problem, readers: dict[Place, str]) -> str | None:
    """A sentence on a column that is read and for which no place is left; None if all that are read
    have places together.
    """
    takers: dict[Place, int] = {}

    def seat(n, seen):
        for _, place in problem.ranked[n]:
            if not place[0]:
                return True
            if place not in seen:
                seen.add(place)
                pair = frozenset((problem.columns[n], problem.columns[takers.get(place, n)]))
                if pair in problem.twins:
                    return True
                if place not in takers or seat(takers[place], seen):
                    takers[place] = n
                    return True
        return False

    for n, column in enumerate(problem.columns):
        if column in problem.required and not seat(n, set()):
            kind = problem.source.type_of(column)
            twins = [
                (t.name, c)
                for t in problem.target.by_name.values()
                for c in t.types
                if similarity(c, column[1]) > 0.8
            ]
            also = f" ({'.'.join(twins[0])} is {problem.target.type_of(twins[0])})" if twins else ""
            return (
                f"{readers[column]} reads {'.'.join(column)}, and the new schema has no column "
                f"of type {kind} left for it{also}"
            )
    return None
