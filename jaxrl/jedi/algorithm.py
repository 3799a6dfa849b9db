"""START HERE: the algorithm of JEDI, line by line as in the papers' boxes.

    run_epoch            all learning of an epoch: world model, rewards, gate, policy, probe
    play_and_learn       one epoch with its play, for games in pure JAX
    run_epochs           a whole training run as one compiled program
    run_epochs_of_seeds  several of them in the same program

The updates themselves are in learn/, play in play/, what the policy sees in imagination.py. The
training loop for any game, with checkpoints and monitors, is training/loop.py.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxrl.envs.protocol import JaxEnv
from jaxrl.jedi.agent import AgentState
from jaxrl.jedi.config import GateConfig
from jaxrl.jedi.learn.gate import GateResult, draw_endings, passes, run_gate
from jaxrl.jedi.learn.loops import PHASES, UpdateStats, phases_of, purpose_key, run_phase
from jaxrl.jedi.play.collect import Games, Players, play
from jaxrl.replay import buffer
from jaxrl.replay.buffer import Replay
from jaxrl.train.parallel import over_members


class Counts(NamedTuple):
    """Updates of each kind in an epoch; ints, or int32 scalars under jit."""

    world_model: int
    heads: int
    behaviour: int
    probe: int


def run_epoch(
    agent: AgentState,
    replay: Replay,
    epoch_key: jax.Array,
    counts: Counts,
    gate: GateConfig,
    is_open: jax.Array,
    at_opening: jax.Array,
    mesh: Mesh | None = None,
    axis_name: str | None = None,
) -> tuple[AgentState, dict[str, UpdateStats], GateResult, jax.Array]:
    """All learning of an epoch in one program: world model, heads, the gate, behaviour, probe.

    Args:
      counts: updates of each kind.
      gate: thresholds (static).
      is_open: bool scalar, the gate was open before; then it stays so.
      at_opening: updates of behaviour if it opens now.

    Returns:
      The agent, tallies by phase, what the gate saw, and whether it is open.
    """

    def run(name, agent, count):
        return run_phase(
            PHASES[name], agent, replay, epoch_key, jnp.int32(0), count, mesh, axis_name
        )

    tallies = {}
    agent, tallies["world_model"] = run("world_model", agent, counts.world_model)
    agent, tallies["heads"] = run("heads", agent, counts.heads)
    gate_result = run_gate_on_replay(agent, replay, gate, epoch_key)
    now_open = is_open | passes(gate_result, gate)
    count = jnp.where(now_open, jnp.where(is_open, counts.behaviour, at_opening), 0)
    agent, tallies["behaviour"] = run("behaviour", agent, count)
    if "probe" in phases_of(agent.spec.config):
        agent, tallies["probe"] = run("probe", agent, counts.probe)
    return agent, tallies, gate_result, now_open


def run_gate_on_replay(
    agent: AgentState, replay: Replay, gate: GateConfig, epoch_key: jax.Array
) -> GateResult:
    """The gate's test on endings from a replay on the device."""
    key_draw, key_gate = jax.random.split(purpose_key(epoch_key, "judge"))
    draw, usable = draw_endings(replay.index, gate, agent.spec.config.context, key_draw)
    return run_gate(agent, buffer.gather(replay, draw), usable, key_gate)


def play_and_learn(
    env: JaxEnv,
    agent: AgentState,
    players: Players,
    replay: Replay,
    epoch_key: jax.Array,
    counts: Counts,
    gate: GateConfig,
    is_open: jax.Array,
    at_opening: jax.Array,
    steps: int,
    epsilon: jax.Array,
) -> tuple[AgentState, Players, Replay, dict[str, UpdateStats], GateResult, jax.Array, Games]:
    """One epoch: `steps` steps in every game, into the replay, then all learning.

    Args:
      env: the game (static under jit).
      agent, players, replay: the run so far.
      epoch_key: all randomness of the epoch.
      counts, gate, is_open, at_opening: see `run_epoch`; `gate` is static.
      steps: per game (static).
      epsilon: share of random actions.

    Returns:
      The run after the epoch, what the learning amounted to, what the gate saw, whether it is open,
      and the finished games.
    """
    players, chunk, games = play(
        env, agent, players, purpose_key(epoch_key, "collect"), steps, epsilon
    )
    replay = buffer.append(replay, chunk)
    agent, tallies, gate_result, is_open = run_epoch(
        agent, replay, epoch_key, counts, gate, is_open, at_opening
    )
    return agent, players, replay, tallies, gate_result, is_open, games


def run_epochs(
    env: JaxEnv,
    agent: AgentState,
    players: Players,
    replay: Replay,
    key: jax.Array,
    counts: Counts,
    gate: GateConfig,
    at_opening: int,
    steps: int,
    epochs: int,
    epsilon: float = 0.01,
) -> tuple[AgentState, Players, Replay, GateResult, Games]:
    """`epochs` epochs of `play_and_learn` in one scan: a whole training run as a single program.

    jit with `static_argnames=("env", "gate", "steps", "epochs")`. The replay must already hold an
    episode (random play).

    Returns:
      The run at its end, and for every epoch what the gate saw and which games finished (leading
      axis `epochs`).
    """
    epoch = partial(play_and_learn, env)

    def body(carry, number):
        agent, players, replay, is_open = carry
        epoch_key = jax.random.fold_in(key, number)
        agent, players, replay, _, gate_result, is_open, games = epoch(
            agent,
            players,
            replay,
            epoch_key,
            counts,
            gate,
            is_open,
            jnp.int32(at_opening),
            steps,
            jnp.float32(epsilon),
        )
        return (agent, players, replay, is_open), (gate_result, games)

    carry = (agent, players, replay, jnp.bool_(False))
    (agent, players, replay, _), (gate_result, games) = jax.lax.scan(
        body, carry, jnp.arange(epochs)
    )
    return agent, players, replay, gate_result, games


def run_epochs_of_seeds(
    env: JaxEnv,
    agents: AgentState,
    players: Players,
    replays: Replay,
    keys: jax.Array,
    counts: Counts,
    gate: GateConfig,
    at_opening: int,
    steps: int,
    epochs: int,
    epsilon: float = 0.01,
    how: str = "auto",
) -> tuple[AgentState, Players, Replay, GateResult, Games]:
    """`run_epochs` for several seeds in the same program, games included: every state and `keys`
    have a leading axis of seeds.

    jit with `static_argnames=("env", "gate", "steps", "epochs", "how")`; `how` as in
    `jaxrl.train.parallel.over_members`.
    """

    def one(*own):
        return run_epochs(env, *own, counts, gate, at_opening, steps, epochs, epsilon)

    return over_members(one, how)(agents, players, replays, keys)
