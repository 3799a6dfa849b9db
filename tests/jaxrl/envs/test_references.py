"""Published scores: complete, equal to the golden file where that has them, and in agreement with
the published aggregates.
"""

import numpy as np
import pytest

from jaxrl.envs.atari100k import GAMES, human_normalized
from jaxrl.envs.references import agent_optimal, agent_optimal_mask, references
from jaxrl.rl.aggregates import aggregates
from tests.golden import Golden

PUBLISHED = references()
WITH_GAMES = [name for name, reference in PUBLISHED.items() if reference.scores]

# AO mean and HO mean as computed from single seeds, apart from this code.
SPLIT = {
    "IRIS": (1.930, 0.162),
    "TWM": (1.746, 0.166),
    "DreamerV3": (2.065, 0.184),
    "DIAMOND": (2.791, 0.127),
    "Simulus": (2.935, 0.355),
    "EfficientZero": (2.912, 0.973),
}


def normalized(name, changes=()):
    return np.array(
        [human_normalized(game, (PUBLISHED[name].scores | dict(changes))[game]) for game in GAMES]
    )


def test_seven_methods_have_all_games():
    assert set(WITH_GAMES) == {*SPLIT, "STORM"}
    assert all(set(PUBLISHED[name].scores) == set(GAMES) for name in WITH_GAMES)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_reference_says_where_it_comes_from(name):
    reference = PUBLISHED[name]
    assert (
        reference.kind in ("world model", "look-ahead search", "model-free")
        and len(reference.source) > 10
    )
    assert set(reference.aggregates) <= {
        "mean",
        "median",
        "iqm",
        "optimality_gap",
        "games_at_human",
        "ao_mean",
        "ho_mean",
    }


@pytest.mark.parametrize("name", WITH_GAMES)
def test_means_of_games_give_the_published_mean_median_and_count(name):
    """Three of the five aggregates follow from means of games; IQM and optimality gap need single
    runs.
    """
    found, published = aggregates(normalized(name)[None]), PUBLISHED[name].aggregates
    assert found["mean"] == pytest.approx(published["mean"], abs=1.5e-3)
    assert found["median"] == pytest.approx(published["median"], abs=1.5e-3)
    assert found["games_at_human"] == published["games_at_human"]


def test_iqm_and_gap_do_not_follow_from_means_of_games():
    found, published = aggregates(normalized("DIAMOND")[None]), PUBLISHED["DIAMOND"].aggregates
    assert (
        abs(found["iqm"] - published["iqm"]) > 0.01
        and abs(found["optimality_gap"] - published["optimality_gap"]) > 0.001
    )


def test_diamond_is_the_mean_of_its_five_seeds():
    golden = Golden("rl/diamond_hns")
    scores = [PUBLISHED["DIAMOND"].scores[game] for game in golden.config["games"]]
    np.testing.assert_allclose(scores, golden["in/raw_scores"].mean(axis=0), atol=0.051)


@pytest.mark.parametrize("name", SPLIT)
def test_means_of_the_two_groups(name):
    found = aggregates(normalized(name)[None], np.array(agent_optimal_mask()))
    assert (found["ao_mean"], found["ho_mean"]) == pytest.approx(SPLIT[name], abs=1.5e-3)


def test_the_split_is_the_best_half_of_the_mean_of_four_agents():
    agents = [
        normalized(name, {"Freeway": 33.5}.items() if name == "STORM" else ())
        for name in ("IRIS", "TWM", "DreamerV3", "STORM")
    ]
    order = np.argsort(np.mean(agents, axis=0))[::-1]
    assert {GAMES[i] for i in order[:13]} == agent_optimal() and len(agent_optimal()) == 13
    assert sum(agent_optimal_mask()) == 13 and agent_optimal_mask(("Alien", "Boxing")) == [
        False,
        True,
    ]
