"""Several seeds of one configuration at once: their updates share one program, everything else is
theirs.

Each is an ordinary run in its own folder below the common one: `evaluate`, `imagine` and `report`
inspect it alone, and it can be resumed alone. Here the runs are only kept in step: what is due in
the one that is furthest behind is done for all that stand there.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.files import resolve_path
from jaxrl.app.progress import Progress, log
from jaxrl.envs.protocol import MakeEnv
from jaxrl.jedi.agent import AgentState
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.learn import batched_loops, loops
from jaxrl.jedi.learn.loops import PHASES, Phase
from jaxrl.jedi.training.checkpoints import only_here, save, settle
from jaxrl.jedi.training.epoch_end import note_time
from jaxrl.jedi.training.loop import Result, announce, saving_after_failure
from jaxrl.jedi.training.replay_store import GROUP, DeviceStore, prefetch
from jaxrl.jedi.training.run import Session, close
from jaxrl.jedi.training.setup import open_session
from jaxrl.jedi.training.stages import STAGES, call_size, count, counts, next_stage, run_stage
from jaxrl.jedi.training.whole_runs import is_due, run_ahead
from jaxrl.train.signals import StopRequest, stop_on_signals


def train_seeds(
    config: JediConfig,
    run_dir: str | Path,
    seeds: int,
    make_env: MakeEnv | None = None,
    say: Callable[[str], None] = log,
) -> list[Result]:
    """As `train`, for the seeds `config.seed` .. `config.seed + seeds - 1`, in the folders
    `run_dir/seed<k>`.

    Args:
      config: configuration of the first seed.
      run_dir: common folder.
      seeds: number of seeds, at least 1.
      make_env: makes the game, if `config.env` cannot name it.
      say: takes a line to print.

    Returns:
      The result of each seed, in order.

    Raises:
      UserError: see `train`; fewer than one seed; more than one device.
    """
    return train_runs(runs_of(config, run_dir, seeds), f"{seeds} seeds", make_env, say)


def runs_of(config: JediConfig, run_dir: str | Path, seeds: int) -> list[tuple[JediConfig, Path]]:
    """Configuration and folder of every seed."""
    if seeds < 1:
        raise UserError(f"seeds is {seeds}: at least one agent must be trained")
    if config.devices > 1:
        raise UserError(
            f"{seeds} seeds on {config.devices} devices: train them on one device together, or one "
            "seed on several"
        )
    numbers = range(config.seed, config.seed + seeds)
    return [
        (dataclasses.replace(config, seed=seed, devices=1), seed_folder(run_dir, seed))
        for seed in numbers
    ]


def train_runs(
    runs: list[tuple[JediConfig, Path]],
    what: str,
    make_env: MakeEnv | None,
    say: Callable[[str], None],
) -> list[Result]:
    """Train configurations of equal agents in step, each in its folder.

    Args:
      runs: configuration and folder of each run.
      what: name of them all in the first line printed, such as "3 seeds".
      make_env: makes the game, if `config.env` cannot name it.
      say: takes a line to print.

    Returns:
      The result of each run, in order.
    """
    with stop_on_signals() as stop, contextlib.ExitStack() as stack:
        sessions = []
        for config, folder in runs:
            stack.enter_context(only_here(folder))
            sessions.append(open_session(config, folder, make_env))
            stack.callback(close, sessions[-1])
        announce_all(sessions, what, say)
        group = Group(sessions)
        with saving_after_failure(sessions, group.take_apart):
            while not stop and (members := furthest_behind(sessions)):
                advance(group, members, stop, say)
        group.take_apart()
        for session in sessions:
            save(session)
            settle(session)
    return [Result(s.folder, s.finished, stop.signal, s.so_far.last_line) for s in sessions]


def announce_all(sessions: list[Session], what: str, say: Callable[[str], None]) -> None:
    """One line on the first run with something left to do, and one on each that is finished."""
    for session in sessions:
        if session.finished:
            announce(session, say)
    if going := [session for session in sessions if not session.finished]:
        several = f"{what} in one program; the first "
        which = several if len(going) == len(sessions) else f"{len(going)} of {several}of them "
        announce(going[0], lambda line: say(f"{which}is {line}"))


def seed_folder(run_dir: str | Path, seed: int) -> Path:
    """Folder of the run of a seed."""
    return resolve_path(run_dir) / f"seed{seed}"


def seed_folders(run_dir: str | Path) -> list[Path]:
    """The runs below a common folder, by seed; [] if it is not one."""
    found = [
        path
        for path in resolve_path(run_dir).glob("seed*")
        if path.name[4:].isdigit() and (path / "config.json").is_file()
    ]
    return sorted(found, key=lambda path: int(path.name[4:]))


class Group:
    """The agents of all sessions, apart in their sessions or stacked for learning; never both."""

    def __init__(self, sessions: list[Session]):
        self.sessions = sessions
        self.agents: AgentState | None = None

    def put_together(self) -> None:
        """Stack the agents; the sessions keep only shapes."""
        if self.agents is None:
            self.agents = batched_loops.stack([session.agent for session in self.sessions])
            for session in self.sessions:
                session.agent = batched_loops.shapes_of(session.agent)

    def take_apart(self) -> None:
        """Give every session its agent back."""
        if self.agents is not None:
            for session, agent in zip(
                self.sessions, batched_loops.unstack(self.agents, len(self.sessions)), strict=True
            ):
                session.agent = agent
            self.agents = None

    def run(self, phase: Phase, starts: list[int], stops: list[int]) -> list[loops.UpdateStats]:
        """Updates starts[s]..stops[s]-1 of every session s; see `together.run_phase_of_seeds`."""
        self.put_together()
        keys = jnp.stack([session.epoch_key for session in self.sessions])
        stores = [session.store for session in self.sessions]
        if all(isinstance(store, DeviceStore) for store in stores):
            replays = tuple(store.replay for store in stores)
            self.agents, tally = _run_phase(
                phase, self.agents, replays, keys, jnp.array(starts), jnp.array(stops)
            )
            return batched_loops.unstack(jax.device_get(tally), len(stores))
        return self._run_on_host(phase, keys, np.array(starts), np.array(stops))

    def _run_on_host(self, phase: Phase, keys, starts, stops) -> list[loops.UpdateStats]:
        def load(offset):
            gathered = [
                s.store.gather_for(phase, s.agent.spec, key, int(start) + offset)
                for s, key, start in zip(self.sessions, keys, starts, strict=True)
            ]
            return jax.tree.map(lambda *parts: jnp.stack(parts, axis=1), *gathered)

        total = None
        for offset, batches in prefetch(load, range(0, int((stops - starts).max()), GROUP)):
            first = np.minimum(starts + offset, stops)
            last = np.minimum(first + GROUP, stops)
            self.agents, tally = _run_batches(
                phase, self.agents, batches, keys, jnp.array(first), jnp.array(last)
            )
            tally = batched_loops.unstack(jax.device_get(tally), len(self.sessions))
            total = (
                tally
                if total is None
                else [loops.join(a, b) for a, b in zip(total, tally, strict=True)]
            )
        return total


_run_phase = jax.jit(batched_loops.run_phase_of_seeds, static_argnums=0, donate_argnums=1)
_run_batches = jax.jit(batched_loops.run_batches_of_seeds, static_argnums=0, donate_argnums=1)


def furthest_behind(sessions: list[Session]) -> list[Session]:
    """The unfinished runs that stand at the earliest stage; [] if all are finished."""

    def position(session):
        return (session.counters.epoch, session.counters.stage)

    unfinished = [session for session in sessions if not session.finished]
    earliest = min(map(position, unfinished), default=None)
    return [session for session in unfinished if position(session) == earliest]


def advance(group: Group, members: list[Session], stop: StopRequest, say) -> None:
    """The stage that is due for `members`: learning all at once, everything else one after the
    other.

    Args:
      group: the agents of all sessions.
      members: those that stand at the earliest stage, at least one.
      stop: true once a signal asks to stop.
      say: takes a line to print.
    """
    if ahead := [session for session in members if is_due(session)]:
        group.take_apart()
        run_ahead(ahead)
        return
    stage = STAGES[members[0].counters.stage]
    if stage in PHASES:
        learn_together(group, members, PHASES[stage], stop)
        return
    group.take_apart()
    for session in members:
        if stop:
            return
        name = f"seed {session.config.seed}"
        run_stage(session, stop, lambda line, name=name: say(f"{name}: {line}"))


def learn_together(group: Group, members: list[Session], phase: Phase, stop: StopRequest) -> None:
    """The updates of one phase, or as many as were made when `stop` came. A seed may owe more than
    another, or none.

    Args:
      group: the agents of all sessions; they are stacked.
      members: the sessions whose updates are due; the others make none.
      phase: the kind of update.
      stop: true once a signal asks to stop.
    """
    owed = {id(session): getattr(counts(session), phase.name) for session in members}

    def left(session):
        return owed.get(id(session), 0) - session.counters.done if id(session) in owed else 0

    total, began = max(owed.values()), time.monotonic()
    with Progress(phase.name.replace("_", " "), total, total - max(map(left, members))) as bar:
        while not stop and max(map(left, members)) > 0:
            chunk = call_size(members[0], phase)
            chunks = [min(chunk, left(session)) for session in group.sessions]
            starts = [session.counters.done for session in group.sessions]
            called = time.monotonic()
            tallies = group.run(
                phase, starts, [start + n for start, n in zip(starts, chunks, strict=True)]
            )
            for session, tally, made in zip(group.sessions, tallies, chunks, strict=True):
                if made:
                    count(session, phase, tally, made)
                    session.counters.done += made
                    session.counters.pace[phase.name] = (time.monotonic() - called) / max(chunks)
            bar.advance(max(chunks))
    for session in members:
        note_time(session, phase.name, time.monotonic() - began)
        if left(session) <= 0:
            next_stage(session, session.counters.stage + 1)
