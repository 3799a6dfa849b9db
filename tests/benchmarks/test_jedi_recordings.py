"""Recorded play: the balls stand where the pictures show them, and the replay holds the play."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import jedi_recordings as recordings
from benchmarks.jedi_recordings import NO_BALL
from jaxrl.envs.catch import BALL, CELLS
from jaxrl.replay import buffer


@pytest.fixture(scope="module")
def made():
    return recordings.play("bricks", 3, 120, seed=0)


def test_the_ball_of_bricks_is_where_its_color_is(made):
    frame, side = made.record.frame, made.record.frame.shape[2] // CELLS
    row, column = np.divmod(made.cell, CELLS)
    lanes, steps = np.indices(made.cell.shape)
    shown = frame[lanes, steps, row * side + 1, column * side + 1]
    assert (shown == np.array(BALL)).all() and len(np.unique(made.cell)) > 20


def test_frames_follow_each_other_within_an_episode(made):
    record = made.record
    same = np.diff(record.episode, axis=1) == 0
    assert same.mean() > 0.8 and record.end.any()
    np.testing.assert_array_equal(record.next_frame[:, :-1][same], record.frame[:, 1:][same])
    assert not record.end[:, :-1][same].any()


def test_the_replay_holds_every_step(made):
    replay = recordings.replay_of(made)
    assert int(replay.index.steps) == 360
    assert int(replay.index.count) == (made.record.episode[:, -1] + 1).sum()
    keys = jax.random.split(jax.random.key(0), 64)
    batch = buffer.sample(replay, buffer.draw_frames, keys, 4)
    seen = np.asarray(batch.frame)[np.asarray(batch.frame_mask)]
    known = {f.tobytes() for f in made.record.frame.reshape(-1, 32, 32, 3)}
    known |= {f.tobytes() for f in made.record.next_frame.reshape(-1, 32, 32, 3)}
    assert all(frame.tobytes() in known for frame in seen)
    rewards = float(jnp.abs(replay.index.reward).sum())
    assert rewards == np.abs(made.record.reward).sum() > 0


def test_what_was_held_out_is_not_learned_from(made):
    learned, held_out = recordings.split(made, 1)
    np.testing.assert_array_equal(learned.cell, made.cell[:2])
    np.testing.assert_array_equal(held_out.record.frame, made.record.frame[2:])


def test_play_is_recorded_once_and_an_other_amount_refused(made, tmp_path, monkeypatch):
    path = tmp_path / "a" / "play.npz"
    first = recordings.recorded(path, "bricks", 3, 120, seed=0)
    monkeypatch.setattr(recordings, "play", None)
    second = recordings.recorded(path, "bricks", 3, 120, seed=0)
    for a, b, c in zip(first.record, second.record, made.record, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    assert (second.side, second.num_actions) == (CELLS, 3) and (second.cell == made.cell).all()
    with pytest.raises(SystemExit, match="move it away"):
        recordings.recorded(path, "bricks", 4, 120, seed=0)


def test_the_ball_of_breakout_is_where_the_screen_shows_it():
    """Between wall and paddle nothing but the ball is lit; its center is at the memory's place."""
    pytest.importorskip("ale_py")
    from jaxrl.envs.atari import Atari

    game, generator, apart = Atari("Breakout", 48), np.random.default_rng(0), []
    game.reset(0)
    for _ in range(300):
        seen = game.step(recordings.follow(game, generator))
        memory, screen = game._ale.getRAM(), game._ale.getScreenRGB()[93:187, 8:152]
        lit = np.argwhere((screen != 0).any(-1)) + np.array([93, 8])
        if len(lit) == 8:  # 4 rows of 2 columns: whole
            row = int(memory[recordings.HEIGHT]) + recordings.BALL_ROW
            column = int(memory[recordings.BALL]) + recordings.BALL_COLUMN
            apart.append(lit.mean(0) + 0.5 - (row, column))
            assert recordings.ball_cell(memory) == row * 12 // 210 * 12 + column * 12 // 160
        if seen.game_over:
            break
    assert len(apart) > 100 and np.abs(apart).max() <= 1.0
    nothing = np.zeros(128, np.uint8)
    assert recordings.ball_cell(nothing) == NO_BALL


def test_breakout_and_other_games_are_recorded():
    pytest.importorskip("ale_py")
    made = recordings.play("Breakout", 1, 40, seed=0)
    assert made.side == 12 and (made.cell != NO_BALL).any() and made.record.frame.shape[2] == 48
    other = recordings.play("UpNDown", 1, 5, seed=0)
    assert other.side == 0 and (other.cell == NO_BALL).all() and other.num_actions == 6
