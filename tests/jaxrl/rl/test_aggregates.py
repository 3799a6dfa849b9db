"""Aggregates of scores against rliable's golden files, hand numbers and identities."""

import numpy as np
import pytest

from jaxrl.rl.aggregates import (
    aggregates,
    games_at_human,
    iqm,
    mean,
    median,
    optimality_gap,
    sym_hns,
    symmetric,
)
from tests.golden import Golden

RLIABLE, DIAMOND = Golden("rl/rliable"), Golden("rl/diamond_hns")
FOUR = ("mean", "median", "iqm", "optimality_gap")


@pytest.mark.parametrize("suffix", ["", "_other"])
def test_the_four_aggregates_are_rliables(suffix):
    assert tuple(RLIABLE.config["metrics"]) == FOUR
    found = aggregates(RLIABLE[f"in/scores{suffix}"])
    np.testing.assert_allclose(
        [found[name] for name in FOUR], RLIABLE[f"out/aggregates{suffix}"], atol=1e-12
    )


@pytest.mark.parametrize("goal", [0.5, 2.0])
def test_the_gap_to_another_goal_is_rliables(goal):
    expected = RLIABLE[f"out/optimality_gap_gamma{goal}"]
    np.testing.assert_allclose(optimality_gap(RLIABLE["in/scores"], goal), expected, atol=1e-12)


def test_diamonds_five_seeds_have_its_published_figures():
    """All five: mean 1.459, median 0.373, IQM 0.641, optimality gap 0.480, 11 games at
    human level.
    """
    found = aggregates(DIAMOND["out/hns"])
    np.testing.assert_allclose(
        [found[name] for name in FOUR], [1.459, 0.373, 0.641, 0.480], atol=5e-4
    )
    np.testing.assert_allclose([found[name] for name in FOUR], DIAMOND["out/aggregates"], atol=1e-6)
    assert found["games_at_human"] == DIAMOND["out/num_superhuman"] == 11


def test_hand_numbers():
    scores = np.array([[0.0, 1.0, 5.0, 0.5], [0.2, 2.0, 7.0, 0.3]])  # means 0.1, 1.5, 6.0, 0.4
    assert mean(scores) == pytest.approx(2.0)
    assert median(scores) == pytest.approx(0.95)
    assert iqm(scores) == pytest.approx((0.3 + 0.5 + 1.0 + 2.0) / 4)  # two of eight cut at each end
    assert optimality_gap(scores) == pytest.approx((1.0 + 0.8 + 0.5 + 0.7) / 8)
    assert games_at_human(scores) == 2
    assert sym_hns(scores) == pytest.approx((0.1 + (2 - 1 / 1.5) + (2 - 1 / 6) + 0.4) / 4)


@pytest.mark.parametrize(
    ("count", "kept"),
    [(1, [0]), (3, [0, 1, 2]), (4, [1, 2]), (7, [1, 2, 3, 4, 5]), (8, [2, 3, 4, 5])],
)
def test_a_quarter_rounded_down_is_cut_at_each_end(count, kept):
    values = np.arange(count) ** 2.0
    assert iqm(np.random.default_rng(0).permutation(values)[:, None]) == pytest.approx(
        values[kept].mean()
    )


def test_a_score_and_its_reciprocal_are_equally_far_from_human():
    h = np.array([1.0, 1.5, 4.0, 100.0])
    np.testing.assert_allclose(symmetric(h) + symmetric(1 / h), 2.0, rtol=1e-12)
    np.testing.assert_array_equal(
        symmetric(np.array([-3.0, 0.0, 0.25, 1.0])), [0.0, 0.0, 0.25, 1.0]
    )
    grid = symmetric(np.linspace(-1, 50, 2000))
    assert (np.diff(grid) >= 0).all() and grid.min() == 0 and grid.max() < 2


def test_the_groups_are_split_by_the_mask():
    scores, mask = np.array([[0.5, 3.0, 0.1]]), np.array([False, True, False])
    found = aggregates(scores, mask)
    assert (found["ao_mean"], found["ho_mean"]) == (3.0, pytest.approx(0.3))
    assert (found["ao_sym_hns"], found["ho_sym_hns"]) == (pytest.approx(5 / 3), pytest.approx(0.3))
    assert "ho_mean" not in aggregates(scores[:, 1:2], mask[1:2])


@pytest.mark.parametrize("scores", [np.zeros((0, 26)), np.zeros(26), np.array([[1.0, np.nan]])])
def test_other_shapes_and_nan_are_refused(scores):
    with pytest.raises(ValueError, match=r"\[runs, games\]"):
        aggregates(scores)
