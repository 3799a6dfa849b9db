"""Recorded random play of catch, as files, and a small offline run on it."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from jaxrl.envs.catch import catch
from jaxrl.envs.single import as_host
from jaxrl.jedi.config import CheckpointConfig, GateConfig, MonitorConfig, Updates
from jaxrl.jedi.offline.config import OfflineConfig
from jaxrl.replay.episode_files import save_episode
from tests.jaxrl.jedi import small_agent

CONFIG = OfflineConfig(
    epochs=3,
    updates=Updates(3, 2, 0, 1),
    agent=small_agent.CONFIG,
    gate=GateConfig(end_recall=0.0, horizon=3, segments=8),
    monitor=MonitorConfig(segments=8, probe_states=16),
    checkpoint=CheckpointConfig(minutes=0, keep=2),
)


def record(folder: Path, episodes: int = 12, size: int = 16) -> Path:
    """Write random games; every third is cut after five steps."""
    game, rng = as_host(catch(size)), np.random.default_rng(0)
    for number in range(episodes):
        obs, act, rew, end = [game.reset(number)], [], [], []
        truth = [game.save()]
        while len(act) < (5 if number % 3 == 0 else 9):
            act.append(int(rng.integers(3)))
            after = game.step(act[-1])
            obs.append(after.frame)
            rew.append(float(after.reward))
            end.append(bool(after.end))
            truth.append(game.save())
        positions = np.array([[float(saved[f"state.{i}"]) for i in (0, 1, 3)] for saved in truth])
        save_episode(
            folder,
            np.stack(obs),
            np.array(act),
            np.array(rew),
            np.array(end),
            truth=positions,
            truth_names=("x", "y", "p"),
        )
    return folder


def on(folder: Path, **changes) -> OfflineConfig:
    """The small run on a folder."""
    return replace(CONFIG, data=str(folder), **changes)
