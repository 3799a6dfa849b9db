"""Games that fail, return what cannot be learned from, or do not follow their seed."""

import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.catch import catch
from jaxrl.envs.protocol import GameError
from jaxrl.envs.single import SingleGame
from jaxrl.jedi.play.collect import Exploration, HostPlayers, JaxPlayers
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
