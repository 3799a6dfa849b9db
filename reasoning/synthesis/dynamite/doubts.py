"""Doubts about a rule that is right on its examples: joins that could ask for more, and text that
is cut at fixed places.
"""

import itertools
from collections.abc import Iterator, Sequence

from reasoning.synthesis.datalog import Call, Rule, Var
from reasoning.synthesis.dynamite.sketch.correspondence import GENERIC, words
from reasoning.synthesis.engines.compile import shown_names
from reasoning.synthesis.engines.identity import flat_terms
from reasoning.synthesis.engines.memory import UNMATCHED, matches
from reasoning.synthesis.facts import Facts
from reasoning.synthesis.schema import Schema, columns


def doubts(rule: Rule, source: Schema, target: Schema, examples: Sequence[Facts]) -> list[str]:
    """Open questions about one rule.

    Args:
      rule: a rule that is right on the examples.
      source: the source schema.
      target: the target schema.
      examples: the source facts of every example.
    """
    path = rule.heads[-1].relation
    found = [
        f"open: {path}: {one} is joined with {other} by {', '.join(by)} alone; {more} is equal on "
        "both sides as well in the example"
        for one, other, by, more in _half_joins(rule, source, examples)
    ]
    return found + [
        f"open: {path}.{name} is cut at fixed places out of texts of {length} letters: those of "
        "another length in the data are a problem; show one in the example"
        for name, _, length in cut_at_places(rule, target, examples)
    ]


def cut_at_places(
    rule: Rule, target: Schema, examples: Sequence[Facts]
) -> Iterator[tuple[str, Var, int]]:
    """The target columns that are substrings of texts of one length in all examples.

    Args:
      rule: the rule that makes them.
      target: the target schema.
      examples: the source facts of every example.

    Yields:
      The column, the variable that is cut, and the length of its values.
    """
    path = rule.heads[-1].relation
    terms = flat_terms(rule, len(rule.heads) - 1, target)
    for name, term in zip(shown_names(target, path), terms, strict=True):
        if isinstance(term, Call) and term.name == "substring" and isinstance(term.args[0], Var):
            cut = term.args[0]
            lengths = {
                len(binding[cut])
                for facts in examples
                for binding, _ in matches(rule.body, facts)
                if binding[cut] is not None
            }
            if len(lengths) == 1:
                yield name, cut, lengths.pop()


def _half_joins(
    rule: Rule, source: Schema, examples: Sequence[Facts]
) -> Iterator[tuple[str, str, list[str], str]]:
    """Pairs of joined atoms with one more column of the same name and, in all examples, of the same
    values on both sides: the relations, the columns that join, the other column.
    """
    for (n, one), (m, other) in itertools.combinations(enumerate(rule.body), 2):
        here, there = columns(source, one.relation), columns(source, other.relation)
        by = [
            here[p].name
            for p, term in enumerate(one.terms)
            if isinstance(term, Var) and term in other.terms and not here[p].is_id
        ]
        if not by:
            continue
        for (p, a), (q, b) in itertools.product(enumerate(here), enumerate(there)):
            alike = a.type == b.type and words(a.name) == words(b.name) and words(a.name) - GENERIC
            tied = one.terms[p] == other.terms[q] and isinstance(one.terms[p], Var)
            if not alike or tied or (one.relation == other.relation and p == q):
                continue
            values = [
                (facts[one.relation][rows[n]][p], facts[other.relation][rows[m]][q])
                for facts in examples
                for _, rows in matches(rule.body, facts)
                if UNMATCHED not in (rows[n], rows[m])
            ]
            if values and all(x is not None and x == y for x, y in values):
                yield one.relation, other.relation, by, a.name
