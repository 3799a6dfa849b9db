"""The whole loop inside one jitted program, for games in pure JAX: play, store, learn; the host
only starts it.
"""

from functools import partial

import jax
import jax.numpy as jnp

from jaxrl.envs.protocol import JaxEnv
from jaxrl.jedi.agent import AgentState
from jaxrl.jedi.config import GateConfig
from jaxrl.jedi.learn.gate import Judgement
from jaxrl.jedi.learn.loops import Counts, Tally, purpose_key, run_epoch
from jaxrl.jedi.play.collect import Games, Players, play
from jaxrl.replay import buffer
from jaxrl.replay.buffer import Replay
from jaxrl.train.parallel import over_members


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
) -> tuple[AgentState, Players, Replay, dict[str, Tally], Judgement, jax.Array, Games]:
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
    agent, tallies, judgement, is_open = run_epoch(
        agent, replay, epoch_key, counts, gate, is_open, at_opening
    )
    return agent, players, replay, tallies, judgement, is_open, games


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
) -> tuple[AgentState, Players, Replay, Judgement, Games]:
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
        agent, players, replay, _, judgement, is_open, games = epoch(
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
        return (agent, players, replay, is_open), (judgement, games)

    carry = (agent, players, replay, jnp.bool_(False))
    (agent, players, replay, _), (judgement, games) = jax.lax.scan(body, carry, jnp.arange(epochs))
    return agent, players, replay, judgement, games


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
) -> tuple[AgentState, Players, Replay, Judgement, Games]:
    """`run_epochs` for several seeds in the same program, games included: every state and `keys`
    have a leading axis of seeds.

    jit with `static_argnames=("env", "gate", "steps", "epochs", "how")`; `how` as in
    `jaxrl.train.parallel.over_members`.
    """

    def one(*own):
        return run_epochs(env, *own, counts, gate, at_opening, steps, epochs, epsilon)

    return over_members(one, how)(agents, players, replays, keys)
