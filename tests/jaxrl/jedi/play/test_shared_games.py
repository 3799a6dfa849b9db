"""Games outside JAX that several processes share come out as in one process."""

import threading

import jax
import numpy as np
import pytest

from jaxrl.envs.catch import catch
from jaxrl.envs.protocol import GameError
from jaxrl.envs.single import SingleGame
from jaxrl.jedi.play.collect import HostPlayers
from jaxrl.train import hosts
from tests.jaxrl.jedi import small_agent
from tests.processes import finish, start_together

LANES = 3
PROCESS = """
import sys
from jaxrl.train import hosts
hosts.join("on")
import jax
from tests.jaxrl.jedi.play.test_shared_games import play
play(f"{sys.argv[1]}/process{jax.process_index()}.npz")
"""


class Failing(SingleGame):
    """Catch, whose simulator goes away at its 25th step."""

    steps = 0

    def step(self, action):
        self.steps += 1
        if self.steps == 25:
            raise GameError("the simulator went away")
        return super().step(action)


def begin(lanes_failing=()):
    makers = [Failing if lane in lanes_failing else SingleGame for lane in range(LANES)]
    mine = zip(makers, hosts.my_share(LANES), strict=True)
    envs = [make(catch(16)) if own else None for make, own in mine]
    return HostPlayers(envs, small_agent.agent(), 5)


def play(file: str) -> None:
    """Twelve steps, then eight more twice: at once, and restored from what was saved; then until a
    game fails.
    """
    agent, key = small_agent.agent(), jax.random.key(3)
    players = begin()
    first, returns = players.play(agent, key, 12, 1.0)
    saved = {name: np.array(value) for name, value in players.save().items()}
    after, more = players.play(agent, jax.random.key(4), 8, 1.0)
    again = begin()
    assert not again.restore(saved).any()
    restored, _ = again.play(agent, jax.random.key(4), 8, 1.0)
    failing = begin(lanes_failing=(1,))
    with pytest.raises(GameError, match="the simulator went away") as error:
        failing.play(agent, key, 40, 1.0)
    played, _ = error.value.played
    found = {f"first.{k}": v for k, v in first._asdict().items()}
    found |= {f"after.{k}": v for k, v in after._asdict().items()}
    found |= {f"restored.{k}": v for k, v in restored._asdict().items()}
    found |= {f"saved.{k}": v for k, v in saved.items()}
    np.savez(file, returns=returns + more, failed=played.action, **found)


def assert_equal(file, other) -> None:
    with np.load(file) as mine, np.load(other) as theirs:
        assert set(mine) == set(theirs)
        for name in mine:
            np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)


class Meeting:
    """Two threads that take the parts of two processes."""

    def __init__(self):
        self.barrier, self.here = threading.Barrier(2, timeout=60), threading.local()
        self.parts = [None, None]

    def my_share(self, count):
        return [i % 2 == self.here.number for i in range(count)]

    def arrays_from_all(self, own):
        self.parts[self.here.number] = {name: np.array(value) for name, value in own.items()}
        self.barrier.wait()
        found = [dict(part) for part in self.parts]
        self.barrier.wait()
        return found


def test_two_that_share_games_see_what_one_sees(tmp_path, monkeypatch):
    play(tmp_path / "alone.npz")
    with np.load(tmp_path / "alone.npz") as alone:
        assert len(alone["returns"]) >= LANES and alone["failed"].shape == (24, LANES)
        np.testing.assert_array_equal(alone["after.frame"], alone["restored.frame"])
    meeting, errors = Meeting(), []
    monkeypatch.setattr(hosts, "several", lambda: True)
    monkeypatch.setattr(hosts, "my_share", meeting.my_share)
    monkeypatch.setattr(hosts, "arrays_from_all", meeting.arrays_from_all)

    def part(number):
        meeting.here.number = number
        try:
            play(tmp_path / f"part{number}.npz")
        except BaseException as error:
            errors.append(error)
            meeting.barrier.abort()

    threads = [threading.Thread(target=part, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for number in range(2):
        assert_equal(tmp_path / "alone.npz", tmp_path / f"part{number}.npz")


@pytest.mark.slow
def test_two_processes_share_games(tmp_path):
    play(tmp_path / "alone.npz")
    finish(start_together(2, 2, "-c", PROCESS, tmp_path))
    for number in range(2):
        assert_equal(tmp_path / "alone.npz", tmp_path / f"process{number}.npz")
