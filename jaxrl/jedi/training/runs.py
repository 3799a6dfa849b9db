"""Several runs of one game, opened side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxrl.envs.make import make
from jaxrl.envs.protocol import HostEnv, JaxEnv
from jaxrl.jedi.agent import AgentState
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.training.checkpoints import restore_agent
from jaxrl.jedi.training.run import MakeEnv
from jaxrl.train.config import from_dict
from jaxrl.train.errors import Refusal
from jaxrl.train.rundir import place, read_config


class Runs(NamedTuple):
    """What they have in common, and their agents by name."""

    config: JediConfig
    """Of the first."""
    env: JaxEnv | HostEnv
    make_env: MakeEnv
    agents: dict[str, AgentState]
    env_steps: dict[str, int]
    """Environment steps that each has seen."""


def open_runs(run_dirs: Sequence[str | Path], make_env: MakeEnv | None = None) -> Runs:
    """The last checkpoints of runs of the same game with frames of the same size.

    `make_env` makes the game, if the runs' `config.env` cannot name it.

    Raises:
      Refusal: none is given, one is given twice, or they are of different games or frame sizes.
    """
    if not run_dirs:
        raise Refusal("name at least one run with --run-dir")
    configs = {
        name: from_dict(JediConfig, read_config(folder)) for name, folder in named(run_dirs).items()
    }
    (first, config), *others = configs.items()
    for name, other in others:
        if other.env != config.env:
            raise Refusal(
                f"{first} plays {config.env} and {name} plays {other.env}: only runs of one game "
                "can be compared"
            )
        if other.game.frame_size != config.game.frame_size:
            sizes = (
                f"{config.game.frame_size} pixels in {first} and {other.game.frame_size} in {name}"
            )
            raise Refusal(f"frames have {sizes}: only runs with frames of one size can be compared")
    make_env = make_env or (lambda: make(config.env, config.game.frame_size))
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
    folders = [place(folder) for folder in run_dirs]
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names) or not all(names):
        names = [str(folder) for folder in folders]
    for name in names:
        if names.count(name) > 1:
            raise Refusal(f"--run-dir {name} is given twice: name each run once")
    return dict(zip(names, folders, strict=True))


def draws_pictures(agent: AgentState) -> bool:
    """Whether `decode` gives pictures: the probe of mode "jedi" must have been trained; other modes
    have their own decoder.
    """
    return agent.spec.config.mode != "jedi" or int(agent.probe.updates) > 0


def need_pictures(agents: dict[str, AgentState]) -> None:
    """Refuse runs whose latents cannot be shown."""
    for name, agent in agents.items():
        if not draws_pictures(agent):
            raise Refusal(
                f"{name} was trained without the probe decoder (its probe updates are 0), so its "
                "latents cannot be shown: train "
                "with --schedule.steady.probe above 0"
            )
