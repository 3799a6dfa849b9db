"""The sentence that compares a run with random play."""

import numpy as np
import pytest
from scipy import stats

from jaxrl.jedi.report.outcome import outcome

FIRST = {"epoch": 0, "env_steps": 100, "collect/return": 4.0, "collect/games": 24}


def evaluated(mean, std, count=30):
    figures = {"return": mean, "std": std, "episodes": count}
    return {"epoch": 3, "env_steps": 400} | {f"evaluate/{k}": v for k, v in figures.items()}


@pytest.mark.parametrize(
    "mean, std, words",
    [
        (21.0, 1.0, "is better than random play"),
        (1.0, 0.5, "is worse than random play"),
        (4.5, 3.0, "is not clearly different"),
        (4.0, 0.0, "is not clearly different"),
    ],
)
def test_the_sentence_follows_the_interval(mean, std, words):
    found = outcome([FIRST, evaluated(0.0, 0.0), evaluated(mean, std)])
    assert words in found and "random play 4.00 over the 24 games" in found


def test_the_interval_is_that_of_the_games():
    games = np.array([3.0, 5.0, 8.0, 4.0])
    low, high = stats.t.interval(0.95, 3, games.mean(), stats.sem(games))
    found = outcome([FIRST, evaluated(games.mean(), games.std(), 4)])
    assert f"(95 % interval {low:.2f} to {high:.2f})" in found


def test_without_games_there_is_no_sentence():
    assert outcome([]) is None
    assert outcome([FIRST]) is None
    assert outcome([{"epoch": 0, "env_steps": 1}, evaluated(1.0, 1.0)]) is None
    assert outcome([FIRST, evaluated(1.0, 0.0, 1)]) is None
    assert outcome([{**FIRST, "epoch": 4}, evaluated(1.0, 1.0)]) is None
