"""Settings for learning from recorded episodes, its presets, and the configuration that the
shared loop works with.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from jaxrl.app.errors import UserError
from jaxrl.app.files import resolve_path
from jaxrl.jedi import config as jedi
from jaxrl.jedi import presets
from jaxrl.replay.episodes import room_for
from jaxrl.train.config import from_dict, to_dict
from jaxrl.train.rundir import naming, read_config, read_config_as, stored_config


@dataclass(frozen=True)
class OfflineConfig:
    """A run that learns from recorded episodes; no game is played."""

    data: str = ""
    """Folder of episode files (.npz, docs/your_data.md), or of a prepared tensorflow-datasets
    dataset in the RLDS form.
    """
    split: str = "train"
    """Split of an RLDS dataset."""
    observation: str = ""
    """The image among the observations of an RLDS dataset, if these are dictionaries."""
    frame_size: int | None = None
    """Side of the square frames, pixels; others are resized by area. Absent: as they are in the
    data.
    """
    num_actions: int | None = None
    """Number of actions. Absent: the one that actions.json of the data declares, else one more than
    the largest in the data.
    """
    held_out: float = 0.1
    """Share of the episodes (at least one) that nothing is learned from; the same ones whatever the
    seed.
    """
    seed: int = 0
    """Fixes all randomness of the run."""
    devices: int = 0
    """Devices that share every batch; 0 for all accelerators of this machine (one on CPU)."""
    program: Literal["auto", "epoch", "phase"] = "auto"
    """Extent of one compiled call, see `train`."""
    storage: Literal["auto", "device", "host"] = "auto"
    """Memory that holds the frames: "device", "host", or "auto" (the device unless its memory would
    be more than half filled).
    """
    epochs: int = 10
    """Epochs; each ends with an examination on the held-out episodes."""
    updates: jedi.Updates = jedi.Updates(behavior=0)
    """Updates of each part in one epoch. With `behavior` above 0 a policy is learned inside the
    world model, once its gate is open.
    """
    agent: jedi.AgentConfig = jedi.AgentConfig()
    gate: jedi.GateConfig = jedi.GateConfig()
    monitor: jedi.MonitorConfig = jedi.MonitorConfig()
    checkpoint: jedi.CheckpointConfig = jedi.CheckpointConfig()


MAY_CHANGE = ("data", "epochs", "checkpoint.", "devices", "program", "storage")
"""Fields (or their beginnings) that a resumed run may set anew. The folder may have moved: its
contents are compared.
"""


@dataclass(frozen=True)
class Found:
    """Sizes found in the data; stored with the configuration, so that a run continues with the
    same data only.
    """

    episodes: int
    """Episodes to learn from."""
    held_out: int
    """Episodes held out."""
    steps: int
    """Steps of the episodes to learn from, in all."""
    num_actions: int
    frame_size: int
    fingerprint: str
    """Hash of all frames (as resized), actions, rewards and flags."""


def _preset(name: str, mode: jedi.Mode, updates: jedi.Updates, epochs: int) -> OfflineConfig:
    whole = presets.PRESETS[name]("data", mode)
    return OfflineConfig(
        epochs=epochs,
        updates=updates,
        agent=whole.agent,
        gate=whole.gate,
        checkpoint=whole.checkpoint,
    )


OFFLINE_PRESETS: dict[str, Callable[[jedi.Mode], OfflineConfig]] = {
    "tiny": lambda mode="jedi": _preset("tiny", mode, jedi.Updates(100, 50, 0, 30), 8),
    "cpu": lambda mode="jedi": _preset("cpu", mode, jedi.Updates(300, 100, 0, 30), 12),
    "small": lambda mode="jedi": _preset("small", mode, jedi.Updates(400, 200, 0, 50), 50),
    "atari100k": lambda mode="jedi": _preset(
        "atari100k", mode, jedi.Updates(4_000, 4_000, 0, 400), 100
    ),
}
"""For the command line, by the names of `train`'s presets, whose networks they take. Numbers of
updates are our choice.
"""


def data_name(folder: str) -> str:
    """Name of a data set: its folder's name, without the version that tensorflow-datasets
    puts below it.
    """
    path = Path(folder).expanduser().resolve()
    return path.parent.name if re.fullmatch(r"\d+\.\d+\.\d+", path.name) else path.name


def shared(config: OfflineConfig, found: Found) -> jedi.JediConfig:
    """The configuration for what is shared with `train`: a schedule without play, and a replay with
    space for the data.
    """
    return jedi.JediConfig(
        env=data_name(config.data),
        seed=config.seed,
        devices=config.devices,
        program=config.program,
        game=jedi.GameConfig(found.frame_size, num_envs=1),
        agent=config.agent,
        replay=room_for(found.steps, found.episodes, config.storage),
        schedule=jedi.Schedule(
            env_steps=0,
            initial_steps=0,
            initial_limit=0,
            first_epoch=config.updates,
            per_epoch=config.updates,
            final_epochs=config.epochs - 1,
        ),
        gate=config.gate,
        monitor=config.monitor,
        evaluation=jedi.EvaluationConfig(every=0, final_episodes=0),
        checkpoint=config.checkpoint,
    )


def stored(config: OfflineConfig, found: Found) -> dict:
    """Contents of config.json."""
    return to_dict(config) | {"found": to_dict(found)}


def learned_from_data(run_dir: str | Path) -> bool:
    """Return True if the run in a folder learned from recorded episodes."""
    config = stored_config(resolve_path(run_dir))
    return config is not None and "found" in config


def read_offline(run_dir: str | Path) -> tuple[OfflineConfig, Found]:
    """The configuration of such a run.

    Raises:
      UserError: the folder holds no run, or one that played a game.
    """
    data = read_config(run_dir)
    if "found" not in data:
        raise UserError(
            f"{run_dir} holds a run that played a game, not one that learned from data: name "
            "another --run-dir"
        )
    found = data.pop("found")
    with naming(resolve_path(run_dir)):
        return from_dict(OfflineConfig, data), from_dict(Found, found)


def completed(data: dict) -> dict:
    """Contents of config.json of a run of either kind, with the fields that came after it at their
    defaults.
    """
    if "found" not in data:
        return to_dict(from_dict(jedi.JediConfig, data))
    own = {name: value for name, value in data.items() if name != "found"}
    return stored(from_dict(OfflineConfig, own), from_dict(Found, data["found"]))


def any_config(run_dir: str | Path) -> jedi.JediConfig:
    """The configuration of the run in a folder, whichever kind it is, as the shared parts
    know it.
    """
    if learned_from_data(run_dir):
        return shared(*read_offline(run_dir))
    return read_config_as(jedi.JediConfig, run_dir)


def with_absolute_path(config: OfflineConfig) -> OfflineConfig:
    """The folder of the data named so that it is found from anywhere."""
    return (
        replace(config, data=str(Path(config.data).expanduser().resolve()))
        if config.data
        else config
    )
