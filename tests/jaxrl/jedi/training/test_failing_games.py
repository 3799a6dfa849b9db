"""Games that fail, return what cannot be learned from, or do not follow their seed."""

import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.envs.catch import catch
from jaxrl.envs.protocol import GameError
from jaxrl.envs.single import SingleGame
from jaxrl.jedi.play.collect import Exploration, HostPlayers, JaxPlayers
from jaxrl.jedi.training.checkpoints import restore_agent
from jaxrl.jedi.training.loop import train
from jaxrl.jedi.training.run import close
from jaxrl.jedi.training.setup import open_session
from tests.jaxrl.jedi import small_agent, small_run


class Fails(SingleGame):
    """Catch of which one game fails at a step, counted over all games together."""

    def __init__(self, steps, bad, how):
        super().__init__(catch(16))
        self.steps, self.bad, self.how = steps, bad, how

    def step(self, action):
        after = super().step(action)
        if next(self.steps) not in self.bad:
            return after
        if self.how == "raise":
            raise ConnectionError("simulator went away")
        return after._replace(reward=self.how)


def failing(bad, how="raise"):
    steps = itertools.count(1)
    return lambda: Fails(steps, bad, how)


def silent(line):
    return None


def opened(config, folder, make_env):
    """Replay index, counters and players of a folder as the same command would find them."""
    session = open_session(config, folder, make_env)
    found = jax.device_get(session.store.index), session.counters, session.players
    close(session)
    return found


@pytest.mark.parametrize("how", ["raise", float("nan"), None])
def test_what_was_played_before_is_saved(how, tmp_path):
    """The 68th step is the last of the 17th of all four games: 16 whole ones are kept."""
    sentence = "simulator went away" if how == "raise" else f"returned the reward {how}"
    with pytest.raises(GameError, match=f"{sentence}.*everything played before is saved in"):
        train(small_run.CONFIG, tmp_path, failing({60}, how), say=silent)
    index, counters, players = opened(small_run.CONFIG, tmp_path, lambda: SingleGame(catch(16)))
    assert counters.env_steps == 14 * 4 == index.steps
    assert not index.open.any() and np.isfinite(index.reward).all()
    last = index.length.cumsum()[: index.count]
    assert last[-1] == 14 * 4
    assert players.games.tolist() == [3] * 4 and players.first.all()


def test_jax_games_too(tmp_path):
    env, agent = catch(16), small_agent.agent()

    def step(state, action, key):
        after, transition = env.step(state, action, key)
        reward = jnp.where(state.ball_y == 4, jnp.nan, transition.reward)
        return after, transition._replace(reward=reward)

    players = JaxPlayers(env._replace(step=step), agent, 2, seed=0)
    with pytest.raises(
        GameError, match="step 5 of this call, game 0, returned the reward nan"
    ) as e:
        players.play(agent, jax.random.key(0), 8, 1.0)
    chunk, returns = e.value.played
    assert chunk.action.shape == (4, 2) and np.isfinite(chunk.reward).all() and returns == []
    assert bool(players.players.first.all())


def test_a_game_is_made_anew_as_often_as_allowed(capsys):
    make_env = failing({1, 12, 30})
    players = HostPlayers([make_env(), make_env()], small_agent.agent(), 0, make_env, restarts=2)
    chunk, _ = players.play(small_agent.agent(), jax.random.key(0), 8, 1.0)
    assert capsys.readouterr().out.count("it begins anew") == 2
    assert players.to_cut.tolist() == [True, False]  # its first step failed
    lane = next(lane for lane in range(2) if chunk.trunc[:, lane].any())
    cut = int(np.argmax(chunk.trunc[:, lane]))
    assert not np.array_equal(chunk.frame[cut + 1, lane], chunk.next_frame[cut, lane])
    assert chunk.trunc.sum() == 1 and np.isfinite(chunk.reward).all()
    with pytest.raises(GameError, match="simulator went away"):
        for t in range(3):
            players.play(small_agent.agent(), jax.random.key(t), 8, 1.0)


class FailsToBegin(SingleGame):
    """Catch whose resets fail at some numbers, counted over all games together."""

    def __init__(self, resets, bad):
        super().__init__(catch(16))
        self.resets, self.bad = resets, bad

    def reset(self, seed):
        if next(self.resets) in self.bad:
            raise ConnectionError("no new game")
        return super().reset(seed)


def test_a_game_that_cannot_begin_is_made_anew_too():
    resets, agent = itertools.count(1), small_agent.agent()

    def make_env():
        return FailsToBegin(resets, {2, 4})

    players = HostPlayers([make_env(), make_env()], agent, 0, make_env, restarts=2)
    chunk, _ = players.play(agent, jax.random.key(0), 20, 1.0)
    assert players.restarts == 0 and np.isfinite(chunk.reward).all() and chunk.end.any()


def test_an_evaluation_is_begun_anew_too(tmp_path):
    """Of the games that are made, the fifth is the first of the evaluations."""
    steps, games = itertools.count(1), itertools.count(1)

    def make_env():
        return Fails(steps, range(10**6) if next(games) == 6 else {}, "raise")

    config = replace(small_run.CONFIG, game=replace(small_run.CONFIG.game, restart_on_error=1))
    assert train(config, tmp_path / "anew", make_env, say=silent).finished
    games = itertools.count(1)
    with pytest.raises(GameError, match="simulator went away.*everything played before is saved"):
        train(small_run.CONFIG, tmp_path / "not", make_env, say=silent)


def test_games_that_would_join_are_refused_in_jax():
    """`game_over` alone would make one episode of two games."""
    env, agent = catch(16), small_agent.agent()

    def step(state, action, key):
        after, seen = env.step(state, action, key)
        return after, seen._replace(end=jnp.bool_(False), game_over=seen.end)

    players = JaxPlayers(env._replace(step=step), agent, 2, seed=0)
    with pytest.raises(GameError, match="game_over with neither end nor trunc") as refused:
        players.play(agent, jax.random.key(0), 40, 1.0)
    chunk, _ = refused.value.played
    assert 0 < len(chunk.action) < 40


class CannotClose(SingleGame):
    def close(self):
        raise RuntimeError("window is gone")


def test_a_run_whose_games_cannot_be_closed_is_finished(tmp_path, capsys):
    assert train(small_run.CONFIG, tmp_path, lambda: CannotClose(catch(16)), say=silent).finished
    assert "close raised RuntimeError: window is gone" in capsys.readouterr().out


def test_a_game_with_other_actions_than_its_run_is_named(tmp_path):
    train(small_run.CONFIG, tmp_path, lambda: catch(16), say=silent)
    longer = small_run.until(small_run.CONFIG, 96)

    def other():
        return catch(16)._replace(num_actions=4)

    sentence = "was trained with 3 actions, and catch has 4 now: give the game its actions back"
    with pytest.raises(UserError, match=sentence):
        train(longer, tmp_path, other, say=silent)
    with pytest.raises(UserError, match=sentence):
        restore_agent(tmp_path, small_run.CONFIG, other())


class Unseeded(SingleGame):
    """Catch that begins each game at a place of its own."""

    def __init__(self, places):
        super().__init__(catch(16))
        self.places = places

    def reset(self, seed):
        return super().reset(next(self.places))

    def save(self):
        return {"seed": np.int64(0)}

    def restore(self, saved):
        from jaxrl.envs.protocol import NotReproducible

        raise NotReproducible("mine does not play the same game from the same seed")


def test_a_game_that_does_not_follow_its_seed_is_resumed_with_a_new_one(tmp_path, capsys):
    places = itertools.count()
    config = small_run.until(small_run.CONFIG, 80)
    assert train(config, tmp_path, lambda: Unseeded(places), say=silent).finished
    longer = small_run.until(config, 96)
    index, counters, players = opened(longer, tmp_path, lambda: Unseeded(places))
    out = capsys.readouterr().out
    assert out.count("does not play the same game from the same seed; game") == 4
    assert counters.env_steps == 80 and not index.open.any() and players.first.all()
    assert train(longer, tmp_path, lambda: Unseeded(places), say=silent).finished


def test_actions_are_repeated_as_often_as_asked():
    agent = small_agent.agent()
    players = JaxPlayers(catch(16), agent, 64, seed=0)
    plain, _ = players.play(agent, jax.random.key(1), 9, Exploration(1.0))
    again = JaxPlayers(catch(16), agent, 64, seed=0)
    sticky, _ = again.play(agent, jax.random.key(1), 9, Exploration(1.0, 1.0, 0.75))

    def share(chunk):
        return float((np.asarray(chunk.action[1:]) == np.asarray(chunk.action[:-1])).mean())

    assert abs(share(plain) - 1 / 3) < 0.08
    assert abs(share(sticky) - (0.75 + 0.25 / 3)) < 0.08
    np.testing.assert_array_equal(plain.action[0], sticky.action[0])  # nothing came before


def test_a_temperature_flattens_or_sharpens_the_policy():
    agent = small_agent.agent()
    bias = {"bias": jnp.array([2.0, 0.0, 0.0])}
    params = jax.tree_util.tree_map_with_path(
        lambda path, leaf: bias["bias"] if leaf.shape == (3,) else leaf, agent.policy.params
    )
    agent = agent.replace(policy=agent.policy.replace(params=params))
    shares = {}
    for temperature in (0.25, 1.0, 100.0):
        players = JaxPlayers(catch(16), agent, 128, seed=0)
        chunk, _ = players.play(agent, jax.random.key(3), 8, Exploration(0.0, temperature))
        shares[temperature] = float((np.asarray(chunk.action) == 0).mean())
    assert shares[0.25] > shares[1.0] > shares[100.0]
    assert abs(shares[100.0] - 1 / 3) < 0.06 and shares[0.25] > 0.97


@pytest.mark.parametrize(
    "field, value", [("temperature", 0.0), ("action_repeat_epsilon", 1.5), ("restart_on_error", -1)]
)
def test_settings_out_of_range_are_refused(field, value, tmp_path):
    config = replace(small_run.CONFIG, game=replace(small_run.CONFIG.game, **{field: value}))
    with pytest.raises(Exception, match=f"game.{field} is {value}"):
        open_session(config, tmp_path)
