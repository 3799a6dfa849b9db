"""The script that plays Breakout, and what is made of its games."""

import numpy as np

from benchmarks.breakout_rewards import lanes, plain, save_games
from jaxrl.replay.episode_files import load_episodes


def test_recorded_games_are_the_fresh_ones_cut_at_lost_lives(tmp_path):
    save_games(tmp_path / "episodes", 250, seed=3)
    found = list(load_episodes(tmp_path / "episodes"))
    fresh = lanes(1, 250, seed=3)
    assert sum(len(episode.act) for episode in found) == 250
    np.testing.assert_array_equal(np.concatenate([episode.act for episode in found]), fresh.action[0])
    np.testing.assert_array_equal(np.concatenate([episode.rew for episode in found]), fresh.reward[0])
    assert [len(episode.act) for episode in found] == np.bincount(fresh.episode[0]).tolist()
    assert all(episode.end[-1] for episode in found[:-1]) and not any(episode.end[:-1].any() for episode in found)
    assert fresh.reward.sum() >= 3  # random play has 1.7 in a whole game
    np.testing.assert_array_equal(found[0].obs[:-1], fresh.frame[0, : len(found[0].act)])


def test_what_was_never_counted_is_none():
    assert plain(np.array([0.25, np.nan])) == [0.25, None]
