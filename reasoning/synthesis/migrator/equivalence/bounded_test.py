"""Two programs compared on all short sequences of calls from the empty database.

Source: Migrator (arXiv 1904.05498), testing by sequences of updates that end in a query, shortest
first. Ours: values that cover every
pair, multisets of rows, up to three updates, calls that cannot matter left out (`clusters.py`).
Sequences that lead to a pair of databases seen before are not continued, and a query is asked again
only if the last update changed a table that it reads.
"""

import functools
import itertools
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator.correspondence.problem import same_tables
from reasoning.synthesis.migrator.equivalence.clusters import Cluster, clusters
from reasoning.synthesis.migrator.equivalence.paired_run import (
    LEAST_WALKS,
    WALKS,
    Counts,
    ProgramPair,
    World,
    minimal,
)
from reasoning.synthesis.migrator.equivalence.results import EMPTY, Checked, Start
from reasoning.synthesis.migrator.sql.program import Function, Program
from reasoning.synthesis.migrator.sql.tables import Tables, near
from reasoning.synthesis.migrator.testing.actions import changed_actions
from reasoning.synthesis.migrator.testing.inputs import domains_of, widened

MORE_WALKS = 200
"""Further random sequences for updates of which nothing was seen."""


class Comparison:
    """Comparison of two programs."""

    def __init__(
        self,
        old: Program,
        old_tables: Tables,
        new: Program,
        new_tables: Tables,
        starts: Sequence[Start] = (EMPTY,),
        values: int = 3,
    ):
        """Work out what can differ.

        Args:
          old: a program.
          old_tables: its schema.
          new: another one with functions of the same names.
          new_tables: its schema.
          starts: pairs of related databases that sequences begin in.
          values: for each parameter at most; with 1, as in the paper's tests, a wrong column often
            looks right.

        Raises:
          UserError: a function is missing, or is a query in one program only.
        """
        self.pairs, self.schemas, self.starts = (
            matched(old, new),
            (old_tables, new_tables),
            tuple(starts),
        )
        same = same_tables(old_tables, new_tables) - changed_actions(old_tables, new_tables)
        self.differing = [name for name, (a, b) in self.pairs.items() if not _same(a, b, same)]
        self.domains, self.values = domains_of(old, old_tables), values
        self.without: tuple[str, ...] = ()

    def without_null(self, names: Iterable[str]) -> "Comparison":
        """The same without NULL as an argument of some functions."""
        self.without = tuple(sorted(names))
        nullable = {one for one in self.domains.nullable if one[0] not in self.without}
        self.domains = replace(self.domains, nullable=frozenset(nullable))
        return self

    @functools.cached_property
    def clusters(self) -> list[Cluster]:
        """Queries in which a difference could show, with all that they depend on."""
        inside = {
            name: pair for name, pair in self.pairs.items() if all(f.statements for f in pair)
        }
        return clusters(inside, self.differing, self.schemas, self.domains, self.values)

    @functools.cached_property
    def programs(self) -> ProgramPair:
        """Both programs with the values of their parameters."""
        old = [pair[0] for pair in self.pairs.values()]
        compared = [f for name in self.differing for f in self.pairs[name]]
        wide = widened(self.domains, self.schemas[0], old, compared)
        return ProgramPair(self.pairs, self.schemas, self.domains, wide)

    def run(self, bound: int, in_time: Callable[[], bool], longer: bool = True) -> Checked:
        """Compare on all sequences of up to `bound` updates, shortest first, until they differ or
        time is up.

        With `longer`, some longer sequences at random follow.
        """
        finished = -1
        worlds: list[World] = []

        def done(failing=None, failure=None):
            counts = Counts()
            for world in worlds:
                counts.add(world.counts)
            found = minimal(failing, failure) if failing is not None else None
            return self._checked(finished, bound, counts, found)

        try:
            for start, cluster in itertools.product(self.starts, self.clusters):
                worlds.append(World(self.programs, cluster, start))
            for depth in range(bound + 1):
                for world in worlds:
                    failure = world.explore(depth, in_time)
                    if failure:
                        return done(world, failure)
                    if not world.time_left:
                        return done()
                finished = depth
            for number, world in enumerate(worlds if longer and bound > 0 else ()):
                chance, walks = (
                    random.Random(f"walk {number}"),
                    max(LEAST_WALKS, WALKS // len(worlds)),
                )
                failure = world.wander(chance, walks, in_time) or self._until_seen(
                    worlds, number, in_time
                )
                if failure:
                    return done(world, failure)
            return done()
        finally:
            for world in worlds:
                world.close()

    def _until_seen(self, worlds: list[World], number: int, in_time: Callable[[], bool]):
        """The first difference on further random sequences, made until every update that is another
        text now has changed something, or for long enough.
        """
        world = worlds[number]
        mine = set(world.cluster.updates) & set(self.differing)
        for more in range(MORE_WALKS):
            unseen = mine.difference(*(one.counts.effective for one in worlds))
            if not unseen or not in_time():
                break
            if failure := world.wander(random.Random(f"more {number} {more}"), 1, in_time):
                return failure
        return None

    def _checked(self, finished, bound, counts, failure):
        functions = {
            name for cluster in self.clusters for name in (*cluster.queries, *cluster.updates)
        }
        updates = (
            {name for cluster in self.clusters for name in cluster.updates}
            if finished > 0
            else set()
        )
        never = tuple(sorted(updates - counts.succeeded))
        return Checked(
            finished,
            bound,
            counts.states,
            counts.asked,
            tuple(sorted(functions)),
            failure,
            counts.walks,
            len(self.starts),
            never,
            tuple(sorted(counts.succeeded - counts.effective)),
            self.without,
        )


def matched(old: Program, new: Program) -> dict[str, tuple[Function, Function]]:
    """Functions of the same name. Raises UserError if one is missing or takes other parameters."""
    names = {function.name: function for function in new.functions}
    found = {}
    for function in old.functions:
        other = names.get(function.name)
        if other is None:
            raise UserError(
                f"the new program has no function {function.name!r}{near(function.name, names)}"
            )
        if set(other.params) - set(function.params):
            extra = sorted(set(other.params) - set(function.params))[0]
            raise UserError(
                f"{function.name} of the new program takes {extra!r}, which the old one does not "
                "have"
            )
        if other.is_query != function.is_query and other.statements and function.statements:
            raise UserError(f"{function.name} is a query in one program and an update in the other")
        found[function.name] = (function, other)
    return found


def _same(one: Function, other: Function, same: frozenset[str]) -> bool:
    if one.statements and other.statements:
        return one.statements == other.statements and one.tables <= same
    return one.text.split() == other.text.split() and one.tables <= same
