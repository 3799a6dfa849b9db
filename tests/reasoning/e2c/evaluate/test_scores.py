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


def test_seeds_that_differ_widen_the_interval_and_equal_ones_do_not():
    """Three seeds with one outcome each: the interval nearly spans them."""
    problems = (np.random.default_rng(1).random(200) < 0.5).astype(float)
    alone, same = scores.crossed(problems), scores.crossed([problems] * 3)
    assert alone == scores.bootstrap(problems)
    assert same.high - same.low == pytest.approx(alone.high - alone.low, rel=0.15)
    apart = scores.crossed(np.array([[0.0], [0.5], [1.0]]) * np.ones((3, 200)))
    assert apart.mean == 0.5 and apart.high - apart.low > 0.8


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
