"""The replay as the training loop uses it: take in experience, run updates on it. Frames on the
device, or on the host.

With frames on the host (when the device's memory is short) the device still decides which rows a
batch needs; the host gathers them, one group of updates ahead. Both give the same results.
"""

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxrl.jedi import algorithm
from jaxrl.jedi.agent import AgentSpec, AgentState
from jaxrl.jedi.algorithm import Counts, Run
from jaxrl.jedi.learn import loops
from jaxrl.jedi.learn.loops import Phase
from jaxrl.replay import buffer
from jaxrl.replay.buffer import Draw, ReplayConfig, ReplayIndex, Transitions
from jaxrl.replay.segment import Segment
from jaxrl.train.compiled import QUICKLY, JitOnCpu
from jaxrl.train.parallel import device_memory, on_each, replicate

GROUP = 16
"""Updates whose batches are gathered together on the host."""


def frames_fit(config: ReplayConfig, frame_shape: tuple[int, int, int]) -> bool:
    """Return True if the frames take at most half of a device's memory (True where the device does
    not report it).
    """
    limit = device_memory()
    return limit is None or 2 * buffer.frame_bytes(config, frame_shape) <= limit


class DeviceStore:
    """Index and frames on the device; a phase is one program, and so is a whole epoch."""

    def __init__(
        self,
        config: ReplayConfig,
        lanes: int,
        spec: AgentSpec,
        mesh: Mesh | None = None,
        form: str = "jit",
    ):
        self.replay, self.mesh = replicate(buffer.init(config, lanes, spec.frame_shape), mesh), mesh
        self.form = form

    @property
    def index(self) -> ReplayIndex:
        return self.replay.index

    @property
    def frames(self):
        """uint8 `[rows, H * W * C]`."""
        return self.replay.frames

    def load(self, index: ReplayIndex, frames: np.ndarray) -> None:
        """Take over saved contents."""
        self.replay.frames.delete()  # before the new ones arrive: both together may not fit
        index, frames = replicate(
            (jax.tree.map(jnp.asarray, index), jnp.asarray(frames)), self.mesh
        )
        self.replay = self.replay.replace(index=index, frames=frames)

    def append(self, chunk: Transitions) -> None:
        """Store experience."""
        self.replay = _append(self.replay, chunk)

    def cut(self, lanes: np.ndarray) -> None:
        """Cut the open episodes of some lanes (bool `[L]`)."""
        index = _cut(self.replay.index, jnp.asarray(lanes))
        self.replay = self.replay.replace(index=replicate(index, self.mesh))

    def gather(self, draw: Draw) -> Segment:
        """The segments of a draw."""
        return _gather(self.replay, draw)

    def run(self, phase: Phase, agent: AgentState, epoch_key, start: int, stop: int):
        """Updates start..stop-1 of a phase: `(agent, tally)`.

        Args:
          phase: the kind of update.
          agent: the agent; not to be used afterwards, its buffers may be donated.
          epoch_key: key of the epoch.
          start, stop: numbers of the first update and of the one after the last.
        """
        arguments = (agent, self.replay, epoch_key, jnp.int32(start), jnp.int32(stop))
        if self.form == "pmap":
            return _phase_on_each(phase, self.mesh)(*arguments)
        return phase_program(phase)(phase, *arguments, self.mesh)

    def run_epoch(self, agent: AgentState, epoch: tuple[int, bool], epoch_key, counts, gate):
        """All learning of an epoch (its number, and whether the gate is open) in one program: the
        agent and the record; see `algorithm.run_epoch`.

        Args:
          agent: the agent; not to be used afterwards, its buffers may be donated.
          epoch: number of the epoch, and True if the gate is open.
          epoch_key: key of the epoch.
          counts: updates of each kind, as `Counts`.
          gate: thresholds of the gate.
        """
        rest = Rest(self.replay, jnp.int32(epoch[0]), jnp.bool_(epoch[1]))
        arguments = (agent, rest, epoch_key, Counts(*map(jnp.int32, counts)))
        if self.form == "pmap":
            return _epoch_on_each(gate, self.mesh)(*arguments)
        return _run_epoch(*arguments, gate, self.mesh)


_append = jax.jit(buffer.append, donate_argnums=0)
_gather = jax.jit(buffer.gather)
_cut = jax.jit(buffer.cut_episodes)


_run_phase = jax.jit(loops.run_phase, static_argnums=(0, 6), donate_argnums=1)
_run_phase_quickly = JitOnCpu(loops.run_phase, QUICKLY, static_argnums=(0, 6), donate_argnums=1)


class Rest(NamedTuple):
    """A run without its agent, which alone is donated: what an epoch's learning only reads."""

    replay: buffer.Replay
    epoch: jax.Array
    is_open: jax.Array


def _learn_epoch(agent: AgentState, rest: Rest, epoch_key, counts: Counts, gate, mesh):
    run, record = algorithm.run_epoch(Run(agent, *rest), epoch_key, counts, gate, mesh)
    return run.agent, record


_run_epoch = jax.jit(_learn_epoch, static_argnums=(4, 5), donate_argnums=0)


def phase_program(phase: Phase):
    """The jitted `loops.run_phase` for a phase.

    On CPUs the updates of the world model, rewards and ends are as fast when they are compiled with
    less optimization, in half the time; those of the policy and the decoder are slower then
    (figures: docs/lab/jedi.md).
    """
    return _run_phase_quickly if phase.name in ("world_model", "reward_end") else _run_phase


@functools.cache
def _phase_on_each(phase: Phase, mesh: Mesh) -> Callable:
    return on_each(functools.partial(loops.run_phase, phase), mesh)


@functools.cache
def _epoch_on_each(gate, mesh: Mesh) -> Callable:
    def epoch(agent, rest, epoch_key, counts, axis_name):
        run = Run(agent, *rest)
        run, record = algorithm.run_epoch(run, epoch_key, counts, gate, axis_name=axis_name)
        return run.agent, record

    return on_each(epoch, mesh)


@functools.cache
def _batches_on_each(phase: Phase, mesh: Mesh) -> Callable:
    return on_each(functools.partial(loops.run_batches, phase), mesh)


class HostStore:
    """Index on the device, frames in host memory; batches are gathered by a second thread while the
    device computes.
    """

    def __init__(
        self,
        config: ReplayConfig,
        lanes: int,
        spec: AgentSpec,
        mesh: Mesh | None = None,
        form: str = "jit",
    ):
        self.index = buffer.init_index(config, lanes)
        self.frames = np.zeros(
            (self.index.action.shape[0], int(np.prod(spec.frame_shape))), np.uint8
        )
        self.frame_shape, self.age_weights, self.mesh, self.form = (
            spec.frame_shape,
            config.age_weights,
            mesh,
            form,
        )

    def load(self, index: ReplayIndex, frames: np.ndarray) -> None:
        """Take over saved contents."""
        self.index, self.frames = jax.tree.map(jnp.asarray, index), frames

    def append(self, chunk: Transitions) -> None:
        """Store experience."""

        def flat(frame):
            return np.asarray(frame).reshape(-1, self.frames.shape[1])

        blank = chunk._replace(frame=None, next_frame=None)
        self.index, rows, rows_next = _append_index(self.index, blank)
        self.frames[np.asarray(rows_next).reshape(-1)] = flat(chunk.next_frame)
        self.frames[np.asarray(rows).reshape(-1)] = flat(chunk.frame)

    def cut(self, lanes: np.ndarray) -> None:
        """Cut the open episodes of some lanes (bool `[L]`)."""
        self.index = _cut(self.index, jnp.asarray(lanes))

    def gather(self, draw: Draw) -> Segment:
        """The segments of a draw."""
        row = np.asarray(draw.row)
        return _complete(self.index, draw, self.frames[row].reshape(*row.shape, *self.frame_shape))

    def gather_for(self, phase: Phase, spec: AgentSpec, epoch_key, first: int) -> Segment:
        """The batches of the `GROUP` updates from number `first` on.

        Args:
          phase: the kind of update.
          spec: sizes of the agent.
          epoch_key: key of the epoch.
          first: number of the first update.

        Returns:
          Segments with axes `[GROUP, *phase.batch(spec), phase.size(spec)]`.
        """
        numbers = first + np.arange(GROUP, dtype=np.int32)
        return self.gather(
            _draw_many(phase, spec, self.index, epoch_key, numbers, self.age_weights)
        )

    def run(self, phase: Phase, agent: AgentState, epoch_key, start: int, stop: int):
        """Updates start..stop-1 of a phase: `(agent, tally)`.

        Args:
          phase: the kind of update.
          agent: the agent; not to be used afterwards, its buffers may be donated.
          epoch_key: key of the epoch.
          start, stop: numbers of the first update and of the one after the last, start below stop.
        """
        load, total = lambda first: self.gather_for(phase, agent.spec, epoch_key, first), None
        for first, batches in prefetch(load, range(start, stop, GROUP)):
            last = jnp.int32(min(first + GROUP, stop))
            arguments = (agent, batches, epoch_key, jnp.int32(first), last)
            if self.form == "pmap":
                agent, tally = _batches_on_each(phase, self.mesh)(*arguments)
            else:
                agent, tally = _run_batches(phase, *arguments, self.mesh)
            total = tally if total is None else loops.join(total, tally)
        return agent, total


_append_index = jax.jit(buffer.append_index, donate_argnums=0)
_complete = jax.jit(buffer.complete)
_draw_many = jax.jit(loops.draw_many, static_argnums=(0, 1, 5))
_run_batches = jax.jit(loops.run_batches, static_argnums=(0, 6), donate_argnums=1)


def prefetch(load: Callable, items) -> Iterator[tuple]:
    """`(item, load(item))` for every item, loading one ahead in a second thread."""
    items = list(items)
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(load, items[0]) if items else None
        for i, item in enumerate(items):
            loaded = following.result()
            if i + 1 < len(items):
                following = pool.submit(load, items[i + 1])
            yield item, loaded


Store = DeviceStore | HostStore


def make_store(
    config: ReplayConfig, lanes: int, spec: AgentSpec, mesh: Mesh | None = None, form: str = "jit"
) -> Store:
    """The store that `config.storage` asks for ("auto": on the device if the frames fit); `form` is
    that of its programs.

    Args:
      config: capacity and storage of the replay.
      lanes: games played at once.
      spec: sizes of the agent, for the shape of frames.
      mesh: devices that hold the replay and share each batch; None: one.
      form: "jit" or "pmap".
    """
    on_device = config.storage == "device" or (
        config.storage == "auto" and frames_fit(config, spec.frame_shape)
    )
    return (DeviceStore if on_device else HostStore)(config, lanes, spec, mesh, form)


@functools.partial(jax.jit, static_argnums=(1, 2))
def draw_for_monitor(index: ReplayIndex, count: int, size: int, key: jax.Array) -> Draw:
    """Segments `[count, size]` from all episodes alike.

    Args:
      index: the replay's; it must hold at least one episode.
      count: number of segments.
      size: rows of each.
      key: PRNG key of the draw.
    """
    keys = jax.random.split(key, count)
    return buffer.draw_batch(index, buffer.draw_frames, keys, size, (0.25, 0.25, 0.25, 0.25))
