"""From examples to a program: for every target collection a sketch, and its completion.

Source: Dynamite (arXiv 2003.01331), the algorithm at the top: attribute mapping, sketch generation,
sketch completion.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from reasoning.synthesis.datalog import Program, Rule, Var, check_program
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
from reasoning.synthesis.dynamite.completion.tidy import tidied
from reasoning.synthesis.dynamite.completion.whole_keys import with_whole_keys
from reasoning.synthesis.dynamite.doubts import doubts
from reasoning.synthesis.dynamite.extensions import (
    Solvers,
    as_parent,
    with_labels,
    with_optional,
    with_tables,
)
from reasoning.synthesis.dynamite.goal import (
    Found,
    Goal,
    Timeout,
    Unsat,
    Work,
    identified,
    makes,
    unique,
)
from reasoning.synthesis.dynamite.mapping import Mapping, Options
from reasoning.synthesis.dynamite.sketch.correspondence import source_values
from reasoning.synthesis.dynamite.sketch.derived import extended
from reasoning.synthesis.dynamite.sketch.sketch import NoSource, Reach, Sketch, make_sketch
from reasoning.synthesis.dynamite.sketch.typed import held_as
from reasoning.synthesis.engines import memory, sqlite
from reasoning.synthesis.engines.identity import own_variables
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.facts import dangling, flatten, to_facts
from reasoning.synthesis.infer import Instance
from reasoning.synthesis.schema import Schema, columns, find, flat_columns, parent_of, walk
from reasoning.synthesis.syntax import show_value

MOST_TRIES = 20
"""Rules that make the right set of records in a wrong number, before the search ends."""
TWICE = 2
"""Copies of every relation in the first of the wide sketches."""
REACHES = (
    Reach(effort=3e6),
    Reach(loose=True, effort=3e6),
    Reach(wide=TWICE, effort=2e6),
    Reach(wide=3, effort=3e5),
)
"""Sketches of one rule, narrow ones first. Their efforts, in propagations of the solver, are above
what any rule of our scenarios took (1.3 million in a narrow sketch, 1.6 in a wide one); to prove
that there is none can take minutes.
"""
PART = 0.1
"""The share of it in wide sketches for the smaller goals of extensions: none was found there."""


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
    sources = tuple(to_facts(source, one, "source example", loose=True) for one, _ in examples)
    targets = [to_facts(target, other, "target example", loose=True) for _, other in examples]
    wanted = tuple(flatten(target, facts) for facts in targets)
    work = Work(options, Clock(options.budget), Statistics())
    values, longer = extended(source_values(source, sources), sources, _columns(target, wanted))
    clock, statistics = work.clock, work.statistics
    notes = dangling(source, sources[0], "source example")
    notes += dangling(target, targets[0], "target example")
    found: dict[str, Found] = {}
    for path, _ in walk(target):
        rows = tuple(set(flat[path]) for flat in wanted)
        if not any(rows):
            notes.append(f"{path} is empty in every example: it gets no rule")
            continue
        bags = tuple(Counter(flat[path]) for flat in wanted)
        above = tuple(rule for one in found.values() for rule in one.rules)
        task = Goal(path, source, target, sources, longer, rows, values, bags, above)
        outcome = find_rules(task, found.get(parent_of(path) or ""), work)
        statistics.seconds = clock.spent()
        if isinstance(outcome, Unsat):
            return outcome
        if isinstance(outcome, Timeout):
            return dataclasses.replace(outcome, best=Program(_rules(found) + outcome.best.rules))
        found[path] = outcome
        notes += _empty_columns(task, outcome.sketch) + _open_rows(task, outcome)
        notes += outcome.notes + _only_some(task, outcome) + _other_tests(task, outcome)
        notes += [note for rule in outcome.rules for note in doubts(rule, source, target, sources)]
    program = check_program(Program(_rules(found)), source, target)
    _confirm(program, source, target, sources, wanted)
    return Mapping(
        source, target, program, tuple(examples), options, as_dict(statistics), tuple(notes)
    )


def find_rules(task: Goal, parent: Found | None, work: Work) -> Found | Unsat | Timeout:
    """One rule; else, as our extensions: optional atoms, one rule for each label, tables of values;
    else several rules that cover the records together.
    """
    inherited = as_parent(task, parent, work, Solvers(find_rules, one_rule))
    if inherited:
        return inherited
    outcome = one_rule(task, parent, work)
    if isinstance(outcome, Found | Timeout):
        return outcome
    for extension in (with_optional, with_labels, with_tables):
        better = extension(task, parent, work, Solvers(find_rules, one_rule))
        if isinstance(better, Found):
            return better
    if work.options.max_rules > 1:
        reach = Reach(partial=True, fixed=task.fixed)
        better = _searched(task, None, work, (reach, _sketch(task, work, reach)))
        return better if isinstance(better, Found | Timeout) else outcome
    return outcome


def one_rule(task: Goal, parent: Found | None, work: Work) -> Found | Unsat | Timeout:
    """One rule from a narrow sketch; else with looser joins; else from a wide sketch."""
    unsat, last = None, None
    for reach in REACHES:
        effort = reach.effort
        if reach.wide == TWICE:
            # Earlier collections have used a part of the patience; half is left to every one.
            effort = max(effort - sum(work.twice), effort / 2)
        effort *= PART if task.part and reach.wide else 1
        effort *= work.options.effort
        reach = replace(reach, fixed=task.fixed, hint=task.hint, effort=effort)
        sketch = _sketch(task, work, reach)
        if sketch == last:
            continue
        outcome = _searched(task, parent, work, (reach, sketch))
        if isinstance(outcome, Timeout) and effort and work.clock.in_time():
            return _given_up(task, unsat, reach.wide, work)
        if not isinstance(outcome, Unsat):
            return outcome
        unsat, last = unsat or outcome, sketch
    assert unsat
    return unsat


def _given_up(task: Goal, unsat: Unsat | None, wide: int, work: Work) -> Unsat:
    """The refusal after as much work as a search may take."""
    more = f"--effort {10 * work.options.effort:g} tries more"
    if unsat is None:
        said = f"{task.path}: no rule was found, and there are too many to try them all: {more}"
        return Unsat(task.path, said, as_dict(work.statistics))
    said = f"; rules with {wide} copies of every relation were not all tried: {more}"
    return replace(unsat, reason=unsat.reason + said)


def _sketch(task: Goal, work: Work, reach: Reach) -> Sketch | NoSource:
    """The sketch of the rule, as wide as asked for."""
    head = flat_columns(task.target, task.path)
    return make_sketch(task.values, task.path, head, task.rows, work.options.constants, reach)


def _searched(task: Goal, parent: Found | None, work: Work, made_of: tuple[Reach, Any]):
    """Search one sketch of a certain reach."""
    reach, sketch = made_of
    rules = work.options.max_rules if reach.partial else 1
    if isinstance(sketch, NoSource):
        return Unsat(task.path, _no_source(task, sketch), as_dict(work.statistics))
    search = Search(
        Task(sketch, task.extended, task.rows),
        work.options.seed,
        work.options.learning,  # type: ignore[arg-type]
        work.clock,
        work.statistics,
    )
    search.effort = reach.effort
    if parent and len(parent.candidates) == 1 and rules == 1:
        search.start_from(extending(parent.candidates[0], parent.sketch, sketch))
    made, tries = None, 0
    while True:
        candidates = _cover(search, rules) if rules > 1 else search.next()
        if not candidates:
            break
        listed = candidates if isinstance(candidates, tuple) else (candidates,)
        listed = tuple(_finished(task, sketch, one) for one in listed)
        made = identified(
            task, tuple(to_rule(sketch, one, task.target, task.source) for one in listed)
        )
        tries += 1
        if made or rules > 1 or tries == MOST_TRIES:
            break
        search.block(candidates)
    blamed, best = search.blamed, search.best
    work.twice.extend([search.encoding.sat.work] if reach.wide == TWICE else [])
    search.close()
    if candidates is None:
        rest = (to_rule(sketch, best[1], task.target, task.source),) if best else ()
        return Timeout(task.path, Program(rest), as_dict(work.statistics))
    if made:
        return Found(sketch, listed, made)
    if tries:
        return Unsat(task.path, _wrong_number(task), as_dict(work.statistics))
    return Unsat(task.path, _conflict(task, blamed), as_dict(work.statistics))


def _finished(task: Goal, sketch: Sketch, candidate: Candidate) -> Candidate:
    """A right candidate with the likeliest of the columns and joins that are left open."""
    candidate = tidied(sketch, candidate, task.extended, task.values.columns)
    return with_whole_keys(sketch, candidate, task.extended, task.source)


def _open_rows(task: Goal, found: Found) -> list[str]:
    """A question where equal source rows could become one record or several, and no example shows
    which.
    """
    merged = tuple(replace(rule, distinct=True, counted=None) for rule in found.rules)
    if any(rule.distinct for rule in found.rules) or all(unique(task, r) for r in found.rules):
        return []
    if not makes(task, merged):
        return []
    return [
        f"open: {task.path}: no example shows whether equal source rows are one record: all rows "
        "are kept; to merge them, show two such rows in the example, declare a key of the target, "
        "or add @distinct to the rule"
    ]


def _wrong_number(task: Goal) -> str:
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


def _no_source(task: Goal, missing: NoSource) -> str:
    value = show_value(missing.example)
    kind = next(a.type for a in find(task.target, missing.path).attrs if a.name == missing.attr)
    shown = held_as(task.source, task.sources, missing.example, kind)
    given = f"; a value that is the same in all records may be given: --constants {value}"
    return (
        f"{missing.path}.{missing.attr} has no source: no source column of its type holds all its "
        f"values (for example {value}), and values are copied, never computed{shown or given}"
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


def _empty_columns(task: Goal, sketch: Sketch | None) -> list[str]:
    found, fixed = [], dict(task.fixed)
    if sketch is None:
        return []
    for n, ((path, attr), sources) in enumerate(zip(sketch.head, sketch.sources, strict=True)):
        null = n not in fixed and all(row[n] is None for rows in task.rows for row in rows)
        if path != sketch.path or not null:
            continue
        copied = "it is copied from the source column of its name" if sources else "it stays NULL"
        found.append(f"open: {path}.{attr.name} is NULL throughout the example: {copied}")
    return found


def _columns(target: Schema, wanted) -> list[tuple[str, tuple[set, ...]]]:
    """For every target column its type and its values in each example."""
    return [
        (attr.type, tuple({row[n] for row in flat[path]} - {None} for flat in wanted))
        for path, _ in walk(target)
        for n, (owner, attr) in enumerate(flat_columns(target, path))
        if owner == path
    ]


def _only_some(task: Goal, found: Found) -> list[str]:
    """A note where rows of the relation that gives the most are left out for want of another."""
    if len(found.rules) != 1:
        return []
    rule = found.rules[0]
    own = own_variables(rule, -1)
    given = [own & set(atom.terms) for atom in rule.body]
    if len(rule.body) < 2 or not any(given):
        return []
    main = max(range(len(given)), key=lambda n: (len(given[n]), -n))
    asked = [
        n
        for n, atom in enumerate(rule.body)
        if n != main and not atom.optional and given[n] <= given[main]
    ]
    if not asked:
        return []
    relation, other = rule.body[main].relation, rule.body[asked[0]].relation
    return [
        f"{task.path}: records of {relation} without any of {other} are left out, as in the example"
    ]


def _other_tests(task: Goal, found: Found) -> list[str]:
    """A question where a rule leaves out records without a value, and another column that it
    carries over has none in the same records of the example.
    """
    notes: dict[str, None] = {}
    for rule in found.rules:
        for atom in rule.body:
            plan = columns(task.source, atom.relation)
            empty = [
                [
                    (n, m)
                    for n, facts in enumerate(task.sources)
                    for m, fact in enumerate(facts[atom.relation])
                    if fact[p] is None
                ]
                for p in range(len(plan))
            ]
            kept = [p for p, t in enumerate(atom.terms) if isinstance(t, Var) and empty[p]]
            for p in kept:
                rivals = [q for q in kept if q != p and empty[q] == empty[p]]
                if atom.terms[p].firm and rivals:  # type: ignore[union-attr]
                    notes[
                        f"open: {task.path}: records of {atom.relation} without {plan[p].name} are "
                        f"left out; in the example the same ones are without {plan[rivals[0]].name}"
                    ] = None
    return list(notes)


def _rules(found: dict[str, Found]) -> tuple[Rule, ...]:
    return tuple(rule for one in found.values() for rule in one.rules)


def _check(examples, options):
    if not examples:
        raise UserError(
            "there is no example: give at least one pair of a source and a target instance"
        )
    if not options.budget > 0:
        raise UserError(f"the budget is {options.budget} seconds: give more than 0")
    if not options.effort > 0:
        raise UserError(f"the effort is {options.effort}: give more than 0")
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
