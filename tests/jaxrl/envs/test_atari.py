"""Atari against the raw emulator stepped by hand and against Gymnasium's preprocessing; exact save
and restore.
"""

import functools

import ale_py
import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import AtariPreprocessing

from jaxrl.envs.atari import Atari, game_names
from jaxrl.envs.atari100k import GAMES, Protocol
from jaxrl.envs.resize import resize_area

FIRE = 1  # second of Breakout's minimal actions
NUM_ACTIONS = {
    "Alien": 18,
    "Amidar": 10,
    "Assault": 7,
    "Asterix": 9,
    "BankHeist": 18,
    "BattleZone": 18,
    "Boxing": 18,
    "Breakout": 4,
    "ChopperCommand": 18,
    "CrazyClimber": 9,
    "DemonAttack": 6,
    "Freeway": 3,
    "Frostbite": 18,
    "Gopher": 8,
    "Hero": 18,
    "Jamesbond": 18,
    "Kangaroo": 18,
    "Krull": 18,
    "KungFuMaster": 14,
    "MsPacman": 9,
    "Pong": 6,
    "PrivateEye": 18,
    "Qbert": 6,
    "RoadRunner": 18,
    "Seaquest": 18,
    "UpNDown": 6,
}


def emulator(rom, seed):
    """A raw game without sticky actions."""
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.setFloat("repeat_action_probability", 0.0)
    ale.setInt("random_seed", seed)
    ale.loadROM(ale_py.roms.get_rom_path(rom))
    return ale


def area(frame, size):
    """Resizing by area as a product with two matrices of overlaps, in float64."""

    def overlaps(length):
        edges = np.arange(size + 1) * length / size
        low, high = edges[:-1, None], edges[1:, None]
        pixel = np.arange(length)[None]
        return np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, 1) * size / length

    rows = np.tensordot(overlaps(frame.shape[0]), frame.astype(np.float64), 1)
    return overlaps(frame.shape[1]) @ rows


def assert_same_frame(actual, exact):
    """Within rounding to 8 bits."""
    assert actual.dtype == np.uint8
    assert np.abs(actual - exact).max() <= 0.51


@functools.cache
def noops_of(seed):
    """The number of frames of doing nothing after which the raw emulator shows what our reset
    shows.
    """
    env, ale, matches = Atari("Breakout"), emulator("breakout", seed), []
    first = env.reset(seed)
    state = env.save()["emulator"].tobytes()
    for noops in range(1, 31):
        ale.act(0)
        if ale.cloneState(include_rng=True).serialize() == state:
            assert_same_frame(first, area(ale.getScreenRGB(), 64))
            matches.append(noops)
    assert len(matches) == 1
    return matches[0]


@pytest.mark.parametrize(
    "game, rom, seed",
    [("Breakout", "breakout", 3), ("MsPacman", "ms_pacman", 4), ("Pong", "pong", 5)],
)
def test_steps_equal_the_emulator_stepped_by_hand(game, rom, seed):
    """Every action held 4 frames and never replaced by the last one; rewards summed; maximum of the
    last two screens.
    """
    env, ale = Atari(game), emulator(rom, seed)
    env.reset(seed)
    while ale.cloneState(include_rng=True).serialize() != env.save()["emulator"].tobytes():
        ale.act(0)
        assert ale.getEpisodeFrameNumber() <= 30
    actions, rng, lives = ale.getMinimalActionSet(), np.random.default_rng(0), ale.lives()
    rewards, ends = 0.0, 0
    for _ in range(200):
        action = int(rng.integers(env.num_actions))
        screens, reward = [], 0.0
        for _ in range(4):
            reward += ale.act(actions[action])
            screens.append(ale.getScreenRGB())
            if ale.game_over():
                break
        seen = env.step(action)
        assert_same_frame(
            seen.frame, area(np.maximum(screens[-1], screens[-2] if len(screens) > 1 else 0), 64)
        )
        assert (seen.reward, seen.end) == (reward, ale.lives() < lives or ale.game_over())
        assert (seen.game_over, seen.trunc) == (ale.game_over(), False)
        lives, rewards, ends = ale.lives(), rewards + abs(reward), ends + seen.end
        if seen.game_over:
            break
    assert rewards > 0
    assert ends > 0 or game != "Breakout"


def test_steps_equal_gymnasiums_preprocessing():
    gymnasium.register_envs(ale_py)
    env, raw = Atari("Breakout"), gymnasium.make("BreakoutNoFrameskip-v4")
    reference = AtariPreprocessing(
        raw, noop_max=0, frame_skip=4, screen_size=64, grayscale_obs=False
    )
    assert env.num_actions == raw.action_space.n
    reference.reset(seed=0)
    env.reset(1)
    raw.unwrapped.ale.restoreState(ale_py._ale_py.ALEState(env.save()["emulator"].tobytes()))
    rng, total = np.random.default_rng(1), 0.0
    for _ in range(120):
        action = int(rng.integers(4))
        frame, reward, terminated, _, _ = reference.step(action)
        seen = env.step(action)
        np.testing.assert_array_equal(seen.frame, frame)
        assert (seen.reward, seen.game_over) == (reward, terminated)
        total += reward
    assert total > 0
    reference.close()


def test_a_game_begins_after_1_to_30_noops_that_follow_the_seed():
    numbers = [noops_of(seed) for seed in range(10)]
    assert len(set(numbers)) > 4
    env = Atari("Breakout")
    env.reset(5)
    once = env.save()["emulator"]
    env.step(FIRE)
    env.reset(5)
    np.testing.assert_array_equal(env.save()["emulator"], once)


def test_each_lost_life_is_an_end_and_only_the_last_the_end_of_the_game():
    env = Atari("Breakout")
    env.reset(0)
    ends, steps = [], 0
    while not ends or not ends[-1].game_over:
        seen = env.step(FIRE)
        steps += 1
        assert steps < 2000
        if seen.end:
            ends.append(seen)
        assert seen.end or not seen.game_over
    assert [bool(seen.game_over) for seen in ends] == [False] * 4 + [True]
    assert not any(seen.trunc for seen in ends)


def test_the_frame_limit_is_a_cut_and_not_an_end():
    env = Atari("Breakout", protocol=Protocol(max_frames=100, noop_max=1))
    env.reset(0)
    seen = [env.step(0) for _ in range(25)]
    assert not any(s.trunc or s.game_over or s.end for s in seen[:-1])
    assert (bool(seen[-1].trunc), bool(seen[-1].game_over), bool(seen[-1].end)) == (
        True,
        True,
        False,
    )
    env.reset(0)
    assert not env.step(0).game_over


def outcome(env, actions):
    steps = [env.step(int(action)) for action in actions]
    return [np.stack(field) for field in zip(*steps, strict=True)]


@pytest.mark.parametrize("into", ["the same object", "a new object"])
@pytest.mark.parametrize("game", ["Breakout", "MsPacman"])
def test_a_restored_game_goes_on_exactly(game, into, tmp_path):
    env, rng = Atari(game), np.random.default_rng(2)
    env.reset(7)
    outcome(env, rng.integers(env.num_actions, size=60))
    np.savez(tmp_path / "saved.npz", **env.save())
    actions = rng.integers(env.num_actions, size=100)
    expected = outcome(env, actions)
    again = env if into == "the same object" else Atari(game)
    with np.load(tmp_path / "saved.npz") as saved:
        again.restore(saved)
    for field, wanted in zip(outcome(again, actions), expected, strict=True):
        np.testing.assert_array_equal(field, wanted)


def test_a_restored_game_remembers_its_lives():
    """Else the first step after restoring would count as a lost life, or hide one."""
    env = Atari("Breakout")
    env.reset(0)
    while not env.step(FIRE).end:
        pass
    fresh = Atari("Breakout")
    fresh.restore(env.save())
    assert not fresh.step(0).end


def test_the_26_games_of_atari_100k_have_their_minimal_actions():
    assert set(GAMES) == set(NUM_ACTIONS) and len(GAMES) == 26
    for game in GAMES:
        env = Atari(game, frame_size=16)
        frame = env.reset(0)
        seen = env.step(env.num_actions - 1)
        assert env.num_actions == NUM_ACTIONS[game], game
        assert frame.shape == seen.frame.shape == env.frame_shape == (16, 16, 3)
        assert frame.dtype == np.uint8 and frame.max() > 0, game


def test_names_are_the_rom_ids_without_underscores():
    names = game_names()
    assert {names["MsPacman"], names["UpNDown"], names["Jamesbond"]} == {
        "ms_pacman",
        "up_n_down",
        "jamesbond",
    }
    assert set(GAMES) < set(names)


@pytest.mark.parametrize("shape, size", [((210, 160, 3), 64), ((12, 12, 3), 4), ((7, 5, 3), 3)])
def test_resizing_is_the_mean_over_areas(shape, size):
    frame = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    assert_same_frame(resize_area(frame, size), area(frame, size))


def test_resizing_to_the_same_size_changes_nothing():
    frame = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    np.testing.assert_array_equal(resize_area(frame, 8), frame)
