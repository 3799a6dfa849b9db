"""Episodes that somebody recorded elsewhere: checked one by one, then laid into a replay that is
ready for training.

An episode of T steps has T + 1 frames: the one before each step, and the one that its last step
reached. `act[t]` was taken at `obs[t]`; `rew[t]` and `end[t]` came with `obs[t + 1]`. It ends
(`end`), or is cut (`trunc`), with its last step and no earlier.
"""

from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.replay.buffer import Replay, ReplayConfig, ReplayIndex

MOST_ACTIONS = 2**16
"""A number at least so large is a mistake: the networks have a row for every action. Our choice."""


class Episode(NamedTuple):
    """T steps of a game, on the host."""

    obs: np.ndarray
    """uint8 `[T + 1, H, W, 3]`."""
    act: np.ndarray
    """int32 `[T]`, from 0."""
    rew: np.ndarray
    """float32 `[T]`, in the game's own units; the models see its sign."""
    end: np.ndarray
    """bool `[T]`, True at most at the last step: no value flows back from what would follow."""
    trunc: np.ndarray
    """bool `[T]`, True at most at the last step: the episode was cut although it would have
    continued.
    """
    truth: np.ndarray | None = None
    """float32 `[T + 1, D]`, true variables behind each frame, for linear probes; nothing learns
    from them.
    """


def from_arrays(
    obs,
    act,
    rew,
    end,
    trunc=None,
    *,
    num_actions: int | None = None,
    config: ReplayConfig | None = None,
) -> Replay:
    """Your arrays as a filled replay on the default device.

    Two forms. *Lists* with one array per episode: `obs[i]` uint8 `[T + 1, S, S, 3]`, `act[i]`
    integer `[T]`, `rew[i]` numbers `[T]`, `end[i]` bool `[T]`, `trunc[i]` likewise. Or *flat*
    arrays, episode after episode: `act`, `rew`, `end`, `trunc` `[N]`, and `obs [N + E, S, S, 3]`
    with E the number of episodes: each has one frame more than steps. In the flat form `end` and
    `trunc` say where episodes finish; steps after the last of these form an episode too. An episode
    that neither ends nor is cut counts as cut.

    Args:
      obs, act, rew, end, trunc: as above; `trunc` may be left out.
      num_actions: if given, actions must lie below it.
      config: capacity and age weights of the replay, if more is to be appended later. By default
        there is exactly enough space for the data, and every episode is drawn equally often (our
        choice).

    Raises:
      UserError: something does not fit; the sentence names the episode and the array.
    """
    listed = isinstance(obs, list | tuple)
    parts = (
        per_episode(obs, act, rew, end, trunc) if listed else split_flat(obs, act, rew, end, trunc)
    )
    return fill(
        [
            check_episode(*part, where=f"episode {i}", num_actions=num_actions)
            for i, part in enumerate(parts)
        ],
        config,
    )


# ---- checks
# ------------------------------------------------------------


def per_episode(obs, act, rew, end, trunc) -> list[tuple]:
    """Lists with one entry per episode as a list of episodes, unchecked.

    Args:
      obs, act, rew, end, trunc: lists with one array per episode, see `from_arrays`; `trunc` may be
        None.

    Returns:
      Tuples (obs, act, rew, end, trunc), one per episode; `trunc` None if it was left out.

    Raises:
      UserError: one of them is no list, or they do not have the same length.
    """
    columns = {"obs": obs, "act": act, "rew": rew, "end": end} | (
        {} if trunc is None else {"trunc": trunc}
    )
    for name, column in columns.items():
        if not isinstance(column, list | tuple):
            raise UserError(
                f"obs is a list of episodes but {name} is a {type(column).__name__}: give lists, "
                "one array per episode"
            )
        if len(column) != len(obs):
            raise UserError(
                f"obs has {len(obs)} episodes but {name} has {len(column)}: give one array per "
                "episode in each"
            )
    return list(zip(obs, act, rew, end, trunc or [None] * len(obs), strict=True))


def split_flat(obs, act, rew, end, trunc) -> list[tuple]:
    """Flat arrays as a list of episodes, unchecked but for their number and lengths.

    Args:
      obs, act, rew, end, trunc: flat arrays, see `from_arrays`; `trunc` may be None.

    Returns:
      Tuples (obs, act, rew, end, trunc), one per episode.

    Raises:
      UserError: the lengths do not fit, or a flag is neither true nor false.
    """
    end = _flags(end, "end", "the data")
    trunc = np.zeros_like(end) if trunc is None else _flags(trunc, "trunc", "the data")
    obs, act, rew = (
        _array(array, name, "the data")
        for name, array in {"obs": obs, "act": act, "rew": rew}.items()
    )
    for name, array in {"act": act, "rew": rew, "trunc": trunc}.items():
        if len(array) != len(end):
            raise UserError(
                f"end has {len(end)} steps but {name} has {len(array)}: give one entry per step in "
                "each"
            )
    stops = np.flatnonzero(end | trunc) + 1
    if len(end) and (not len(stops) or stops[-1] < len(end)):
        stops = np.append(stops, len(end))
    if len(obs) != len(end) + len(stops):
        raise UserError(
            f"obs has {len(obs)} frames, but {len(end)} steps in {len(stops)} episodes (counted by "
            "end and trunc) need "
            f"{len(end) + len(stops)}: put the frame that an episode's last step reached behind "
            "the others of that episode"
        )
    starts = [0, *stops][:-1]

    def cut(array, more):
        return [
            array[a + more * i : b + more * (i + 1)]
            for i, (a, b) in enumerate(zip(starts, stops, strict=True))
        ]

    return list(zip(cut(obs, 1), *(cut(array, 0) for array in (act, rew, end, trunc)), strict=True))


def check_episode(
    obs,
    act,
    rew,
    end,
    trunc=None,
    truth=None,
    where: str = "the episode",
    num_actions: int | None = None,
) -> Episode:
    """An `Episode` of arrays that fit together; `where` names it in refusals.

    Args:
      obs: uint8 frames `[T + 1, S, S, 3]`.
      act: integers `[T]`, from 0.
      rew: finite numbers `[T]`.
      end: flags `[T]`, true at most at the last step.
      trunc: likewise; None: nowhere. A last step without an end counts as cut.
      truth: finite numbers `[T + 1, D]`, true variables behind each frame; None: unknown.
      where: name of the episode in messages.
      num_actions: if given, actions must lie below it.

    Raises:
      UserError: a dtype, shape, length, range or flag is wrong.
    """
    obs = _frames(_array(obs, "obs", where), where)
    act = _actions(_array(act, "act", where), where, num_actions)
    steps = len(act)
    if len(obs) != steps + 1:
        raise UserError(
            f"{where}: obs has {len(obs)} frames for {steps} steps, not {steps + 1}: one before "
            "each step and the last reached"
        )
    rew = _array(rew, "rew", where)
    if rew.dtype.kind not in "fiu" or rew.shape != (steps,) or not _all_finite(rew):
        raise UserError(
            f"{where}: rew is {_kind(rew)}: it must be {steps} finite numbers, one per step"
        )
    end = _last_only(_flags(end, "end", where), "end", where, steps)
    trunc = (
        np.zeros(steps, bool)
        if trunc is None
        else _last_only(_flags(trunc, "trunc", where), "trunc", where, steps)
    )
    trunc = trunc.copy()
    trunc[-1] |= not end[-1]  # the data stop here
    if truth is not None:
        truth = _array(truth, "truth", where)
        if (
            truth.dtype.kind not in "fiub"
            or truth.ndim != 2
            or len(truth) != steps + 1
            or not _all_finite(truth)
        ):
            raise UserError(
                f"{where}: truth is {_kind(truth)}: it must be finite numbers [{steps + 1}, D], "
                "one row per frame"
            )
        truth = truth.astype(np.float32)
    return Episode(obs, act.astype(np.int32), rew.astype(np.float32), end, trunc, truth)


def _array(values, name: str, where: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError:
        raise UserError(
            f"{where}: {name} is no array, its parts have different shapes: give all columns as "
            "lists or all flat"
        ) from None
    if array.ndim == 0:
        raise UserError(f"{where}: {name} is a single {type(values).__name__}: it must be an array")
    return array


def _kind(array: np.ndarray) -> str:
    is_bad = array.dtype.kind == "f" and not _all_finite(array)
    return f"{array.dtype} {list(array.shape)}" + (
        " with NaN or infinity (as float32)" if is_bad else ""
    )


def _all_finite(numbers: np.ndarray) -> bool:
    """True if the numbers are finite as float32, which is how they are kept."""
    with np.errstate(over="ignore"):
        return bool(np.isfinite(numbers.astype(np.float32)).all())


def _frames(obs: np.ndarray, where: str) -> np.ndarray:
    if obs.dtype != np.uint8:
        raise UserError(
            f"{where}: obs is {obs.dtype}, not uint8: scale its pixels to 0..255 and round them"
        )
    if obs.ndim != 4 or obs.shape[-1] != 3:
        raise UserError(
            f"{where}: obs has shape {list(obs.shape)}, not [T + 1, size, size, 3]: stack RGB "
            "frames along a first axis"
        )
    if obs.shape[1] != obs.shape[2]:
        raise UserError(
            f"{where}: frames are {obs.shape[1]}x{obs.shape[2]}, not square: pad, cut or resize "
            "them"
        )
    return obs


def _actions(act: np.ndarray, where: str, num_actions: int | None) -> np.ndarray:
    if act.dtype.kind not in "iu" or act.ndim != 1:
        raise UserError(
            f"{where}: act is {act.dtype} {list(act.shape)}: it must be whole numbers [T], one per "
            "step"
        )
    if len(act) == 0:
        raise UserError(
            f"{where}: it has no step: leave out episodes that are shorter than one step"
        )
    if act.max() >= MOST_ACTIONS:
        raise UserError(
            f"{where}: act holds {act.max()}: actions are numbered from 0, below {MOST_ACTIONS}"
        )
    if act.min() < 0 or (num_actions is not None and act.max() >= num_actions):
        wrong = act[(act < 0) | (act >= (act.max() + 1 if num_actions is None else num_actions))][0]
        known = "from 0" if num_actions is None else f"0 to {num_actions - 1}"
        raise UserError(f"{where}: act holds {wrong}: actions are numbered {known}")
    return act


def _flags(array, name: str, where: str) -> np.ndarray:
    array = _array(array, name, where)
    if array.dtype != bool or array.ndim != 1:
        raise UserError(
            f"{where}: {name} is {array.dtype} {list(array.shape)}: it must be bool [T], one per "
            "step"
        )
    return array


def _last_only(flags: np.ndarray, name: str, where: str, steps: int) -> np.ndarray:
    if len(flags) != steps:
        raise UserError(
            f"{where}: {name} has {len(flags)} entries for {steps} steps: give one per step"
        )
    if flags[:-1].any():
        early = int(np.argmax(flags))
        raise UserError(
            f"{where}: {name} is True at step {early} of {steps}: cut the episode there, it goes "
            "on as a new one"
        )
    return flags


# ---- into a replay
# ------------------------------------------------------------


def fill(episodes: list[Episode], config: ReplayConfig | None = None) -> Replay:
    """Checked episodes as a replay on the default device; see `from_arrays`."""
    config = config or room_for(sum(len(episode.act) for episode in episodes), len(episodes))
    index, frames = pack(episodes, config)
    index, frames = jax.tree.map(jnp.asarray, (index, frames.reshape(len(frames), -1)))
    return Replay(index, frames, tuple(episodes[0].obs.shape[1:]), config.age_weights)


def room_for(steps: int, episodes: int, storage: str = "auto") -> ReplayConfig:
    """A replay with exactly enough space for so many steps in so many episodes, each of which is
    drawn equally often.

    Raises:
      UserError: there is no episode, or there are more frames than row numbers (int32).
    """
    rows = steps + episodes
    if episodes == 0 or rows >= 2**31:
        raise UserError(
            f"the data hold {episodes} episodes with {rows} frames: give at least one, and at most "
            "2147483647 frames"
        )
    share = episodes // 4 / episodes  # the groups of `draw_episode`
    return ReplayConfig(rows, episodes, (share, share, share, 1 - 3 * share), storage)


def pack(episodes: Iterable[Episode], config: ReplayConfig) -> tuple[ReplayIndex, np.ndarray]:
    """Episodes, read one after the other, as an index of one lane and its frames uint8 `[rows, H,
    W, 3]`, on the host.

    Raises:
      UserError: the frames differ in size, or there is not enough space.
    """
    rows, table = config.capacity, config.episodes
    steps = {
        name: np.zeros(rows, kind)
        for name, kind in (
            ("action", np.int32),
            ("reward", np.float32),
            ("end", bool),
            ("trunc", bool),
        )
    }
    start, length = np.zeros(table, np.int32), np.zeros(table, np.int32)
    frames, row, count = None, 0, 0
    for episode in episodes:
        shape = episode.obs.shape[1:]
        frames = np.zeros((rows, *shape), np.uint8) if frames is None else frames
        if shape != frames.shape[1:]:
            raise UserError(
                f"episode {count}: its frames are {shape[0]}x{shape[1]}, those before "
                f"{frames.shape[1]}x{frames.shape[2]}: resize them"
            )
        n = len(episode.act)
        if count >= table or row + n + 1 > rows:
            raise UserError(
                f"the replay has space for {table} episodes and {rows} frames, the data are more: "
                "raise its capacity"
            )
        frames[row : row + n + 1] = episode.obs
        for name, values in zip(steps, episode[1:5], strict=True):
            steps[name][row : row + n] = values
        start[count], length[count] = row, n
        row, count = row + n + 1, count + 1
    if frames is None:
        raise UserError("the data hold no episode: give at least one")
    index = ReplayIndex(
        **steps,
        head=np.array([row - 1], np.int32),
        open=np.zeros(1, bool),
        current=np.array([count - 1], np.int32),
        start=start,
        length=length,
        lane=np.zeros(table, np.int32),
        first=np.int32(0),
        count=np.int32(count),
        steps=np.int32(row - count),
    )
    return index, frames
