"""The command `evaluate`: play whole games with the policy of a run."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax

from jaxrl.app.errors import UserError
from jaxrl.app.files import write_atomic
from jaxrl.app.progress import Progress
from jaxrl.envs.protocol import JaxEnv, MakeEnv
from jaxrl.envs.single import as_host
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.diagnostics.open_loop import play_game
from jaxrl.jedi.play.evaluate import (
    EVALUATION_LANES,
    play_games_at_once,
    play_host_games,
    summarize,
)
from jaxrl.jedi.play.game import make_game
from jaxrl.jedi.report.video import check_video, write_video
from jaxrl.jedi.training.checkpoints import restore_agent


@dataclass(frozen=True)
class EvaluateConfig:
    """Games to play with the policy of a run, and where to write them."""

    episodes: int = 100
    """Games."""
    seed: int = 0
    """Seed of the games and the policy's choices."""
    checkpoint: Literal["last", "best"] = "last"
    """The last one, or the best evaluated one. The best of many small evaluations is a lucky one:
    report the last.
    """
    out: Path | None = None
    """Also write every return and the summary to this JSON file."""
    video: Path | None = None
    """Also play one more game of that seed and write it as a .mp4 (extra `video`) or .gif."""


def evaluate_run(
    run_dir: str | Path, config: JediConfig, games: EvaluateConfig, make_env: MakeEnv | None = None
) -> dict[str, Any]:
    """The command `evaluate`: the summary of some games, and "env_steps" of the training before.

    Args:
      run_dir, config: the run and its configuration.
      games: how many, and what to write.
      make_env: makes the game, if `config.env` cannot name it.
    """
    episodes, out = games.episodes, games.out
    if episodes < 1:
        raise UserError(f"--episodes is {episodes}: at least 1 game must be played")
    if out is not None and not out.absolute().parent.is_dir():
        raise UserError(f"--out {out} lies in a folder that does not exist: make it first")
    if games.video is not None:
        check_video(games.video)
    make_env = make_env or (lambda: make_game(config))
    env = make_env()
    agent, env_steps = restore_agent(run_dir, config, env, games.checkpoint)
    key, limit = jax.random.key(games.seed), config.evaluation.max_steps
    if isinstance(env, JaxEnv):
        returns, lengths = jax.device_get(play_games_at_once(env, agent, key, episodes, limit))
    else:
        envs = [env, *(make_env() for _ in range(EVALUATION_LANES - 1))]
        with Progress("evaluation", episodes) as bar:
            returns, lengths = play_host_games(envs, agent, key, episodes, limit, bar.advance)
    summary = summarize(env.name, returns, lengths, limit) | {"env_steps": env_steps}
    if games.video is not None:
        shown = play_game(agent, as_host(make_env()), games.seed, limit)
        write_video(shown.frame, games.video)
    if out is not None:
        write_atomic(
            out,
            json.dumps(
                summary | {"returns": [float(r) for r in returns], "seed": games.seed}, indent=2
            )
            + "\n",
        )
    return summary
