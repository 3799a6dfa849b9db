"""A run in memory: what it consists of, what is refused, and how it ends."""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.envs.protocol import HostEnv, JaxEnv, MakeEnv
from jaxrl.jedi import agent as agents
from jaxrl.jedi.agent import AgentState
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.diagnostics.collapse import Exam
from jaxrl.jedi.old_names import present_names
from jaxrl.jedi.play.collect import HostPlayers, JaxPlayers
from jaxrl.jedi.training.replay_store import Store
from jaxrl.train.checkpoint import Checkpoints
from jaxrl.train.compiled import jit_once
from jaxrl.train.metrics import CompileCounter, MetricsLog, NoLog


@dataclass
class Counters:
    """Position of a run in its schedule. Everything here is in the record of a checkpoint."""

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
    """Epoch in which the behavior gate opened; -1 while it is closed."""
    forced: bool = False
    """It opened because its latest epoch had come, not because imagination passed the test."""
    rewards_seen: list[int] = field(default_factory=lambda: [0, 0, 0])
    """Rewards below, at and above zero while collecting the initial steps."""
    lines: int = 0
    """Lines of metrics.jsonl."""
    seconds: float = 0.0
    """Wall time of all sessions, up to the last save."""
    processor: float = 0.0
    """Processor time of all sessions, all threads together, up to the last save."""
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
class EpochSoFar:
    """The unfinished epoch, JSON-ready; in the record of a checkpoint, there as "partial"."""

    returns: list[float] = field(default_factory=list)
    """Returns of the games that finished."""
    sums: dict[str, dict[str, float]] = field(default_factory=dict)
    """Metrics summed over updates, by phase and name."""
    counts: dict[str, int] = field(default_factory=dict)
    """Updates by phase."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Time by stage."""
    gate: dict[str, float] | None = None
    """Result of the gate, by name."""
    last_line: dict[str, Any] = field(default_factory=dict)
    """Metrics of the epoch before."""

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "EpochSoFar":
        """Read the "partial" of a checkpoint; version 0.1 called the gate "judgement"."""
        renamed = {"judgement": "gate"}
        return cls(
            **{renamed.get(name, name): present_names(value) for name, value in record.items()}
        )


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
    so_far: EpochSoFar
    checkpoints: Checkpoints
    log: MetricsLog | NoLog
    compiled: CompileCounter
    began: float
    """`time.monotonic()` when this session began, moved back by the sessions before."""
    processor_began: float
    """`time.process_time()` then, moved back likewise."""
    saved_at: float
    saved_heads: np.ndarray
    """Newest row of each lane that is on disk."""
    files: dict[int, list[str]]
    """Files below replay/ that each checkpoint stands on."""
    eval_envs: list[HostEnv] = field(default_factory=list)
    without_effect: list[str] = field(default_factory=list)
    """Settings that differ from those of config.json, where nothing is left to do with them."""
    static: bool = False
    """The replay holds recorded data that lie elsewhere: its frames are not saved with the run."""

    @property
    def schedule_done(self) -> bool:
        """No more play and no more idle epochs are due (the present epoch may have stages left)."""
        schedule, counters = self.config.schedule, self.counters
        return (
            counters.env_steps >= schedule.env_steps
            and counters.idle_epochs >= schedule.final_epochs
        )

    @property
    def finished(self) -> bool:
        """Everything is done."""
        return self.counters.epoch > 0 and self.counters.stage == 0 and self.schedule_done

    @property
    def epoch_key(self) -> jax.Array:
        """All randomness of the epoch comes from this key."""
        return jax.random.fold_in(jax.random.key(self.config.seed), self.counters.epoch)


def fresh_agent(config: JediConfig, env) -> AgentState:
    """An untrained agent for a game.

    Raises:
      UserError: settings that do not go together.
    """
    begin, key = jit_once(agents.init, static_argnums=(0, 1, 2)), jax.random.key(config.seed)
    try:
        return begin(config.agent, env.num_actions, tuple(env.frame_shape), key)
    except ValueError as error:
        raise UserError(str(error)) from None


def close_games(session: Session) -> None:
    """Close the games of evaluations; the next one makes new ones."""
    while session.eval_envs:
        session.eval_envs.pop().close()


def close(session: Session) -> None:
    """Wait for what is being written, and close everything, even if a part of it fails."""
    with contextlib.ExitStack() as stack:
        stack.callback(close_games, session)
        stack.callback(session.players.close)
        stack.callback(session.log.close)
        stack.callback(session.checkpoints.close)
