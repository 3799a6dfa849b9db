"""What a game returns is checked at the step that returned it."""

import numpy as np
import pytest

from jaxrl.envs.catch import catch
from jaxrl.envs.checks import CheckedGame, checked, finite_reward, flag, frame_like, saved_arrays
from jaxrl.envs.protocol import GameError
from jaxrl.envs.single import SingleGame


@pytest.mark.parametrize(
    "value", [0, 1.5, True, np.float64(-2), np.int64(3), np.array(0.25), np.float32(1e30)]
)
def test_numbers_are_rewards(value):
    reward = finite_reward(value, "here")
    assert reward.dtype == np.float32 and reward == np.float32(value)


@pytest.mark.parametrize(
    "value", [None, float("nan"), np.inf, 1e39, "1", [1.0], np.zeros(1), {}, 1j, [[1], [2, 3]]]
)
def test_everything_else_is_refused(value):
    with pytest.raises(
        GameError, match="here returned the reward .*: it must be one finite number"
    ):
        finite_reward(value, "here")


@pytest.mark.parametrize("value", [None, 2, 0.5, "True", [True]])
def test_flags_are_true_or_false(value):
    assert flag(np.bool_(True), "end", "here") is True and flag(0, "end", "here") is False
    with pytest.raises(GameError, match="here returned end"):
        flag(value, "end", "here")


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((39, 40, 3), np.uint8),
        np.zeros((40, 40, 4), np.uint8),
        np.zeros((40, 40, 3)),
        np.zeros((40, 40, 3), np.int64),
        None,
    ],
)
def test_frames_are_as_declared(frame):
    with pytest.raises(GameError, match=r"here returned a frame .*, not uint8 \[40, 40, 3\]"):
        frame_like(frame, (40, 40, 3), np.uint8, "here")


class Bad(SingleGame):
    """Catch that fails at its third step in the way asked for."""

    def __init__(self, how):
        super().__init__(catch(16))
        self.how = how

    def step(self, action):
        after = super().step(action)
        if self._time < 3:
            return after
        if self.how == "raise":
            raise ConnectionError("simulator went away\nand more")
        if self.how == "exit":
            raise SystemExit(3)
        if self.how == 5:
            return 5
        return after._replace(**self.how)


@pytest.mark.parametrize(
    "how, sentence",
    [
        ("raise", r"catch: step 3 of a game raised ConnectionError: simulator went away \(.*py, "),
        ("exit", "catch: step 3 of a game raised SystemExit: 3"),
        (5, "catch: step 3 of a game returned a int without frame: return a Transition"),
        ({"game_over": True, "end": False}, "returned game_over with neither end nor trunc"),
        ({"reward": float("nan")}, "catch: step 3 of a game returned the reward nan"),
        (
            {"frame": np.zeros((16, 16, 4), np.uint8)},
            r"step 3 of a game returned a frame uint8 \[16",
        ),
        ({"end": None}, "step 3 of a game returned end None"),
    ],
)
def test_the_step_is_named(how, sentence):
    env = checked(Bad(how))
    env.reset(0)
    env.step(1), env.step(1)
    with pytest.raises(GameError, match=sentence):
        env.step(1)


def test_a_game_that_cannot_be_closed_is_only_worth_a_warning(capsys):
    game = SingleGame(catch(16))
    game.close = lambda: 1 / 0
    checked(game).close()
    assert "warning: catch: close raised ZeroDivisionError" in capsys.readouterr().out


@pytest.mark.parametrize("saved", [None, {"a": {"b": 1}}, {1: np.zeros(2)}, [np.zeros(2)]])
def test_only_arrays_by_name_can_be_saved(saved):
    with pytest.raises(GameError, match="save returned a .*: return a dictionary of arrays"):
        saved_arrays(saved, "mine: save")
    assert saved_arrays({"a": 3, "b": np.zeros(2)}, "mine: save")["a"] == 3


def test_a_good_game_is_not_changed():
    plain, env = SingleGame(catch(16)), checked(SingleGame(catch(16)))
    assert checked(env) is env and isinstance(env, CheckedGame)
    np.testing.assert_array_equal(env.reset(5), plain.reset(5))
    for action in (0, 2, 1):
        seen, expected = env.step(action), plain.step(action)
        np.testing.assert_array_equal(seen.frame, expected.frame)
        assert seen[1:] == tuple(x.item() for x in expected[1:])
    again = checked(SingleGame(catch(16)))
    again.restore(env.save())
    np.testing.assert_array_equal(again.step(0).frame, env.step(0).frame)
