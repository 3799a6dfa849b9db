"""Two programs compared on all short sequences of calls from the empty database.

Source: Migrator (arXiv 1904.05498), testing by sequences of updates that end in a query, shortest first. Ours: values that cover every
pair, multisets of rows, up to three updates. Sequences that lead to a pair of databases seen before are not continued, and a query is
asked again only if the last update changed a table that it reads.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from reasoning.synthesis.errors import Refusal
from reasoning.synthesis.migrator.correspondence import same_tables
from reasoning.synthesis.migrator.database import Broken, Compiled, Database, compile_function
from reasoning.synthesis.migrator.program import Function, Program, reads, writes
from reasoning.synthesis.migrator.simulate import same_rows
from reasoning.synthesis.migrator.tables import Tables, near
from reasoning.synthesis.migrator.values import domains_of

Call = tuple[str, dict[str, Any]]
"""A function and its arguments."""


@dataclass(frozen=True)
class Scenario:
    """Calls on which two programs differ."""

    calls: tuple[Call, ...]
    """Updates, and a query at the end unless the last update itself differs."""
    old: list[tuple] | str
    """What the old program answers: rows, or why the call failed."""
    new: list[tuple] | str
    """Likewise the new one."""

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

    def text(self) -> str:
        """A sentence that claims no more than was done."""
        if self.failure:
            return f"different after {' -> '.join(self.failure.functions)}"
        if not self.functions:
            return "nothing to compare: all functions are the same on the same tables"
        more = f"; bound {self.wanted} was begun and not finished" if self.bound < self.wanted else ""
        done = f"{self.functions} functions, {self.sequences} states, {self.queries} queries"
        return f"no difference within bound {self.bound} ({done}; tested values only){more}"


@dataclass(frozen=True)
class _Side:
    """One of the two programs at work."""

    base: Database
    functions: dict[str, Compiled]


class Comparison:
    """Two programs side by side."""

    def __init__(self, old: Program, old_tables: Tables, new: Program, new_tables: Tables):
        self.old, self.new = old, new
        self.pairs = matched(old, new)
        self.differing = [name for name, (a, b) in self.pairs.items() if not _same(a, b, same_tables(old_tables, new_tables))]
        self.updates, self.queries = self._relevant()
        names = [*self.updates, *self.queries]
        self.sides = tuple(_side(tables, [pair[n] for pair in (self.pairs[name] for name in names)])
                           for n, tables in enumerate((old_tables, new_tables)))  # fmt: skip
        self.domains = domains_of(old, old_tables)
        self.rows = {(name, most): self.domains.rows(self.pairs[name][0], most) for name in names for most in (2, 3)}
        self.read = {name: [set().union(*map(reads, f.statements)) for f in self.pairs[name]] for name in self.queries}
        self.states = self.asked = 0

    def _relevant(self) -> tuple[list[str], list[str]]:
        """Updates and queries that a difference could show in."""
        inside = lambda name: all(f.statements for f in self.pairs[name])
        touched = {(n, t) for name in self.differing for n, f in enumerate(self.pairs[name]) for t in f.tables}
        names = [name for name in self.pairs if inside(name)]
        meets = lambda name, kind: any((n, t) in touched for n, f in enumerate(self.pairs[name]) for s in f.statements for t in kind(s))
        queries = [name for name in names if self.pairs[name][0].is_query and (name in self.differing or meets(name, reads))]
        updates = [name for name in names if not self.pairs[name][0].is_query and (name in self.differing or meets(name, writes))]
        return updates, queries

    def run(self, bound: int, in_time: Callable[[], bool]) -> Checked:
        """Compare on all sequences of up to `bound` updates, shortest first, until they differ or time is up."""
        finished = -1
        if not self.differing:
            return Checked(bound, bound, 0, 0, 0, None)
        for depth in range(bound + 1):
            self.seen: dict[int, int] = {}
            self.time_left = True
            failure = next(self._from(depth, (), None, in_time), None)
            if failure:
                return self._done(finished, bound, minimal(self, failure))
            if not self.time_left:
                break
            finished = depth
        return self._done(finished, bound, None)

    def _done(self, finished, bound, failure):
        return Checked(finished, bound, self.states, self.asked, len(self.updates) + len(self.queries), failure)

    def _from(self, depth, done: tuple[Call, ...], changed, in_time) -> Iterator[Scenario]:
        """Differences after some calls and at most `depth` more updates; in the last step queries are asked."""
        if depth == 0:
            self.states += 1
            yield from self._ask(done, changed)
            return
        for name in self.updates:
            for arguments in self.rows[name, 2 if depth > 1 or done else 3]:
                if not in_time():
                    self.time_left = False
                    return
                calls = (*done, (name, arguments))
                outcomes = self._enter(name, arguments, len(calls))
                try:
                    if (outcomes[0] is None) != (outcomes[1] is None):
                        yield Scenario(calls, outcomes[0] or "succeeds", outcomes[1] or "succeeds")
                    elif outcomes[0] is None and self._unseen(depth):
                        yield from self._from(depth - 1, calls, self._written(name), in_time)
                finally:
                    for side in self.sides:
                        side.base.back()
                if not self.time_left:
                    return

    def _enter(self, name, arguments, number) -> list[str | None]:
        """Make a call on both sides behind a mark; what went wrong on each, None if nothing."""
        found: list[str | None] = []
        for side in self.sides:
            side.base.mark()
            try:
                side.base.call(side.functions[name], arguments, number)
                found.append(None)
            except Broken as broken:
                found.append(f"fails: {broken}")
        return found

    def _written(self, name):
        return tuple(side.functions[name].writes for side in self.sides)

    def _unseen(self, depth) -> bool:
        mark = hash(tuple(frozenset(Counter(rows).items()) for side in self.sides for rows in side.base.rows().values()))
        if self.seen.get(mark, 0) >= depth:
            return False
        self.seen[mark] = depth
        return True

    def _ask(self, done, changed) -> Iterator[Scenario]:
        for name in self.queries:
            if changed is not None and not any(t & c for t, c in zip(self.read[name], changed, strict=True)):
                continue
            for arguments in self.rows[name, 3]:
                self.asked += 1
                rows = [side.base.call(side.functions[name], arguments, len(done) + 1) for side in self.sides]
                if not same_rows(rows[0], rows[1], self.pairs[name][0].statements[0]):
                    yield Scenario((*done, (name, arguments)), rows[0], rows[1])

    def replay(self, calls: tuple[Call, ...]) -> Scenario | None:
        """The difference that some calls lead to from the empty databases, if any."""
        entered = 0
        try:
            for number, (name, arguments) in enumerate(calls, 1):
                old = self.pairs[name][0]
                if old.is_query:
                    rows = [side.base.call(side.functions[name], arguments, number) for side in self.sides]
                    if not same_rows(rows[0], rows[1], old.statements[0]):
                        return Scenario(calls[:number], rows[0], rows[1])
                    continue
                outcomes = self._enter(name, arguments, number)
                entered += 1
                if (outcomes[0] is None) != (outcomes[1] is None):
                    return Scenario(calls[:number], outcomes[0] or "succeeds", outcomes[1] or "succeeds")
            return None
        finally:
            for _ in range(entered):
                for side in self.sides:
                    side.base.back()


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


def _side(tables: Tables, functions: list[Function]) -> _Side:
    names = {name for function in functions for name in function.tables if name in tables}
    used = {t for f in functions for s in f.statements for t in reads(s) | writes(s)}
    return _Side(Database(tables, names | {t for t in used if t in tables}), {f.name: compile_function(f, tables) for f in functions})


def minimal(comparison: Comparison, scenario: Scenario) -> Scenario:
    """The scenario without calls that it does not need, and with as few different values as it needs."""
    best = scenario
    changed = True
    while changed:
        changed = False
        for n in range(len(best.calls) - 1):
            if (found := comparison.replay(best.calls[:n] + best.calls[n + 1 :])) is not None:
                best, changed = found, True
                break
    for n, (name, arguments) in enumerate(best.calls):
        for parameter in arguments:
            options = comparison.domains.by_parameter[name, parameter]
            simpler = {**best.calls[n][1], parameter: options[0]}
            calls = (*best.calls[:n], (name, simpler), *best.calls[n + 1 :])
            if (found := comparison.replay(calls)) is not None and len(found.calls) == len(best.calls):
                best = found
    return best
