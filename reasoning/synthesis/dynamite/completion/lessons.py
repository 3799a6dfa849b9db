"""Lessons of a wrong candidate: clauses that no right program breaks.

Source: arXiv 2003.01331 blocks every completion with the same pattern of equalities and the same
use of a *minimal distinguishing
projection* (MDP), a smallest set of target columns on which the output is wrong. `blocking.paper`
does that. `lessons` goes further, our choice: rules without negation are monotone, so a record too
many is blamed only on equalities that are missing, and a record that is missing only on those that
are there.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from reasoning.synthesis.datalog import Atom, Const, Var, Wild
from reasoning.synthesis.dynamite.completion.candidate import Candidate, derivations
from reasoning.synthesis.dynamite.completion.encode import Clause, Fact
from reasoning.synthesis.dynamite.sketch.sketch import Sketch
from reasoning.synthesis.engines.memory import matches
from reasoning.synthesis.facts import Facts

MOST_PROJECTIONS = 3
"""Minimal distinguishing projections taken from one mistake, as in the paper's prototype."""
MOST_LIFTS = 24
"""Copies of a clause for other orders of the copies of one relation."""


class Mistake(NamedTuple):
    """Differences between a candidate's output and the example's."""

    extra: dict[tuple, tuple[int, ...]]
    """Records it should not make, with the source rows behind them; at most a few."""
    missing: tuple[tuple, ...]
    """Records it fails to make; empty if the search for them was cut short by `extra`."""


def mistake(
    sketch: Sketch, candidate: Candidate, facts: Facts, rows: set[tuple], partial: bool = False
) -> Mistake | None:
    """Run a candidate on an example.

    Args:
      sketch: the sketch that it completes.
      candidate: the completion to run.
      facts: the source.
      rows: the flattened target records.
      partial: records may be missing, but not too many.

    Returns:
      None if it makes exactly `rows`.
    """
    found, extra = set(), {}
    for record, used in derivations(sketch, candidate, facts):
        if record in rows:
            found.add(record)
        elif record not in extra:
            extra[record] = used
            if len(extra) == MOST_PROJECTIONS:
                break
    missing = () if extra or partial else tuple(sorted(rows - found, key=repr))
    return Mistake(extra, missing[:MOST_PROJECTIONS]) if extra or missing else None


def projections(
    record: tuple, others: Iterable[tuple], limit: int = MOST_PROJECTIONS
) -> list[frozenset[int]]:
    """Smallest sets of columns on which a record differs from every other one: breadth first,
    supersets left out.

    Args:
      record: not among the others.
      others: records of the same width.
      limit: most sets returned; beyond three columns the rest is shrunk one by one.
    """
    others = list(others)

    def differs(columns):
        return all(any(record[c] != other[c] for c in columns) for other in others)

    if differs(()):
        return [frozenset()]
    found: list[frozenset[int]] = []
    for size in (1, 2, 3):
        for columns in itertools.combinations(range(len(record)), size):
            if len(found) == limit:
                return found
            if differs(columns) and not any(known <= set(columns) for known in found):
                found.append(frozenset(columns))
    return found or [_shrunk(frozenset(range(len(record))), differs)]


def _shrunk(columns, differs):
    for column in sorted(columns):
        if differs(columns - {column}):
            columns -= {column}
    return columns


def lessons(
    sketch: Sketch, candidate: Candidate, facts: Facts, rows: set[tuple], wrong: Mistake
) -> Iterator[tuple[Clause, Any]]:
    """Derive clauses from a mistake.

    Args:
      sketch: the sketch that the candidate completes.
      candidate: the completion that made the mistake.
      facts: the source facts of the example.
      rows: the flattened target records of the example.
      wrong: the records it should not make, and those it fails to make.

    Yields:
      A clause, and what it rests on: a record of the example that must be made, or None: that
        nothing else is.
    """
    for record, used in wrong.extra.items():
        witness = _extended(sketch, candidate, facts, used)
        for columns in projections(record, rows):
            for clause in lifted(sketch, too_many(sketch, witness, record, columns)):
                yield clause, None
    for record in wrong.missing:
        for clause in lifted(sketch, too_few(sketch, candidate, facts, record)):
            yield clause, record


def too_many(
    sketch: Sketch, witness: tuple[Any, ...], record: tuple, columns: frozenset[int]
) -> Clause:
    """Find a clause against a wrong record. All that is true of these source rows lets the record
    through: ask something of them that is not, or take the head elsewhere.

    Args:
      sketch: the sketch of the rule.
      witness: a value for every position, from one source row for each copy.
      record: the record that they wrongly make.
      columns: numbers of the head columns in which it is wrong.
    """

    def differ(a, b):
        return a is None or b is None or a != b

    found = {Fact("equal", p, q) for p, q in sketch.partners if differ(witness[p], witness[q])}
    found |= {Fact("present", p) for p in sketch.firm if witness[p] is None}
    found |= {
        Fact("constant", p, value)
        for p, values in sketch.constants.items()
        for value in values
        if differ(witness[p], value)
    }
    found |= {
        Fact("head", t, p) for t in columns for p in sketch.sources[t] if witness[p] != record[t]
    }
    return frozenset(found)


def _extended(sketch, candidate, facts, used) -> tuple[Any, ...]:
    """The values at all positions: rows of the copies that take part, and for the others the rows
    that agree best with them.
    """
    row_of = dict(zip(sorted(candidate.copies), used, strict=True))
    values: dict[int, Any] = {}
    for copy in sorted(range(len(sketch.copies)), key=lambda n: n not in row_of):
        positions, relation = sketch.of_copy(copy), facts[sketch.copies[copy]]
        if copy in row_of:
            fact = relation[row_of[copy]]
        else:
            wishes = _wishes(sketch, values, positions)
            fact = min(
                relation,
                key=lambda row: sum(row[n] != value for n, value in wishes),
                default=(None,) * len(positions),
            )
        values |= dict(zip(positions, fact, strict=True))
    return tuple(values[p] for p in range(len(sketch.positions)))


def _wishes(sketch, values, positions) -> list[tuple[int, Any]]:
    """The possible equalities between a row and known values: (column of the row, value)."""
    return [
        (n, values[q])
        for n, p in enumerate(positions)
        for q in values
        if (min(p, q), max(p, q)) in sketch.partners
    ]


def too_few(sketch: Sketch, candidate: Candidate, facts: Facts, record: tuple) -> Clause:
    """Find a smallest set of the candidate's own demands that no source rows meet for a record: one
    of them must go.

    Args:
      sketch: the sketch that the candidate completes.
      candidate: the completion that fails to make the record.
      facts: the source facts of the example.
      record: a flattened target record of the example.

    Returns:
      The clause that denies one of these demands.
    """
    demands = [
        Fact("equal", min(group), p)
        for group in candidate.classes
        for p in sorted(group - {min(group)})
    ]
    demands += [Fact("constant", p, value) for p, value in candidate.constants]
    demands += [Fact("present", p) for p in sorted(candidate.firm)]
    demands += [Fact("head", t, p) for t, p in enumerate(candidate.head) if p is not None]
    for demand in list(demands):
        rest = [other for other in demands if other != demand]
        if not possible(sketch, rest, facts, record):
            demands = rest
    return frozenset(demand._replace(holds=False) for demand in demands)


def possible(sketch: Sketch, demands: list[Fact], facts: Facts, record: tuple) -> bool:
    """Test whether some source rows meet all demands and give the record's values to the head
    columns among them.

    Args:
      sketch: the sketch that the demands are about.
      demands: equalities, constants, head columns and positions that must hold something.
      facts: the source facts of the example.
      record: a flattened target record of the example.
    """
    values: dict[int, Any] = {}
    empty: set[int] = set()
    present = {demand.one for demand in demands if demand.kind == "present"}
    for demand in demands:
        if demand.kind == "present":
            continue
        if demand.kind == "head" and record[demand.one] is None:
            empty.add(demand.other)
        elif demand.kind != "equal":
            place, value = (
                (demand.other, record[demand.one])
                if demand.kind == "head"
                else (demand.one, demand.other)
            )
            if values.setdefault(place, value) != value:
                return False
    groups = _groups([(d.one, d.other) for d in demands if d.kind == "equal"])
    names: dict[int, Var | Const] = {p: Var(str(min(group))) for group in groups for p in group}
    for group in groups:
        fixed = {values[p] for p in group if p in values}
        if len(fixed) > 1 or empty & group:
            return False
        names |= {p: Const(value) for value in fixed for p in group}
    names |= {p: Const(value) for p, value in values.items()}
    if present & empty:
        return False
    names |= {p: Var(f"{p} there", True) for p in present - set(names)}
    touched = {sketch.positions[p][0] for p in [*names, *empty]}
    body = tuple(
        Atom(sketch.copies[c], tuple(names.get(p, Wild()) for p in sketch.of_copy(c)))
        for c in sorted(touched)
    )
    if not empty:
        return next(matches(body, facts, sketch.tables), None) is not None
    spots = [(sorted(touched).index(sketch.positions[p][0]), sketch.positions[p][1]) for p in empty]

    def met(rows):
        return all(facts[body[n].relation][rows[n]][argument] is None for n, argument in spots)

    return any(met(rows) for _, rows in matches(body, facts, sketch.tables))


def _groups(pairs) -> list[set[int]]:
    groups: list[set[int]] = []
    for pair in pairs:
        touching = [group for group in groups if group & set(pair)]
        groups = [group for group in groups if group not in touching] + [set(pair).union(*touching)]
    return groups


def lifted(sketch: Sketch, clause: Clause) -> Iterator[Clause]:
    """A clause with the copies of each relation in other orders: what holds for one copy holds for
    its twin.
    """
    touched = {sketch.positions[p][0] for fact in clause for p in _positions(fact)}
    twins = [
        [c for c, name in enumerate(sketch.copies) if name == relation]
        for relation in sorted({sketch.copies[c] for c in touched})
    ]
    orders = itertools.product(
        *(itertools.permutations(group) for group in twins if len(group) > 1)
    )
    moved = [group for group in twins if len(group) > 1]
    found: dict[Clause, None] = {}
    for order in itertools.islice(orders, MOST_LIFTS):
        move = sketch.moves.get(order)
        if move is None:
            to = {
                p: q
                for group, new in zip(moved, order, strict=True)
                for a, b in zip(group, new, strict=True)
                for p, q in zip(sketch.of_copy(a), sketch.of_copy(b), strict=True)
            }
            move = sketch.moves[order] = _Move(to)
        found[frozenset(map(move.__getitem__, clause))] = None
    yield from found


def _positions(fact):
    return (
        [fact.one, fact.other]
        if fact.kind == "equal"
        else [fact.other]
        if fact.kind == "head"
        else [fact.one]
    )


class _Move(dict):
    """Facts at other positions, each made once: a clause holds hundreds, and few are new."""

    def __init__(self, to: dict[int, int]):
        super().__init__()
        self.to = to

    def __missing__(self, fact: Fact) -> Fact:
        made = self[fact] = _moved(fact, self.to)
        return made


def _moved(fact: Fact, to: dict[int, int]) -> Fact:
    """The fact at other positions."""
    kind, one, other, holds = fact
    if kind == "equal":
        a, b = to.get(one, one), to.get(other, other)
        return Fact(kind, min(a, b), max(a, b), holds)
    if kind == "head":
        return Fact(kind, one, to.get(other, other), holds)
    return Fact(kind, to.get(one, one), other, holds)
