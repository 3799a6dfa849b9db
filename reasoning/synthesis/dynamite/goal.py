"""The goal of a search: one target collection, what is known of it, and what comes out."""

import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from reasoning.synthesis.datalog import Program, Rule
from reasoning.synthesis.dynamite.completion.candidate import Candidate
from reasoning.synthesis.dynamite.completion.search import Clock, Statistics
from reasoning.synthesis.dynamite.mapping import Options
from reasoning.synthesis.dynamite.sketch.correspondence import Values
from reasoning.synthesis.dynamite.sketch.sketch import Sketch
from reasoning.synthesis.engines import memory
from reasoning.synthesis.engines.compile import repeats_nothing
from reasoning.synthesis.facts import Facts
from reasoning.synthesis.schema import Schema, find, parent_of
from reasoning.synthesis.simplify import simplify_rule

MOST_COUNTS = 12
"""Choices of atoms to count that are tried for one rule."""


@dataclass(frozen=True)
class Unsat:
    """No program of the language makes the target examples from the source examples."""

    path: str
    """The target collection that cannot be made."""
    reason: str
    """A sentence: which attribute has no source, or which records of the example are in each
    other's way.
    """
    statistics: dict
    """Counts and seconds of the search, by name."""


@dataclass(frozen=True)
class Timeout:
    """The budget ran out."""

    path: str
    """The target collection being worked on."""
    best: Program
    """The rules found for other collections, and for this one the candidate that missed least; not
    right on the examples.
    """
    statistics: dict
    """Counts and seconds of the search so far, by name."""


@dataclass(frozen=True)
class Found:
    """The right rules of a collection."""

    sketch: Sketch | None
    """The sketch that the candidates complete; None if an extension made the rules."""
    candidates: tuple[Candidate, ...]
    """One, unless no single rule was enough; those of the base of an extension."""
    rules: tuple[Rule, ...]
    """The candidates as rules, with the identity of their records."""
    notes: list[str] = field(default_factory=list)
    """Decisions of our extensions, a sentence each."""


@dataclass(frozen=True)
class Goal:
    """A target collection and all that is known of it."""

    path: str
    source: Schema
    target: Schema
    sources: tuple[Facts, ...]
    """The facts of every example."""
    extended: tuple[Facts, ...]
    """The facts of every example, with the columns that functions make."""
    rows: tuple[set[tuple], ...]
    values: Values
    """The values of each column of the extended source."""
    bags: tuple[Counter, ...]
    """The flattened records of each example with their numbers."""
    above: tuple[Rule, ...]
    """The rules of the collections before this one."""
    fixed: tuple[tuple[int, Any], ...] = ()
    """Columns that have one value in all records, or are left out: NULL throughout."""
    hint: str = ""
    """A label that the names of the right source columns hold."""
    part: bool = False
    """True of the smaller goals of extensions, which are searched with less effort."""

    def narrowed(self, keep, fixed: dict[int, Any]) -> "Goal":
        """The goal of making some of the records, with some columns replaced by a value.

        Args:
          keep: test of a record, True if it is to be made.
          fixed: the values by column.
        """

        def cut(row):
            return tuple(fixed.get(n, value) for n, value in enumerate(row))

        bags: list[Counter] = []
        for bag in self.bags:
            bags.append(Counter())
            for row, count in bag.items():
                if keep(row):
                    bags[-1][cut(row)] += count
        rows = tuple(set(bag) for bag in bags)
        known = tuple({**dict(self.fixed), **fixed}.items())
        return replace(self, rows=rows, bags=tuple(bags), fixed=known, part=True)


@dataclass
class Work:
    """Values that every search of one synthesis shares."""

    options: Options
    clock: Clock
    statistics: Statistics
    twice: list[int] = field(default_factory=list)
    """Propagations of the solver in each sketch with two copies of every relation so far."""


def identified(task: Goal, rules: tuple[Rule, ...]) -> tuple[Rule, ...] | None:
    """Choose what identifies the records of rules that make the right set of them: the example's
    number of equal records decides, else a declared key of the target, else rows are kept.

    Returns:
      The rules so marked; None if the numbers of the example cannot be had.
    """
    rules = tuple(dict.fromkeys(map(simplify_rule, rules)))
    options = [rules, tuple(replace(r, counted=tuple(range(len(r.body)))) for r in rules)]
    if len(rules) == 1:
        options += [(replace(rules[0], counted=c),) for c in _counts(rules[0])]
    merged = tuple(replace(rule, distinct=True) for rule in rules)
    right = [option for option in [*options, merged] if makes(task, option)]
    if not right:
        return None
    key = find(task.target, task.path).key
    if merged in right and key and not all(unique(task, rule) for rule in rules):
        return merged
    return right[0]


def _counts(rule: Rule):
    """Smaller and larger choices of atoms to count, fewest first."""
    numbers = range(len(rule.body))
    return [c for size in numbers[1:] for c in itertools.combinations(numbers, size)][:MOST_COUNTS]


def unique(task: Goal, rule: Rule) -> bool:
    """Test whether keys prove that a rule repeats no record."""
    return repeats_nothing(rule, len(rule.heads) - 1, task.source)


def makes(task: Goal, rules: tuple[Rule, ...]) -> bool:
    """Test whether rules make every record of the examples as often as it is there, and no other
    records around them than those that are made without them.
    """
    program, above = Program(task.above + rules), parent_of(task.path)

    def bag(made: Program, path: str, facts: Facts) -> Counter:
        return Counter(v for v, _ in memory.flat_records(made, path, task.target, facts))

    for facts, wanted in zip(task.sources, task.bags, strict=True):
        if bag(program, task.path, facts) != wanted:
            return False
        # Columns that are left out for now are NULL around the records, too.
        if above and not task.fixed:
            before = Program(task.above)
            if bag(program, above, facts) != bag(before, above, facts):
                return False
    return True
