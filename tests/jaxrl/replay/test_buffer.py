"""The replay against plain lists: contents after every chunk, laws of drawing by enumeration, jit
and vmap.
"""

import functools
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.replay import buffer
from jaxrl.replay.buffer import ReplayConfig
from tests.jaxrl.replay.slow_replay import FRAME, Game, SlowReplay

LANES, ROWS, TABLE, STEPS, SIZE, KEYS = 3, 24, 6, 7, 5, 512
CONFIG = ReplayConfig(capacity=LANES * ROWS + 1, episodes=TABLE)
append = jax.jit(buffer.append)


@functools.partial(jax.jit, static_argnums=1)
def sample(replay, drawer, key):
    return buffer.sample(replay, drawer, jax.random.split(key, KEYS), SIZE)


@jax.jit
def sample_ending(replay, key):
    draws, found = jax.vmap(lambda key: buffer.draw_ending(replay.index, key, SIZE))(
        jax.random.split(key, KEYS)
    )
    frame = replay.frames[draws.row].reshape(*draws.row.shape, *FRAME)
    return buffer.complete(replay.index, draws, frame), found


def play(seed, chunks, steps=STEPS, **chances):
    """The same random play in both replays."""
    game, slow, replay = (
        Game(LANES, seed, **chances),
        SlowReplay(ROWS, LANES, TABLE),
        buffer.init(CONFIG, LANES, FRAME),
    )
    for _ in range(chunks):
        chunk = game.chunk(steps)
        replay = append(replay, chunk)
        slow.append(chunk)
    return replay, slow, game


def whereabouts(slow):
    """Frame bytes -> (episode, row), for every frame that may be seen."""
    return {
        np.asarray(f).tobytes(): (e, row) for e in slow.kept() for row, f in enumerate(e.frames)
    }


def check(segments, slow):
    """Every segment equals rows of one true episode, with right masks; returns how often each
    (episode, start) was seen.
    """
    places, found = whereabouts(slow), Counter()
    leaves = [np.asarray(a) for a in jax.tree.leaves(segments)]
    alike = Counter(tuple(a[i].tobytes() for a in leaves) for i in range(len(leaves[0])))
    for raw, times in alike.items():
        pairs = zip(raw, leaves, strict=True)
        one = jax.tree.unflatten(
            jax.tree.structure(segments),
            [np.frombuffer(b, a.dtype).reshape(a.shape[1:]) for b, a in pairs],
        )
        found[check_one(one, places)] += times
    return found


def check_one(segment, places):
    t = int(np.argmax(segment.frame_mask))
    assert segment.frame_mask[t], "a segment without a frame"
    episode, row = places[segment.frame[t].tobytes()]
    rows, last = np.arange(SIZE) + row - t, len(episode.steps)
    np.testing.assert_array_equal(segment.frame_mask, (rows >= 0) & (rows <= last))
    np.testing.assert_array_equal(segment.step_mask, (rows >= 0) & (rows < last))
    for t, row in enumerate(rows):
        if 0 <= row <= last:
            np.testing.assert_array_equal(segment.frame[t], episode.frames[row])
        step = episode.steps[row] if 0 <= row < last else (0, 0.0, False, False)
        assert (segment.action[t], segment.reward[t], segment.end[t], segment.trunc[t]) == step
    return id(episode), int(rows[0])


def ending_near(count):
    return [min(count, t + 1 + shift) - SIZE for t in range(count) for shift in range(SIZE)]


BOUNDS = {
    buffer.draw_frames: lambda steps: ending_near(steps + 1),
    buffer.draw_start: ending_near,
    buffer.draw_around: lambda steps: [t - shift for t in range(steps) for shift in range(SIZE)],
}
DRAWERS = pytest.mark.parametrize("drawer", BOUNDS, ids=lambda drawer: drawer.__name__)


@pytest.mark.parametrize("seed", range(4))
def test_every_segment_is_a_piece_of_a_true_episode(seed, key):
    """Several lanes, ends and cuts, a ring that wraps many times; the table overflows (even seeds),
    or the ring (odd ones).
    """
    chances = {} if seed % 2 == 0 else {"p_end": 0.03, "p_trunc": 0.03}
    game, slow, replay = (
        Game(LANES, seed, **chances),
        SlowReplay(ROWS, LANES, TABLE),
        buffer.init(CONFIG, LANES, FRAME),
    )
    full = []
    for number in range(14):
        chunk = game.chunk(STEPS)
        replay = append(replay, chunk)
        slow.append(chunk)
        full.append(len(slow.kept()) == TABLE)
        assert int(replay.index.steps) == (number + 1) * STEPS * LANES
        assert int(replay.index.count - replay.index.first) == len(slow.kept())
        for drawer in BOUNDS:
            check(sample(replay, drawer, jax.random.fold_in(key, number)), slow)
    assert min(slow.next_row) > 3 * ROWS
    assert any(full) if seed % 2 == 0 else not all(full[ROWS // STEPS :])


@pytest.mark.parametrize("seed", range(4))
def test_a_lane_that_outlives_the_table_leaves_the_other_lanes_alone(seed, key):
    """One lane plays one long game while the others begin more episodes than the table holds."""
    game, slow, replay = (
        Game(LANES, seed, p_end=0.7),
        SlowReplay(ROWS, LANES, TABLE),
        buffer.init(CONFIG, LANES, FRAME),
    )
    for number in range(6):
        chunk = game.chunk(STEPS)
        chunk.end[:, 0] = chunk.trunc[:, 0] = False
        replay = append(replay, chunk)
        slow.append(chunk)
        assert int(replay.index.count - replay.index.first) == len(slow.kept())
        for drawer in BOUNDS:
            check(sample(replay, drawer, jax.random.fold_in(key, number)), slow)


def assert_law(found, law):
    """All outcomes and no others, each as often as it should be (5 deviations), and chi-square no
    larger than it should be.
    """
    draws = found.total()
    assert set(found) <= set(law)
    chi_square = 0.0
    for outcome, chance in law.items():
        expected = float(chance) * draws
        assert abs(found[outcome] - expected) <= 5 * np.sqrt(expected) + 5
        chi_square += (found[outcome] - expected) ** 2 / expected
    freedom = len(law) - 1
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom) + 5


@DRAWERS
@pytest.mark.parametrize(
    "chunks, chances", [(9, {}), (1, {"p_end": 0.02, "p_trunc": 0.0})], ids=["by age", "by length"]
)
def test_segments_follow_their_law(drawer, chunks, chances, key):
    """Age groups (or lengths, with fewer than 4 episodes) times bounds: the probability of every
    segment by enumeration.
    """
    replay, slow, _ = play(1, chunks, **chances)
    assert (len(slow.kept()) >= 4) == (chunks > 1)
    found = sum(
        (check(sample(replay, drawer, k), slow) for k in jax.random.split(key, 12)), Counter()
    )
    assert_law(found, slow.law(BOUNDS[drawer]))


@pytest.mark.parametrize("first", [0, 5], ids=["fresh table", "wrapped table"])
def test_episodes_are_drawn_by_length_then_by_age(first, key):
    """Hand-made episodes of 1, 2, 3, ... steps, the oldest being the shortest."""
    draw = jax.jit(jax.vmap(buffer.draw_episode, (None, 0, None)), static_argnums=2)
    index = buffer.init_index(ReplayConfig(80, 8), 1)
    index = index.replace(length=jnp.roll(jnp.arange(1, 9), first), first=jnp.int32(first))
    expected = {
        1: [1.0],
        2: [1 / 3, 2 / 3],
        3: [1 / 6, 2 / 6, 3 / 6],
        4: [0.1, 0.1, 0.1, 0.7],
        7: [0.1] * 3 + [0.175] * 4,
        8: [0.05] * 6 + [0.35] * 2,
    }
    for total, shares in expected.items():
        slots = draw(
            index.replace(count=jnp.int32(first + total)),
            jax.random.split(key, 8000),
            CONFIG.age_weights,
        )
        lengths = np.asarray(index.length)[np.asarray(slots)]
        seen = np.bincount(lengths, minlength=total + 1)[1:] / 8000
        np.testing.assert_allclose(seen, shares, atol=5 * np.sqrt(0.25 / 8000))


def test_the_frame_that_an_episode_reached_last_is_kept_apart_from_the_next_episode(key):
    """Episodes of one step each: the frames 1 -> 2, then 3 -> 4, and so on."""
    chunk = Game(LANES, 0, p_end=1.0).chunk(STEPS)
    odd = np.arange(1, 2 * STEPS, 2, dtype=np.uint8).reshape(-1, 1, 1, 1, 1) * np.ones_like(
        chunk.frame
    )
    replay = append(
        buffer.init(CONFIG, LANES, FRAME), chunk._replace(frame=odd, next_frame=odd + 1)
    )
    segments = sample(replay, buffer.draw_frames, key)
    whole = np.asarray(segments.frame_mask[:, -2])
    pairs = np.asarray(segments.frame)[whole, -2:, 0, 0, 0]
    newest = range(2 * STEPS - 3, 2 * STEPS, 2)  # two per lane fill the table
    assert {tuple(pair) for pair in pairs.tolist()} == {(first, first + 1) for first in newest}
    np.testing.assert_array_equal(
        np.asarray(segments.step_mask)[whole, -2:], [[True, False]] * whole.sum()
    )


def test_starts_of_imagination_never_show_the_last_frame(key):
    replay, _, _ = play(2, 6)
    assert np.asarray(sample(replay, buffer.draw_start, key).step_mask[:, -1]).all()


@pytest.mark.parametrize("seed", range(2))
def test_draw_ending_shows_the_last_rows_of_ended_episodes_equally_often(seed, key):
    replay, slow, _ = play(seed, 8)
    ended = [e for e in slow.kept() if e.steps[-1][2]]
    assert 1 < len(ended) < len(slow.kept())
    total = Counter()
    for k in jax.random.split(key, 4):
        segments, found = sample_ending(replay, k)
        assert np.asarray(found).all() and np.asarray(segments.end[:, -2]).all()
        total += check(segments, slow)
    assert_law(total, {(id(e), len(e.steps) + 1 - SIZE): 1 / len(ended) for e in ended})


def test_draw_ending_says_when_nothing_has_ended(key):
    replay, slow, _ = play(0, 4, p_end=0.0, p_trunc=0.3)
    assert len(slow.kept()) > 4
    assert not np.asarray(sample_ending(replay, key)[1]).any()


def test_an_episode_goes_on_over_chunks():
    replay, slow, _ = play(3, 2, p_end=0.0, p_trunc=0.0)
    assert [len(e.steps) for e in slow.kept()] == [2 * STEPS] * LANES
    assert int(replay.index.count) == LANES


def test_an_endless_episode_is_split_before_it_fills_its_lane(key):
    replay, slow, _ = play(0, 20, p_end=0.0, p_trunc=0.0)
    assert len(slow.kept()) >= LANES
    check(sample(replay, buffer.draw_around, key), slow)


def test_the_longest_chunks_that_are_allowed_leave_something_to_draw(key):
    replay, slow, _ = play(0, 6, steps=ROWS // 2, p_end=0.0, p_trunc=0.0)
    assert len(slow.kept()) >= 1
    check(sample(replay, buffer.draw_frames, key), slow)


def test_a_chunk_in_which_an_episode_could_overwrite_its_own_beginning_is_refused():
    with pytest.raises(ValueError, match="26 rows per lane, the replay has 24"):
        append(buffer.init(CONFIG, LANES, FRAME), Game(LANES, 0).chunk(ROWS // 2 + 1))


def test_jit_equals_no_jit(key):
    replay, _, game = play(4, 5)
    chunk = game.chunk(STEPS)
    jax.tree.map(np.testing.assert_array_equal, append(replay, chunk), buffer.append(replay, chunk))
    draw = functools.partial(buffer.draw_around, size=SIZE, age_weights=CONFIG.age_weights)
    plain, compiled = draw(replay.index, key), jax.jit(draw)(replay.index, key)
    jax.tree.map(np.testing.assert_array_equal, plain, compiled)


def test_a_batch_of_keys_equals_one_key_after_the_other(key):
    replay, _, _ = play(4, 5)
    keys = jax.random.split(key, KEYS)
    draw = jax.jit(
        lambda keys: buffer.draw_batch(
            replay.index, buffer.draw_around, keys, SIZE, CONFIG.age_weights
        )
    )
    batch, alone = draw(keys[:6].reshape(2, 3)), draw(keys[5])
    assert batch.row.shape == (2, 3, SIZE)
    jax.tree.map(lambda many, one: np.testing.assert_array_equal(many[1, 2], one), batch, alone)


def test_capacity_is_shared_evenly_and_its_bytes_are_stated():
    replay = buffer.init(CONFIG, LANES, FRAME)
    assert replay.index.rows_per_lane == ROWS
    assert replay.frames.nbytes == LANES * ROWS * 6
    assert buffer.frame_bytes(ReplayConfig(capacity=100), (64, 64, 3)) == 1_228_800
    assert jnp.all(replay.index.head == -1)
