"""Saving and restoring a run.

Saved are: parameters, optimizers, target encoder (the agent); the replay; the games in the middle
of play with the policy's
memory; and the counters. Random numbers need no saving: every key is made from the seed and the
counters.
"""

import contextlib
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError, is_remote
from jaxrl.app.files import lock_run, read_npz, resolve_path, write_npz
from jaxrl.envs.protocol import HostEnv, JaxEnv, MakeEnv
from jaxrl.jedi.agent import AgentState
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.play.game import make_game
from jaxrl.jedi.training import exported
from jaxrl.jedi.training.run import Counters, EpochSoFar, Session, fresh_agent
from jaxrl.replay import disk
from jaxrl.replay.buffer import init_index
from jaxrl.train import hosts
from jaxrl.train.checkpoint import Checkpoints
from jaxrl.train.parallel import local, replicate
from jaxrl.train.rundir import read_config_as


@contextlib.contextmanager
def only_here(run_dir: str | Path):
    """Hold a run's folder for this process while the context lasts; the first of several processes
    of one training holds it for all.

    Raises:
      UserError: another training writes there.
    """
    folder = resolve_path(run_dir)
    if not hosts.is_first():
        yield
        return
    existed = is_remote(folder) or folder.exists()
    try:
        with lock_run(folder):
            yield
    finally:
        if not existed:
            with contextlib.suppress(OSError):  # it holds a run; else nothing was begun in it
                folder.rmdir()


def save(session: Session, score: float | None = None) -> None:
    """Write a checkpoint: new frames and games first, then (atomically, in the background) the
    arrays with the record.
    """
    counters = session.counters
    counters.seconds, counters.processor = (
        time.monotonic() - session.began,
        time.process_time() - session.processor_began,
    )
    counters.lines = session.log.lines
    step = counters.step
    if step in session.files:
        return
    session.saved_at = time.monotonic()
    games = None if session.static else session.players.save()  # a meeting of all processes
    if not hosts.is_first():
        session.files[step] = []
        return
    session.log.flush()
    index = jax.tree.map(np.array, session.store.index)
    names, games = ([], None) if games is None else _save_play(session, step, index, games)
    record = {
        "counters": dataclasses.asdict(counters),
        "partial": dataclasses.asdict(session.so_far),
        "frames": names,
        "games": games,
    }
    tree = {"agent": stored(session.agent), "index": index}
    session.checkpoints.save(step, tree, record, score)
    session.files[step] = _files_of(record)
    session.saved_heads = index.head
    _tidy(session)


def stored(agent: AgentState) -> dict[str, Any]:
    """The agent's parts by their names on disk, which are those of version 0.1."""
    return {
        "world": agent.world,
        "target": agent.target,
        "heads": agent.reward_end,
        "policy": agent.policy,
        "probe": agent.probe,
    }


def with_stored(agent: AgentState, parts: dict[str, Any]) -> AgentState:
    """The agent with parts that `stored` named."""
    return agent.replace(**{"reward_end" if n == "heads" else n: parts[n] for n in parts})


def _save_play(session: Session, step: int, index, games) -> tuple[list[str], str]:
    """Write what is new in the replay, and the games in the middle of play; the names of all shards
    needed, and of the games.
    """
    folder = session.folder / "replay"
    names = disk.still_needed(folder, _frames_before(session), index)
    names.append(
        disk.write_shard(folder, step, index, local(session.store.frames), session.saved_heads)
    )
    write_npz(folder / f"games-{step}.npz", games, compress=True)
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
    session.files = {
        step: names
        for step, names in session.files.items()
        if step == newest or (folder / str(step)).exists()
    }
    disk.remove_orphans(
        session.folder / "replay", {name for names in session.files.values() for name in names}
    )


def restore(session: Session) -> None:
    """Bring the session to its last checkpoint, if there is one."""
    steps = session.checkpoints.steps()
    if not steps:
        return
    session.files = {}
    for step in steps[:-1]:
        record = session.checkpoints.record(step)
        session.files[step] = _files_of(record)
    check_actions(session.checkpoints, steps[-1], session.agent, session.env.name)
    template = {"agent": stored(session.agent), "index": session.store.index}
    tree, record = session.checkpoints.restore(template)
    session.files[steps[-1]] = _files_of(record)
    restored = with_stored(session.agent, jax.tree.map(jnp.asarray, tree["agent"]))
    session.agent = replicate(restored, session.store.mesh)
    if not session.static:
        folder, size = session.folder / "replay", int(np.prod(session.agent.spec.frame_shape))
        session.store.load(
            tree["index"], disk.read_shards(folder, record["frames"], tree["index"], size)
        )
        anew = session.players.restore(_read_games(folder / record["games"]))
        if anew.any():
            session.store.cut(anew)
    session.counters = Counters(**record["counters"])
    session.so_far = EpochSoFar.from_record(record["partial"])
    session.saved_heads = np.array(tree["index"].head)


def check_actions(checkpoints: Checkpoints, step: int, agent: AgentState, game: str) -> None:
    """Refuse a checkpoint of a game with another number of actions than `agent` is made for.

    Raises:
      UserError: the numbers differ, or the checkpoint is damaged.
    """
    bias = checkpoints.declared(step).get(("agent", "policy", "params", "actor_linear", "bias"))
    if bias is not None and tuple(bias.shape) != (agent.spec.num_actions,):
        raise UserError(
            f"the run in {checkpoints.folder.parent} was trained with {bias.shape[0]} actions, and "
            f"{game} has {agent.spec.num_actions} now: give the game its actions back, or begin a "
            "new run with another --run-dir"
        )


def _read_games(path: Path) -> dict[str, np.ndarray]:
    try:
        return read_npz(path)
    except (OSError, UserError) as error:
        raise UserError(
            f"{path} is missing or damaged ({error}): restore it, or remove the "
            "checkpoints that need it"
        ) from error


def restore_agent(
    run_dir: str | Path, config: JediConfig, env, which: Literal["last", "best"] = "last"
) -> tuple[AgentState, int]:
    """Only the agent of a run, and the environment steps it has seen; a training under way there
    is not disturbed. A folder with an exported agent has no checkpoints, only that one.

    Args:
      run_dir, config, env: the run, its configuration and its game.
      which: the last checkpoint, or the best evaluated one. The best of many small evaluations is a
        lucky one: for scores to report, take the last.

    Raises:
      UserError: there is no checkpoint (none that was evaluated, for "best"), or it is damaged.
    """
    if (resolve_path(run_dir) / exported.FILE).exists():
        return exported.read_agent(resolve_path(run_dir), fresh_agent(config, env))
    folder = resolve_path(run_dir) / "checkpoints"
    checkpoints = Checkpoints(folder, read_only=True) if folder.exists() else None
    if checkpoints is None or not checkpoints.steps():
        raise UserError(f"{run_dir} has no checkpoint yet: let the training reach its first one")
    step = checkpoints.best() if which == "best" else None
    if which == "best" and step is None:
        raise UserError(
            f"{run_dir} has no evaluated checkpoint yet: leave out --checkpoint best, which then "
            "takes the last one"
        )
    fresh = fresh_agent(config, env)
    check_actions(checkpoints, step or checkpoints.steps()[-1], fresh, env.name)
    template = {"agent": stored(fresh), "index": init_index(config.replay, config.game.num_envs)}
    tree, record = checkpoints.restore(template, step)
    checkpoints.close()
    agent = with_stored(fresh, jax.tree.map(jnp.asarray, tree["agent"]))
    return agent, record["counters"]["env_steps"]


class Runs(NamedTuple):
    """Runs of one game: their common settings, and their agents by name."""

    config: JediConfig
    """Configuration of the first run."""
    env: JaxEnv | HostEnv
    make_env: MakeEnv
    agents: dict[str, AgentState]
    env_steps: dict[str, int]
    """Environment steps that each has seen."""


def open_runs(run_dirs: Sequence[str | Path], make_env: MakeEnv | None = None) -> Runs:
    """The last checkpoints of runs of the same game with frames of the same size.

    `make_env` makes the game, if the runs' `config.env` cannot name it.

    Raises:
      UserError: none is given, one is given twice, or they are of different games or frame sizes.
    """
    if not run_dirs:
        raise UserError("name at least one run with --run-dir")
    configs = {name: read_config_as(JediConfig, folder) for name, folder in named(run_dirs).items()}
    (first, config), *others = configs.items()
    for name, other in others:
        if other.env != config.env:
            raise UserError(
                f"{first} plays {config.env} and {name} plays {other.env}: only runs of one game "
                "can be compared"
            )
        if other.game.frame_size != config.game.frame_size:
            sizes = (
                f"{config.game.frame_size} pixels in {first} and {other.game.frame_size} in {name}"
            )
            raise UserError(
                f"frames have {sizes}: only runs with frames of one size can be compared"
            )
    make_env = make_env or (lambda: make_game(config))
    env = make_env()
    restored = {
        name: restore_agent(folder, configs[name], env) for name, folder in named(run_dirs).items()
    }
    agents = {name: agent for name, (agent, _) in restored.items()}
    return Runs(
        config, env, make_env, agents, {name: steps for name, (_, steps) in restored.items()}
    )


def named(run_dirs: Sequence[str | Path]) -> dict[str, Path]:
    """Folders by their last name, or by their whole path where last names are not unique."""
    folders = [resolve_path(folder) for folder in run_dirs]
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names) or not all(names):
        names = [str(folder) for folder in folders]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"--run-dir {name} is given twice: name each run once")
    return dict(zip(names, folders, strict=True))


def draws_pictures(agent: AgentState) -> bool:
    """Return True if `decode` gives pictures: in mode "jedi" the probe must have been trained,
    other modes have their own decoder.
    """
    return agent.spec.config.mode != "jedi" or int(agent.probe.updates) > 0


def need_pictures(agents: dict[str, AgentState]) -> None:
    """Refuse runs whose latents cannot be shown."""
    for name, agent in agents.items():
        if not draws_pictures(agent):
            raise UserError(
                f"{name} was trained without the probe decoder (its probe updates are 0), so its "
                "latents cannot be shown: train "
                "with --schedule.per-epoch.probe above 0"
            )
