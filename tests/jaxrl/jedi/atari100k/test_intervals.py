"""Intervals against the golden ones, their repeatability, and what happens without rliable."""

import sys

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.jedi.atari100k.intervals import intervals, profile
from jaxrl.rl.aggregates import aggregates
from tests.golden import Golden

GOLDEN, DIAMOND = Golden("rl/rliable"), Golden("rl/diamond_hns")


def four(scores):
    return np.array(list(aggregates(scores).values())[:4])


@pytest.mark.parametrize(("golden", "scores"), [(GOLDEN, "in/scores"), (DIAMOND, "out/hns")])
def test_the_ends_are_the_golden_ones(golden, scores):
    low, high = intervals(golden[scores], four, repetitions=2000)
    np.testing.assert_allclose([low, high], golden["out/ci95_large"], atol=0.02)


def test_our_statistic_over_recorded_resamplings_gives_the_recorded_interval():
    scores = GOLDEN["in/scores"]
    resampled = [
        four(scores[runs, np.arange(scores.shape[1])]) for runs in GOLDEN["in/bootstrap_indices"]
    ]
    np.testing.assert_allclose(
        np.percentile(resampled, [2.5, 97.5], axis=0), GOLDEN["out/ci95_recorded"], atol=1e-10
    )


def test_the_profile_is_the_golden_one_inside_its_band():
    share, low, high = profile(GOLDEN["in/scores"], GOLDEN["in/tau"], repetitions=200)
    np.testing.assert_allclose(share, GOLDEN["out/profile_score_distribution"], atol=1e-12)
    assert (low <= share + 1e-12).all() and (share <= high + 1e-12).all() and (low < high).any()


def test_the_seed_fixes_the_interval_and_numpys_generator_stays_where_it_was():
    np.random.seed(7)  # noqa: NPY002
    first = intervals(GOLDEN["in/scores"], four, 50, seed=1)
    drawn = np.random.random()  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    assert np.random.random() == drawn  # noqa: NPY002
    np.testing.assert_array_equal(first, intervals(GOLDEN["in/scores"], four, 50, seed=1))
    assert not np.array_equal(first, intervals(GOLDEN["in/scores"], four, 50, seed=2))


def test_without_rliable_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rliable.library", None)
    with pytest.raises(UserError, match=r"latentax\[eval\].*--repetitions 0"):
        intervals(GOLDEN["in/scores"], four, 10)
