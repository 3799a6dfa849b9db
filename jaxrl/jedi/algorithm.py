"""START HERE: the algorithm of JEDI, line by line as in the papers' boxes.

    run_epoch            all learning of an epoch: world model, rewards, gate, policy, probe
    play_and_learn       one epoch with its play, for games in pure JAX
    run_epochs           a whole training run as one compiled program
    run_epochs_of_seeds  several of them in the same program

The updates themselves are in learn/, play in play/, what the policy sees in imagination.py. The
training loop for any game, with checkpoints and monitors, is training/loop.py;
`train --program run` (training/whole_runs.py) runs `run_epochs_of_seeds`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxrl.envs.protocol import JaxEnv
from jaxrl.jedi.agent import AgentState
from jaxrl.jedi.config import GateConfig
from jaxrl.jedi.learn.gate import GateResult, draw_endings, passes, run_gate
from jaxrl.jedi.learn.loops import PHASES, UpdateStats, phases_of, purpose_key, run_phase
from jaxrl.jedi.play.collect import Exploration, Games, Players, play, sound
from jaxrl.replay import buffer
from jaxrl.replay.buffer import Replay
from jaxrl.train.parallel import over_members


class Counts(NamedTuple):
    """Updates of each kind in an epoch; ints, or int32 scalars under jit."""

    world_model: int | jax.Array
    reward_end: int | jax.Array
    behavior: int | jax.Array
    probe: int | jax.Array
    at_opening: int | jax.Array
    """Updates of behavior in the epoch in which the gate opens."""


@flax.struct.dataclass
class Run:
    """A run between two epochs."""

    agent: AgentState
    replay: Replay
    epoch: jax.Array | int
    """int32 scalar, number of the epoch that is due."""
    is_open: jax.Array | bool
    """bool scalar, the gate is open; then it stays so."""
    players: Players | None = None
    """The games in the middle of play; None if they are played outside JAX."""
    env_steps: jax.Array | int = 0
    """int32 scalar, steps played so far in all games together."""


@dataclass(frozen=True)
class EpochPlan:
    """Settings of every epoch of a program; static under jit."""

    gate: GateConfig
    steps: int
    """Steps in every game; 0 for epochs without play."""
    explore: Exploration = Exploration(0.01)


class EpochRecord(NamedTuple):
    """Results of one epoch."""

    tallies: dict[str, UpdateStats]
    """By phase."""
    gate: GateResult
    is_open: jax.Array
    """bool scalar, the gate is open after this epoch's test."""
    games: Games | None = None
    """The games that finished; None without play."""
    play_sound: jax.Array | bool = True
    """bool scalar, every step was `sound`; what was learned from others is worth nothing."""


def run_epoch(
    run: Run,
    epoch_key: jax.Array,
    counts: Counts,
    gate: GateConfig,
    mesh: Mesh | None = None,
    axis_name: str | None = None,
) -> tuple[Run, EpochRecord]:
    """All learning of an epoch in one program: world model, rewards and ends, gate, policy, probe.

    Args:
      run: the run so far, its play of this epoch in the replay.
      epoch_key: all randomness of the epoch.
      counts: updates of each kind.
      gate: thresholds (static).
      mesh, axis_name: devices that share every batch, under jit or under pmap.

    Returns:
      The run after the epoch, and what the epoch amounted to.
    """
    agent, replay, tallies = run.agent, run.replay, {}

    def learn(name, agent, count):
        return run_phase(
            PHASES[name], agent, replay, epoch_key, jnp.int32(0), count, mesh, axis_name
        )

    agent, tallies["world_model"] = learn("world_model", agent, counts.world_model)
    agent, tallies["reward_end"] = learn("reward_end", agent, counts.reward_end)
    result = run_gate_on_replay(agent, replay, gate, epoch_key)
    now_open = run.is_open | passes(result, gate) | (run.epoch >= gate.latest_epoch)
    count = jnp.where(run.is_open, counts.behavior, counts.at_opening)
    agent, tallies["behavior"] = learn("behavior", agent, jnp.where(now_open, count, 0))
    if "probe" in phases_of(agent.spec.config):
        agent, tallies["probe"] = learn("probe", agent, counts.probe)
    after = run.replace(agent=agent, epoch=run.epoch + 1, is_open=now_open)
    return after, EpochRecord(tallies, result, now_open)


def run_gate_on_replay(
    agent: AgentState, replay: Replay, gate: GateConfig, epoch_key: jax.Array
) -> GateResult:
    """The gate's test on endings from a replay on the device.

    Args:
      agent: the agent whose imagination is tested.
      replay: its replay, frames on the device.
      gate: number and length of the segments (static under jit).
      epoch_key: key of the epoch; the purpose "gate" has a key of its own.

    Returns:
      The measures; all 0 if no episode has ended yet.
    """
    key_draw, key_gate = jax.random.split(purpose_key(epoch_key, "gate"))
    draw, usable = draw_endings(replay.index, gate, agent.spec.config.context, key_draw)
    return run_gate(agent, buffer.gather(replay, draw), usable, key_gate)


def play_and_learn(
    env: JaxEnv, plan: EpochPlan, run: Run, epoch_key: jax.Array, counts: Counts
) -> tuple[Run, EpochRecord]:
    """One epoch: `plan.steps` steps in every game, into the replay, then all learning.

    Args:
      env, plan: the game and the settings of epochs (static under jit).
      run: the run so far.
      epoch_key: all randomness of the epoch.
      counts: updates of each kind.

    Returns:
      The run after the epoch, and what the epoch amounted to.
    """
    if plan.steps == 0:
        return run_epoch(run, epoch_key, counts, plan.gate)
    key = jax.random.fold_in(purpose_key(epoch_key, "collect"), run.env_steps)
    players, chunk, games = play(env, run.agent, run.players, key, plan.steps, plan.explore)
    run = run.replace(
        players=players,
        replay=buffer.append(run.replay, chunk),
        env_steps=run.env_steps + chunk.action.size,
    )
    run, record = run_epoch(run, epoch_key, counts, plan.gate)
    return run, record._replace(games=games, play_sound=sound(chunk, games.finished).all())


def run_epochs(
    env: JaxEnv, plan: EpochPlan, epochs: int, run: Run, key: jax.Array, counts: Counts
) -> tuple[Run, EpochRecord]:
    """`epochs` epochs of `play_and_learn` in one scan: a whole training run as a single program.

    jit with `static_argnums=(0, 1, 2)`. The replay must already hold an episode (random play).

    Args:
      env, plan, epochs: see `play_and_learn` (static).
      run: at its beginning.
      key: of the run; that of an epoch is made from it and the epoch's number.
      counts: updates of each kind in every epoch.

    Returns:
      The run at its end, and the records of the epochs (leading axis `epochs`).
    """

    def body(run, _):
        return play_and_learn(env, plan, run, jax.random.fold_in(key, run.epoch), counts)

    return jax.lax.scan(body, run, None, epochs)


def run_epochs_of_seeds(
    env: JaxEnv, plan: EpochPlan, epochs: int, runs: Run, keys: jax.Array, counts: Counts
) -> tuple[Run, EpochRecord]:
    """`run_epochs` for several seeds in the same program, games included: `runs` and `keys` have a
    leading axis of seeds, and so have the results.

    See `jaxrl.train.parallel.over_members`: at once on accelerators, in turn on CPUs.

    Args:
      env, plan, epochs: the game, the settings of epochs and their number (static under jit).
      runs: S runs so far, every leaf with leading axis S.
      keys: `[S]`, all randomness of the runs.
      counts: updates of each kind in an epoch, the same for all seeds.

    Returns:
      The runs afterwards, `[S, ...]`, and the records of all epochs, `[S, epochs, ...]`.
    """

    def one(run, key):
        return run_epochs(env, plan, epochs, run, key, counts)

    return over_members(one)(runs, keys)
