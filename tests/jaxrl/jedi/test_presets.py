"""Which preset a game gets, and what the preset for CPUs asks of a game."""

from dataclasses import replace

import pytest

from jaxrl.app.errors import UserError
from jaxrl.jedi.cli import options
from jaxrl.jedi.presets import cpu, options_for, tiny
from jaxrl.jedi.training.validate import check


@pytest.mark.parametrize(
    "arguments, preset",
    [
        (["train", "--env", "Freeway"], "cpu"),
        (["train"], "cpu"),
        (["train", "--env", "road_runner"], "cpu"),
        (["plan", "--env", "catch"], "tiny"),
        (["train", "--env", "catch"], "tiny"),
        (["train", "--env", "ALE/Pong-v5"], "tiny"),
        (["train", "--env", "games.mine:make"], "tiny"),
        (["train-offline", "--data", "folder"], "tiny"),
        (["train", "--env", "Freeway", "--preset", "tiny"], "tiny"),
    ],
)
def test_the_preset_follows_the_game_and_the_device(arguments, preset, capsys):
    found = options.parse(arguments)
    assert found.preset == preset
    assert (f"preset {preset} (" in capsys.readouterr().out) == ("--preset" not in arguments)


def test_tiny_has_settings_of_its_own_for_games_of_ten_by_ten_cells_only():
    asterix = tiny("gymnax:Asterix-MinAtar")
    assert asterix.agent.behavior.lookahead and asterix.game.frame_size == 20
    for env in ("gymnax:Pong-misc", "Breakout", "catch"):
        assert not tiny(env).agent.behavior.lookahead
    for mode in ("jedi", "pixel", "separate"):
        config = tiny("gymnax:Asterix-MinAtar", mode)
        check(config)
        assert options.parse(["train", *options_for(config)]).config == config


def test_an_end_of_play_before_the_random_play_is_over_is_refused():
    config = tiny("catch")
    short = replace(config, schedule=replace(config.schedule, env_steps=1024))
    with pytest.raises(UserError, match=r"env_steps \(1024\) is less than .*\(2048\)"):
        check(short)


def test_only_the_emulator_is_asked_to_hold_actions():
    assert cpu("Freeway").game.frame_skip == 16
    for name in ("catch", "ALE/Pong-v5", "games.mine:make"):
        assert cpu(name).game.frame_skip == 4
    for mode in ("jedi", "pixel", "separate"):
        check(cpu("Freeway", mode))
