"""Observations as users bring them: adapted to RGB, or refused with the wrapper to write."""

import re

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict

from jaxrl.app.errors import UserError
from jaxrl.envs.gymnasium_env import GymnasiumEnv
from jaxrl.envs.observations import rgb_from
from jaxrl.envs.protocol import GameError


def pixels(*shape):
    return Box(0, 255, shape, np.uint8)


RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
SPEED = Box(-1, 1, (2,), np.float32)


@pytest.mark.parametrize(
    "space, observation",
    [
        (pixels(6, 8, 3), RGB),
        (pixels(3, 6, 8), np.moveaxis(RGB, -1, 0)),
        (Box(0, 1, (6, 8, 3), np.float32), (RGB / 255).astype(np.float32)),
        (Box(0, 1, (3, 6, 8), np.float64), np.moveaxis(RGB, -1, 0) / 255),
        (Dict(image=pixels(6, 8, 3), speed=SPEED), {"image": RGB, "speed": np.zeros(2)}),
        (Dict(camera=pixels(3, 6, 8), speed=SPEED), {"camera": np.moveaxis(RGB, -1, 0)}),
    ],
)
def test_images_become_rgb(space, observation):
    np.testing.assert_array_equal(rgb_from(space, "game")(observation, "here"), RGB)


@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 1), (1, 6, 8)])
def test_gray_becomes_three_equal_channels(shape):
    frame = rgb_from(pixels(*shape), "game")(RGB[..., 0].reshape(shape), "here")
    np.testing.assert_array_equal(frame, np.repeat(RGB[..., :1], 3, axis=-1))


def test_an_image_is_chosen_by_its_key():
    space = Dict(left=pixels(6, 8, 3), right=pixels(6, 8, 3))
    with pytest.raises(UserError, match=r"several images \(left, right\): .*--game.image-key"):
        rgb_from(space, "game")
    seen = rgb_from(space, "game", "right")({"left": RGB * 0, "right": RGB}, "here")
    np.testing.assert_array_equal(seen, RGB)
    with pytest.raises(GameError, match="here returned an observation without 'right'"):
        rgb_from(space, "game", "right")({"left": RGB}, "here")
    with pytest.raises(UserError, match="game observes left, right, no 'middle'"):
        rgb_from(space, "game", "middle")
    with pytest.raises(UserError, match="leave out --game.image-key"):
        rgb_from(pixels(6, 8, 3), "game", "image")
    with pytest.raises(UserError, match=r"no image \(speed\)"):
        rgb_from(Dict(speed=SPEED), "game")


class Shows(gymnasium.Env):
    """Shows random pixels of a space."""

    def __init__(self, space):
        self.observation_space, self.action_space = space, gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


@pytest.mark.parametrize("among_others", [False, True])
@pytest.mark.parametrize("shape", [(6, 8, 4), (4, 6, 8), (2, 6, 8), (6, 8, 5)])
def test_the_wrapper_of_the_sentence_works(shape, among_others):
    space = pixels(*shape)
    space = Dict(camera=space, speed=SPEED) if among_others else space
    with pytest.raises(UserError) as refused:
        GymnasiumEnv("game", 4, Shows(space))
    calls = re.findall(
        r"gymnasium\.wrappers\.TransformObservation\(.*?np\.uint8\)\)", str(refused.value)
    )
    assert len(calls) == (2 if 4 in shape else 1)
    for call in calls:
        wrapped = eval(call, {"gymnasium": gymnasium, "np": np, "env": Shows(space)})
        env = GymnasiumEnv("game", 4, wrapped)
        assert env.reset(0).shape == (4, 4, 3) and env.step(1).frame.std() > 0


@pytest.mark.parametrize(
    "space",
    [
        Box(0, 1, (6, 8, 3), np.uint8),
        Box(0, 7, (6, 8), np.uint8),
        Box(0, 255, (6, 8, 3), np.float32),
        Box(-1, 1, (6, 8, 3), np.float32),
        Box(0, 1, (6, 8, 3), bool),
        Box(-np.inf, np.inf, (6, 8, 3), np.float64),
        Box(0, 65535, (3, 6, 8), np.uint16),
    ],
)
def test_images_of_another_range_are_brought_to_pixels_by_the_wrapper_of_the_sentence(space):
    with pytest.raises(UserError, match="numbers of another range than images") as refused:
        GymnasiumEnv("game", 4, Shows(space))
    call = re.search(r"gymnasium\.wrappers.*np\.uint8\)\)", str(refused.value)).group()
    wrapped = eval(call, {"gymnasium": gymnasium, "np": np, "env": Shows(space)})
    frame = GymnasiumEnv("game", 8, wrapped).reset(0)
    bounded = np.isfinite(space.high).all()
    assert frame.dtype == np.uint8 and (frame.std() > 20 if bounded else frame.max() > 0)


@pytest.mark.parametrize("value", [np.nan, -0.1, 1.5])
def test_floats_outside_of_their_range_are_refused(value):
    frame = np.full((6, 8, 3), value, np.float32)
    with pytest.raises(GameError, match="here returned a frame with values outside of 0 to 1"):
        rgb_from(Box(0, 1, (6, 8, 3), np.float32), "game")(frame, "here")


@pytest.mark.parametrize(
    "frame", [RGB[:-1], RGB.astype(np.float64), np.dstack([RGB, RGB[..., 0]]), None]
)
def test_a_frame_of_another_kind_is_refused_in_mid_episode(frame):
    class Lies(Shows):
        def step(self, action):
            return frame, 0.0, False, False, {}

    env = GymnasiumEnv("game", 4, Lies(pixels(6, 8, 3)))
    env.reset(0)
    with pytest.raises(GameError, match=r"game: step 1 of a game returned a frame .*\[6, 8, 3\]"):
        env.step(0)


@pytest.mark.parametrize("reward", [None, float("nan"), [0.0, 1.0]])
def test_a_reward_that_is_no_number_is_refused(reward):
    class Odd(Shows):
        def step(self, action):
            return self.observation_space.sample(), reward, False, False, {}

    env = GymnasiumEnv("game", 4, Odd(pixels(6, 8, 3)))
    env.reset(0)
    with pytest.raises(GameError, match="game: step 1 of a game returned the reward"):
        env.step(0)
