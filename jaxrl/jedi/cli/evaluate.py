"""The command `evaluate`: play whole games with the policy of a run."""

import json
from pathlib import Path
from typing import Any, Literal

import jax

from jaxrl.app.errors import UserError
from jaxrl.app.files import write_atomic
from jaxrl.app.progress import Progress
from jaxrl.envs.protocol import JaxEnv, MakeEnv
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.play.evaluate import (
    EVALUATION_LANES,
    play_games_at_once,
    play_host_games,
    summarize,
)
from jaxrl.jedi.play.game import make_game
from jaxrl.jedi.training.checkpoints import restore_agent


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
        raise UserError(f"--episodes is {episodes}: at least 1 game must be played")
    if out is not None and not out.absolute().parent.is_dir():
        raise UserError(f"--out {out} lies in a folder that does not exist: make it first")
    make_env = make_env or (lambda: make_game(config))
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
        write_atomic(
            out,
            json.dumps(summary | {"returns": [float(r) for r in returns], "seed": seed}, indent=2)
            + "\n",
        )
    return summary
