"""The authors' score with its quirks, and the stricter one."""

import itertools

import numpy as np
import pytest

from reasoning.e2c.adherence import adherence, common_subsequence, exact

PLAN = "1. Add both numbers\n2. Divide the sum by two\n3. State the result"
FAITHFUL = (
    "1. Add both numbers\n2 + 4 = 6\n2. Divide the sum by two\n6 / 2 = 3\n3. State the "
    "result\n\\boxed{3}"
)


def slow_lcs(a, b):
    """By trying every subsequence."""

    def subsequences(x):
        return {tuple(c) for n in range(len(x) + 1) for c in itertools.combinations(x, n)}

    return max(len(c) for c in subsequences(a) & subsequences(b))


def test_the_common_subsequence_is_the_longest():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = (["abc"[i] for i in rng.integers(0, 3, rng.integers(0, 7))] for _ in range(2))
        assert common_subsequence(a, b) == slow_lcs(a, b)


@pytest.mark.parametrize("mode", ["official", "strict"])
def test_a_faithful_execution_scores_one_and_a_foreign_one_none(mode):
    assert adherence(PLAN, FAITHFUL, mode) == 1.0
    assert adherence(PLAN, "1. Guess\nIt is 3.\n2. Check\nYes.", mode) == 0.0
    assert adherence(PLAN, "", mode) == 0.0


def test_one_common_word_of_a_short_title_is_enough_for_the_authors_only():
    plan, execution = "1. Use induction", "1. Use symmetry of the roots"
    assert (
        adherence(plan, execution, "official") == 1.0
    )  # "use" is half of the shorter title, more than 0.3
    assert adherence(plan, execution) == 0.0


def test_numbers_inside_sentences_are_titles_for_the_authors_only():
    plan, execution = "1. Find the root\nThe root is 3. Doubt that", "1. Find the root\n3.0 holds"
    assert (
        adherence(plan, execution, "official") == 0.5
    )  # "Doubt that" counts as a step that nobody did
    assert adherence(plan, execution) == 1.0


def test_a_plan_without_numbers_scores_zero_for_the_authors_only():
    plan, execution = (
        "Add both numbers\nDivide the sum by two",
        "1. Add both numbers\n6\n2. Divide the sum by two\n3",
    )
    assert adherence(plan, execution, "official") == 0.0
    assert adherence(plan, execution) == 1.0
    assert adherence("", execution) == 0.0


def test_only_the_strict_score_minds_the_order():
    turned = "1. State the result\n2. Divide the sum by two\n3. Add both numbers"
    assert adherence(PLAN, turned, "official") == 1.0
    assert adherence(PLAN, turned) == pytest.approx(1 / 3)
    assert (exact(["a", "b"], ["a", "b"]), exact(["a", "b"], ["b", "a"])) == (1.0, 0.0)
