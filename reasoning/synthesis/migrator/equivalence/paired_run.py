"""Two programs run in parallel in the databases of one cluster of functions: sequences of calls,
shortest first or at random.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from reasoning.synthesis.migrator.completion.simulate import pick
from reasoning.synthesis.migrator.equivalence.clusters import Cluster
from reasoning.synthesis.migrator.equivalence.results import BEGUN, EMPTY, Call, Scenario, Start
from reasoning.synthesis.migrator.sql.program import Function
from reasoning.synthesis.migrator.sql.tables import Tables
from reasoning.synthesis.migrator.sql.visitors import reads
from reasoning.synthesis.migrator.testing.database import (
    FRESH_START,
    Broken,
    Database,
    compile_function,
)
from reasoning.synthesis.migrator.testing.inputs import Domains
from reasoning.synthesis.migrator.testing.row_order import OPEN, Answer, same_answer

WALKS, LEAST_WALKS, LONGEST, TRIED = 64, 4, 9, 30
"""Random sequences in all, for each cluster at least; updates in each, and calls tried for them."""
NULL_CALLS, IDLE_CALLS = 12, 4
"""Calls tried at the end of each random sequence: with NULL, and of each update that has changed
nothing so far.
"""


@dataclass(frozen=True)
class ProgramPair:
    """Two programs to be compared, function by function."""

    functions: dict[str, tuple[Function, Function]]
    """Old and new function, by name."""
    schemas: tuple[Tables, Tables]
    """Old and new."""
    domains: Domains
    """Values for all parameters."""
    wide: Domains
    """More values, for calls at random."""


@dataclass
class Counts:
    """Work of a run; counts of several runs are added."""

    states: int = 0
    """Different pairs of databases in which queries were asked."""
    asked: int = 0
    """Queries compared."""
    walks: int = 0
    """Random sequences longer than the bound."""
    succeeded: set[str] = field(default_factory=set)
    """Updates that succeeded in both programs at least once."""
    effective: set[str] = field(default_factory=set)
    """Updates that succeeded in both programs and changed a row."""

    def add(self, other: "Counts") -> None:
        """Add the counts of another run."""
        self.states += other.states
        self.asked += other.asked
        self.walks += other.walks
        self.succeeded |= other.succeeded
        self.effective |= other.effective


class World:
    """The databases of one cluster from one start; `counts` holds the work since it was made."""

    def __init__(self, programs: ProgramPair, cluster: Cluster, start: Start):
        self.programs, self.cluster, self.start, self.time_left = programs, cluster, start, True
        self.counts = Counts()
        names = [*cluster.queries, *cluster.updates]
        self.first = 0 if start == EMPTY else BEGUN
        self.old = {name: programs.functions[name][0] for name in names}
        self.bases = tuple(
            Database(schema, tables)
            for schema, tables in zip(programs.schemas, cluster.tables, strict=True)
        )
        try:
            for base, rows in zip(self.bases, start.rows, strict=True):
                base.load(rows)
        except Broken:
            self.close()
            raise
        self.functions = tuple(
            {
                name: compile_function(programs.functions[name][side], programs.schemas[side])
                for name in names
            }
            for side in (0, 1)
        )
        self.read = {
            name: [set().union(*map(reads, f.statements)) for f in programs.functions[name]]
            for name in cluster.queries
        }

    def close(self):
        """Close the databases."""
        for base in self.bases:
            base.close()

    def explore(self, depth: int, in_time: Callable[[], bool]) -> Scenario | None:
        """The first difference after just so many updates."""
        self.seen: dict[int, int] = {}
        self.most = 3 if depth <= 1 else 2
        return next(self._from(depth, (), None, in_time), None)

    def wander(
        self, chance: random.Random, walks: int, in_time: Callable[[], bool]
    ) -> Scenario | None:
        """The first difference on random sequences longer than the bound: every query is asked
        after every update.
        """
        for _ in range(walks if self.cluster.updates else 0):
            depth, found, calls = self.bases[0].depth, None, ()
            for _ in range(TRIED):
                left = [
                    name for name in self.cluster.updates if name not in {done for done, _ in calls}
                ]
                name = chance.choice(
                    left if left and chance.random() < 0.7 else self.cluster.updates
                )
                row = chance.choice(self.cluster.arguments[name, 3])
                made = {
                    key: renewed(value, chance.randrange(1, len(calls) + 2))
                    for key, value in row.items()
                }
                if chance.random() < 0.7:
                    made = {
                        key: pick(self.old[name], key, self.bases[0], self.programs.wide, chance)
                        for key in row
                    }
                outcomes = self._enter(name, made, len(calls) + 1)
                if outcomes[0] is None and outcomes[1] is None:
                    calls = (*calls, (name, made))
                    self.counts.states += 1
                    written = tuple(functions[name].writes for functions in self.functions)
                    found = next(self._ask(calls, written), None)
                elif _differ(outcomes):
                    found = Scenario(
                        (*calls, (name, made)),
                        outcomes[0] or "succeeds",
                        outcomes[1] or "succeeds",
                        self.start,
                    )
                if found or len(calls) == LONGEST or not in_time():
                    break
            found = found or self._last_calls(calls, chance, in_time)
            for base in self.bases:
                while base.depth > depth:
                    base.back()
            self.counts.walks += 1
            if found or not in_time():
                return found
        return None

    def _last_calls(
        self, calls: tuple[Call, ...], chance: random.Random, in_time: Callable[[], bool]
    ) -> Scenario | None:
        """The first difference after one more update: with NULL as an argument, or one that has
        changed nothing so far.
        """
        tries = [
            (name, key)
            for name in self.cluster.updates
            for key in self.old[name].params
            if any(row[key] is None for row in self.cluster.arguments[name, 3])
        ]
        tries = chance.sample(tries, min(len(tries), NULL_CALLS))
        idle = [name for name in self.cluster.updates if name not in self.counts.effective]
        tries += [(name, "") for name in idle for _ in range(IDLE_CALLS)]
        for name, missing in tries:
            made = {
                key: None
                if key == missing
                else pick(self.old[name], key, self.bases[0], self.programs.wide, chance)
                for key in self.old[name].params
            }
            done = (*calls, (name, made))
            outcomes, found = self._enter(name, made, len(done)), None
            if _differ(outcomes):
                old, new = (one or "succeeds" for one in outcomes)
                found = Scenario(done, old, new, self.start)
            elif outcomes[0] is None:
                written = tuple(functions[name].writes for functions in self.functions)
                found = next(self._ask(done, written), None)
            for base in self.bases:
                base.back()
            if found or not in_time():
                return found
        return None

    def _from(self, depth, done: tuple[Call, ...], changed, in_time) -> Iterator[Scenario]:
        if depth == 0:
            self.counts.states += 1
            yield from self._ask(done, changed)
            return
        for name in self.cluster.updates:
            for arguments in self.cluster.arguments[name, self.most]:
                if not in_time():
                    self.time_left = False
                    return
                calls = (*done, (name, arguments))
                outcomes = self._enter(name, arguments, len(calls))
                try:
                    if _differ(outcomes):
                        yield Scenario(
                            calls, outcomes[0] or "succeeds", outcomes[1] or "succeeds", self.start
                        )
                    elif outcomes[0] is None and self._unseen(depth):
                        written = tuple(functions[name].writes for functions in self.functions)
                        yield from self._from(depth - 1, calls, written, in_time)
                finally:
                    for base in self.bases:
                        base.back()
                if not self.time_left:
                    return

    def _enter(self, name, arguments, number) -> list[str | None]:
        """Make a call on both sides behind a mark; what went wrong on each, None if nothing."""
        found: list[str | None] = []
        before, returned = [base.changes() for base in self.bases], []
        for base, functions in zip(self.bases, self.functions, strict=True):
            base.mark()
            try:
                rows = base.call(functions[name], arguments, self.first + number)
                returned.append(rows and sorted(rows, key=repr))
                found.append(None)
            except Broken as broken:
                found.append(f"fails: {broken}")
        if found == [None, None] and returned[0] != returned[1]:
            return [f"returns {rows}" for rows in returned]
        if found == [None, None]:
            self.counts.succeeded.add(name)
            if any(b.changes() > n for b, n in zip(self.bases, before, strict=True)):
                self.counts.effective.add(name)
        return found

    def _unseen(self, depth) -> bool:
        mark = hash(
            tuple(
                frozenset(Counter(rows).items())
                for base in self.bases
                for rows in base.rows().values()
            )
        )
        if self.seen.get(mark, 0) >= depth:
            return False
        self.seen[mark] = depth
        return True

    def _ask(self, done, changed) -> Iterator[Scenario]:
        for name in self.cluster.queries:
            if changed is not None and not any(
                t & c for t, c in zip(self.read[name], changed, strict=True)
            ):
                continue
            for arguments in self.cluster.arguments[name, 3]:
                self.counts.asked += 1
                yield from self._answer(done, name, arguments)

    def _answer(self, done, name, arguments) -> Iterator[Scenario]:
        rows = [
            base.call(functions[name], arguments, self.first + len(done) + 1)
            for base, functions in zip(self.bases, self.functions, strict=True)
        ]
        answers = [
            Answer(base, functions[name], arguments, found)
            for base, functions, found in zip(self.bases, self.functions, rows, strict=True)
        ]
        if not same_answer(*answers):
            other = f"{rows[1]}, {OPEN}" if rows[0] == rows[1] else rows[1]
            yield Scenario((*done, (name, arguments)), rows[0], other, self.start)

    def replay(self, calls: tuple[Call, ...]) -> Scenario | None:
        """The difference that some calls lead to, if any."""
        entered = 0
        try:
            for number, (name, arguments) in enumerate(calls, 1):
                if self.old[name].is_query:
                    found = next(self._answer(calls[: number - 1], name, arguments), None)
                    if found:
                        return found
                    continue
                outcomes = self._enter(name, arguments, number)
                entered += 1
                if _differ(outcomes):
                    return Scenario(
                        calls[:number],
                        outcomes[0] or "succeeds",
                        outcomes[1] or "succeeds",
                        self.start,
                    )
            return None
        finally:
            for _ in range(entered):
                for base in self.bases:
                    base.back()


def _differ(outcomes: list[str | None]) -> bool:
    """Test if a call failed on one side alone, or returned other rows there."""
    return (None in outcomes and outcomes != [None, None]) or "returns" in f"{outcomes[0]}"[:7]


def renewed(value: Any, call: int) -> Any:
    """A fresh key of a domain as the key of another call; any other value as it is."""
    if isinstance(value, int) and value >= FRESH_START:
        return FRESH_START * call + value % FRESH_START
    return (
        f"~{call}.{value.partition('.')[2]}"
        if isinstance(value, str) and value.startswith("~")
        else value
    )


def _without(calls: tuple[Call, ...], n: int, first: int) -> tuple[Call, ...]:
    """The calls without the n-th; keys that later ones gave are named after their new numbers."""

    def moved(value):
        whole = isinstance(value, int) and value >= FRESH_START
        text = isinstance(value, str) and re.fullmatch(r"~\d+\.\d+", value)
        call = value // FRESH_START if whole else int(value[1:].split(".")[0]) if text else 0
        return renewed(value, call - 1) if call > first + n + 1 else value

    later = [(name, {k: moved(v) for k, v in made.items()}) for name, made in calls[n + 1 :]]
    return (*calls[:n], *later)


def minimal(world: World, scenario: Scenario) -> Scenario:
    """The scenario without calls that it does not need, and with as few different values as it
    needs.
    """
    best = scenario
    changed = True
    while changed:
        changed = False
        for n in range(len(best.calls) - 1):
            if (found := world.replay(_without(best.calls, n, world.first))) is not None:
                best, changed = found, True
                break
    for n, (name, arguments) in enumerate(best.calls):
        for parameter in arguments:
            options = world.programs.domains.by_parameter[name, parameter]
            simpler = {**best.calls[n][1], parameter: options[0]}
            calls = (*best.calls[:n], (name, simpler), *best.calls[n + 1 :])
            if (found := world.replay(calls)) is not None and len(found.calls) == len(best.calls):
                best = found
    return best
