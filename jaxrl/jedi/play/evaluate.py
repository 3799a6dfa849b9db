"""Whole games with the learned policy: sampled actions, no random ones, real game over (a lost life
does not end a game).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.atari100k import human_normalized
from jaxrl.envs.checks import checked
from jaxrl.envs.protocol import HostEnv, JaxEnv
from jaxrl.jedi.agent import AgentState, Observation, act, policy_memory
from jaxrl.jedi.play.collect import act_on_device


def play_games(
    env: JaxEnv, agent: AgentState, key: jax.Array, episodes: int, max_steps: int
) -> tuple[jax.Array, jax.Array]:
    """`episodes` games at once in one program: returns and lengths, float32 and int32 `[episodes]`.
    jit with static counts.

    The policy's memory is cleared at a lost life, as in training.

    Args:
      env: the game.
      agent: the agent whose policy plays.
      key: PRNG key of games and policy.
      episodes: number of games, at least 1.
      max_steps: steps after which a game is cut.
    """
    key_reset, key_play = jax.random.split(key)
    env_state, frame = jax.vmap(env.reset)(jax.random.split(key_reset, episodes))
    memory = policy_memory(agent.spec, (episodes,))

    def going(carry):
        t, *_, over = carry
        return (t < max_steps) & ~over.all()

    def step(carry):
        t, env_state, frame, first, memory, total, length, over = carry
        key_act, key_step = jax.random.split(jax.random.fold_in(key_play, t))
        memory, choice = act(agent, Observation(memory, frame, first), key_act)
        env_state, after = jax.vmap(env.step)(
            env_state, choice["action"], jax.random.split(key_step, episodes)
        )
        total, length = total + jnp.where(over, 0.0, after.reward), length + ~over
        return (
            t + 1,
            env_state,
            after.frame,
            after.end | after.trunc,
            memory,
            total,
            length,
            over | after.game_over,
        )

    never = jnp.zeros(episodes, bool)
    carry = (
        jnp.int32(0),
        env_state,
        frame,
        ~never,
        memory,
        jnp.zeros(episodes),
        jnp.zeros(episodes, jnp.int32),
        never,
    )
    *_, total, length, _ = jax.lax.while_loop(going, step, carry)
    return total, length


play_games_at_once = jax.jit(play_games, static_argnums=(0, 3, 4))

EVALUATION_LANES = 4
"""Games outside JAX that are played at a time; always as many, so that the policy is compiled once.
"""


def play_host_games(
    envs: list[HostEnv],
    agent: AgentState,
    key: jax.Array,
    episodes: int,
    max_steps: int,
    tick: Callable[[int], bool | None] = lambda n: None,
) -> tuple[np.ndarray, np.ndarray] | None:
    """The same for games outside JAX, as many at a time as there are `envs`.

    The result is None if `tick` returns True before the last is over.

    Args:
      envs: at least one, all of the same game.
      agent: the agent whose policy plays.
      key: PRNG key of games and policy.
      episodes: number of games, at least 1.
      max_steps: steps after which a game is cut.
      tick: is called after every step with the number of games that it finished.

    Returns:
      The games' returns, float32 `[episodes]`, and lengths, int32 `[episodes]`; or None.
    """
    seeds = np.random.default_rng(np.asarray(jax.random.key_data(key))).integers(
        2**31 - 1, size=episodes
    )
    envs = [checked(env) for env in envs]
    totals, lengths = np.zeros(episodes, np.float32), np.zeros(episodes, np.int32)
    for begin in range(0, episodes, len(envs)):
        batch = range(begin, min(begin + len(envs), episodes))
        lanes = len(
            envs
        )  # one shape, so that the policy is compiled once; idle lanes see black frames
        frame = np.zeros((lanes, *envs[0].frame_shape), np.uint8)
        for lane, game in enumerate(batch):
            frame[lane] = envs[lane].reset(int(seeds[game]))
        first, memory = np.ones(lanes, bool), policy_memory(agent.spec, (lanes,))
        playing = np.arange(lanes) < len(batch)
        for t in range(max_steps):
            key_step = jax.random.fold_in(jax.random.fold_in(key, begin), t)
            memory, choice = act_on_device(agent, Observation(memory, frame, first), key_step)
            actions, active = np.asarray(choice["action"]), int(playing.sum())
            for lane in np.flatnonzero(playing):
                after = envs[lane].step(int(actions[lane]))
                frame[lane], first[lane] = after.frame, after.end or after.trunc
                totals[begin + lane] += after.reward
                lengths[begin + lane] += 1
                playing[lane] = not after.game_over and t + 1 < max_steps
            if tick(active - int(playing.sum())) and (playing.any() or batch[-1] + 1 < episodes):
                return None
            if not playing.any():
                break
    return totals, lengths


def summarize(
    game: str, returns: np.ndarray, lengths: np.ndarray, max_steps: int
) -> dict[str, Any]:
    """Mean, standard deviation and extremes of the returns, mean length, and the human-normalized
    score of an Atari 100k game.

    "cut" is how many games were cut after `max_steps`; their returns count as they stood.

    Args:
      game: name of the game; only Atari 100k games have a human-normalized score.
      returns: float `[episodes]`, sums of raw rewards.
      lengths: int `[episodes]`, steps.
      max_steps: steps after which games were cut.

    Returns:
      "return", "std", "min", "max", "episodes", "length", "cut", and "human_normalized" if there is
      one.
    """
    returns = np.asarray(returns, np.float64)
    summary = {
        "return": float(returns.mean()),
        "std": float(returns.std()),
        "min": float(returns.min()),
        "max": float(returns.max()),
        "episodes": len(returns),
        "length": float(np.mean(lengths)),
        "cut": int(np.sum(np.asarray(lengths) >= max_steps)),
    }
    score = human_normalized(game, summary["return"])
    return summary if score is None else {**summary, "human_normalized": score}
