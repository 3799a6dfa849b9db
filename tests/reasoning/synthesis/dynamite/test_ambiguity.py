"""Alternatives agree with the examples and differ elsewhere; the smallest question is the smallest
of all subsets.
"""

import itertools

import pytest

pytest.importorskip("pysat")
pytest.importorskip("sqlglot")
from reasoning.synthesis.dynamite.mapping import Mapping, Options
from reasoning.synthesis.dynamite.questions.ambiguity import (
    alternatives,
    next_question,
    smallest_difference,
)
from reasoning.synthesis.dynamite.synthesize import synthesize_mapping
from reasoning.synthesis.facts import to_facts
from reasoning.synthesis.infer import infer_schema
from reasoning.synthesis.syntax import parse_program
from tests.reasoning.synthesis.naive import flat_records

SOURCE = {
    "r": [{"id": 1, "home": 5, "away": 6}, {"id": 2, "home": 6, "away": 5}],
    "t": [{"id": 5, "n": "a"}, {"id": 6, "n": "b"}],
}
BOTH = {"w": [{"n": "a"}, {"n": "b"}]}
SAMPLE = {
    "r": [{"id": 1, "home": 5, "away": 6}, {"id": 2, "home": 7, "away": 5}],
    "t": [{"id": 5, "n": "a"}, {"id": 6, "n": "b"}, {"id": 7, "n": "c"}, {"id": 8, "n": "d"}],
}


def learned():
    mapping = synthesize_mapping(
        infer_schema(SOURCE), infer_schema(BOTH), [(SOURCE, BOTH)], Options()
    )
    assert isinstance(mapping, Mapping)
    return mapping


def test_alternatives_agree_on_the_example_and_differ_on_the_sample():
    mapping = learned()
    example, sample = (to_facts(mapping.source, data) for data in (SOURCE, SAMPLE))
    others = alternatives(mapping, 3, SAMPLE)
    assert others
    made = [flat_records(mapping.program, "w", sample)]
    for other in others:
        assert flat_records(other, "w", example) == {("a",), ("b",)}
        made.append(flat_records(other, "w", sample))
    assert len({frozenset(records) for records in made}) == len(made)


def subsets(facts):
    rows = [(path, n) for path, found in facts.items() for n in range(len(found))]
    for size in range(len(rows) + 1):
        for chosen in itertools.combinations(rows, size):
            yield (
                size,
                {
                    path: [f for n, f in enumerate(found) if (path, n) in chosen]
                    for path, found in facts.items()
                },
            )


@pytest.mark.parametrize(
    "one, other",
    [
        ("w(n) :- t(_, n).", "w(n) :- r(_, x, _), t(x, n)."),
        ("w(n) :- r(_, x, _), t(x, n).", "w(n) :- r(_, _, x), t(x, n)."),
        ("w(n) :- r(_, x, _), r(_, _, x), t(x, n).", "w(n) :- r(_, x, _), t(x, n)."),
        ("w(n) :- r(_, x, y), t(x, n), t(y, _).", "w(n) :- r(_, x, _), t(x, n)."),
    ],
)
def test_the_smallest_input_is_the_smallest_of_all_subsets(one, other):
    mapping = learned()
    facts = to_facts(mapping.source, SAMPLE)
    first, second = parse_program(one), parse_program(other)
    mapping = Mapping(mapping.source, mapping.target, first, mapping.examples)
    brute = next(
        (
            size
            for size, part in subsets(facts)
            if flat_records(first, "w", part) != flat_records(second, "w", part)
        ),
        None,
    )
    found = smallest_difference(mapping, second, "w", facts)
    assert (found and found[0]) == brute
    if found:
        assert flat_records(first, "w", found[1]) != flat_records(second, "w", found[1])


def test_answers_lead_to_the_program_that_was_meant():
    meant = parse_program("w(n) :- r(_, x, _), t(x, n).")
    examples, sizes = [(SOURCE, BOTH)], []
    for _ in range(10):
        mapping = synthesize_mapping(infer_schema(SOURCE), infer_schema(BOTH), examples, Options())
        question = next_question(mapping, SAMPLE)
        if question is None:
            break
        records = flat_records(meant, "w", to_facts(mapping.source, question.source))
        assert question.answers[0] != question.answers[1]
        examples.append((question.source, {"w": [{"n": n} for (n,) in sorted(records)]}))
        sizes.append(sum(map(len, question.source.values())))
    assert sizes and max(sizes) <= 3
    sample = to_facts(mapping.source, SAMPLE)
    assert (
        flat_records(mapping.program, "w", sample)
        == flat_records(meant, "w", sample)
        == {("a",), ("c",)}
    )
