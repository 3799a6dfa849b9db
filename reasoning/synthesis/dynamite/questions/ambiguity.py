"""Open questions of an example: other programs that agree with it, and the smallest input that
tells two of them apart.

Source: arXiv 2003.01331, interactive mode. The paper's prototype tries subsets of a sample in the
order of bit masks. Ours needs no
such search: rules without negation are monotone, so a smallest distinguishing input is always the
set of source records behind one
record that only one of the programs makes.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from reasoning.synthesis.datalog import Program, Rule
from reasoning.synthesis.dynamite.completion.candidate import Candidate, to_rule
from reasoning.synthesis.dynamite.completion.search import (
    Clock,
    Search,
    Statistics,
    Task,
    extending,
    highest,
)
from reasoning.synthesis.dynamite.mapping import Mapping
from reasoning.synthesis.dynamite.questions.samples import RECORDS, made_up
from reasoning.synthesis.dynamite.sketch.correspondence import source_values
from reasoning.synthesis.dynamite.sketch.sketch import NoSource, Reach, Sketch, make_sketch
from reasoning.synthesis.engines.identity import flat_terms
from reasoning.synthesis.engines.memory import UNMATCHED, evaluate, matches, value_of
from reasoning.synthesis.facts import Facts, flatten, from_facts, to_facts
from reasoning.synthesis.infer import Instance
from reasoning.synthesis.schema import (
    PARENT,
    Schema,
    columns,
    flat_columns,
    is_edge,
    parent_of,
    walk,
)
from reasoning.synthesis.simplify import simplify

SLACK = 8
"""Programs up to so much dearer than the cheapest count as alternatives: about one more atom and
join.
"""
TRIES = 100
"""Most right rules compared for one collection; many of them make the same records."""
DATABASES = 4
"""Databases made up to compare programs on, each twice as large as the one before."""
MOST_DERIVATIONS = 20_000
"""Most derivations of one rule examined in the search for a smallest input."""

Row = tuple[str, int]
"""A source record: relation and number of the fact."""


@dataclass(frozen=True)
class Question:
    """A source instance on which two programs that agree with the examples differ."""

    path: str
    """The target collection that is open."""
    source: Instance
    """The source, with as few records as possible."""
    answers: tuple[Instance, Instance]
    """The target that the mapping makes of the source, and the one that the other program makes."""
    other: Program
    """The other program."""


def alternatives(
    mapping: Mapping, k: int, data: Instance | None = None, seconds: float = 20.0
) -> list[Program]:
    """Up to k programs that agree with the examples and make something else of other data.

    Args:
      mapping: the mapping, with its examples.
      k: at least 1.
      data: a source instance to differ on; None: one made up from the values of the examples.
      seconds: stop looking after that.

    Raises:
      UserError: `data` does not fit the source schema.
    """
    clock, found = Clock(seconds), []
    for path, rules in _other_rules(mapping, sample_facts(mapping, data), clock, Sought()):
        kept = tuple(rule for rule in mapping.program.rules if rule.heads[-1].relation != path)
        order = [name for name, _ in walk(mapping.target)]
        merged = sorted((*kept, *rules), key=lambda rule: order.index(rule.heads[-1].relation))
        found.append(simplify(Program(tuple(merged))))
        if len(found) == k:
            break
    return found


def sample_facts(mapping: Mapping, data: Instance | None) -> list[Facts]:
    """Facts of the sample, or of several that are made up, each larger than the one before."""
    if data is not None:
        return [to_facts(mapping.source, data, "sample", loose=True)]
    seed, examples = mapping.options.seed, mapping.source_facts()
    return [
        made_up(mapping.source, examples, random.Random(f"{seed} {n}"), RECORDS * 2**n)
        for n in range(DATABASES)
    ]


def _other_rules(
    mapping: Mapping, databases: list[Facts], clock: Clock, sought: "Sought"
) -> Iterator[tuple[str, tuple[Rule, ...]]]:
    """For every collection, the right rules that differ on the databases, from each other and from
    the mapping's; cheapest first.
    """
    sources = mapping.source_facts()
    targets = [
        to_facts(mapping.target, target, "target example", loose=True)
        for _, target in mapping.examples
    ]
    wanted = [flatten(mapping.target, target) for target in targets]
    values = source_values(mapping.source, sources)
    first: dict[str, tuple[Candidate, Sketch]] = {}

    def made(program, path):
        return [
            frozenset(record for record, _ in made_by(program, path, mapping.target, facts))
            for facts in databases
        ]

    for path, _ in walk(mapping.target):
        rows = tuple(set(flat[path]) for flat in wanted)
        if not any(rows):
            continue
        parent = first.get(parent_of(path) or "")
        seen = [made(mapping.program, path)]
        for candidate, sketch in _narrow_or_wide(
            mapping, path, (values, sources, rows), parent, clock
        ):
            first.setdefault(path, (candidate, sketch))
            sought.programs += 1
            rule = to_rule(sketch, candidate, mapping.target, mapping.source)
            if (records := made(Program((rule,)), path)) not in seen:
                seen.append(records)
                yield path, (rule,)


def _narrow_or_wide(mapping, path, known, parent, clock) -> Iterator[tuple[Candidate, Sketch]]:
    """Right candidates of the narrow sketch; if it has none, of the wide one."""
    values, sources, rows = known
    for reach in (Reach(), Reach(loose=True), Reach(wide=3)):
        head = flat_columns(mapping.target, path)
        sketch = make_sketch(values, path, head, rows, mapping.options.constants, reach)
        if isinstance(sketch, NoSource):
            return
        search, right = (
            Search(
                Task(sketch, sources, rows), mapping.options.seed, "directed", clock, Statistics()
            ),
            False,
        )
        if parent is not None:
            search.start_from(extending(*parent, sketch))
        for candidate in _right_ones(search):
            right = True
            yield candidate, sketch
        search.close()
        if right:
            return


def _right_ones(search: Search) -> Iterator[Candidate]:
    """Right candidates up to a little above the cheapest price."""
    most = None
    for _ in range(TRIES):
        candidate = search.next(most=most)
        if not isinstance(candidate, Candidate):
            return
        most = most or highest(search.bound, SLACK)
        yield candidate
        search.block(candidate)


def made_by(
    program: Program, path: str, target: Schema, facts: Facts
) -> Iterator[tuple[tuple, frozenset[Row]]]:
    """Make the flattened records of one collection by the rules that are meant for it.

    Args:
      program: the rules.
      path: the target collection.
      target: the target schema.
      facts: the source data.

    Yields:
      A record and the source records behind it; at most `MOST_DERIVATIONS` for each rule.
    """
    for rule in program.rules:
        if rule.heads[-1].relation == path:
            terms = flat_terms(rule, len(rule.heads) - 1, target)
            for n, (binding, rows) in enumerate(matches(rule.body, facts)):
                if n == MOST_DERIVATIONS:
                    break
                record = tuple(value_of(term, binding) for term in terms)
                yield (
                    record,
                    frozenset(
                        (atom.relation, row)
                        for atom, row in zip(rule.body, rows, strict=True)
                        if row != UNMATCHED
                    ),
                )


@dataclass
class Sought:
    """Amount of search after which nothing was found to be open."""

    programs: int = 0
    """Right programs near the mapping."""
    records: int = 0
    """Records in the databases that the programs were compared on."""
    databases: int = 0
    """Databases that the programs were compared on."""
    in_time: bool = True
    """False: the search was cut short."""

    def __str__(self):
        cut = "" if self.in_time else "; the search was cut short"
        return (
            f"{self.programs} programs near this one fit the examples, and make the same of "
            f"{self.databases} database(s) with {self.records} records in all{cut}"
        )


def next_question(
    mapping: Mapping,
    data: Instance | None = None,
    k: int = 5,
    seconds: float = 20.0,
    sought: Sought | None = None,
) -> Question | None:
    """The smallest input, in records, on which the mapping and one of up to k alternatives differ.

    Args:
      mapping: the mapping, with its examples.
      data: a source instance to take records from; None: made up.
      k: alternatives compared.
      seconds: for finding them.
      sought: gets the amount of the search.

    Returns:
      None if no alternative differs on the data.
    """
    sought, clock = sought or Sought(), Clock(seconds)
    databases = sample_facts(mapping, data)
    sought.databases = len(databases)
    sought.records = sum(len(rows) for facts in databases for rows in facts.values())
    best: tuple[int, str, Facts, Program] | None = None
    for path, rules in _first(_other_rules(mapping, databases, clock, sought), k):
        other = Program(rules)
        found = next(
            filter(None, (smallest_difference(mapping, other, path, f) for f in databases)), None
        )
        if found is not None and (best is None or found[0] < best[0]):
            best = (*found[:1], path, found[1], other)
    sought.in_time = clock.in_time()
    if best is None:
        return None
    _, path, part, other = best
    kept = tuple(rule for rule in mapping.program.rules if rule.heads[-1].relation != path)
    both = [
        from_facts(mapping.target, evaluate(p, part, mapping.target))
        for p in (mapping.program, Program(kept + other.rules))
    ]
    return Question(path, from_facts(mapping.source, part), (both[0], both[1]), simplify(other))


def _first(items, k):
    for _, item in zip(range(k), items, strict=False):
        yield item


def smallest_difference(
    mapping: Mapping, other: Program, path: str, facts: Facts
) -> tuple[int, Facts] | None:
    """Find the fewest source records on which two programs make different records of a collection.

    Args:
      mapping: the mapping with the first program.
      other: the second program.
      path: the target collection.
      facts: the source data to take records from.

    Returns:
      Their number and their facts, or None if no difference is found.
    """
    sides = [(mapping.program, other), (other, mapping.program)]
    support = {
        (n, record, rows)
        for n, (one, _) in enumerate(sides)
        for record, rows in made_by(one, path, mapping.target, facts)
    }
    closed = [(_closure(mapping.source, rows, facts), n, record) for n, record, rows in support]
    for rows, n, record in sorted(
        closed, key=lambda item: (len(item[0]), sorted(item[0]), item[1])
    ):
        part = restricted(facts, rows)
        if record not in {made for made, _ in made_by(sides[n][1], path, mapping.target, part)}:
            return len(rows), part
    return None


def _closure(schema: Schema, rows: frozenset[Row], facts: Facts) -> frozenset[Row]:
    """With the records around nested ones, and the nodes that edges join: an instance that can be
    shown.
    """
    found, todo = set(rows), list(rows)
    while todo:
        path, number = todo.pop()
        for needed in _needed(schema, path, facts[path][number], facts):
            if needed not in found:
                found.add(needed)
                todo.append(needed)
    return frozenset(found)


def _needed(schema, path, fact, facts):
    names = [column.name for column in columns(schema, path)]
    if names[0] == PARENT:
        yield fact[0]
    collection = dict(walk(schema))[path]
    if schema.kind == "graph" and is_edge(collection):
        for foreign in schema.foreign_keys:
            if foreign.path == path and foreign.attrs[0] in ("_start", "_end"):
                end, place = (
                    fact[names.index(foreign.attrs[0])],
                    [c.name for c in columns(schema, foreign.to_path)].index("_id"),
                )
                yield from (
                    (foreign.to_path, n)
                    for n, node in enumerate(facts[foreign.to_path])
                    if node[place] == end
                )


def restricted(facts: Facts, rows: frozenset[Row]) -> Facts:
    """Only some of the facts."""
    return {
        path: [fact for n, fact in enumerate(found) if (path, n) in rows]
        for path, found in facts.items()
    }
