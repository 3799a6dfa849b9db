"""Actions as words."""

import types

import pytest

from jaxrl.app.errors import UserError
from jaxrl.envs.action_names import read_actions
from jaxrl.envs.atari import Atari
from jaxrl.envs.bricks import bricks
from jaxrl.envs.single import as_host
from tests.tables import rows

NAMELESS = types.SimpleNamespace(name="mine", num_actions=12)


def test_numbers_names_and_repeats():
    assert read_actions(["0", "Left*3", "stay", "2*2"], bricks(32)) == (0, 0, 0, 0, 1, 2, 2)
    assert read_actions(["right*2"], as_host(bricks(32))) == (2, 2)
    assert read_actions(["11*2", "3"], NAMELESS) == (11, 11, 3)
    assert read_actions([], NAMELESS) == () == read_actions(["left*0"], bricks(32))


def test_the_emulator_names_its_actions():
    pytest.importorskip("ale_py")
    env = Atari("Breakout", 16)
    assert read_actions(["noop", "FIRE", "right*2", "left"], env) == (0, 1, 2, 2, 3)


@pytest.mark.parametrize("word, sentence", rows(__file__, "no_actions"))
def test_what_is_no_action_is_refused(word, sentence):
    with pytest.raises(UserError, match=sentence):
        read_actions([word], bricks(32))


def test_a_name_for_a_game_without_names_is_refused():
    with pytest.raises(UserError, match="mine has actions 0 to 11; --actions holds 'left'$"):
        read_actions(["left"], NAMELESS)
