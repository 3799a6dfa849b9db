"""The Slurm array covers every game and seed once, with commands that `train` takes."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from jaxrl.envs.atari100k import GAMES
from jaxrl.jedi.cli.options import Train, parse

SCRIPT = Path(__file__).parents[4] / "scripts" / "slurm" / "suite.sbatch"


def command(task: int, *more: str) -> list[str]:
    """The command of a task of the array."""
    env = os.environ | {"SLURM_ARRAY_TASK_ID": str(task), "DRY_RUN": "1", "OUT": "x"}
    done = subprocess.run(["bash", SCRIPT, *more], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_script_names_the_games_of_the_benchmark():
    listed = re.search(r"GAMES=\(([^)]*)\)", SCRIPT.read_text())[1].split()
    assert sorted(listed) == sorted(GAMES)
    assert "#SBATCH --array=0-129" in SCRIPT.read_text()  # 26 games, 5 seeds


@pytest.mark.parametrize(("task", "game", "seed"), [(0, "Alien", 0), (129, "UpNDown", 4)])
def test_a_task_is_a_training(task, game, seed):
    words = command(task, "--agent.precision", "float32")
    assert words[:3] == ["python", "-m", "jaxrl.jedi"]
    found = parse(words[3:])
    assert isinstance(found, Train) and (found.config.env, found.config.seed) == (game, seed)
    assert found.run_dir == f"x/{game}/seed{seed}" and found.distributed == "off"
    assert found.config.agent.precision == "float32"


def test_it_is_not_started_by_hand():
    env = {name: value for name, value in os.environ.items() if name != "SLURM_ARRAY_TASK_ID"}
    done = subprocess.run(["bash", SCRIPT], env=env, capture_output=True, text=True)
    assert done.returncode != 0 and "start this script with sbatch" in done.stderr
