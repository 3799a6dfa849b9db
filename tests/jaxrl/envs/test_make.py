"""Games by name: toys, Atari, Gymnasium ids, and advice for names that do not exist."""

import sys

import pytest

from jaxrl.app.errors import UserError
from jaxrl.envs.atari import Atari
from jaxrl.envs.gymnasium_env import GymnasiumEnv
from jaxrl.envs.make import make
from jaxrl.envs.protocol import JaxEnv


@pytest.mark.parametrize("name", ["catch", "catch-drift", "bricks"])
def test_toys(name):
    env = make(name, 20)
    assert isinstance(env, JaxEnv)
    assert (env.name, env.frame_shape) == (name, (20, 20, 3))


@pytest.mark.parametrize(
    "name, game",
    [
        ("Breakout", "Breakout"),
        ("breakout", "Breakout"),
        ("ms_pacman", "MsPacman"),
        ("MsPacman", "MsPacman"),
        ("Tennis", "Tennis"),
    ],
)
def test_atari_games_in_any_spelling(name, game):
    """Tennis is none of the 26, but the emulator has it."""
    env = make(name, 32)
    assert isinstance(env, Atari)
    assert (env.name, env.frame_shape) == (game, (32, 32, 3))


def test_a_frame_skip_is_passed_on_to_the_emulator_and_refused_elsewhere():
    assert make("Freeway", 32, frame_skip=16).protocol.frame_skip == 16
    assert make("Freeway", 32).protocol.frame_skip == 4
    for name, skip in [("catch", 8), ("ALE/Pong-v5", 8), ("Freeway", 0), ("some.game:make", 8)]:
        with pytest.raises(UserError, match="frame_skip"):
            make(name, 32, frame_skip=skip)


def test_gymnasium_ids():
    env = make("ALE/Pong-v5", 16)
    assert isinstance(env, GymnasiumEnv) and env.frame_shape == (16, 16, 3)
    assert isinstance(make("PongNoFrameskip-v4", 16), GymnasiumEnv)


@pytest.mark.parametrize(
    "name, advice",
    [
        ("Breakot", "did you mean .*Breakout"),
        ("cach", "did you mean .*catch"),
        ("brick", "did you mean .*bricks"),
        ("xyzzyplugh", "toys are catch, catch-drift, bricks"),
        ("", "toys are"),
    ],
)
def test_a_name_that_does_not_exist_gets_advice(name, advice):
    with pytest.raises(UserError, match=f"no game called '{name}': {advice}"):
        make(name, 32)


@pytest.mark.parametrize("name", ["catch", "bricks"])
def test_frames_too_small_for_a_toy_are_refused_with_the_option_to_change(name):
    with pytest.raises(
        UserError, match=f"{name} needs frames of at least 10 pixels.*--game.frame-size"
    ):
        make(name, 8)


class TestWithoutTheEmulator:
    """As after a plain install, without the extra."""

    @pytest.fixture(autouse=True)
    def hidden(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "ale_py", None)

    def test_an_atari_game_says_what_to_install(self):
        with pytest.raises(UserError, match=r'pip install "latentax\[atari\]"'):
            make("Breakout", 32)

    def test_a_toy_needs_nothing(self):
        assert make("catch", 10).name == "catch"

    def test_a_misspelled_name_still_gets_advice(self):
        with pytest.raises(UserError, match=r"did you mean .*Breakout"):
            make("Breakot", 32)
