"""The error of imagination over the horizon against a plain loop, hand-made counts, and models that
say always the same.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.catch import catch
from jaxrl.envs.single import SingleGame
from jaxrl.jedi.agent import decode, encode
from jaxrl.jedi.diagnostics.horizon import (
    HorizonConfig,
    Record,
    Starts,
    context,
    count,
    draw_starts,
    figures,
    play_real,
    steps_left,
    with_bands,
)
from jaxrl.jedi.diagnostics.open_loop import Game, context_at
from jaxrl.jedi.imagination import advance, begin, draw_noise
from tests.jaxrl.jedi import small_agent
from tests.jaxrl.jedi.learn.test_gate import with_end_logits

HORIZON = 4
KEY = jax.random.key(5)


def games(count: int, steps: int, epsilon: float) -> HorizonConfig:
    return HorizonConfig(games=count, game_steps=steps, epsilon=epsilon, seed=3)


@functools.cache
def record() -> Record:
    """Two lanes of catch, 20 steps each: episodes of 9 steps, and the beginning of a third."""
    agent, env = small_agent.agent(), catch(16)
    return play_real(env, lambda: env, agent, games(2, 20, 1.0))


def starts() -> Starts:
    return Starts(np.array([0, 0, 1, 1, 1], np.int32), np.array([0, 6, 8, 9, 18], np.int32))


@functools.cache
def counted():
    return jax.device_get(count(small_agent.agent(), record(), starts(), KEY, HORIZON, True))


def test_real_games_are_recorded_with_their_episodes():
    found = record()
    np.testing.assert_array_equal(found.episode[0], [0] * 9 + [1] * 9 + [2] * 2)
    np.testing.assert_array_equal(np.flatnonzero(found.end[1]), [8, 17])
    inside = found.episode[:, 1:] == found.episode[:, :-1]
    np.testing.assert_array_equal(found.next_frame[:, :-1][inside], found.frame[:, 1:][inside])
    assert (found.reward[found.end] != 0).all() and not found.reward[~found.end].any()
    np.testing.assert_array_equal(steps_left(found)[0], [*range(9, 0, -1), *range(9, 0, -1), 2, 1])


def test_games_outside_jax_are_played_too():
    env = SingleGame(catch(16))
    found = play_real(env, lambda: SingleGame(catch(16)), small_agent.agent(), games(2, 11, 0.0))
    np.testing.assert_array_equal(found.episode[1], [0] * 9 + [1] * 2)
    assert found.frame.shape == (2, 11, 16, 16, 3) and not np.array_equal(
        found.action[0], found.action[1]
    )


def test_starts_are_different_and_cover_everything():
    lane, t = draw_starts(record(), 1000, 0)
    assert sorted(zip(lane.tolist(), t.tolist(), strict=True)) == [
        (i, j) for i in range(2) for j in range(20)
    ]
    assert len(draw_starts(record(), 7, 0).t) == 7


@pytest.mark.parametrize("t", [0, 1, 5, 9, 10, 19])
def test_the_context_is_that_of_the_pictures(t):
    """`pictures.context_at` was written for one game; episodes of one lane make such a game."""
    found = record()
    game = Game(
        np.concatenate([found.frame[0], found.next_frame[0, -1:]]),
        found.action[0],
        found.reward[0],
        found.end[0],
    )
    expected = jax.tree.map(lambda a: a[0], context_at(game, t, 3))
    actual = context(jax.tree.map(jnp.asarray, found), jnp.int32(0), jnp.int32(t), 3)
    np.testing.assert_array_equal(actual.frame_mask, expected.frame_mask)
    np.testing.assert_array_equal(
        actual.frame[actual.frame_mask], expected.frame[expected.frame_mask]
    )
    np.testing.assert_array_equal(actual.action, np.where(expected.frame_mask, expected.action, 0))


def plain_loop():
    """What is counted for every start and step, by stepping the imagined world one step
    at a time.
    """
    agent, found = small_agent.agent(), record()
    step = jax.jit(
        lambda world, action, key: advance(agent, world, action, *draw_noise(agent.spec, key))
    )
    see = jax.jit(lambda z: jnp.clip(decode(agent, z), -1, 1))
    look = jax.jit(lambda frame: encode(agent, frame))

    def mean(a, b):
        return float(np.square(np.asarray(a, np.float64) - np.asarray(b, np.float64)).mean())

    def surprise(logits, k):
        return float(np.log(np.exp(np.float64(logits)).sum()) - logits[k])

    def pixels(frame):
        return frame / 127.5 - 1

    rows = []
    for number, (lane, t) in enumerate(zip(*starts(), strict=True)):
        world = begin(agent, context(jax.tree.map(jnp.asarray, found), lane, t, 2))
        keys = jax.random.split(jax.random.fold_in(KEY, number), HORIZON)
        first = found.frame[lane, t]
        for h in range(HORIZON):
            now = t + h
            if now >= 20 or found.episode[lane, now] != found.episode[lane, t]:
                break
            world, out = step(world, found.action[lane, now], keys[h])
            real, ended = int(np.sign(found.reward[lane, now])) + 1, int(found.end[lane, now])
            said, ends = int(np.argmax(out.reward_logits)), int(np.argmax(out.end_logits))
            frame = found.next_frame[lane, now]
            z, shown = look(frame), see(out.z)
            row = {
                "count": 1,
                "reward_right": said == real,
                "reward_claimed": said != 1,
                "reward_found": said == real and real != 1,
                "reward_nats": surprise(out.reward_logits, real),
                "end": ended,
                "end_right": ends == ended,
                "end_claimed": ends,
                "end_found": ends and ended,
                "end_nats": surprise(out.end_logits, ended),
                "latent": mean(out.z, z),
                "latent_still": mean(look(first), z),
                "frame": mean(shown, pixels(frame)),
                "frame_still": mean(pixels(first), pixels(frame)),
                "frame_probe": mean(see(z), pixels(frame)),
                "seen": mean(shown, see(z)),
            }
            rows.append((lane, h, real, row))
    return rows


def test_counts_equal_a_plain_loop():
    expected = {name: np.zeros((2, HORIZON)) for name in counted() if name != "reward_class"}
    classes = np.zeros((2, HORIZON, 3))
    for lane, h, real, row in plain_loop():
        classes[lane, h, real] += 1
        for name, value in row.items():
            expected[name][lane, h] += value
    np.testing.assert_array_equal(expected["count"], [[2, 2, 2, 1], [3, 2, 1, 1]])
    np.testing.assert_array_equal(counted()["reward_class"], classes)
    for name, value in expected.items():
        np.testing.assert_allclose(counted()[name], value, rtol=2e-3, atol=2e-5, err_msg=name)


def test_pictures_can_be_left_out():
    bare = count(small_agent.agent(), record(), starts(), KEY, HORIZON, False)
    assert set(counted()) - set(bare) == {"frame", "frame_still", "frame_probe", "seen"}
    np.testing.assert_allclose(bare["latent"], counted()["latent"], rtol=1e-5)


@pytest.mark.parametrize("sign", [+1, -1])
def test_models_that_always_and_never_end_are_seen_through(sign):
    starts = draw_starts(record(), 40, 0)
    sums = jax.device_get(count(with_end_logits(sign), record(), starts, KEY, HORIZON, False))
    found = figures({name: value.sum(0).astype(float) for name, value in sums.items()})
    np.testing.assert_array_equal(found["end_recall"], float(sign > 0))
    np.testing.assert_array_equal(found["end_false_alarms"], float(sign > 0))
    np.testing.assert_array_equal(found["end_accuracy_gain"] <= 0, True)
    np.testing.assert_allclose(found["end_rate"], [4 / 40, 4 / 34, 4 / 28, 4 / 24], rtol=1e-6)


def test_figures_by_hand():
    """Eight steps: real classes 0 once, 1 five times, 2 twice; six said right, two nonzero of the
    four that were claimed.
    """

    def number(x):
        return np.array([float(x)])

    sums = {
        "count": number(8),
        "reward_class": np.array([[1.0, 5.0, 2.0]]),
        "reward_right": number(6),
        "reward_claimed": number(4),
        "reward_found": number(2),
        "reward_nats": number(4),
        "end": number(2),
        "end_right": number(5),
        "end_claimed": number(3),
        "end_found": number(1),
        "end_nats": number(8),
        "latent": number(2),
        "latent_still": number(4),
    }
    found = {name: float(value[0]) for name, value in figures(sums).items()}

    def entropy(*p):
        return -sum(x * np.log(x) for x in p)

    expected = {
        "reward_accuracy": 6 / 8,
        "reward_accuracy_base": 5 / 8,
        "reward_accuracy_gain": 1 / 8,
        "reward_recall": 2 / 3,
        "reward_precision": 1 / 2,
        "reward_rate": 3 / 8,
        "reward_nats": 0.5,
        "reward_nats_base": entropy(1 / 8, 5 / 8, 2 / 8),
        "reward_nats_gain": entropy(1 / 8, 5 / 8, 2 / 8) - 0.5,
        "end_accuracy": 5 / 8,
        "end_accuracy_base": 6 / 8,
        "end_accuracy_gain": -1 / 8,
        "end_recall": 1 / 2,
        "end_false_alarms": 2 / 6,
        "end_rate": 2 / 8,
        "end_nats": 1.0,
        "end_nats_base": entropy(1 / 4, 3 / 4),
        "end_nats_gain": entropy(1 / 4, 3 / 4) - 1,
        "latent_error": 1 / 4,
        "latent_still_error": 1 / 2,
    }
    assert found == pytest.approx(expected)


def test_nothing_counted_is_not_a_number():
    zero = {name: np.zeros((2, *value.shape[1:])) for name, value in counted().items()}
    bands = with_bands(zero)
    assert all(
        np.isnan(band[key]).all() for band in bands.values() for key in ("mean", "low", "high")
    )


def test_the_band_is_that_of_a_mean_over_games():
    """Equal games leave no doubt; for many unequal ones of equal length the band is that of the
    normal distribution.
    """
    rng, lanes = np.random.default_rng(0), 400
    sums = {name: np.ones((lanes, *value.shape[1:])) for name, value in counted().items()}
    band = with_bands(sums)["latent_error"]
    np.testing.assert_allclose(band["low"], band["high"])
    sums["latent"] = rng.normal(3, 1, (lanes, HORIZON))
    band, error = with_bands(sums)["latent_error"], sums["latent"].std(0) / np.sqrt(lanes)
    np.testing.assert_allclose(band["mean"], sums["latent"].mean(0))
    np.testing.assert_allclose((band["high"] - band["low"]) / (2 * 1.96 * error), 1, atol=0.2)
