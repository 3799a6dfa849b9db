"""Frames on disk: shards of a ring that wraps, what is still needed, and damage."""

import struct
import zipfile

import jax
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.replay import buffer
from jaxrl.replay.buffer import ReplayConfig
from jaxrl.replay.disk import read_shards, remove_orphans, rows_since, still_needed, write_shard
from tests.jaxrl.replay.slow_replay import FRAME, Game, SlowReplay

LANES, ROWS, TABLE, STEPS, FRAME_SIZE = 2, 16, 8, 5, 6
append = jax.jit(buffer.append)


class Run:
    """Play with a shard now and then, as a run with checkpoints does."""

    def __init__(self, folder, seed=0):
        self.folder, self.game, self.slow = (
            folder,
            Game(LANES, seed),
            SlowReplay(ROWS, LANES, TABLE),
        )
        self.replay = buffer.init(ReplayConfig(LANES * ROWS, TABLE), LANES, FRAME)
        self.saved, self.names = np.asarray(self.replay.index.head), []

    def play(self, chunks):
        for _ in range(chunks):
            chunk = self.game.chunk(STEPS)
            self.replay = append(self.replay, chunk)
            self.slow.append(chunk)

    def save(self):
        index = self.replay.index
        name = write_shard(self.folder, int(index.steps), index, self.replay.frames, self.saved)
        self.names.append(name)
        self.saved = np.asarray(index.head)
        return name

    def read(self, names=None):
        return read_shards(
            self.folder, self.names if names is None else names, self.replay.index, FRAME_SIZE
        )

    def check(self, frames):
        """Every frame of every episode that can be drawn is where it belongs."""
        assert frames.dtype == np.uint8 and frames.shape == self.replay.frames.shape
        kept = self.slow.kept()
        assert kept
        for episode in kept:
            storage = episode.lane * ROWS + (episode.start + np.arange(len(episode.frames))) % ROWS
            np.testing.assert_array_equal(frames[storage].reshape(-1, *FRAME), episode.frames)


@pytest.mark.parametrize("pauses", [[1, 1, 1], [2, 1, 3, 1, 1, 2], [9, 1], [1, 9]], ids=str)
def test_shards_bring_back_every_frame(tmp_path, pauses):
    """Also where more than a whole ring was written between two shards."""
    run = Run(tmp_path / "replay")
    for chunks in pauses:
        run.play(chunks)
        run.save()
        frames = run.read()
        np.testing.assert_array_equal(frames, run.replay.frames)
        run.check(frames)


def test_a_frame_that_was_only_seen_when_saved_has_its_step_later(tmp_path):
    """The newest row is written again with the next shard, since an unfinished episode goes on from
    it.
    """
    lane, number = rows_since(np.array([7, 3]), np.array([4, -1]), 100)
    np.testing.assert_array_equal(lane, [0, 0, 0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(number, [4, 5, 6, 7, 0, 1, 2, 3])


def test_rows_already_overwritten_are_left_out():
    lane, number = rows_since(np.array([25]), np.array([3]), 10)
    np.testing.assert_array_equal(number, np.arange(16, 26))
    np.testing.assert_array_equal(lane, np.zeros(10))


def test_an_empty_replay_makes_an_empty_shard(tmp_path):
    run = Run(tmp_path)
    run.save()
    np.testing.assert_array_equal(run.read(), 0)


def test_shards_that_the_ring_has_overwritten_are_not_needed(tmp_path):
    run, needed = Run(tmp_path), []
    for _ in range(8):
        run.play(1)
        run.save()
        needed = still_needed(tmp_path, [*needed, run.names[-1]], run.replay.index)
        np.testing.assert_array_equal(run.read(needed), run.replay.frames)
    assert needed == run.names[-len(needed) :]
    assert 1 < len(needed) <= 5


def test_a_shard_costs_what_is_new(tmp_path):
    run = Run(tmp_path)
    run.play(2)
    run.save()
    before = run.saved
    run.play(1)
    with np.load(tmp_path / run.save()) as shard:
        assert len(shard["number"]) == len(shard["frames"]) == (run.saved - before + 1).sum()


def test_orphans_are_removed_and_nothing_else(tmp_path):
    run = Run(tmp_path)
    for _ in range(3):
        run.play(1)
        run.save()
    (tmp_path / "notes.txt").write_text("mine")
    remove_orphans(tmp_path, {run.names[2], "frames-99.npz"})
    assert {file.name for file in tmp_path.iterdir()} == {run.names[2], "notes.txt"}


def cut_short(file):
    file.write_bytes(file.read_bytes()[:-40])


def flip_a_byte(file):
    """In the middle of the compressed frames."""
    with zipfile.ZipFile(file) as archive:
        frames = archive.getinfo("frames.npy")
    content = bytearray(file.read_bytes())
    name, extra = struct.unpack_from("<HH", content, frames.header_offset + 26)
    content[frames.header_offset + 30 + name + extra + frames.compress_size // 2] ^= 0xFF
    file.write_bytes(content)


def other_frame_size(file):
    with np.load(file) as shard:
        np.savez(file, lane=shard["lane"], number=shard["number"], frames=shard["frames"][:, :-1])


@pytest.mark.parametrize(
    "damage", [cut_short, flip_a_byte, other_frame_size, lambda file: file.unlink()]
)
@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_or_missing_shard_is_refused_by_name(tmp_path, damage, which):
    run = Run(tmp_path)
    for _ in range(2):
        run.play(2)
        run.save()
    damage(tmp_path / run.names[which])
    with pytest.raises(UserError, match=f"{run.names[which]} is missing or damaged"):
        run.read()


def test_a_shard_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    run = Run(tmp_path)
    run.play(1)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(UserError, match="no space is left"):
        run.save()
    assert list(tmp_path.iterdir()) == []
