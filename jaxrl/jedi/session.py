"""A run in memory: what it consists of, how it begins, how it is saved and restored.

Saved are: parameters, optimisers, target encoder (the agent); the replay; the games in the middle of play with the policy's
memory; and the counters. Random numbers need no saving: every key is made from the seed and the counters.
"""

import contextlib
import dataclasses
import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.make import make
from jaxrl.envs.protocol import HostEnv, JaxEnv
from jaxrl.jedi import agent as agents
from jaxrl.jedi.agent import AgentState
from jaxrl.jedi.collect import JaxPlayers
from jaxrl.jedi.collect_host import HostPlayers
from jaxrl.jedi.config import MAY_CHANGE, JediConfig
from jaxrl.jedi.monitor import Exam, make_exam
from jaxrl.jedi.store import Store, make_store
from jaxrl.replay import disk
from jaxrl.replay.buffer import init_index
from jaxrl.train import hosts
from jaxrl.train.checkpoint import Checkpoints
from jaxrl.train.config import flatten, to_dict
from jaxrl.train.errors import Refusal
from jaxrl.train.metrics import CompileCounter, MetricsLog, NoLog
from jaxrl.train.parallel import check_shares, data_mesh, local, replicate
from jaxrl.train.rundir import open_run, place, write_atomically

MakeEnv = Callable[[], JaxEnv | HostEnv]


@dataclass
class Counters:
    """Where a run stands. Everything here is in the record of a checkpoint."""

    epoch: int = 0
    stage: int = 0
    """Index of the stage of the epoch that is due."""
    done: int = 0
    """Updates of that stage already made."""
    env_steps: int = 0
    updates: int = 0
    """Updates of all kinds together."""
    stages: int = 0
    """Stages completed."""
    idle_epochs: int = 0
    """Epochs without play so far, at the end of the run."""
    opened: int = -1
    """Epoch in which the behaviour gate opened; -1 while it is closed."""
    forced: bool = False
    """It opened because its latest epoch had come, not because imagination passed the test."""
    rewards_seen: list[int] = field(default_factory=lambda: [0, 0, 0])
    """Rewards below, at and above zero while collecting the initial steps."""
    lines: int = 0
    """Lines of metrics.jsonl."""
    seconds: float = 0.0
    """Wall time of all sessions, up to the last save."""
    epoch_began: float = 0.0
    """Wall time of all sessions when the present epoch began."""
    pace: dict[str, float] = field(default_factory=dict)
    """Seconds per update of each phase, as last measured."""
    best: float | None = None
    """Best evaluation so far."""

    @property
    def step(self) -> int:
        """Number of a checkpoint: grows with whatever is done."""
        return self.env_steps + self.updates + self.stages


@dataclass
class Session:
    """Everything that the training loop works on."""

    config: JediConfig
    folder: Path
    env: JaxEnv | HostEnv
    make_env: MakeEnv
    agent: AgentState
    store: Store
    players: JaxPlayers | HostPlayers
    exam: Exam | None
    counters: Counters
    partial: dict[str, Any]
    """What the unfinished epoch has brought so far, JSON-ready."""
    checkpoints: Checkpoints
    log: MetricsLog | NoLog
    compiled: CompileCounter
    began: float
    """`time.monotonic()` when this session began, moved back by the sessions before."""
    saved_at: float
    saved_heads: np.ndarray
    """Newest row of each lane that is on disk."""
    files: dict[int, list[str]]
    """Files below replay/ that each checkpoint stands on."""
    eval_envs: list[HostEnv] = field(default_factory=list)
    static: bool = False
    """The replay holds recorded data that lie elsewhere: its frames are not saved with the run."""

    @property
    def schedule_done(self) -> bool:
        """No more play and no more idle epochs are due (the present epoch may have stages left)."""
        schedule, counters = self.config.schedule, self.counters
        return counters.env_steps >= schedule.env_steps and counters.idle_epochs >= schedule.final_epochs

    @property
    def finished(self) -> bool:
        """Everything is done."""
        return self.counters.epoch > 0 and self.counters.stage == 0 and self.schedule_done

    @property
    def epoch_key(self) -> jax.Array:
        """All randomness of the epoch comes from this key."""
        return jax.random.fold_in(jax.random.key(self.config.seed), self.counters.epoch)


def empty_epoch() -> dict[str, Any]:
    """What an epoch starts from."""
    return {"returns": [], "sums": {}, "counts": {}, "seconds": {}, "judgement": None}


COUNTS = (
    "game.num_envs", "game.frame_size", "agent.context", "agent.sampler.steps", "agent.world_model.batch",
    "agent.world_model.autoregressive_steps", "agent.heads.batch", "agent.behaviour.batch", "agent.behaviour.horizon",
    "agent.behaviour.spare_starts", "agent.probe.batch", "replay.capacity", "replay.episodes", "schedule.steps_per_epoch",
    "gate.horizon", "gate.segments", "monitor.segments", "monitor.probe_states", "evaluation.max_steps", "checkpoint.keep",
)  # fmt: skip
"""Fields that must be at least 1."""


def check(config: JediConfig) -> None:
    """Refuse settings that do not fit together, with one sentence."""
    values = flatten(to_dict(config))
    for name in COUNTS:
        if values[name] < 1:
            raise Refusal(f"{name} is {values[name]}: it must be at least 1")
    if config.devices < 0:
        raise Refusal(f"devices is {config.devices}: name how many share a batch, or 0 for all accelerators")
    for name in ("s_churn", "s_noise"):
        if values[f"agent.sampler.churn.{name}"] < 0:
            raise Refusal(f"agent.sampler.churn.{name} is {values[f'agent.sampler.churn.{name}']}: it must be at least 0")
    schedule, lanes = config.schedule, config.game.num_envs
    for name in ("initial_steps", "initial_extra", "steps_per_epoch"):
        steps = getattr(schedule, name)
        if steps < 1 or steps % lanes:
            raise Refusal(f"schedule.{name} is {steps}: it must be a positive multiple of game.num_envs ({lanes})")
    longest = max(
        config.agent.context + config.agent.world_model.autoregressive_steps, config.agent.heads.length,
        config.agent.context + config.gate.horizon,
    )  # fmt: skip
    if config.replay.capacity // lanes < 2 * longest:
        raise Refusal(
            f"replay.capacity ({config.replay.capacity}) gives each of {lanes} games fewer than {2 * longest} rows, but training cuts "
            f"segments of {longest}: raise it to {2 * longest * lanes} or more"
        )
    if schedule.initial_steps // lanes < longest:
        raise Refusal(
            f"schedule.initial_steps ({schedule.initial_steps}) fills a replay smaller than one segment of {longest} steps per game: "
            f"raise it to at least {longest * lanes}"
        )
    chunk = max(schedule.steps_per_epoch, schedule.initial_extra) // lanes
    if 2 * chunk > config.replay.capacity // lanes:
        raise Refusal(
            f"replay.capacity ({config.replay.capacity}) is less than twice what is played at once ({chunk} steps in each of {lanes} "
            f"games): raise it to at least {2 * chunk * lanes}, or lower schedule.steps_per_epoch"
        )


def open_session(config: JediConfig, run_dir: str | Path, make_env: MakeEnv | None = None) -> Session:
    """Begin a run in a folder, or restore the one that it holds.

    Args:
      config: everything that can be set.
      run_dir: the run's folder.
      make_env: makes the game; by default by the name `config.env`.

    Raises:
      Refusal: see `open_run`, `make`, `Checkpoints.restore`, `check`.
    """
    check(config)
    make_env = make_env or (lambda: make(config.env, config.game.frame_size))
    env = make_env()
    try:
        mesh = data_mesh(config.devices)
        check_shares(batch_sizes(config), mesh)
        fresh = replicate(fresh_agent(config, env), mesh)
    except ValueError as error:
        raise Refusal(str(error)) from None
    free = [name for name in flatten(to_dict(config)) if name.startswith(MAY_CHANGE)]
    folder = open_run(run_dir, to_dict(config), free, write=hosts.is_first())
    checkpoints = _open_checkpoints(folder, config)

    session = Session(
        config=config, folder=folder, env=env, make_env=make_env, agent=fresh,
        store=make_store(config.replay, config.game.num_envs, fresh.spec, mesh, config.parallel if mesh.size > 1 else "jit"),
        players=_fresh_players(config, env, make_env, fresh), exam=_exam(config, env),
        counters=Counters(), partial=empty_epoch(), checkpoints=checkpoints, log=None, compiled=CompileCounter(),
        began=time.monotonic(), saved_at=time.monotonic(), saved_heads=np.full(config.game.num_envs, -1), files={},
    )  # fmt: skip
    return resume(session)


def resume(session: Session) -> Session:
    """Restore the last checkpoint of the session's folder, if there is one, and open the log where it stood."""
    _restore(session)
    lines = session.counters.lines
    session.log = MetricsLog(session.folder, lines) if hosts.is_first() else NoLog(lines)
    session.began -= session.counters.seconds
    return session


def batch_sizes(config: JediConfig) -> dict[str, int]:
    """What several devices share."""
    return {f"agent.{name}.batch": getattr(config.agent, name).batch for name in ("world_model", "heads", "behaviour", "probe")}


def _open_checkpoints(folder: Path, config: JediConfig) -> Checkpoints:
    """The first process makes the folder and writes to it; all others must see what it made."""
    checkpoints = Checkpoints(folder / "checkpoints", config.checkpoint.keep) if hosts.is_first() else None
    hosts.any_of(False)  # wait for the first
    if hosts.any_of(hosts.several() and not (folder / "config.json").exists()):
        raise Refusal(f"{folder} is not seen by every process: put the run folder into a bucket (gs://...) or on a shared disk")
    return checkpoints or Checkpoints(folder / "checkpoints", read_only=True)


def fresh_agent(config: JediConfig, env) -> AgentState:
    """An untrained agent for a game."""
    begin = jax.jit(agents.init, static_argnums=(0, 1, 2))
    return begin(config.agent, env.num_actions, tuple(env.frame_shape), jax.random.key(config.seed))


def _fresh_players(config: JediConfig, env, make_env: MakeEnv, agent: AgentState):
    count = config.game.num_envs
    if isinstance(env, JaxEnv):
        return JaxPlayers(env, agent, count, config.seed)
    return HostPlayers([env, *(make_env() for _ in range(count - 1))], agent, config.seed)


def _exam(config: JediConfig, env) -> Exam | None:
    if not isinstance(env, JaxEnv):
        return None
    return jax.jit(make_exam, static_argnums=(0, 1))(env, config.monitor.probe_states, jax.random.key(1))


def save(session: Session, score: float | None = None) -> None:
    """Write a checkpoint: new frames and games first, then (atomically, in the background) the arrays with the record."""
    counters = session.counters
    counters.seconds = time.monotonic() - session.began
    counters.lines = session.log.lines
    step = counters.step
    if step in session.files:
        return
    session.saved_at = time.monotonic()
    if not hosts.is_first():
        return
    session.log.flush()
    index = jax.tree.map(np.array, session.store.index)
    names, games = ([], None) if session.static else _save_play(session, step, index)
    record = {"counters": dataclasses.asdict(counters), "partial": session.partial, "frames": names, "games": games}
    session.checkpoints.save(step, {"agent": session.agent, "index": index}, record, score)
    session.files[step] = _files_of(record)
    session.saved_heads = index.head
    _tidy(session)


def _save_play(session: Session, step: int, index) -> tuple[list[str], str]:
    """Write what is new in the replay, and the games in the middle of play; the names of all shards needed, and of the games."""
    folder = session.folder / "replay"
    names = disk.still_needed(folder, _frames_before(session), index)
    names.append(disk.write_shard(folder, step, index, local(session.store.frames), session.saved_heads))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **session.players.save())
    write_atomically(folder / f"games-{step}.npz", buffer.getvalue())
    return names, f"games-{step}.npz"


def _files_of(record: dict[str, Any]) -> list[str]:
    return [*record["frames"], *([record["games"]] if record["games"] else [])]


def _frames_before(session: Session) -> list[str]:
    newest = max(session.files, default=None)
    return [name for name in session.files.get(newest, []) if name.startswith("frames-")]


def settle(session: Session) -> None:
    """Wait until the last checkpoint is on disk, and delete what none needs any more."""
    session.checkpoints.wait()
    if session.files and hosts.is_first():
        _tidy(session)


def _tidy(session: Session) -> None:
    """Forget checkpoints that orbax removed, and delete the files that only they needed."""
    newest, folder = max(session.files), session.checkpoints.folder
    session.files = {step: names for step, names in session.files.items() if step == newest or (folder / str(step)).exists()}
    disk.remove_orphans(session.folder / "replay", {name for names in session.files.values() for name in names})


def _restore(session: Session) -> None:
    steps = session.checkpoints.steps()
    if not steps:
        return
    session.files = {}
    for step in steps[:-1]:
        record = session.checkpoints.record(step)
        session.files[step] = _files_of(record)
    template = {"agent": session.agent, "index": session.store.index}
    tree, record = session.checkpoints.restore(template)
    session.files[steps[-1]] = _files_of(record)
    session.agent = replicate(jax.tree.map(jnp.asarray, tree["agent"]), session.store.mesh)
    if not session.static:
        folder, size = session.folder / "replay", int(np.prod(session.agent.spec.frame_shape))
        session.store.load(tree["index"], disk.read_shards(folder, record["frames"], tree["index"], size))
        session.players.restore(_read_games(folder / record["games"]))
    session.counters, session.partial = Counters(**record["counters"]), record["partial"]
    session.saved_heads = np.array(tree["index"].head)


def _read_games(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file) as saved:
            return dict(saved)
    except Exception as error:
        raise Refusal(
            f"{path} is missing or damaged ({type(error).__name__}): restore it, or remove the checkpoints that need it"
        ) from error


def close(session: Session) -> None:
    """Wait for what is being written, and let go of everything, whatever of it fails."""
    with contextlib.ExitStack() as stack:
        for env in session.eval_envs:
            stack.callback(env.close)
        stack.callback(session.players.close)
        stack.callback(session.log.close)
        stack.callback(session.checkpoints.close)


def restore_agent(
    run_dir: str | Path, config: JediConfig, env, which: Literal["last", "best"] = "last"
) -> tuple[AgentState, int]:
    """Only the agent of a run, and the environment steps it has seen; a training that is going on there is not disturbed.

    Args:
      run_dir, config, env: the run, its configuration and its game.
      which: the last checkpoint, or the best evaluated one. The best of many small evaluations is a lucky one: for scores to
        report, take the last.

    Raises:
      Refusal: there is no checkpoint, or it is damaged.
    """
    folder = place(run_dir) / "checkpoints"
    checkpoints = Checkpoints(folder, read_only=True) if folder.exists() else None
    if checkpoints is None or not checkpoints.steps():
        raise Refusal(f"{run_dir} has no checkpoint yet: let the training reach its first one")
    step = checkpoints.best() if which == "best" else None
    template = {"agent": fresh_agent(config, env), "index": init_index(config.replay, config.game.num_envs)}
    tree, record = checkpoints.restore(template, step)
    checkpoints.close()
    return jax.tree.map(jnp.asarray, tree["agent"]), record["counters"]["env_steps"]
