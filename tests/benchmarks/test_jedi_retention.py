"""The position probe and the counts of retention, on play that was made up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import jedi_retention as retention
from benchmarks.jedi_recordings import NO_BALL, Play
from jaxrl.jedi.diagnostics.horizon import Record, Starts

SIDE = 5


def made_up(lanes=3, steps=40, seed=0):
    """Random cells in episodes of ten steps; every seventh step has no ball."""
    cell = np.random.default_rng(seed).integers(0, SIDE**2, (lanes, steps)).astype(np.int32)
    cell[:, ::7] = NO_BALL
    episode = np.tile(np.arange(steps) // 10, (lanes, 1)).astype(np.int32)
    nothing = np.zeros((lanes, steps, 1))
    record = Record(nothing, nothing, nothing[..., 0], nothing[..., 0], nothing[..., 0], episode)
    return Play(record, cell, SIDE, 2)


def test_truth_stops_with_the_episode():
    made = made_up()
    found = retention.truth(made, Starts(np.array([1, 1]), np.array([6, 38])), 4)
    assert found[0].tolist() == [NO_BALL, made.cell[1, 8], made.cell[1, 9], NO_BALL]
    assert found[1].tolist() == [made.cell[1, 39], NO_BALL, NO_BALL, NO_BALL]


def test_starts_have_a_ball_a_past_and_a_future():
    made = made_up()
    starts = retention.starts_with_ball(made, 3, 10**6)
    chosen = set(zip(starts.lane.tolist(), starts.t.tolist(), strict=True))
    expected = {
        (lane, t)
        for lane in range(3)
        for t in range(40)
        if t % 7
        and t % 10 >= 3
        and any((t + h) // 10 == t // 10 and (t + h) % 7 for h in (1, 2, 3))
    }
    assert chosen == expected
    assert len(retention.starts_with_ball(made, 3, 5).t) == 5


def test_neighbors_across_a_corner_are_near_and_the_next_row_s_begin_is_not():
    center = 2 * SIDE + 2
    found = [center, center + SIDE + 1, center + 2, center - 2 * SIDE]
    cells = np.full(4, center)
    assert retention.near(np.array(found), cells, SIDE).tolist() == [True, True, False, False]
    assert not retention.near(np.array([SIDE]), np.array([SIDE - 1]), SIDE)[0]
    assert not retention.near(np.array([0]), np.array([NO_BALL]), SIDE)[0]


def test_an_oracle_keeps_all_and_guesses_keep_the_share_of_chance():
    made = made_up(steps=4000)
    starts = retention.starts_with_ball(made, 3, 10**6)
    cell = retention.truth(made, starts, 3)
    generator = np.random.default_rng(1)
    found = {
        "oracle": np.where(cell == NO_BALL, 0, cell),
        "guess": generator.integers(0, SIDE**2, cell.shape),
    }
    sums = retention.hits(found, cell, made, starts)
    assert sums["count"].sum() == (cell != NO_BALL).sum()
    assert retention.band(sums, retention.mean_share("oracle")) == (1, 1, 1)
    # two cells are near along one axis with probability (2 + 3 + 3 + 3 + 2) / 25, and along both
    guess = retention.band(sums, retention.mean_share("guess"))
    assert guess.low <= guess.mean <= guess.high
    assert guess.mean == pytest.approx((13 / 25) ** 2, abs=0.03)


def test_a_step_without_balls_is_left_out_of_the_mean():
    sums = {"count": np.array([[2.0, 0.0]]), "found": np.array([[1.0, 0.0]])}
    assert retention.mean_share("found")({k: v.sum(0) for k, v in sums.items()}) == 0.5
    assert np.isnan(retention.shares(sums, "found")[0, 1])


def test_the_probe_finds_a_mark_on_the_map():
    """Latents of 2 x 2 positions of which one channel says the quarter of the cell."""
    generator = np.random.default_rng(0)
    cell = generator.integers(0, 4, 600)
    z = 0.1 * generator.normal(size=(600, 2, 2, 3)).astype(np.float32)
    z[np.arange(600), cell // 2, cell % 2, 1] += 1
    probe = retention.fit(jnp.asarray(z[:500]), jnp.asarray(cell[:500]), jax.random.key(0), 4, 200)
    found = np.asarray(jnp.argmax(retention.read(probe, jnp.asarray(z[500:])), -1))
    assert (found == cell[500:]).mean() > 0.95
    alone = retention.read(probe, jnp.asarray(z[500]))
    np.testing.assert_allclose(alone, retention.read(probe, jnp.asarray(z[500:501]))[0], rtol=1e-5)
