"""Beginning of a run in a folder, or of its continuation."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxrl.app.errors import UserError, reaching
from jaxrl.app.files import resolve_path
from jaxrl.envs.protocol import JaxEnv, MakeEnv
from jaxrl.jedi.agent import AgentState
from jaxrl.jedi.config import MAY_CHANGE, JediConfig
from jaxrl.jedi.diagnostics.collapse import Exam, make_exam
from jaxrl.jedi.play.collect import HostPlayers, JaxPlayers
from jaxrl.jedi.play.game import make_game
from jaxrl.jedi.training.checkpoints import restore
from jaxrl.jedi.training.replay_store import DeviceStore, Store, make_store
from jaxrl.jedi.training.run import Counters, EpochSoFar, Session, fresh_agent
from jaxrl.jedi.training.validate import batch_sizes, check
from jaxrl.train import hosts
from jaxrl.train.checkpoint import Checkpoints, check_name
from jaxrl.train.compiled import jit_once
from jaxrl.train.config import differences, flatten, from_dict, to_dict
from jaxrl.train.metrics import CompileCounter, MetricsLog, NoLog
from jaxrl.train.parallel import check_shares, data_mesh, replicate
from jaxrl.train.rundir import open_run, stored_config
from jaxrl.train.wandb_log import WandbLog


def begin_agent(config: JediConfig, env: JaxEnv) -> tuple[AgentState, Mesh]:
    """A new agent on the devices that share each batch.

    Raises:
      UserError: there are too few devices, or they cannot share the batches.
    """
    try:
        mesh = data_mesh(config.devices)
        check_shares(batch_sizes(config), mesh)
        hosts.connect(mesh)
        return replicate(fresh_agent(config, env), mesh), mesh
    except ValueError as error:
        raise UserError(str(error)) from None


def open_session(
    config: JediConfig, run_dir: str | Path, make_env: MakeEnv | None = None
) -> Session:
    """Begin a run in a folder, or restore the one that it holds.

    Args:
      config: everything that can be set.
      run_dir: the run's folder.
      make_env: makes the game; by default by the name `config.env`.

    Raises:
      UserError: see `open_run`, `make`, `Checkpoints.restore`, `check`.
    """
    check(config)
    make_env = make_env or (lambda: make_game(config))
    env = make_env()
    fresh, mesh = begin_agent(config, env)
    form = config.parallel if mesh.size > 1 else "jit"
    store = make_store(config.replay, config.game.num_envs, fresh.spec, mesh, form)
    check_program(config, env, store)
    stored = StoredConfig(to_dict(config), MAY_CHANGE, completed)
    folder = stored.begin(run_dir)
    checkpoints = _open_checkpoints(folder, config)

    session = Session(
        config=config,
        folder=folder,
        env=env,
        make_env=make_env,
        agent=fresh,
        store=store,
        players=_fresh_players(config, env, make_env, fresh),
        exam=_exam(config, env),
        counters=Counters(),
        so_far=EpochSoFar(),
        checkpoints=checkpoints,
        log=None,
        compiled=CompileCounter(),
        began=time.monotonic(),
        processor_began=time.process_time(),
        saved_at=time.monotonic(),
        saved_heads=np.full(config.game.num_envs, -1),
        files={},
    )
    return resume(session, stored)


@dataclasses.dataclass
class StoredConfig:
    """A configuration and its file, config.json. A run that exists takes a changed one over once it
    is restored, and only if something is left to do.
    """

    new: dict[str, Any]
    """The configuration of this start."""
    may_change: tuple[str, ...]
    """Fields, or their beginnings, that may differ from the stored ones."""
    complete: Callable[[dict[str, Any]], dict[str, Any]]
    """Gives a stored configuration of an earlier version the fields that it lacks."""
    always: tuple[str, ...] = ()
    """Fields that are stored even if nothing is left to do."""

    def begin(self, run_dir: str | Path) -> Path:
        """Make the folder of a new run, or check that of one that exists; returns its path.

        Raises:
          UserError: see `open_run` and `check_name`; there are checkpoints, and nothing says of
            which configuration.
        """
        folder = resolve_path(run_dir)
        check_name(folder)  # before config.json is written
        is_new = stored_config(folder) is None
        if is_new and has_checkpoints(folder):
            raise UserError(
                f"{folder} holds checkpoints but no config.json, which says what they are of: "
                "restore it, or choose another --run-dir"
            )
        return self._open(folder, write=is_new)

    def take_over(self, session: Session) -> None:
        """Store the changed settings, or note them as without effect."""
        stored = stored_config(session.folder)
        known = self.new if stored is None else self.complete(stored)
        if not session.finished:
            self._open(session.folder, write=True)
            return
        changed = differences(known, self.new)
        # Several seeds set `devices` by themselves, so it is not named.
        unnamed = (*self.always, "devices")
        session.without_effect = [name for name in changed if name not in unnamed]
        if any(name in self.always for name in changed):
            self.new = known | {name: self.new[name] for name in self.always}
            self._open(session.folder, write=True)

    def _open(self, run_dir: str | Path, write: bool) -> Path:
        free = [name for name in flatten(self.new) if name.startswith(self.may_change)]
        write = write and hosts.is_first()
        return open_run(run_dir, self.new, free, write=write, complete=self.complete)


def has_checkpoints(folder: Path) -> bool:
    """Return True if there are finished checkpoints in a run's folder."""
    try:
        with reaching(folder):
            return any(path.name.isdigit() for path in (folder / "checkpoints").iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return False


def completed(data: dict[str, Any]) -> dict[str, Any]:
    """Add the fields that came after a stored configuration, at their defaults.

    The configuration of a run that learned from data stays as it is: its fields are others.
    """
    return data if "found" in data else to_dict(from_dict(JediConfig, data))


def resume(session: Session, stored: StoredConfig) -> Session:
    """Restore the last checkpoint of the session's folder, if there is one, and open the log where
    it stood.
    """
    restore(session)
    stored.take_over(session)
    lines = session.counters.lines
    wanted = hosts.is_first() and getattr(session.config, "log", "files") == "wandb"
    also = WandbLog(session.folder, to_dict(session.config)) if wanted else None
    session.log = MetricsLog(session.folder, lines, also) if hosts.is_first() else NoLog(lines)
    session.began -= session.counters.seconds
    session.processor_began -= session.counters.processor
    return session


def _open_checkpoints(folder: Path, config: JediConfig) -> Checkpoints:
    """The first process makes the folder and writes to it; all others must see what it made."""
    checkpoints = (
        Checkpoints(folder / "checkpoints", config.checkpoint.keep) if hosts.is_first() else None
    )
    hosts.any_of(False)  # wait for the first
    if hosts.any_of(hosts.several() and not (folder / "config.json").exists()):
        raise UserError(
            f"{folder} is not seen by every process: put the run folder into a bucket (gs://...) "
            "or on a shared disk"
        )
    return checkpoints or Checkpoints(folder / "checkpoints", read_only=True)


def _fresh_players(config: JediConfig, env, make_env: MakeEnv, agent: AgentState):
    count = config.game.num_envs
    if isinstance(env, JaxEnv):
        return JaxPlayers(env, agent, count, config.seed)
    if hosts.several() and config.game.restart_on_error:
        raise UserError(
            "--game.restart-on-error begins games anew in a single process only: leave it out "
            "where several train together"
        )
    unused, envs = [env], []
    for mine in hosts.my_share(count):
        envs.append((unused.pop() if unused else make_env()) if mine else None)
    return HostPlayers(envs, agent, config.seed, make_env, config.game.restart_on_error)


def _exam(config: JediConfig, env) -> Exam | None:
    if not isinstance(env, JaxEnv):
        return None
    return jit_once(make_exam, static_argnums=(0, 1))(
        env, config.monitor.probe_states, jax.random.key(1)
    )


def check_program(config: JediConfig, env, store: Store) -> None:
    """Refuse `--program run` where it cannot be.

    Raises:
      UserError: the game is not in JAX, frames are on the host, or devices share batches.
    """
    if config.program != "run":
        return
    reason = None
    if not isinstance(env, JaxEnv):
        reason = f"{config.env} is not a game in JAX"
    elif not isinstance(store, DeviceStore):
        reason = "the replay's frames are on the host"
    elif store.mesh is not None and store.mesh.size > 1:
        reason = "several devices share its batches"
    if reason:
        raise UserError(
            f"--program run compiles play and learning together, but {reason}: choose --program "
            "auto"
        )
