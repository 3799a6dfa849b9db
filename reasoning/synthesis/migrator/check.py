"""Two programs compared on all short sequences of calls from the empty database.

Source: Migrator (arXiv 1904.05498), testing by sequences of updates that end in a query, shortest first. Ours: values that cover every
pair, multisets of rows, up to three updates, calls that cannot matter left out (`clusters.py`). Sequences that lead to a pair of databases
seen before are not continued, and a query is asked again only if the last update changed a table that it reads.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reasoning.synthesis.errors import Refusal
from reasoning.synthesis.migrator.clusters import Cluster, clusters
from reasoning.synthesis.migrator.correspondence import same_tables
from reasoning.synthesis.migrator.database import FRESH_START, Broken, Database, compile_function
from reasoning.synthesis.migrator.program import Function, Program, reads
from reasoning.synthesis.migrator.simulate import pick, same_rows
from reasoning.synthesis.migrator.tables import Tables, near
from reasoning.synthesis.migrator.values import domains_of

Call = tuple[str, dict[str, Any]]
"""A function and its arguments."""


@dataclass(frozen=True)
class Start:
    """Related databases that sequences of calls begin in."""

    rows: tuple[dict[str, list[tuple]], dict[str, list[tuple]]]
    """Of the old schema and of the new one; tables that are not named are empty."""


EMPTY = Start(({}, {}))
WALKS, LEAST_WALKS, LONGEST, TRIED = 64, 4, 9, 30
"""Random sequences in all, for each cluster at least; updates in each, and calls tried for them."""
BEGUN = 50
"""Calls that may have led to a start."""


@dataclass(frozen=True)
class Scenario:
    """Calls on which two programs differ."""

    calls: tuple[Call, ...]
    """Updates, and a query at the end unless the last update itself differs."""
    old: list[tuple] | str
    """What the old program answers: rows, or why the call failed."""
    new: list[tuple] | str
    """Likewise the new one."""
    start: Start = EMPTY
    """The databases before."""

    @property
    def first(self) -> int:
        """The number before that of the first call, which tells fresh keys apart; those of a start were made before."""
        return 0 if self.start == EMPTY else BEGUN

    @property
    def functions(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(name for name, _ in self.calls)


@dataclass(frozen=True)
class Checked:
    """How far two programs were compared."""

    bound: int
    """All sequences of up to so many updates were compared, with the values used."""
    wanted: int
    """The bound asked for."""
    sequences: int
    """Different pairs of databases in which queries were compared."""
    queries: int
    """Queries compared."""
    functions: int
    """Functions that took part; the others are the same text on the same tables."""
    failure: Scenario | None
    """A difference; None: none was found."""
    walks: int = 0
    """Longer sequences at random."""
    starts: int = 1
    """Pairs of databases that sequences began in: the empty ones, and related ones where no function fills a table."""
    never: tuple[str, ...] = ()
    """Updates that failed on every try, in both programs, so that nothing was seen of them."""

    def text(self) -> str:
        """A sentence that claims no more than was done."""
        if self.failure:
            return f"different after {' -> '.join(self.failure.functions)}"
        if not self.functions:
            return "nothing to compare: all functions are the same on the same tables"
        more = f"; bound {self.wanted} was begun and not finished" if self.bound < self.wanted else ""
        done = f"{self.functions} functions, {self.sequences} states, {self.queries} queries"
        done += f", {self.walks} longer sequences at random" if self.walks else ""
        done += f", from {self.starts} databases" if self.starts > 1 else ""
        more += f"; every try failed in both programs: {', '.join(self.never)}" if self.never else ""
        return f"no difference within bound {self.bound} ({done}; tested values only){more}"


class Comparison:
    """Two programs side by side."""

    def __init__(self, old: Program, old_tables: Tables, new: Program, new_tables: Tables, starts: Sequence[Start] = (EMPTY,),
                 values: int = 3):  # fmt: skip
        """Work out what can differ.

        Args:
          old: a program.
          old_tables: its schema.
          new: another one with functions of the same names.
          new_tables: its schema.
          starts: pairs of related databases that sequences begin in.
          values: for each parameter at most; with 1, as in the paper's tests, a wrong column often looks right.

        Raises:
          Refusal: a function is missing, or is a query in one program only.
        """
        self.pairs, self.schemas, self.starts = matched(old, new), (old_tables, new_tables), tuple(starts)
        same = same_tables(old_tables, new_tables)
        self.differing = [name for name, (a, b) in self.pairs.items() if not _same(a, b, same)]
        self.domains = domains_of(old, old_tables)
        inside = {name: pair for name, pair in self.pairs.items() if all(f.statements for f in pair)}
        self.clusters = clusters(inside, self.differing, self.schemas, self.domains, values)
        self.states = self.asked = self.walks = 0
        self.succeeded: set[str] = set()

    def run(self, bound: int, in_time: Callable[[], bool], longer: bool = True) -> Checked:
        """Compare on all sequences of up to `bound` updates, shortest first, until they differ or time is up.

        With `longer`, some longer sequences at random follow.
        """
        finished = -1
        worlds = [World(self, cluster, start) for start in self.starts for cluster in self.clusters]
        try:
            for depth in range(bound + 1):
                for world in worlds:
                    failure = world.explore(depth, in_time)
                    if failure:
                        return self._done(finished, bound, minimal(world, failure))
                    if not world.time_left:
                        return self._done(finished, bound, None)
                finished = depth
            for number, world in enumerate(worlds if longer and bound > 0 else ()):
                failure = world.wander(random.Random(f"walk {number}"), max(LEAST_WALKS, WALKS // len(worlds)), in_time)
                if failure:
                    return self._done(finished, bound, minimal(world, failure))
            return self._done(finished, bound, None)
        finally:
            for world in worlds:
                world.close()

    def _done(self, finished, bound, failure):
        functions = {name for cluster in self.clusters for name in (*cluster.queries, *cluster.updates)}
        updates = {name for cluster in self.clusters for name in cluster.updates} if finished > 0 else set()
        never = tuple(sorted(updates - self.succeeded))
        return Checked(finished, bound, self.states, self.asked, len(functions), failure, self.walks, len(self.starts), never)


class World:
    """The databases of one cluster from one start."""

    def __init__(self, comparison: Comparison, cluster: Cluster, start: Start):
        self.comparison, self.cluster, self.start, self.time_left = comparison, cluster, start, True
        names = [*cluster.queries, *cluster.updates]
        self.first = 0 if start == EMPTY else BEGUN
        self.old = {name: comparison.pairs[name][0] for name in names}
        self.bases = tuple(Database(schema, tables) for schema, tables in zip(comparison.schemas, cluster.tables, strict=True))
        for base, rows in zip(self.bases, start.rows, strict=True):
            base.load(rows)
        self.functions = tuple(
            {name: compile_function(comparison.pairs[name][side], comparison.schemas[side]) for name in names} for side in (0, 1)
        )
        self.read = {name: [set().union(*map(reads, f.statements)) for f in comparison.pairs[name]] for name in cluster.queries}

    def close(self):
        """Let go of the databases."""
        for base in self.bases:
            base.close()

    def explore(self, depth: int, in_time: Callable[[], bool]) -> Scenario | None:
        """The first difference after just so many updates."""
        self.seen: dict[int, int] = {}
        self.most = 3 if depth <= 1 else 2
        return next(self._from(depth, (), None, in_time), None)

    def wander(self, chance: random.Random, walks: int, in_time: Callable[[], bool]) -> Scenario | None:
        """The first difference on random sequences longer than the bound: every query is asked after every update."""
        for _ in range(walks if self.cluster.updates else 0):
            depth, found, calls = self.bases[0].depth, None, ()
            for _ in range(TRIED):
                left = [name for name in self.cluster.updates if name not in {done for done, _ in calls}]
                name = chance.choice(left if left and chance.random() < 0.7 else self.cluster.updates)
                row = chance.choice(self.cluster.arguments[name, 3])
                made = {key: renewed(value, chance.randrange(1, len(calls) + 2)) for key, value in row.items()}
                if chance.random() < 0.7:
                    made = {key: pick(self.old[name], key, self.bases[0], self.comparison.domains, chance) for key in row}
                outcomes = self._enter(name, made, len(calls) + 1)
                if outcomes[0] is None and outcomes[1] is None:
                    calls = (*calls, (name, made))
                    self.comparison.states += 1
                    written = tuple(functions[name].writes for functions in self.functions)
                    found = next(self._ask(calls, written), None)
                elif None in outcomes:
                    found = Scenario((*calls, (name, made)), outcomes[0] or "succeeds", outcomes[1] or "succeeds", self.start)
                if found or len(calls) == LONGEST or not in_time():
                    break
            for base in self.bases:
                while base.depth > depth:
                    base.back()
            self.comparison.walks += 1
            if found or not in_time():
                return found
        return None

    def _from(self, depth, done: tuple[Call, ...], changed, in_time) -> Iterator[Scenario]:
        if depth == 0:
            self.comparison.states += 1
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
                    if (outcomes[0] is None) != (outcomes[1] is None):
                        yield Scenario(calls, outcomes[0] or "succeeds", outcomes[1] or "succeeds", self.start)
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
        for base, functions in zip(self.bases, self.functions, strict=True):
            base.mark()
            try:
                base.call(functions[name], arguments, self.first + number)
                found.append(None)
            except Broken as broken:
                found.append(f"fails: {broken}")
        if found == [None, None]:
            self.comparison.succeeded.add(name)
        return found

    def _unseen(self, depth) -> bool:
        mark = hash(tuple(frozenset(Counter(rows).items()) for base in self.bases for rows in base.rows().values()))
        if self.seen.get(mark, 0) >= depth:
            return False
        self.seen[mark] = depth
        return True

    def _ask(self, done, changed) -> Iterator[Scenario]:
        for name in self.cluster.queries:
            if changed is not None and not any(t & c for t, c in zip(self.read[name], changed, strict=True)):
                continue
            for arguments in self.cluster.arguments[name, 3]:
                self.comparison.asked += 1
                yield from self._answer(done, name, arguments)

    def _answer(self, done, name, arguments) -> Iterator[Scenario]:
        rows = [
            base.call(functions[name], arguments, self.first + len(done) + 1)
            for base, functions in zip(self.bases, self.functions, strict=True)
        ]
        if not same_rows(rows[0], rows[1], self.old[name].statements[0]):
            yield Scenario((*done, (name, arguments)), rows[0], rows[1], self.start)

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
                if (outcomes[0] is None) != (outcomes[1] is None):
                    return Scenario(calls[:number], outcomes[0] or "succeeds", outcomes[1] or "succeeds", self.start)
            return None
        finally:
            for _ in range(entered):
                for base in self.bases:
                    base.back()


def renewed(value: Any, call: int) -> Any:
    """A fresh key of a domain as the key of another call; any other value as it is."""
    if isinstance(value, int) and value >= FRESH_START:
        return FRESH_START * call + value % FRESH_START
    return f"~{call}.{value.partition('.')[2]}" if isinstance(value, str) and value.startswith("~") else value


def matched(old: Program, new: Program) -> dict[str, tuple[Function, Function]]:
    """Functions of the same name. Raises Refusal if one is missing or takes other parameters."""
    names = {function.name: function for function in new.functions}
    found = {}
    for function in old.functions:
        other = names.get(function.name)
        if other is None:
            raise Refusal(f"the new program has no function {function.name!r}{near(function.name, names)}")
        if set(other.params) - set(function.params):
            extra = sorted(set(other.params) - set(function.params))[0]
            raise Refusal(f"{function.name} of the new program takes {extra!r}, which the old one does not have")
        if other.is_query != function.is_query and other.statements and function.statements:
            raise Refusal(f"{function.name} is a query in one program and an update in the other")
        found[function.name] = (function, other)
    return found


def _same(one: Function, other: Function, same: frozenset[str]) -> bool:
    if one.statements and other.statements:
        return one.statements == other.statements and one.tables <= same
    return one.text.split() == other.text.split() and one.tables <= same


def minimal(world: World, scenario: Scenario) -> Scenario:
    """The scenario without calls that it does not need, and with as few different values as it needs."""
    best = scenario
    changed = True
    while changed:
        changed = False
        for n in range(len(best.calls) - 1):
            if (found := world.replay(best.calls[:n] + best.calls[n + 1 :])) is not None:
                best, changed = found, True
                break
    for n, (name, arguments) in enumerate(best.calls):
        for parameter in arguments:
            options = world.comparison.domains.by_parameter[name, parameter]
            simpler = {**best.calls[n][1], parameter: options[0]}
            calls = (*best.calls[:n], (name, simpler), *best.calls[n + 1 :])
            if (found := world.replay(calls)) is not None and len(found.calls) == len(best.calls):
                best = found
    return best
