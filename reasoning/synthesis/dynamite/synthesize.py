"""From examples to a program: for every target collection a sketch, and its completion.

Source: Dynamite (arXiv 2003.01331), the algorithm at the top: attribute mapping, sketch generation,
sketch completion.
"""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reasoning.synthesis.datalog import Program, Rule, check_program
from reasoning.synthesis.dynamite.completion.candidate import Candidate, derivations, to_rule
from reasoning.synthesis.dynamite.completion.encode import ATOM
from reasoning.synthesis.dynamite.completion.search import (
    LEARNING,
    Clock,
    Search,
    Statistics,
    Task,
    as_dict,
    extending,
)
from reasoning.synthesis.dynamite.mapping import Mapping, Options
from reasoning.synthesis.dynamite.sketch.correspondence import Values, source_values
from reasoning.synthesis.dynamite.sketch.sketch import NoSource, Sketch, make_sketch
from reasoning.synthesis.engines import memory, sqlite
from reasoning.synthesis.engines.compile import repeats_nothing
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.facts import Facts, flatten, to_facts
from reasoning.synthesis.infer import Instance
from reasoning.synthesis.schema import Schema, find, flat_columns, parent_of, walk
from reasoning.synthesis.simplify import simplify_rule
from reasoning.synthesis.syntax import show_value

MOST_TRIES = 20
"""Rules that make the right set of records in a wrong number, before the search ends."""
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
    """What it took to find out."""


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
    """What was done."""


@dataclass(frozen=True)
class Found:
    """The right rules of a collection."""

    sketch: Sketch
    """That they complete."""
    candidates: tuple[Candidate, ...]
    """One, unless no single rule was enough."""
    rules: tuple[Rule, ...]
    """Them as rules, with the identity of their records."""


def synthesize_mapping(
    source: Schema,
    target: Schema,
    examples: Sequence[tuple[Instance, Instance]],
    options: Options | None = None,
) -> Mapping | Unsat | Timeout:
    """Learn a program that maps every source example to its target example.

    Args:
      source: the schema of the data as it is.
      target: the schema of the data as it should be.
      examples: small pairs of instances; more than one only narrows the choice. Those after the
        first may be fragments.
      options: budget, seed and what may be used; None: the defaults.

    Returns:
      The cheapest mapping (fewest atoms, likeliest joins); or why there is none; or, out of budget,
      the best so far.

    Raises:
      UserError: no example, one that does not fit its schema, or bad options.
    """
    options = options or Options()
    _check(examples, options)
    sources = tuple(to_facts(source, one, "source example") for one, _ in examples)
    targets = [
        to_facts(target, other, "target example", loose=n > 0)
        for n, (_, other) in enumerate(examples)
    ]
    wanted = tuple(flatten(target, facts) for facts in targets)
    values = source_values(source, sources)
    clock, statistics, notes = Clock(options.budget), Statistics(), []
    found: dict[str, Found] = {}
    for path, _ in walk(target):
        rows = tuple(set(flat[path]) for flat in wanted)
        if not any(rows):
            notes.append(f"{path} is empty in every example: it gets no rule")
            continue
        bags = tuple(Counter(flat[path]) for flat in wanted)
        above = tuple(rule for one in found.values() for rule in one.rules)
        task = _Target(path, source, target, sources, rows, values, bags, above)
        outcome = find_rules(task, found.get(parent_of(path) or ""), options, clock, statistics)
        statistics.seconds = clock.spent()
        if isinstance(outcome, Unsat):
            return outcome
        if isinstance(outcome, Timeout):
            return dataclasses.replace(outcome, best=Program(_rules(found) + outcome.best.rules))
        found[path] = outcome
        notes += _empty_columns(task, outcome.sketch) + _open_rows(task, outcome)
    program = check_program(Program(_rules(found)), source, target)
    _confirm(program, source, target, sources, wanted)
    return Mapping(
        source, target, program, tuple(examples), options, as_dict(statistics), tuple(notes)
    )


@dataclass(frozen=True)
class _Target:
    """A target collection and all that is known of it."""

    path: str
    source: Schema
    target: Schema
    sources: tuple[Facts, ...]
    rows: tuple[set[tuple], ...]
    values: Values
    bags: tuple[Counter, ...]
    """The flattened records of each example with their numbers."""
    above: tuple[Rule, ...]
    """The rules of the collections before this one."""


def find_rules(
    task: _Target, parent: Found | None, options: Options, clock: Clock, statistics: Statistics
):
    """One rule from a narrow sketch; else from a wide one; else several that cover the records
    together.

    Returns:
      Found, Unsat or Timeout.
    """
    head, unsat = flat_columns(task.target, task.path), None
    for wide, rules in ((False, 1), (True, 1)) + ((False, options.max_rules),) * (
        options.max_rules > 1
    ):
        sketch = make_sketch(
            task.values, task.path, head, task.rows, options.constants, wide, partial=rules > 1
        )
        if isinstance(sketch, NoSource):
            unsat = unsat or Unsat(task.path, _no_source(sketch), as_dict(statistics))
            continue
        search = Search(
            Task(sketch, task.sources, task.rows), options.seed, options.learning, clock, statistics
        )  # type: ignore[arg-type]
        if parent and len(parent.candidates) == 1 and rules == 1:
            search.start_from(extending(parent.candidates[0], parent.sketch, sketch))
        made, tries = None, 0
        while True:
            candidates = _cover(search, rules) if rules > 1 else search.next()
            if not candidates:
                break
            listed = candidates if isinstance(candidates, tuple) else (candidates,)
            made = identified(
                task, tuple(to_rule(sketch, one, task.target, task.source) for one in listed)
            )
            tries += 1
            if made or rules > 1 or tries == MOST_TRIES:
                break
            search.block(candidates)
        blamed, best = search.blamed, search.best
        search.close()
        if candidates is None:
            rest = (to_rule(sketch, best[1], task.target, task.source),) if best else ()
            return Timeout(task.path, Program(rest), as_dict(statistics))
        if made:
            return Found(sketch, listed, made)
        if tries:
            unsat = unsat or Unsat(task.path, _wrong_number(task), as_dict(statistics))
        unsat = unsat or Unsat(task.path, _conflict(task, blamed), as_dict(statistics))
    return unsat


def identified(task: _Target, rules: tuple[Rule, ...]) -> tuple[Rule, ...] | None:
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
    right = [option for option in [*options, merged] if _makes(task, option)]
    if not right:
        return None
    key = find(task.target, task.path).key
    if merged in right and key and not all(_unique(task, rule) for rule in rules):
        return merged
    return right[0]


def _counts(rule: Rule):
    """Smaller and larger choices of atoms to count, fewest first."""
    numbers = range(len(rule.body))
    return [c for size in numbers[1:] for c in itertools.combinations(numbers, size)][:MOST_COUNTS]


def _unique(task: _Target, rule: Rule) -> bool:
    return repeats_nothing(rule, len(rule.heads) - 1, task.source)


def _makes(task: _Target, rules: tuple[Rule, ...]) -> bool:
    """Test whether rules make every record of the examples as often as it is there."""
    program = Program(task.above + rules)
    return all(
        Counter(v for v, _ in memory.flat_records(program, task.path, task.target, facts)) == bag
        for facts, bag in zip(task.sources, task.bags, strict=True)
    )


def _open_rows(task: _Target, found: Found) -> list[str]:
    """A question where equal source rows could become one record or several, and no example shows
    which.
    """
    merged = tuple(replace(rule, distinct=True, counted=None) for rule in found.rules)
    if any(rule.distinct for rule in found.rules) or all(_unique(task, r) for r in found.rules):
        return []
    if not _makes(task, merged):
        return []
    return [
        f"open: {task.path}: no example shows whether equal source rows are one record: all rows "
        "are kept; to merge them, show two such rows in the example, declare a key of the target, "
        "or add @distinct to the rule"
    ]


def _wrong_number(task: _Target) -> str:
    names = [attr.name for _, attr in flat_columns(task.target, task.path)]
    repeated = [row for bag in task.bags for row, count in bag.items() if count > 1]
    shown = ""
    if repeated:
        cells = zip(names, repeated[0], strict=True)
        shown = " (for example " + ", ".join(f"{k} = {show_value(v)}" for k, v in cells) + ")"
    return (
        f"{task.path}: rules make its records, but none makes each as often as the example "
        f"has it{shown}: check the number of equal records"
    )


def _cover(search: Search, most: int) -> tuple[Candidate, ...] | bool | None:
    """Rules that make nothing too many and everything together: each is the cheapest that makes the
    first record left over.
    """
    found: list[Candidate] = []
    left = {(n, row) for n, rows in enumerate(search.task.rows) for row in rows}
    while left and len(found) < most:
        search.bound = ATOM
        candidate = search.next(only=min(left, key=repr))
        if not candidate:
            return candidate if candidate is None else False
        made = {
            (n, row)
            for n, facts in enumerate(search.task.sources)
            for row, _ in derivations(search.task.sketch, candidate, facts)
        }
        found.append(candidate)
        left -= made
    return False if left else tuple(found)


def _no_source(missing: NoSource) -> str:
    value = show_value(missing.example)
    return (
        f"{missing.path}.{missing.attr} has no source: no source column of its type holds all its "
        f"values (for example {value}), "
        "and values are copied, never computed; a value that is the same in all records may be "
        f"given: --constants {value}"
    )


def _conflict(task, blamed) -> str:
    names = [attr.name for _, attr in flat_columns(task.target, task.path)]
    rows = sorted((rest for rest in blamed if rest[1] is not None), key=repr)
    shown = [
        "(" + ", ".join(f"{k} = {show_value(v)}" for k, v in zip(names, row, strict=True)) + ")"
        for _, row in rows[:3]
    ]
    if not shown:
        return f"{task.path}: every rule within reach makes records that the example does not have"
    return (
        f"{task.path}: no rule makes {' and '.join(shown)} of the example without also making "
        "records that it does not have"
    )


def _empty_columns(task: _Target, sketch: Sketch) -> list[str]:
    found = []
    for n, ((path, attr), sources) in enumerate(zip(sketch.head, sketch.sources, strict=True)):
        null = all(row[n] is None for rows in task.rows for row in rows)
        if path != sketch.path or not null:
            continue
        copied = "it is copied from the source column of its name" if sources else "it stays NULL"
        found.append(f"open: {path}.{attr.name} is NULL throughout the example: {copied}")
    return found


def _rules(found: dict[str, Found]) -> tuple[Rule, ...]:
    return tuple(rule for one in found.values() for rule in one.rules)


def _check(examples, options):
    if not examples:
        raise UserError(
            "there is no example: give at least one pair of a source and a target instance"
        )
    if not options.budget > 0:
        raise UserError(f"the budget is {options.budget} seconds: give more than 0")
    if options.max_rules < 1:
        raise UserError(f"max_rules is {options.max_rules}: give at least 1")
    if options.learning not in LEARNING:
        raise UserError(f"learning is {options.learning!r}, none of {', '.join(LEARNING)}")


def _confirm(program, source, target, sources, wanted):
    """The finished program, run by two engines, must make the examples: what was searched for is
    what is returned.
    """
    for facts, flat in zip(sources, wanted, strict=True):
        expected = {path: Counter(rows) for path, rows in flat.items()}
        for engine in (memory, sqlite):
            made = engine.bags(program, source, target, facts)
            assert made == expected, (
                f"{engine.__name__} disagrees with the example: please report this "
                f"program:\n{program}"
            )
