"""The replay once more as plain lists: what must be in it, which segments may be drawn and how
often.
"""

from collections import Counter
from fractions import Fraction

import numpy as np

from jaxrl.replay.buffer import Transitions

FRAME = (2, 1, 3)
WEIGHTS = (Fraction(1, 10), Fraction(1, 10), Fraction(1, 10), Fraction(7, 10))


class Episode:
    """`frames` has one entry more than `steps`; a step is (action, reward, end, trunc)."""

    def __init__(self, lane, start, frame):
        self.lane, self.start, self.frames, self.steps = lane, start, [frame], []


class SlowReplay:
    """Lanes of `rows` rows and a table of `table` episodes."""

    def __init__(self, rows, lanes, table):
        self.rows, self.table = rows, table
        self.next_row, self.open, self.episodes = [0] * lanes, [None] * lanes, []

    def append(self, chunk):
        self.split()
        for t in range(chunk.action.shape[0]):
            for lane in range(chunk.action.shape[1]):
                self.step(lane, *(field[t, lane] for field in chunk))

    def split(self):
        """Before a chunk: episodes of half a lane, and those that the table has no place for any
        more, do not go on.
        """
        for lane, episode in enumerate(self.open):
            long = episode is not None and len(episode.steps) >= self.rows // 2
            if long or episode not in self.episodes[-self.table :]:
                self.open[lane] = None

    def step(self, lane, frame, action, reward, end, trunc, next_frame):
        episode = self.open[lane]
        if episode is None:
            episode = self.open[lane] = Episode(lane, self.next_row[lane], frame)
            self.episodes.append(episode)
            self.next_row[lane] += 1
        episode.steps.append((int(action), float(reward), bool(end), bool(trunc)))
        episode.frames.append(next_frame)
        self.next_row[lane] += 1
        if end or trunc:
            self.open[lane] = None

    def kept(self):
        """Episodes that can be drawn, oldest first."""
        young = []
        for episode in reversed(self.episodes):
            overwritten = episode.start < self.next_row[episode.lane] - self.rows
            if overwritten or len(young) == self.table:
                break
            young.insert(0, episode)
        return young

    def law(self, bounds):
        """Probability of every (episode, start) when `bounds(steps)` lists equally likely
        starts.
        """
        kept = self.kept()
        law = Counter()
        for episode, chance in zip(kept, self.chances(kept), strict=True):
            starts = bounds(len(episode.steps))
            for start in starts:
                law[id(episode), start] += chance / len(starts)
        return law

    def chances(self, kept):
        if len(kept) < 4:
            total = sum(len(episode.steps) for episode in kept)
            return [Fraction(len(episode.steps), total) for episode in kept]
        quarter = len(kept) // 4
        sizes = [quarter, quarter, quarter, len(kept) - 3 * quarter]
        return [
            weight / size for weight, size in zip(WEIGHTS, sizes, strict=True) for _ in range(size)
        ]


class Game:
    """Chunks of random play with frames that are never alike, so that a frame tells where it comes
    from.
    """

    def __init__(self, lanes, seed, p_end=0.12, p_trunc=0.05):
        self.rng, self.lanes, self.p_end, self.p_trunc, self.shown = (
            np.random.default_rng(seed),
            lanes,
            p_end,
            p_trunc,
            0,
        )
        self.frame = np.stack([self.new_frame() for _ in range(lanes)])

    def new_frame(self):
        self.shown += 1
        return np.array([self.shown >> shift & 255 for shift in (0, 8, 16)] * 2, np.uint8).reshape(
            FRAME
        )

    def chunk(self, steps):
        frames, nexts, shape = [], [], (steps, self.lanes)
        end, trunc = self.rng.random(shape) < self.p_end, self.rng.random(shape) < self.p_trunc
        for t in range(steps):
            frames.append(self.frame)
            nexts.append(np.stack([self.new_frame() for _ in range(self.lanes)]))
            begins = (end | trunc)[t][:, None, None, None]
            fresh = np.stack([self.new_frame() for _ in range(self.lanes)])
            self.frame = np.where(begins, fresh, nexts[-1])
        action = self.rng.integers(1, 18, shape).astype(np.int32)
        reward = self.rng.integers(1, 9, shape).astype(np.float32)
        return Transitions(np.stack(frames), action, reward, end, trunc, np.stack(nexts))
