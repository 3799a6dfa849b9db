"""Preferring eventful segments: more of them are seen, and weighted means stay those of the usual
law.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.replay import buffer
from jaxrl.replay.buffer import ReplayConfig, Transitions
from jaxrl.replay.eventful import event_ahead, eventful, preferring

STEPS, SIZE, KEYS, AGES = 30, 4, 20_000, (0.25, 0.25, 0.25, 0.25)


@pytest.fixture(scope="module")
def index():
    """One episode of 30 steps with a reward at step 12 (negative) and an end at its last."""
    game = Transitions(
        frame=None,
        next_frame=None,
        action=jnp.zeros((STEPS, 1), jnp.int32),
        reward=jnp.zeros((STEPS, 1)).at[12].set(-2.0),
        end=jnp.zeros((STEPS, 1), bool).at[-1].set(True),
        trunc=jnp.zeros((STEPS, 1), bool),
    )
    return buffer.append_index(buffer.init_index(ReplayConfig(80, 4), 1), game)[0]


def drawn(index, drawer):
    draw = jax.jit(lambda keys: buffer.draw_batch(index, drawer, keys, SIZE, AGES))
    return draw(jax.random.split(jax.random.key(3), KEYS))


def test_eventful_segments_are_those_with_a_reward_or_an_end(index):
    found = drawn(index, buffer.draw_around)
    row, real = (
        np.asarray(found.row)[:, :-1],
        np.asarray(found.step_mask)[:, :-1],
    )  # without what comes after the last step
    first_real, last_real = np.where(real, row, 10**6).min(-1), np.where(real, row, -1).max(-1)
    expected = ((first_real <= 12) & (last_real >= 12)) | (last_real == STEPS - 1)
    np.testing.assert_array_equal(np.asarray(eventful(index, found)), expected)
    assert 0.1 < expected.mean() < 0.4


def test_weighted_means_are_those_of_the_usual_law(index):
    """By the step that a segment shows second: counted frequency times weight is the usual
    frequency, within 5 deviations.
    """
    plain, chosen = (
        drawn(index, buffer.draw_around),
        drawn(index, preferring(buffer.draw_around, 6, 10.0)),
    )

    def which(draw):
        return np.asarray(draw.row[:, 1] + 100 * draw.step_mask[:, 0] + 200 * draw.step_mask[:, -1])

    weight = np.asarray(chosen.weight[:, 0])
    assert abs(weight.mean() - 1) < 5 * weight.std() / np.sqrt(KEYS)
    for kind in np.union1d(which(plain), which(chosen)):
        usual, weighted = (which(plain) == kind).astype(float), weight * (which(chosen) == kind)
        error = np.sqrt((usual.var() + weighted.var()) / KEYS)
        assert abs(usual.mean() - weighted.mean()) < 5 * error
    assert (
        np.asarray(eventful(index, plain)).mean() < 0.25
        and np.asarray(eventful(index, chosen)).mean() > 0.4
    )
    assert (
        (weight >= 0.1 - 1e-6).all()
        and (weight <= 10.0 + 1e-6).all()
        and (chosen.weight == chosen.weight[:, :1]).all()
    )


def test_an_event_of_the_last_row_alone_does_not_count(index):
    draw = drawn(index, buffer.draw_around)
    happens = np.asarray(draw.step_mask & ((index.reward[draw.row] != 0) | index.end[draw.row]))
    assert (happens[:, -1] & ~happens[:, :-1].any(-1)).any()
    np.testing.assert_array_equal(eventful(index, draw), happens[:, :-1].any(-1))


def test_without_preference_nothing_weighs(index):
    np.testing.assert_allclose(drawn(index, preferring(buffer.draw_around, 3, 1.0)).weight, 1.0)
    assert drawn(index, buffer.draw_around).weight is None


AHEAD = 3
LIFE = 5
"""Steps of an episode below."""


@pytest.fixture(scope="module")
def wrapped():
    """Two lanes that have overwritten their oldest rows; episodes of five steps whose first brings
    a reward, and whose last is an end in lane 0 and a cut in lane 1. The newest have two steps yet.
    """
    lane_0, index = np.array([True, False]), buffer.init_index(ReplayConfig(40, 8), 2)
    for number in np.split(np.arange(42)[:, None] % LIFE, 6):
        game = Transitions(
            frame=None,
            next_frame=None,
            action=jnp.asarray(np.broadcast_to(number, (len(number), 2)), jnp.int32),
            reward=jnp.asarray(np.broadcast_to(number == 0, (len(number), 2)), jnp.float32),
            end=jnp.asarray((number == LIFE - 1) & lane_0),
            trunc=jnp.asarray((number == LIFE - 1) & ~lane_0),
        )
        index = buffer.append_index(index, game)[0]
    return index


def test_events_ahead_are_those_of_the_same_episode(wrapped):
    draw = drawn(wrapped, buffer.draw_start)
    found = np.asarray(event_ahead(AHEAD)(wrapped, draw))
    row = np.asarray(draw.row)[:, -1]
    number, lane = np.asarray(wrapped.action)[row], row // wrapped.rows_per_lane
    # the reward of the first step itself, and in lane 0 the end, seen from the last three steps;
    # a cut is no event, and the reward behind it is another episode's
    expected = (number == 0) | ((lane == 0) & (number >= LIFE - AHEAD))
    np.testing.assert_array_equal(found, expected)
    assert {(0, 0), (0, 1), (0, LIFE - 1), (1, LIFE - 1)} <= set(zip(lane, number, strict=True))


def test_rows_behind_the_newest_are_not_looked_at(wrapped):
    """The second step of the open episodes is their newest: what stands behind it is long past."""
    lane = jnp.arange(2)
    newest = lane * wrapped.rows_per_lane + (wrapped.head - 1) % wrapped.rows_per_lane
    assert wrapped.action[newest].tolist() == [1, 1] and bool(wrapped.open.all())
    row = jnp.stack([newest - 1, newest], -1)
    for steps in range(1, wrapped.rows_per_lane):
        draw = buffer.Draw(row, row >= 0, row >= 0)
        assert not event_ahead(steps)(wrapped, draw).any()


def test_starts_before_events_are_preferred_and_weighted(wrapped):
    plain = buffer.draw_start
    chosen = drawn(wrapped, preferring(plain, 6, 10.0, event_ahead(1)))
    usual = np.asarray(event_ahead(1)(wrapped, drawn(wrapped, plain)))
    eager = np.asarray(event_ahead(1)(wrapped, chosen))
    assert eager.mean() > 2 * usual.mean() > 0
    weighted = np.asarray(chosen.weight[:, -1]) * eager
    error = np.sqrt((usual.var() + weighted.var()) / KEYS)
    assert abs(weighted.mean() - usual.mean()) < 5 * error
