"""The script that follows the ball, what it records, and the configuration that learns from it."""

import jax
import numpy as np
import pytest

from benchmarks import breakout_rewards
from jaxrl.jedi import init
from jaxrl.replay.episode_files import read_episode


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("breakout") / "episodes"
    breakout_rewards.save_games(folder, 500, seed=0)
    return folder


def test_recorded_steps_are_whole_episodes_one_per_life(folder):
    frame, *_, reward, end, over = breakout_rewards.play(500, seed=0)
    episodes = [read_episode(file) for file in sorted(folder.glob("*.npz"))]
    assert sum(len(episode.act) for episode in episodes) == 500
    assert sum(bool(episode.end[-1]) for episode in episodes) == end.sum() > 0
    assert not any(episode.end[:-1].any() for episode in episodes)
    np.testing.assert_array_equal(np.concatenate([episode.obs[:-1] for episode in episodes]), frame)
    np.testing.assert_array_equal(np.concatenate([episode.rew for episode in episodes]), reward)
    assert not over.any() and reward.sum() > 0


def test_lanes_number_their_episodes():
    record = breakout_rewards.lanes(2, 80, seed=3)
    assert record.action.shape == (2, 80) and record.episode[:, 0].tolist() == [0, 0]
    np.testing.assert_array_equal(np.diff(record.episode, axis=1), record.end[:, :-1].astype(int))


def test_the_configuration_is_one_that_can_be_trained(folder):
    agent = breakout_rewards.config_for(folder, 1).agent
    state = jax.eval_shape(
        lambda key: init(agent, 4, (breakout_rewards.SIDE, breakout_rewards.SIDE, 3), key),
        jax.random.key(0),
    )
    assert "changes" in state.reward_end.params and agent.reward_end_learning.candidates > 1
