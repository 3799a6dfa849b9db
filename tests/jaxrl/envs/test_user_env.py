"""Games by Python path: the three kinds, and every way in which a factory may be wrong."""

import sys

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.envs.gymnasium_env import GymnasiumEnv
from jaxrl.envs.make import canonical, file_name, make
from jaxrl.envs.protocol import JaxEnv

HERE = "tests.jaxrl.envs.user_games"


def test_a_game_in_jax_is_made_once_and_given_its_frame_size():
    env = make(f"{HERE}:in_jax", 20)
    assert isinstance(env, JaxEnv) and env.name == "mine" and env.frame_shape == (20, 20, 3)
    assert make(f"{HERE}:in_jax", 20) is env and make(f"{HERE}:in_jax", 30) is not env


def test_a_game_on_the_host_is_made_anew_each_time():
    first, second = (make(f"{HERE}:on_host", 16) for _ in range(2))
    assert first is not second and first.reset(0).shape == (16, 16, 3)


def test_a_gymnasium_environment_is_resized():
    env = make(f"{HERE}:Gray", 8)
    assert isinstance(env, GymnasiumEnv) and env.name == f"{HERE}:Gray" and env.num_actions == 2
    assert env.reset(0).shape == (8, 8, 3)
    after = env.step(1)
    assert (after.frame == 50).all() and after.reward == 1 and not after.end
    saved = env.save()
    other = make(f"{HERE}:Gray", 8)
    other.restore(saved)
    np.testing.assert_array_equal(other.step(0).frame, env.step(0).frame)
    assert env.step(0).end


def test_a_module_in_the_current_directory_is_found(tmp_path, monkeypatch):
    (tmp_path / "my_own_game.py").write_text(
        "from jaxrl.envs.catch import catch\nmake = lambda frame_size: catch(frame_size)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    assert make("my_own_game:make", 12).frame_shape == (12, 12, 3)


def test_a_module_that_needs_another_one_says_which(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import a_module_that_is_missing\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        UserError, match="needs the module a_module_that_is_missing, which is not installed"
    ):
        make("needs_more:make", 16)


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("no_such_package.game:make", "there is no module no_such_package in"),
        (f"{HERE}.deeper:make", f"there is no module {HERE}.deeper in"),
        (f"{HERE}:nothing", f"{HERE} has no nothing: name a function"),
        (f"{HERE}:HERE.x", "has no HERE.x"),
        (f"{HERE}:THE_ONE", "is a SingleGame: name a function"),
        (f"{HERE}:a_number", "returned a int without name, which is no game"),
        (f"{HERE}:of_floats", r"frames are float32 \[16, 16, 3\]: they must be uint8"),
        (f"{HERE}:lying", r"frame_shape is \(8, 8, 3\), but frames have shape \(16, 16, 3\)"),
        (f"{HERE}:forgetful", "step returns a state of another structure, shape or dtype"),
        ("..:make", "is not a module's name"),
        (f"{HERE}:long_reward", r"step returns reward float32 \[1\]: it must be float32 \[\]"),
        (f"{HERE}:flag_as_reward", r"step returns reward bool \[\]: it must be float32"),
        (f"{HERE}:number_as_flag", r"step returns end int32 \[\]: it must be bool"),
        (f"{HERE}:plain_tuple", "step returns a tuple with the state: return a Transition"),
        (f"{HERE}:three_things", "step returns a tuple: it must return the state and what is"),
        (f"{HERE}:undrawn", "reset raised ZeroDivisionError: .*user_games.py, line"),
        (f"{HERE}:without_return", "returned nothing: it must return the game"),
        (f"{HERE}:without_licence", "making the game raised RuntimeError: no licence"),
        (f"{HERE}:ManyAtOnce", "a vector of environments: return one"),
        (f"{HERE}:SavesNothing", "save returned a NoneType: return a dictionary of arrays"),
        (f"{HERE}:Refuses", "reset raised ConnectionError: no simulator"),
    ],
)
def test_a_wrong_factory_is_refused(name, sentence):
    with pytest.raises(UserError, match=sentence):
        make(name, 16)


@pytest.mark.parametrize(
    "name, sign",
    [
        ("OldGym", " returned a OldGym, which follows the old gym API (reset returns no info)"),
        ("WithoutSeed", " follows the old gym API (reset takes no seed)"),
        ("WithoutInfo", " follows the old gym API (reset returns no info)"),
        ("FourValues", " follows the old gym API (step returns 4 values, not 5)"),
    ],
)
def test_an_environment_of_old_gym_is_refused_with_the_remedy(name, sign):
    with pytest.raises(UserError) as error:
        game = make(f"{HERE}:{name}", 16)
        game.reset(0)
        game.step(0)
    assert str(error.value).startswith(f"{HERE}:{name}{sign}: wrap it in a gymnasium.Env")
    assert "returns (observation, info)" in str(error.value)


def test_an_environment_that_is_no_gymnasium_env_is_refused():
    with pytest.raises(UserError, match="returned a NewGym, which is no gymnasium.Env: derive"):
        make(f"{HERE}:NewGym", 16)


def test_a_factory_of_any_keywords_is_given_none():
    assert make(f"{HERE}:any_keywords", 8).frame_shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1 / 0", "importing fails_at_once raised ZeroDivisionError"),
        ("def", "line 1, is no Python"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named(text, sentence, tmp_path, monkeypatch):
    (tmp_path / "fails_at_once.py").write_text(text + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=sentence):
        make("fails_at_once:make", 16)


def test_frames_of_another_size_are_refused_with_the_option_to_change():
    with pytest.raises(UserError, match="frames are 16x16, not 32x32: .*--game.frame-size 16"):
        make(f"{HERE}:in_jax_of_16", 32)
    assert make(f"{HERE}:in_jax_of_16", 16).frame_shape == (16, 16, 3)


def test_a_factory_that_returns_the_same_game_twice_is_refused():
    make(f"{HERE}:the_one", 16)
    with pytest.raises(UserError, match="returned the same game twice"):
        make(f"{HERE}:the_one", 16)


def test_names_become_file_names():
    assert canonical("my_game.Other_one:Make") == "my_game.Other_one:Make"
    names = {
        "my_game.one:make": "my_game.one-make",
        "ALE/Pong-v5": "ale-pong-v5",
        "Breakout": "breakout",
        "my game": "my-game",
        "..": "game",
    }
    assert {name: file_name(name) for name in names} == names
