"""Verdicts on grids whose answer is known, and fairness of the choice on noise."""

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.app.stats import t_interval
from quant.studies.estimators.verdict import chosen_on_others, diagonal_verdict, finite

TAUS = np.array([0.5, 1.0, 2.0])


def test_an_interval_by_hand():
    """Numbers 1, 2, 3: mean 2, standard error 1 / sqrt 3, t(0.975, 2) = 4.3027."""
    found = t_interval(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(
        [found.mean, found.high - 2, 2 - found.low],
        [2, 4.302653 / np.sqrt(3), 4.302653 / np.sqrt(3)],
        rtol=1e-6,
    )


def test_a_setting_is_chosen_without_the_seed_it_is_judged_on():
    losses = np.array([[0.0, 2.0], [3.0, 2.5], [3.0, 2.0]])
    value, setting = chosen_on_others(losses)
    np.testing.assert_array_equal(setting, [1, 0, 0])
    np.testing.assert_array_equal(value, [2.0, 3.0, 3.0])


def test_the_choice_gains_nothing_on_noise():
    """The plain minimum over 50 settings would be two standard deviations better."""
    noise = np.random.default_rng(0).normal(size=(2000, 4, 50))
    fair = np.mean([chosen_on_others(one)[0].mean() for one in noise])
    assert abs(fair) < 0.05 and noise.mean(1).min(1).mean() < -0.9


def grid(best, depth=1.0, noise=0.01, seeds=5):
    """Losses with one better cell."""
    losses = np.ones((seeds, 3, 3)) + noise * np.random.default_rng(1).normal(size=(seeds, 3, 3))
    losses[:, best[0], best[1]] -= depth
    return losses


@pytest.mark.parametrize(
    "best, answer, words",
    [((0, 2), "off the diagonal", "tau_f < tau_b"), ((2, 0), "off the diagonal", "tau_f > tau_b")],
)
def test_a_better_unequal_pair_is_found(best, answer, words):
    found = diagonal_verdict(grid(best), TAUS)
    assert (
        found.answer == answer
        and found.unequal == (TAUS[best[0]], TAUS[best[1]])
        and words in found.sentence()
    )
    assert 0.9 < found.gain.low < 1 < found.gain.high < 1.1


def test_a_better_equal_pair_is_found():
    found = diagonal_verdict(grid((1, 1)), TAUS)
    assert found.answer == "on the diagonal" and found.equal == 1.0 and found.gain.high < 0


def test_noise_decides_nothing():
    answers = [
        diagonal_verdict(np.random.default_rng(i).normal(size=(5, 3, 3)), TAUS).answer
        for i in range(200)
    ]
    assert answers.count("undecided") > 170


def test_diverged_trainings_count_as_the_worst():
    losses = grid((0, 2))
    losses[:, 1, 1], losses[0, 2, 2] = np.nan, np.inf
    np.testing.assert_array_equal(finite(losses)[:, 1, 1], np.nanmax(losses[np.isfinite(losses)]))
    assert diagonal_verdict(losses, TAUS).answer == "off the diagonal"
    with pytest.raises(UserError, match="every training diverged"):
        finite(np.full((3, 2), np.nan))
