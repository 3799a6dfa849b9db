"""Gymnasium environments as host environments: what is seen, played again after restoring, and
refused.
"""

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from jaxrl.app.errors import UserError
from jaxrl.envs.gymnasium_env import GymnasiumEnv
from jaxrl.envs.protocol import GameError, NotReproducible
from tests.tables import rows


class Noisy(gymnasium.Env):
    """Random pixels that depend on all actions so far; ends after 6 steps with reward 5, is cut
    where action 2 is taken.
    """

    def __init__(self, shape=(8, 6, 3), start=0, seeded=True, space=None, actions=None):
        self.observation_space = space or Box(0, 255, shape, np.uint8)
        self.action_space = actions or Discrete(3, start=start)
        self.first, self.seeded = start, seeded

    def look(self):
        return self.rng.integers(0, 256, self.observation_space.shape).astype(np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.rng = np.random.default_rng(seed if self.seeded else None)
        self.steps = 0
        return self.look(), {}

    def step(self, action):
        assert self.action_space.contains(int(action))
        self.steps += 1
        self.rng.random(int(action) - self.first)
        return (
            self.look(),
            5.0 if self.steps == 6 else 0.25,
            self.steps == 6,
            int(action) - self.first == 2,
            {},
        )


class NeedsAnArgument(Noisy):
    def __init__(self, level):
        super().__init__()


VARIANTS = {
    "NoisyRGB-v0": {},
    "NoisyGrey-v0": {"shape": (8, 6)},
    "NoisyGreyChannel-v0": {"shape": (8, 6, 1)},
    "NoisyFromFive-v0": {"start": 5},
    "NoisyUnseeded-v0": {"seeded": False},
    "NoisyFloats-v0": {"space": Box(0.0, 1.0, (8, 6, 3), np.float32)},
    "NoisyFourChannels-v0": {"shape": (8, 6, 4)},
    "NoisyCells-v0": {"space": Box(0, 1, (8, 6, 3), np.uint8)},
    "NoisyWide-v0": {"space": Box(0.0, 255.0, (8, 6, 3), np.float32)},
    "NoisyVector-v0": {"space": Box(0, 255, (5,), np.uint8)},
    "NoisySteering-v0": {"actions": Box(-1.0, 1.0, (2,), np.float32)},
}


@pytest.fixture(autouse=True, scope="module")
def registered():
    for env_id, kwargs in VARIANTS.items():
        gymnasium.register(env_id, Noisy, kwargs=kwargs, disable_env_checker=True)
    gymnasium.register("NoisyLevel-v0", NeedsAnArgument, disable_env_checker=True)
    yield
    del gymnasium.registry["NoisyLevel-v0"]
    for env_id in VARIANTS:
        del gymnasium.registry[env_id]


def test_an_episode_from_reset_to_end():
    env = GymnasiumEnv("NoisyRGB-v0", frame_size=4)
    frame = env.reset(3)
    assert (env.name, env.num_actions, env.frame_shape) == ("NoisyRGB-v0", 3, (4, 4, 3))
    assert frame.shape == (4, 4, 3) and frame.dtype == np.uint8
    seen = [env.step(1) for _ in range(6)]
    assert [float(s.reward) for s in seen] == [0.25] * 5 + [5.0]
    assert [s.end for s in seen] == [s.game_over for s in seen] == [False] * 5 + [True]
    assert not any(s.trunc for s in seen)


def test_a_cut_is_not_an_end():
    env = GymnasiumEnv("NoisyRGB-v0", 4)
    env.reset(0)
    seen = env.step(2)
    assert (seen.end, seen.trunc, seen.game_over) == (False, True, True)


def test_frames_of_the_right_size_are_shown_as_they_are():
    gymnasium.register(
        "NoisySquare-v0", Noisy, kwargs={"shape": (5, 5, 3)}, disable_env_checker=True
    )
    frame = GymnasiumEnv("NoisySquare-v0", 5).reset(11)
    del gymnasium.registry["NoisySquare-v0"]
    np.testing.assert_array_equal(frame, np.random.default_rng(11).integers(0, 256, (5, 5, 3)))


@pytest.mark.parametrize("env_id", ["NoisyGrey-v0", "NoisyGreyChannel-v0"])
def test_gray_becomes_three_equal_channels(env_id):
    frame = GymnasiumEnv(env_id, 4).reset(0)
    assert frame.shape == (4, 4, 3) and frame.std() > 0
    np.testing.assert_array_equal(frame, np.repeat(frame[..., :1], 3, axis=-1))


def test_actions_count_from_zero_wherever_the_environment_begins():
    env, shifted = GymnasiumEnv("NoisyRGB-v0", 4), GymnasiumEnv("NoisyFromFive-v0", 4)
    np.testing.assert_array_equal(env.reset(0), shifted.reset(0))
    for action in (0, 1, 1):
        np.testing.assert_array_equal(env.step(action).frame, shifted.step(action).frame)


@pytest.mark.parametrize("steps", [0, 4])
def test_a_restored_game_goes_on_as_the_saved_one(steps, tmp_path):
    env = GymnasiumEnv("NoisyRGB-v0", 4)
    env.reset(9)
    for t in range(steps):
        env.step(t % 2)
    np.savez(tmp_path / "saved.npz", **env.save())
    expected = [env.step(action).frame for action in (1, 0)]
    again = GymnasiumEnv("NoisyRGB-v0", 4)
    with np.load(tmp_path / "saved.npz") as saved:
        again.restore(dict(saved))
    np.testing.assert_array_equal([again.step(action).frame for action in (1, 0)], expected)


def test_only_the_current_game_is_saved():
    env = GymnasiumEnv("NoisyRGB-v0", 4)
    env.reset(1)
    env.step(2)
    env.reset(2)
    env.step(1)
    saved = env.save()
    assert (int(saved["seed"]), saved["actions"].tolist()) == (2, [1])


def test_a_saved_game_is_no_view_of_the_running_one():
    env = GymnasiumEnv("NoisyRGB-v0", 4)
    env.reset(1)
    saved = env.save()
    before = {name: value.copy() for name, value in saved.items()}
    env.step(1)
    for name in saved:
        np.testing.assert_array_equal(saved[name], before[name])


def test_a_game_that_does_not_follow_its_seed_cannot_be_restored():
    env = GymnasiumEnv("NoisyUnseeded-v0", 4)
    env.reset(1)
    with pytest.raises(NotReproducible, match="does not play the same game from the same seed"):
        env.restore(env.save())


@pytest.mark.parametrize("env_id, sentence", rows(__file__, "not_playable"))
def test_what_cannot_be_played_is_refused(env_id, sentence):
    with pytest.raises(UserError, match=sentence):
        GymnasiumEnv(env_id)


@pytest.mark.parametrize("values", [None, (1, 2, 3, 4, 5, 6)])
def test_a_step_that_returns_something_else_is_named(values):
    game = Noisy()
    game.step = lambda action: values
    env = GymnasiumEnv("mine", 8, game)
    env.reset(0)
    with pytest.raises(GameError, match=r"mine: step 1 of a game returned a .*: return \(obs"):
        env.step(0)


def test_atari_through_gymnasium():
    env = GymnasiumEnv("ALE/Pong-v5", 32)
    assert env.num_actions == 6
    assert env.reset(0).shape == (32, 32, 3)
    env.close()


@pytest.mark.parametrize("env_id", ["NoisyRGB-v0", "NoisyGrey-v0"])
def test_large_seeds_are_accepted(env_id):
    assert GymnasiumEnv(env_id, 4).reset(2**40 + 5).any()
