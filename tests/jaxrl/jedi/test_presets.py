"""Which preset a game gets, and what the preset for CPUs asks of a game."""

import pytest

from jaxrl.jedi.cli import options
from jaxrl.jedi.presets import cpu
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


def test_only_the_emulator_is_asked_to_hold_actions():
    assert cpu("Freeway").game.frame_skip == 16
    for name in ("catch", "ALE/Pong-v5", "games.mine:make"):
        assert cpu(name).game.frame_skip == 4
    for mode in ("jedi", "pixel", "separate"):
        check(cpu("Freeway", mode))
