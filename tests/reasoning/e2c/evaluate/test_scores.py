"""pass@k by enumeration, intervals by their limits, entropies by hand."""

import itertools

import numpy as np
import pytest

from reasoning.e2c.evaluate import scores


@pytest.mark.parametrize(
    "right, samples, k", [(0, 4, 2), (1, 4, 2), (3, 5, 2), (5, 5, 3), (2, 6, 1)]
)
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(right, samples, k):
    flags = [True] * right + [False] * (samples - right)
    subsets = list(itertools.combinations(flags, k))
    assert scores.pass_at_k(right, samples, k) == pytest.approx(
        np.mean([any(subset) for subset in subsets])
    )


def test_more_than_the_samples_is_an_error():
    with pytest.raises(ValueError, match="k is 5"):
        scores.pass_at_k(1, 4, 5)


def test_intervals_narrow_with_problems_and_hold_the_mean():
    rng = np.random.default_rng(0)
    few, many = (scores.bootstrap(rng.random(n) < 0.5) for n in (20, 2000))
    assert few.low <= few.mean <= few.high and many.high - many.low < 0.25 * (few.high - few.low)
    half = 1.96 * np.sqrt(0.25 / 2000)
    assert many.high - many.mean == pytest.approx(half, rel=0.15)
    assert scores.bootstrap([1.0]) == (1.0, 1.0, 1.0)


def test_pairing_takes_out_what_both_share():
    rng = np.random.default_rng(1)
    hard = rng.random(500)
    gap = scores.paired(hard + 0.1, hard)
    assert gap.low == pytest.approx(0.1) and gap.high == pytest.approx(0.1)


def test_over_seeds_is_students_interval():
    found = scores.over_seeds([1.0, 2.0, 3.0])
    assert found.mean == 2.0 and found.high - 2.0 == pytest.approx(4.302653 / np.sqrt(3), rel=1e-4)
    assert scores.over_seeds([4.0]) == (4.0, 4.0, 4.0)


def test_entropies_of_answers():
    assert scores.entropy_of(["1", "1", "2", "2"]) == pytest.approx(np.log(2))
    assert scores.entropy_of(["1"] * 5) == 0.0
    assert scores.entropy_of(["1", "1", "2", "2"], corrected=True) == pytest.approx(
        np.log(2) + 1 / 8
    )
    assert scores.entropy_of(["1"] * 5, corrected=True) == 0.0
    assert scores.entropy_of([None, "1"]) == pytest.approx(np.log(2))


def test_accuracies_of_tables():
    table = [[True, False], [True, True], [False, False]]
    assert scores.pass_at_1(table).mean == pytest.approx(0.5)
    assert scores.mean_pass_at_k(table, 2).mean == pytest.approx(2 / 3)
