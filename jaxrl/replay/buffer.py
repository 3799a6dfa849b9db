"""Replay: a ring of uint8 frames with an index of episodes, written and sampled inside jit.

Two parts. `ReplayIndex` is small and always on the device: actions, rewards, flags and the table of
episodes, from which the segments of a batch are *drawn* (which rows, which of them are padding).
The frames are one uint8 matrix, a row per frame, on the device or on the host; a drawn batch is
completed by *gathering* its rows there.

Rows. Each of the L environments owns a lane of R rows and fills it as a ring. An episode of n steps
takes n + 1 rows: the frame before each step, and the frame that the last step reached. Episodes are
cut where a life is lost, as in DIAMOND, or where the game ends or is cut. What is overwritten
disappears from the table, oldest episode first.

Sampling (DIAMOND, src/data/batch_sampler.py): with fewer than 4 episodes, in proportion to their
length; else the episodes in order of age form 4 groups of floor(N/4) (the last takes the
remainder), drawn with probabilities .1, .1, .1, .7, and uniformly within.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.replay.segment import Segment, bounds_around, bounds_ending_near, cut


@dataclass(frozen=True)
class ReplayConfig:
    """Size of the replay and how episodes are drawn."""

    capacity: int = 110_000
    """Rows (frames) kept over all environments. A step takes one row, an episode one more."""
    episodes: int = 20_000
    """Episodes that the table can hold."""
    age_weights: tuple[float, float, float, float] = (0.1, 0.1, 0.1, 0.7)
    """Probability of each quarter of the episodes, oldest first."""
    storage: Literal["auto", "device", "host"] = "auto"
    """Memory that holds the frames: "device", "host", or "auto" (the device unless its memory would
    be more than half filled).
    """


class Transitions(NamedTuple):
    """A chunk of experience, T steps in each of L environments, in order of time."""

    frame: jax.Array
    """uint8 `[T, L, H, W, C]`, before the step."""
    action: jax.Array
    """int32 `[T, L]`."""
    reward: jax.Array
    """float32 `[T, L]`."""
    end: jax.Array
    """bool `[T, L]`."""
    trunc: jax.Array
    """bool `[T, L]`."""
    next_frame: jax.Array
    """uint8 `[T, L, H, W, C]`, after the step and before any reset."""


@flax.struct.dataclass
class ReplayIndex:
    """Everything but the frames. Row and episode numbers count from the beginning of the run;
    storage is modulo capacity.
    """

    action: jax.Array
    """int32 `[L * R]`."""
    reward: jax.Array
    """float32 `[L * R]`."""
    end: jax.Array
    """bool `[L * R]`."""
    trunc: jax.Array
    """bool `[L * R]`."""
    head: jax.Array
    """int32 `[L]`, number of the newest row of each lane; -1 in an empty lane."""
    open: jax.Array
    """bool `[L]`, the lane's newest episode continues with its next step."""
    current: jax.Array
    """int32 `[L]`, number of the lane's newest episode."""
    start: jax.Array
    """int32 `[E]`, first row of each episode."""
    length: jax.Array
    """int32 `[E]`, steps of each episode."""
    lane: jax.Array
    """int32 `[E]`."""
    first: jax.Array
    """int32 scalar, number of the oldest episode that can be drawn."""
    count: jax.Array
    """int32 scalar, episodes begun so far; those from `first` to `count - 1` can be drawn."""
    steps: jax.Array
    """int32 scalar, steps stored so far."""

    @property
    def rows_per_lane(self) -> int:
        return self.action.shape[0] // self.head.shape[0]


class Draw(NamedTuple):
    """Storage rows of a segment, and masks of those that are real; leading axes as drawn."""

    row: jax.Array
    """int32 `[..., T]`, storage row."""
    step_mask: jax.Array
    """bool `[..., T]`."""
    frame_mask: jax.Array
    """bool `[..., T]`."""
    weight: jax.Array | None = None
    """float32 `[..., T]`, the same along a segment; None: all 1."""


def init_index(config: ReplayConfig, lanes: int) -> ReplayIndex:
    """An empty index for `lanes` environments."""
    rows, episodes = config.capacity // lanes * lanes, config.episodes
    return ReplayIndex(
        action=jnp.zeros(rows, jnp.int32),
        reward=jnp.zeros(rows),
        end=jnp.zeros(rows, bool),
        trunc=jnp.zeros(rows, bool),
        head=jnp.full(lanes, -1),
        open=jnp.zeros(lanes, bool),
        current=jnp.full(lanes, -1),
        start=jnp.zeros(episodes, jnp.int32),
        length=jnp.zeros(episodes, jnp.int32),
        lane=jnp.zeros(episodes, jnp.int32),
        first=jnp.int32(0),
        count=jnp.int32(0),
        steps=jnp.int32(0),
    )


def frame_bytes(config: ReplayConfig, frame_shape: tuple[int, int, int]) -> int:
    """Bytes that the frames take."""
    return config.capacity * int(np.prod(frame_shape))


def append_index(
    index: ReplayIndex, chunk: Transitions
) -> tuple[ReplayIndex, jax.Array, jax.Array]:
    """Write everything but the frames of a chunk.

    Returns:
      The new index, and the storage rows int32 `[T, L]` where `frame` and `next_frame` belong.
      Write `next_frame` first: where an episode continues, the next step's `frame` takes the same
      row.

    Raises:
      ValueError: the chunk has more steps than half a lane has rows; an episode could then
        overwrite its own beginning.
    """
    steps, lanes = chunk.action.shape
    rows, table = index.rows_per_lane, index.start.shape[0]
    if steps > rows // 2:
        raise ValueError(
            f"a chunk of {steps} steps needs at least {2 * steps} rows per lane, the replay has "
            f"{rows}"
        )
    done = chunk.end | chunk.trunc
    first = jnp.concatenate([~index.open[None], done[:-1]])
    # An episode that fills half a lane is split, so that it can be drawn at all once the ring has
    # wrapped; so is one that fell out of the table while other lanes began many.
    too_long = index.length[index.current % table] >= rows // 2
    forgotten = index.current < index.count - table
    first = first.at[0].set(first[0] | too_long | forgotten)

    number = index.head[None] + jnp.arange(steps)[:, None] + jnp.cumsum(first, axis=0)
    storage = jnp.arange(lanes)[None] * rows + number % rows
    storage_next = jnp.arange(lanes)[None] * rows + (number + 1) % rows

    # Episodes are numbered in order of their first step, lanes in order within a step.
    episode = index.count + jnp.cumsum(first.reshape(-1)).reshape(first.shape) - 1
    episode = jax.lax.cummax(jnp.where(first, episode, index.current[None]), axis=0)
    count = index.count + first.sum()
    slot = jnp.where(
        episode >= count - table, episode % table, table
    )  # writes to slot `table` are dropped
    new_slot = jnp.where(first, slot, table)
    lane = jnp.broadcast_to(jnp.arange(lanes), first.shape)
    length = index.length.at[new_slot].set(0, mode="drop").at[slot].add(1, mode="drop")

    index = index.replace(
        action=index.action.at[storage].set(chunk.action),
        reward=index.reward.at[storage].set(chunk.reward),
        end=index.end.at[storage].set(chunk.end),
        trunc=index.trunc.at[storage].set(chunk.trunc),
        head=number[-1] + 1,
        open=~done[-1],
        current=episode[-1],
        start=index.start.at[new_slot].set(number, mode="drop"),
        length=length,
        lane=index.lane.at[new_slot].set(lane, mode="drop"),
        count=count,
        steps=index.steps + steps * lanes,
    )
    return index.replace(first=_oldest_intact(index)), storage, storage_next


def cut_episodes(index: ReplayIndex, lanes: jax.Array) -> ReplayIndex:
    """Cut the episodes that are open in some lanes: their next step will begin a new one.

    Args:
      index: the replay's.
      lanes: bool `[L]`.
    """
    rows, count = index.rows_per_lane, index.head.shape[0]
    last = jnp.arange(count) * rows + (index.head - 1) % rows
    trunc = index.trunc.at[last].set(index.trunc[last] | (index.open & lanes))
    return index.replace(trunc=trunc, open=index.open & ~lanes)


def _oldest_intact(index: ReplayIndex) -> jax.Array:
    """Number of the oldest episode such that it and all younger ones are still whole in storage."""
    table = index.start.shape[0]
    number = index.count - 1 - jnp.arange(table)  # youngest first
    slot = number % table
    overwritten = index.start[slot] <= index.head[index.lane[slot]] - index.rows_per_lane
    lost = (number < 0) | overwritten
    intact = jnp.where(lost.any(), jnp.argmax(lost), table)
    return jnp.maximum(index.first, index.count - intact)


def draw_episode(index: ReplayIndex, key: jax.Array, age_weights: tuple[float, ...]) -> jax.Array:
    """Slot of one episode in the table, drawn by age group; the replay must hold at least one
    episode.
    """
    table = index.start.shape[0]
    key_group, key_member = jax.random.split(key)
    total = index.count - index.first

    few = (index.first + jnp.arange(3)) % table
    weight = jnp.where(jnp.arange(3) < total, index.length[few], 0)
    by_length = jax.random.categorical(key_member, jnp.log(weight.astype(jnp.float32)))

    group = jax.random.categorical(key_group, jnp.log(jnp.asarray(age_weights)))
    quarter = total // 4
    members = jnp.where(group == 3, total - 3 * quarter, quarter)
    by_age = group * quarter + jax.random.randint(key_member, (), 0, jnp.maximum(members, 1))
    return (index.first + jnp.where(total < 4, by_length, by_age)) % table


def _draw(index: ReplayIndex, slot: jax.Array, start: jax.Array, size: int) -> Draw:
    rows = index.rows_per_lane
    length = index.length[slot]
    row, frame_mask = cut(start, size, length + 1)
    storage = index.lane[slot] * rows + (index.start[slot] + row) % rows
    return Draw(storage, frame_mask & (row < length), frame_mask)


def _draw_by(
    bounds: Callable[[jax.Array, jax.Array, int], jax.Array],
    index: ReplayIndex,
    key: jax.Array,
    size: int,
    age_weights: tuple[float, ...],
) -> Draw:
    """`size` rows of an episode drawn by age, from the start that `bounds(key, length, size)`
    gives; the other arguments as `draw_frames`.
    """
    key_episode, key_bounds = jax.random.split(key)
    slot = draw_episode(index, key_episode, age_weights)
    return _draw(index, slot, bounds(key_bounds, index.length[slot], size), size)


def _ending_at_any_frame(key: jax.Array, length: jax.Array, size: int) -> jax.Array:
    return bounds_ending_near(key, length + 1, size)  # an episode has a frame more than steps


def draw_frames(
    index: ReplayIndex, key: jax.Array, size: int, age_weights: tuple[float, ...]
) -> Draw:
    """`size` rows that end at or before the frame reached by the last step; left padding only. For
    the denoiser.

    Our choice: DIAMOND never shows its denoiser the frame that ends an episode; we do, since
      rewards and ends arrive there.

    Args:
      index: the replay's; it must hold at least one episode.
      key: PRNG key of the draw.
      size: rows T of the segment (static).
      age_weights: probability of each quarter of the episodes, oldest first.
    """
    return _draw_by(_ending_at_any_frame, index, key, size, age_weights)


def draw_start(
    index: ReplayIndex,
    key: jax.Array,
    size: int,
    age_weights: tuple[float, ...],
    reach: int | None = None,
) -> Draw:
    """`size` rows whose last is a step (never the frame that ends an episode); left padding only.
    For imagination, which begins at the last row.

    Arguments as `draw_frames`; `reach` as in `bounds_ending_near`. 1 draws all steps alike;
    with the size of a long segment imagination would begin at the end of most short episodes.
    """
    bounds = functools.partial(bounds_ending_near, reach=reach)
    return _draw_by(bounds, index, key, size, age_weights)


def draw_around(
    index: ReplayIndex, key: jax.Array, size: int, age_weights: tuple[float, ...]
) -> Draw:
    """`size` rows around a step; padding on both sides. For the reward and end model.

    Arguments as `draw_frames`.
    """
    return _draw_by(bounds_around, index, key, size, age_weights)


def draw_ending(index: ReplayIndex, key: jax.Array, size: int) -> tuple[Draw, jax.Array]:
    """`size` rows that finish with the frame an *end* reached, from a uniformly drawn ended
    episode; left padding only.

    Returns:
      The draw, and a bool scalar: False if no episode has ended yet (the draw is then meaningless).
    """
    table = index.start.shape[0]
    slots = jnp.arange(table)
    age = (slots - index.first) % table
    last_row = (
        index.lane * index.rows_per_lane + (index.start + index.length - 1) % index.rows_per_lane
    )
    ended = (age < index.count - index.first) & (index.length > 0) & index.end[last_row]
    slot = jax.random.categorical(key, jnp.where(ended, 0.0, -jnp.inf))
    return _draw(index, slot, index.length[slot] + 1 - size, size), ended.any()


def complete(index: ReplayIndex, draw: Draw, frame: jax.Array) -> Segment:
    """The segment of a draw, given its frames uint8 `[..., T, H, W, C]`."""

    def blank(values):
        return jnp.where(draw.step_mask, values[draw.row], jnp.zeros((), values.dtype))

    return Segment(
        frame,
        blank(index.action),
        blank(index.reward),
        blank(index.end),
        blank(index.trunc),
        draw.step_mask,
        draw.frame_mask,
        draw.weight,
    )


@flax.struct.dataclass
class Replay:
    """Index and frames, both on the device."""

    index: ReplayIndex
    frames: jax.Array
    """uint8 `[L * R, H * W * C]`; flat rows, because accelerators pad small trailing axes."""
    frame_shape: tuple[int, int, int] = flax.struct.field(pytree_node=False)
    age_weights: tuple[float, ...] = flax.struct.field(pytree_node=False)


def init(config: ReplayConfig, lanes: int, frame_shape: tuple[int, int, int]) -> Replay:
    """An empty replay on the default device."""
    index = init_index(config, lanes)
    frames = jnp.zeros((index.action.shape[0], int(np.prod(frame_shape))), jnp.uint8)
    return Replay(index, frames, frame_shape, config.age_weights)


def append(replay: Replay, chunk: Transitions) -> Replay:
    """Store a chunk; jit this with the replay donated, so that it happens in place."""
    index, rows, rows_next = append_index(replay.index, chunk)

    def flat(frame):
        return frame.reshape(-1, replay.frames.shape[1])

    frames = replay.frames.at[rows_next.reshape(-1)].set(flat(chunk.next_frame))
    frames = frames.at[rows.reshape(-1)].set(flat(chunk.frame))
    return replay.replace(index=index, frames=frames)


def gather(replay: Replay, draw: Draw) -> Segment:
    """The segments of a draw."""
    frame = replay.frames[draw.row].reshape(*draw.row.shape, *replay.frame_shape)
    return complete(replay.index, draw, frame)


Drawer = Callable[[ReplayIndex, jax.Array, int, tuple[float, ...]], Draw]
"""`draw_frames`, `draw_start`, `draw_around`, or one made by `eventful.preferring`."""


def sample(replay: Replay, drawer: Drawer, keys: jax.Array, size: int) -> Segment:
    """A batch of segments, one per key: `keys [...]` gives `Segment` with axes `[..., size]`.

    Args:
      replay: frames on the device; it must hold at least one episode.
      drawer: the kind of draw, see `Drawer` (static).
      keys: PRNG keys `[...]`.
      size: rows of each segment (static).
    """
    return gather(replay, draw_batch(replay.index, drawer, keys, size, replay.age_weights))


def draw_batch(index: ReplayIndex, drawer: Drawer, keys: jax.Array, size: int, age_weights) -> Draw:
    """`drawer` under every key, whatever the shape of `keys`.

    Args:
      index: the replay's; it must hold at least one episode.
      drawer: the kind of draw, see `Drawer` (static).
      keys: PRNG keys `[...]`.
      size: rows of each segment (static).
      age_weights: probability of each quarter of the episodes, oldest first.

    Returns:
      Draws with axes `[..., size]`.
    """
    draw = jax.vmap(lambda key: drawer(index, key, size, age_weights))(keys.reshape(-1))
    return jax.tree.map(lambda a: a.reshape(*keys.shape, size), draw)
