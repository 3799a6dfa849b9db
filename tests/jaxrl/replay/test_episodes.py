"""User arrays in the replay: the same as if they had been played, in both forms; and every way in
which they may not fit.
"""

import jax
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.replay import buffer
from jaxrl.replay.buffer import ReplayConfig, Transitions
from jaxrl.replay.episodes import check_episode, from_arrays

SIZE = 4
LENGTHS = (3, 1, 5, 2, 4)
ENDED = (True, False, True, True, False)


def arrays(seed=0):
    """Lists of five random episodes: obs, act, rew, end."""
    rng = np.random.default_rng(seed)
    obs = [rng.integers(0, 256, (n + 1, SIZE, SIZE, 3), np.uint8) for n in LENGTHS]
    act = [rng.integers(0, 3, n) for n in LENGTHS]
    rew = [rng.normal(size=n) for n in LENGTHS]
    end = [
        np.arange(n) == n - 1 if ended else np.zeros(n, bool)
        for n, ended in zip(LENGTHS, ENDED, strict=True)
    ]
    return obs, act, rew, end


def played(obs, act, rew, end):
    """The truth: the same episodes, appended step by step as a game would have been."""
    replay = buffer.init(ReplayConfig(64, 5, (0.2, 0.2, 0.2, 0.4)), 1, (SIZE, SIZE, 3))
    for episode in zip(obs, act, rew, end, strict=True):
        frames, steps = episode[0], len(episode[1])
        for t in range(steps):
            cut = t == steps - 1 and not episode[3][t]
            row = (
                frames[t],
                np.int32(episode[1][t]),
                np.float32(episode[2][t]),
                episode[3][t],
                np.bool_(cut),
                frames[t + 1],
            )
            replay = buffer.append(
                replay, Transitions(*(np.asarray(value)[None, None] for value in row))
            )
    return replay


@pytest.fixture(scope="module")
def truth():
    return played(*arrays())


def assert_samples_equal(ours, theirs):
    for drawer, size in ((buffer.draw_frames, 4), (buffer.draw_start, 2), (buffer.draw_around, 5)):
        keys = jax.random.split(jax.random.key(3), 64)
        a, b = (buffer.sample(replay, drawer, keys, size) for replay in (ours, theirs))
        for name in ("step_mask", "frame_mask", "action", "reward", "end", "trunc"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
        mask = np.asarray(a.frame_mask)
        np.testing.assert_array_equal(np.asarray(a.frame)[mask], np.asarray(b.frame)[mask])


def test_lists_are_as_if_they_had_been_played(truth):
    ours = from_arrays(*arrays())
    assert ours.age_weights == pytest.approx(
        (0.2, 0.2, 0.2, 0.4)
    )  # five episodes in groups of 1, 1, 1 and 2: all alike
    assert_samples_equal(ours, truth)
    assert (
        int(ours.index.steps) == 15
        and int(ours.index.count) == 5
        and ours.frames.shape == (20, SIZE * SIZE * 3)
    )


def test_flat_arrays_are_the_same(truth):
    obs, act, rew, end = map(np.concatenate, arrays())
    trunc = np.concatenate(
        [~e[-1:] & (np.arange(n) == n - 1) for e, n in zip(arrays()[3], LENGTHS, strict=True)]
    )
    assert_samples_equal(from_arrays(obs, act, rew, end, trunc), truth)
    last_open = trunc.copy()
    last_open[-1] = False  # steps behind the last flag form an episode too
    assert_samples_equal(from_arrays(obs, act, rew, end, last_open), truth)


def test_episodes_are_drawn_equally_often():
    obs = [np.full((n + 1, 1, 1, 3), i, np.uint8) for i, n in enumerate((1, 9, 2, 5, 3, 7, 1))]
    steps = [len(frames) - 1 for frames in obs]
    replay = from_arrays(
        obs,
        [np.zeros(n, int) for n in steps],
        [np.zeros(n) for n in steps],
        [np.zeros(n, bool) for n in steps],
    )
    batch = buffer.sample(replay, buffer.draw_start, jax.random.split(jax.random.key(0), 7000), 1)
    counts = np.bincount(np.asarray(batch.frame)[:, 0, 0, 0, 0], minlength=7)
    assert (np.abs(counts - 1000) < 120).all(), counts  # four standard deviations


def test_more_can_be_appended_if_there_is_room():
    replay = from_arrays(*arrays(), config=ReplayConfig(64, 8))
    chunk = [
        np.full((2, 1, SIZE, SIZE, 3), 7, np.uint8),
        np.ones((2, 1), np.int32),
        np.zeros((2, 1), np.float32),
    ]
    chunk += [
        np.zeros((2, 1), bool),
        np.zeros((2, 1), bool),
        np.full((2, 1, SIZE, SIZE, 3), 7, np.uint8),
    ]
    replay = buffer.append(replay, Transitions(*chunk))
    assert int(replay.index.count) == 6 and int(replay.index.steps) == 17
    np.testing.assert_array_equal(replay.frames[:20], from_arrays(*arrays()).frames)
    assert (np.asarray(replay.frames[20:23]) == 7).all()


def test_a_last_step_that_neither_ends_nor_is_cut_counts_as_cut():
    obs, act, rew, end = (column[1] for column in arrays())
    assert check_episode(obs, act, rew, end).trunc.tolist() == [True]
    assert not end.any()


def changed(column, episode, change):
    """Lists in which one array of one episode was replaced."""
    columns = dict(zip(("obs", "act", "rew", "end"), arrays(), strict=True))
    columns[column][episode] = change(columns[column][episode])
    return columns.values()


@pytest.mark.parametrize(
    "column, change, sentence",
    [
        ("obs", lambda a: a / 255, "episode 2: obs is float64, not uint8: scale its pixels"),
        ("obs", lambda a: a[..., 0], r"obs has shape \[6, 4, 4\], not"),
        ("obs", lambda a: a[:, :3], "frames are 3x4, not square"),
        ("obs", lambda a: a[:, :2, :2], "episode 2: its frames are 2x2, those before 4x4"),
        ("obs", lambda a: a[:-1], "obs has 5 frames for 5 steps, not 6"),
        ("act", lambda a: a.astype(float), r"act is float64 \[5\]: it must be whole numbers"),
        ("act", lambda a: a[:, None], "act is int64"),
        ("act", lambda a: a - 9, "act holds -[789]: actions are numbered 0 to 2"),
        ("act", lambda a: a * 0 + 3, "act holds 3: actions are numbered 0 to 2"),
        (
            "act",
            lambda a: a + 2**40,
            "act holds 10995116277.*: actions are numbered from 0, below 65536",
        ),
        (
            "obs",
            lambda a: [a[:2], a[2:]],
            "episode 2: obs is no array, its parts have different shapes",
        ),
        ("rew", lambda a: 0.5, "episode 2: rew is a single float"),
        ("act", lambda a: a[:0], "it has no step"),
        ("rew", lambda a: a[:-1], r"rew is float64 \[4\]: it must be 5 finite numbers"),
        ("rew", lambda a: a * np.nan, r"with NaN or infinity \(as float32\): it must be 5 finite"),
        ("rew", lambda a: np.full(len(a), 1e39), "with NaN or infinity"),
        ("end", lambda a: a.astype(int), "end is int64.*must be bool"),
        ("end", lambda a: a[1:], "end has 4 entries for 5 steps"),
        ("end", lambda a: ~a, "end is True at step 0 of 5: cut the episode there"),
    ],
)
def test_a_mismatch_is_refused_by_name(column, change, sentence):
    with pytest.raises(UserError, match=sentence):
        from_arrays(*changed(column, 2, change), num_actions=3)


@pytest.mark.parametrize(
    "change, sentence",
    [
        (
            lambda o, a, r, e: (o[:-1], a, r, e),
            "obs has 19 frames, but 15 steps in 5 episodes .* need 20",
        ),
        (lambda o, a, r, e: (o, a[:-1], r, e), "end has 15 steps but act has 14"),
        (lambda o, a, r, e: (o, a, r, e.astype(np.float32)), "end is float32"),
        (lambda o, a, r, e: (o, 3, r, e), "the data: act is a single int"),
        (lambda o, a, r, e: (o[:0], a[:0], r[:0], e[:0]), "0 episodes"),
    ],
)
def test_flat_arrays_that_do_not_fit_are_refused(change, sentence):
    obs, act, rew, end = map(np.concatenate, arrays())
    last = np.cumsum(LENGTHS) - 1
    with pytest.raises(UserError, match=sentence):
        obs, act, rew, end = change(obs, act, rew, end)
        trunc = np.zeros(len(end), bool)
        trunc[last[last < len(end)]] = True
        from_arrays(obs, act, rew, end, trunc)


def test_lists_of_other_lengths_or_kinds_are_refused():
    obs, act, rew, end = arrays()
    with pytest.raises(UserError, match="obs has 5 episodes but rew has 4"):
        from_arrays(obs, act, rew[:-1], end)
    with pytest.raises(UserError, match="obs is a list of episodes but act is a ndarray"):
        from_arrays(obs, np.concatenate(act), rew, end)
    with pytest.raises(
        UserError, match="the data: end is no array, .* give all columns as lists or all flat"
    ):
        from_arrays(np.concatenate(obs), act, rew, end)
    with pytest.raises(UserError, match="at least one"):
        from_arrays([], [], [], [])


def test_too_little_room_is_refused():
    for config in (ReplayConfig(19, 5), ReplayConfig(64, 4)):
        with pytest.raises(UserError, match="raise its capacity"):
            from_arrays(*arrays(), config=config)
