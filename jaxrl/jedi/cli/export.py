"""Export the agent of a run for others: `python -m jaxrl.jedi.cli.export RUN FOLDER`.

FOLDER then holds config.json and agent.safetensors, and can be named as --run-dir by evaluate,
imagine, horizon and play. With --games it also gets score.json, measured from the exported file.
"""

import argparse
import json
from pathlib import Path

from jaxrl.app.files import write_atomic
from jaxrl.jedi.cli.evaluate import EvaluateConfig, evaluate_run
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.play.game import make_game
from jaxrl.jedi.pretrained import SCORE
from jaxrl.jedi.training.checkpoints import restore_agent
from jaxrl.jedi.training.exported import write_agent
from jaxrl.train.rundir import read_config_as


def export(run: Path, folder: Path, games: int, seed: int) -> None:
    """Write the last checkpoint of a run into a folder, and play with what was written.

    Args:
      run: folder of the run.
      folder: folder to write; it is made.
      games: games to play with what was written, their mean return noted in the folder; 0 for none.
      seed: seed of these games.
    """
    config = read_config_as(JediConfig, run)
    agent, env_steps = restore_agent(run, config, make_game(config))
    file = write_agent(folder, agent, config, env_steps)
    print(f"{file}: {file.stat().st_size / 1e6:.2f} MB")
    if games:
        summary = evaluate_run(folder, config, EvaluateConfig(games, seed))
        summary |= {"seed": seed, "env": config.env}
        write_atomic(folder / SCORE, json.dumps(summary, indent=2) + "\n")
        print(f"mean return {summary['return']:.2f} over {games} games")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--games", type=int, default=30, help="0: no score.json")
    parser.add_argument("--seed", type=int, default=1000, help="of the games")
    options = parser.parse_args()
    export(options.run, options.folder, options.games, options.seed)


if __name__ == "__main__":
    main()
