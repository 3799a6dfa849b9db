"""Atari 100k: normalized scores against published ones, and the protocol's constants."""

import numpy as np
import pytest

from jaxrl.envs.atari100k import GAMES, PROTOCOL, SCORES, human_normalized
from tests.golden import Golden

GOLDEN = Golden("rl/diamond_hns")

# DIAMOND's mean scores over 5 seeds, as its repository publishes them.
DIAMOND = {
    "Alien": 744.1,
    "Amidar": 225.8,
    "Assault": 1526.4,
    "Asterix": 3698.5,
    "BankHeist": 19.7,
    "BattleZone": 4702.0,
    "Boxing": 86.9,
    "Breakout": 132.5,
    "ChopperCommand": 1369.8,
    "CrazyClimber": 99167.8,
    "DemonAttack": 288.1,
    "Freeway": 33.3,
    "Frostbite": 274.1,
    "Gopher": 5897.9,
    "Hero": 5621.8,
    "Jamesbond": 427.4,
    "Kangaroo": 5382.2,
    "Krull": 8610.1,
    "KungFuMaster": 18713.6,
    "MsPacman": 1958.2,
    "Pong": 20.4,
    "PrivateEye": 114.3,
    "Qbert": 4499.3,
    "RoadRunner": 20673.2,
    "Seaquest": 551.2,
    "UpNDown": 3856.3,
}


def test_diamonds_scores_have_their_published_aggregates():
    normalized = np.array([human_normalized(game, DIAMOND[game]) for game in GAMES])
    np.testing.assert_allclose(
        [normalized.mean(), np.median(normalized)], [1.459, 0.373], atol=5e-4
    )
    assert (normalized > 1).sum() == 11


def test_every_seed_of_diamond_is_normalized_as_in_the_golden_file():
    raw, games = GOLDEN["in/raw_scores"], GOLDEN.config["games"]
    assert set(games) == set(GAMES)
    normalized = [
        [human_normalized(game, score) for game, score in zip(games, seed, strict=True)]
        for seed in raw
    ]
    np.testing.assert_allclose(normalized, GOLDEN["out/hns"], atol=1e-6)


def test_random_and_human_scores_are_the_common_ones():
    scores = np.array([SCORES[game] for game in GOLDEN.config["games"]])
    np.testing.assert_array_equal(
        scores, np.stack([GOLDEN["in/random_scores"], GOLDEN["in/human_scores"]], axis=1)
    )


@pytest.mark.parametrize("game", GAMES)
def test_random_play_is_0_and_a_human_1(game):
    random, human = SCORES[game]
    assert (human_normalized(game, random), human_normalized(game, human)) == (0, 1)


def test_other_games_have_no_normalized_score():
    assert human_normalized("Tennis", 5.0) is None


def test_the_protocol_is_that_of_the_field():
    """No sticky actions, 4 frames per step, up to 30 no-ops, 30 minutes of 60 frames a second, 64
    pixels.
    """
    assert PROTOCOL.sticky == 0
    assert (PROTOCOL.frame_skip, PROTOCOL.noop_max, PROTOCOL.max_frames, PROTOCOL.frame_size) == (
        4,
        30,
        30 * 60 * 60,
        64,
    )
