"""Clauses that only block: the paper's patterns with minimal distinguishing projections, and single
candidates.

Source: Dynamite (arXiv 2003.01331). They are kept to compare `lessons.py` with, and to go from one
right program to the next.
"""

import itertools
from collections.abc import Iterator

from reasoning.synthesis.dynamite.completion.candidate import Candidate, derivations
from reasoning.synthesis.dynamite.completion.encode import Clause, Fact
from reasoning.synthesis.dynamite.completion.lessons import MOST_PROJECTIONS
from reasoning.synthesis.dynamite.sketch.sketch import Sketch
from reasoning.synthesis.facts import Facts


def paper(sketch: Sketch, candidate: Candidate, facts: Facts, rows: set[tuple]) -> Iterator[Clause]:
    """Yield the paper's clauses: not this pattern of equalities together with this use of a minimal
    distinguishing projection.

    Projections are those of the whole output against the whole example. The whole output is
    computed.

    Args:
      sketch: the sketch of the rule.
      candidate: the completion that failed on the example.
      facts: the source facts of the example.
      rows: the flattened target records of the example.
    """
    made = {record for record, _ in derivations(sketch, candidate, facts)}
    pattern = {fact._replace(holds=not fact.holds) for fact in pattern_of(sketch, candidate)}
    for columns in _set_projections(made, rows, len(candidate.head)):
        heads = {
            Fact("head", t, candidate.head[t], False)
            for t in columns
            if candidate.head[t] is not None
        }
        yield frozenset(pattern | heads)


def pattern_of(sketch: Sketch, candidate: Candidate) -> set[Fact]:
    """Everything about the body: copies, equalities and constants, those that hold and those that
    do not.
    """
    group_of = {p: group for group in candidate.classes for p in group}
    fixed = dict(candidate.constants)
    found = {Fact("copy", c, holds=c in candidate.copies) for c in range(len(sketch.copies))}
    found |= {Fact("equal", p, q, q in group_of.get(p, ())) for p, q in sketch.partners}
    found |= {Fact("present", p, holds=p in candidate.firm) for p in sketch.firm}
    return found | {
        Fact("constant", p, v, p in fixed and fixed[p] == v)
        for p, values in sketch.constants.items()
        for v in values
    }


def _set_projections(made, rows, width):
    found: list[frozenset[int]] = []
    for size in range(width + 1):
        for columns in itertools.combinations(range(width), size):

            def cut(records, columns=columns):
                return {tuple(record[c] for c in columns) for record in records}

            if not any(known <= set(columns) for known in found) and cut(made) != cut(rows):
                found.append(frozenset(columns))
                if len(found) == MOST_PROJECTIONS:
                    return found
    return found


def exactly(sketch: Sketch, candidate: Candidate) -> Clause:
    """Not this candidate, and nothing more: plain enumeration, and the way from one right program
    to the next.
    """
    heads = {Fact("head", t, p, False) for t, p in enumerate(candidate.head) if p is not None}
    return frozenset(
        {fact._replace(holds=not fact.holds) for fact in pattern_of(sketch, candidate)} | heads
    )
