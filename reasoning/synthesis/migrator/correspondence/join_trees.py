"""Join candidates: the smallest trees of references that connect given tables.

Source: Migrator (arXiv 1904.05498), joins of the target by Steiner trees. Ours: several references
between two tables, references of
several columns, trees in order of their size, a limit on their number instead of one on the tables.
"""

import heapq
import itertools
from collections.abc import Iterable, Iterator

from reasoning.synthesis.migrator.sql.tables import Edge

MOST_TREES = 24
"""Candidates for one set of tables."""
MOST_STEPS = 4_000
"""Partial trees tried for one set of tables."""

Tree = frozenset[Edge]


def steiner_trees(
    terminals: Iterable[str], edges: Iterable[Edge], prefer: frozenset[Edge] = frozenset()
) -> Iterator[Tree]:
    """Trees that connect all terminals and end in none but terminals, smallest first, each table at
    most once.

    Args:
      terminals: tables.
      edges: references that may be followed, in either direction; those from a table to itself are
        passed over.
      prefer: among trees of one size, those with more of these come first.

    Yields:
      Sets of edges; the empty set for a single table; nothing if the tables are not connected.
    """
    goal = frozenset(terminals)
    around = _useful(goal, edges)
    start = min(goal)
    counter, found, steps = itertools.count(), 0, 0
    queue: list = [(0.0, next(counter), frozenset([start]), frozenset())]
    seen = {(frozenset([start]), frozenset())}
    while queue and found < MOST_TREES and steps < MOST_STEPS:
        steps += 1
        _, _, tables, tree = heapq.heappop(queue)
        if goal <= tables:
            if _tight(tree, goal):
                found += 1
                yield tree
            continue
        for edge in sorted({edge for table in tables for edge in around.get(table, ())}):
            both = tables | {edge.table, edge.to}
            state = (both, tree | {edge})
            if len(both) > len(tables) and state not in seen:
                seen.add(state)
                heapq.heappush(
                    queue, (cost(state[1], prefer) + 0.5 * len(goal - both), next(counter), *state)
                )


def _useful(goal: frozenset[str], edges: Iterable[Edge]) -> dict[str, list[Edge]]:
    """The references of each table, without tables that no path between terminals can lead through:
    dead ends, again and again.
    """
    around: dict[str, list[Edge]] = {}
    for edge in edges:
        if edge.table != edge.to:
            around.setdefault(edge.table, []).append(edge)
            around.setdefault(edge.to, []).append(edge)

    def ends(table):
        return {edge.to if edge.table == table else edge.table for edge in around[table]}

    while dead := [table for table in around if table not in goal and len(ends(table)) < 2]:
        for table in dead:
            for edge in around.pop(table):
                other = edge.to if edge.table == table else edge.table
                if other in around:
                    around[other].remove(edge)
    return around


def cost(tree: Tree, prefer: frozenset[Edge] = frozenset()) -> float:
    """The size of a tree; declared and preferred references are a little cheaper."""
    return sum(1.0 + 0.1 * (not edge.declared) - 0.01 * (edge in prefer) for edge in tree)


def _tight(tree, goal):
    """Test if every table with a single edge is a terminal."""
    degree: dict[str, int] = {}
    for edge in tree:
        for table in (edge.table, edge.to):
            degree[table] = degree.get(table, 0) + 1
    return all(table in goal for table, count in degree.items() if count == 1)


def tables_of(tree: Tree, start: Iterable[str]) -> list[str]:
    """The tables of a tree: those of `start` first, then the others by name."""
    first = list(dict.fromkeys(start))
    return first + sorted({table for edge in tree for table in (edge.table, edge.to)} - set(first))


def branches(tree: Tree, root: str) -> list[tuple[Edge, Tree, frozenset[str]]]:
    """Parts of a tree without its root: for each edge there, the edges and the tables behind
    it.
    """
    found = []
    for edge in sorted(e for e in tree if root in (e.table, e.to)):
        inside, rest = {edge.to if edge.table == root else edge.table}, set()
        while grown := {
            e
            for e in tree - rest - {edge}
            if root not in (e.table, e.to) and inside & {e.table, e.to}
        }:
            rest |= grown
            inside |= {table for e in grown for table in (e.table, e.to)}
        found.append((edge, frozenset(rest), frozenset(inside)))
    return found
