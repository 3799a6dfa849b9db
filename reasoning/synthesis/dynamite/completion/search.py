"""The loop of Dynamite for one target collection: complete the sketch, run it on the examples,
learn from the mistake.
"""

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from reasoning.synthesis.datalog import components
from reasoning.synthesis.dynamite.completion.blocking import exactly, paper
from reasoning.synthesis.dynamite.completion.candidate import Candidate, body_of, derivations
from reasoning.synthesis.dynamite.completion.encode import ATOM, MOST_COST, Clause, Encoding, Fact
from reasoning.synthesis.dynamite.completion.lessons import Mistake, lessons, mistake
from reasoning.synthesis.dynamite.sketch.sketch import Sketch
from reasoning.synthesis.facts import Facts

Learning = Literal["directed", "paper", "enumerate"]
LEARNING: tuple[str, ...] = ("directed", "paper", "enumerate")


@dataclass
class Statistics:
    """Cost of the search."""

    candidates: int = 0
    """Completions that were run on an example."""
    conflicts: int = 0
    """Clauses learned from them."""
    seconds: float = 0.0
    """Wall-clock time."""


class Clock:
    """A budget of seconds from now."""

    def __init__(self, seconds: float):
        self.start, self.seconds = time.monotonic(), seconds

    def spent(self) -> float:
        return time.monotonic() - self.start

    def in_time(self) -> bool:
        return self.spent() < self.seconds


@dataclass(frozen=True)
class Task:
    """One target collection in all examples."""

    sketch: Sketch
    """The atoms, columns and constants that its rule may be made of."""
    sources: tuple[Facts, ...]
    """The source facts of every example."""
    rows: tuple[set[tuple], ...]
    """The flattened target records of every example."""


class Search:
    """Goes through the right rules of a task, cheapest first."""

    def __init__(
        self, task: Task, seed: int, learning: Learning, clock: Clock, statistics: Statistics
    ):
        self.task, self.learning, self.clock, self.statistics = task, learning, clock, statistics
        self.encoding = Encoding(task.sketch, seed)
        self.rests: dict[tuple[int, Any], int] = {}
        self.fix = self.encoding.sat.new()
        self.fixed = False
        self.bound = ATOM
        self.tied = True
        self.blamed: set[tuple[int, Any]] = set()
        self.best: tuple[int, Candidate] | None = None
        self.effort = 0.0

    def start_from(self, clauses: list[Fact] | None):
        """Prefer rules that extend another one: the parent's. Dropped when nothing extends it."""
        for fact in clauses or []:
            literal = self.encoding.literal(fact)
            self.encoding.sat.add([-self.fix] + ([literal] if literal is not None else []))
        self.fixed = bool(clauses)

    def next(
        self, only: tuple[int, tuple] | None = None, most: int | None = None
    ) -> Candidate | bool | None:
        """The next right rule, never one that was blocked.

        Args:
          only: (number of an example, a record): the rule must make this record and may miss
            others, but makes none too many.
          most: the highest price.

        Returns:
          A candidate; False if there is none (at this price); None if time, or the solver's work
          where `effort` limits it, ran out.
        """
        while True:
            found = self.encoding.solve(self._assumptions(only), self.bound, self._goes_on)
            if found is None:
                return None
            if not found:
                if not self._relax(most):
                    return False
                continue
            candidate = self.encoding.candidate()
            if self.tied and (groups := _islands(self.task.sketch, candidate)):
                self.encoding.tie(groups)
            elif self._right(candidate, only):
                return candidate

    def _goes_on(self) -> bool:
        """Test whether time and effort are left."""
        spent = bool(self.effort) and self.encoding.sat.work >= self.effort
        return self.clock.in_time() and not spent

    def block(self, candidate: Candidate):
        """Never this one again."""
        self.encoding.learn(exactly(self.task.sketch, candidate))

    def _assumptions(self, only):
        wanted = [
            literal
            for rest, literal in self.rests.items()
            if only is None or rest[1] is None or rest == only
        ]
        return (
            wanted
            + ([self.fix] if self.fixed else [])
            + ([self.encoding.tied] if self.tied else [])
        )

    def _relax(self, most) -> bool:
        """After a failure: allow a higher price, then leave the parent's rule, then products;
        False: nothing is left to allow.
        """
        core = self.encoding.sat.core
        bounded = set(self.encoding.sat.at_most(self.bound)) & core
        if bounded and (most is None or self.bound < most):
            self.bound += 1
            return True
        if self.fixed and self.fix in core:
            self.fixed, self.bound = False, ATOM
            return True
        self.blamed = {rest for rest, literal in self.rests.items() if literal in core}
        return False

    def _right(self, candidate, only) -> bool:
        """Run the candidate on every example; learn from the first mistake."""
        self.statistics.candidates += 1
        for n, (facts, rows) in enumerate(zip(self.task.sources, self.task.rows, strict=True)):
            wrong = mistake(self.task.sketch, candidate, facts, rows, partial=only is not None)
            if wrong is None and only is not None and n == only[0]:
                wrong = _missing(self.task.sketch, candidate, facts, only[1])
            if wrong is not None:
                self._note(candidate, wrong, rows)
                self._learn(candidate, n, facts, rows, wrong)
                return False
        return True

    def _note(self, candidate, wrong, rows):
        """Remember the candidate that makes nothing too many and misses least, in case time runs
        out.
        """
        score = len(rows) + 1 if wrong.extra else len(wrong.missing)
        if self.best is None or score < self.best[0]:
            self.best = (score, candidate)

    def _learn(self, candidate, n, facts, rows, wrong):
        for clause, rest in self._clauses(candidate, facts, rows, wrong):
            selector = self.rests.get((n, rest))
            if selector is None:
                selector = self.rests[n, rest] = self.encoding.sat.new()
            self.statistics.conflicts += self.encoding.learn(clause, selector)

    def _clauses(self, candidate, facts, rows, wrong) -> Iterator[tuple[Clause, Any]]:
        if self.learning == "enumerate":
            return iter([(exactly(self.task.sketch, candidate), None)])
        if self.learning == "paper":
            return ((clause, None) for clause in paper(self.task.sketch, candidate, facts, rows))
        return lessons(self.task.sketch, candidate, facts, rows, wrong)

    def close(self):
        """Give the solver's memory back."""
        self.encoding.close()


def _missing(sketch, candidate, facts, record):
    """The mistake of not making one record."""
    return (
        None
        if any(made == record for made, _ in derivations(sketch, candidate, facts))
        else Mistake({}, (record,))
    )


def _islands(sketch: Sketch, candidate: Candidate) -> list[set[int]]:
    """Groups of copies that no equality ties together; empty if all hang together."""
    groups = components(body_of(sketch, candidate)[0])
    order = sorted(candidate.copies)
    return [{order[n] for n in group} for group in groups] if len(groups) > 1 else []


def extending(parent: Candidate, old: Sketch, new: Sketch) -> list[Fact] | None:
    """The demands of a parent's rule in the sketch of a collection inside; None if that sketch has
    too few copies.

    Args:
      parent: the rule found for the collection around.
      old: its sketch.
      new: the sketch whose first head columns are the parent's.
    """
    to = {}
    for relation in sorted(set(old.copies)):
        there = [copy for copy in sorted(parent.copies) if old.copies[copy] == relation]
        here = [copy for copy, name in enumerate(new.copies) if name == relation]
        if len(here) < len(there):
            return None
        to |= dict(zip(there, here, strict=False))

    def move(p):
        return new.of_copy(to[old.positions[p][0]])[old.positions[p][1]]

    found = [Fact("copy", to[copy]) for copy in sorted(parent.copies)]
    found += [
        Fact("equal", move(min(g)), move(p)) for g in parent.classes for p in sorted(g - {min(g)})
    ]
    found += [Fact("constant", move(p), value) for p, value in parent.constants]
    found += [Fact("present", move(p)) for p in sorted(parent.firm)]
    return found + [Fact("head", t, move(p)) for t, p in enumerate(parent.head) if p is not None]


def highest(bound: int, slack: int) -> int:
    """A price a little above another, within what can be bounded."""
    return min(bound + slack, MOST_COST)


def as_dict(statistics: Statistics) -> dict:
    """JSON-ready."""
    return dataclasses.asdict(statistics)
