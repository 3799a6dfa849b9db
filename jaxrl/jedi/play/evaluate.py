"""Whole games with the learned policy: sampled actions, no random ones, real game over (a lost life
does not end a game).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.atari100k import human_normalized
from jaxrl.envs.make import make
from jaxrl.envs.protocol import HostEnv, JaxEnv
from jaxrl.jedi.agent import AgentState, Observation, act, policy_memory
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.play.collect_host import act_on_device
from jaxrl.jedi.training.checkpoints import restore_agent
from jaxrl.jedi.training.run import MakeEnv
from jaxrl.train.errors import Refusal
from jaxrl.train.progress import Progress
from jaxrl.train.rundir import write_atomically


def play_games(
    env: JaxEnv, agent: AgentState, key: jax.Array, episodes: int, max_steps: int
) -> tuple[jax.Array, jax.Array]:
    """`episodes` games at once in one program: returns and lengths, float32 and int32 `[episodes]`.
    jit with static counts.

    The policy's memory is cleared at a lost life, as in training.
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
    tick: Callable[[int], None] = lambda n: None,
    stop: object = False,
) -> tuple[np.ndarray, np.ndarray] | None:
    """The same for games outside JAX, as many at a time as there are `envs`.

    `tick` is called with 1 for every finished game. Returns None if `stop` becomes true before the
    last is over.
    """
    seeds = np.random.default_rng(np.asarray(jax.random.key_data(key))).integers(
        2**31 - 1, size=episodes
    )
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
            if stop:
                return None
            key_step = jax.random.fold_in(jax.random.fold_in(key, begin), t)
            memory, choice = act_on_device(agent, Observation(memory, frame, first), key_step)
            actions = np.asarray(choice["action"])
            for lane in np.flatnonzero(playing):
                after = envs[lane].step(int(actions[lane]))
                frame[lane], first[lane] = after.frame, after.end or after.trunc
                totals[begin + lane] += after.reward
                lengths[begin + lane] += 1
                if after.game_over:
                    playing[lane] = False
                    tick(1)
            if not playing.any():
                break
        tick(int(playing.sum()))
    return totals, lengths


def summarize(
    game: str, returns: np.ndarray, lengths: np.ndarray, max_steps: int
) -> dict[str, Any]:
    """Mean, standard deviation and extremes of the returns, mean length, and the human-normalised
    score of an Atari 100k game.

    "cut" is how many games were cut after `max_steps`; their returns count as they stood.
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


def evaluate_run(
    run_dir: Path,
    config: JediConfig,
    episodes: int,
    seed: int = 0,
    which: Literal["last", "best"] = "last",
    out: Path | None = None,
    make_env: MakeEnv | None = None,
) -> dict[str, Any]:
    """The command `evaluate`: the summary of `episodes` games, and "env_steps" of the training
    before.

    Args:
      run_dir, config: the run and its configuration.
      episodes, seed: how many games, and what fixes them.
      which: the last or the best evaluated checkpoint.
      out: a JSON file for the summary and every single return.
      make_env: makes the game, if `config.env` cannot name it.
    """
    if episodes < 1:
        raise Refusal(f"--episodes is {episodes}: at least 1 game must be played")
    if out is not None and not out.absolute().parent.is_dir():
        raise Refusal(f"--out {out} lies in a folder that does not exist: make it first")
    make_env = make_env or (lambda: make(config.env, config.game.frame_size))
    env = make_env()
    agent, env_steps = restore_agent(run_dir, config, env, which)
    key, limit = jax.random.key(seed), config.evaluation.max_steps
    if isinstance(env, JaxEnv):
        returns, lengths = jax.device_get(play_games_at_once(env, agent, key, episodes, limit))
    else:
        envs = [env, *(make_env() for _ in range(EVALUATION_LANES - 1))]
        with Progress("evaluation", episodes) as bar:
            returns, lengths = play_host_games(envs, agent, key, episodes, limit, bar.advance)
    summary = summarize(env.name, returns, lengths, limit) | {"env_steps": env_steps}
    if out is not None:
        write_atomically(
            out,
            json.dumps(summary | {"returns": [float(r) for r in returns], "seed": seed}, indent=2)
            + "\n",
        )
    return summary
