"""A whole run on catch that takes seconds once compiled."""

from dataclasses import replace

from jaxrl.jedi.config import (
    CheckpointConfig,
    EvaluationConfig,
    GameConfig,
    GateConfig,
    JediConfig,
    MonitorConfig,
    Schedule,
    Updates,
)
from jaxrl.replay.buffer import ReplayConfig
from tests.jaxrl.jedi import small_agent

AGENT = replace(
    small_agent.CONFIG,
    reward_end_learning=replace(small_agent.CONFIG.reward_end_learning, candidates=3),
    behavior=replace(small_agent.CONFIG.behavior, candidates=3, replay_weight=0.1, replay_length=2),
    reward_end=replace(
        small_agent.CONFIG.reward_end,
        reward_prior=(0.2, 0.6, 0.2),
        end_prior=(0.8, 0.2),
        change_width=4,
    ),
)
"""With what is off by default in the learning of rewards, ends and behavior."""
CONFIG = JediConfig(
    env="catch",
    game=GameConfig(frame_size=16, num_envs=4),
    agent=AGENT,
    replay=ReplayConfig(capacity=400, episodes=64),
    schedule=Schedule(
        112, 64, 16, 64, 16, Updates(3, 3, 2, 2), Updates(3, 2, 2, 1), final_epochs=0
    ),
    gate=GateConfig(end_recall=0.0, horizon=3, segments=8),
    monitor=MonitorConfig(segments=8, probe_states=16),
    evaluation=EvaluationConfig(every=1, episodes=8, final_episodes=8, max_steps=20),
    checkpoint=CheckpointConfig(minutes=0, keep=2),
)
"""Four epochs, at 64, 80, 96 and 112 steps."""


def until(config: JediConfig, env_steps: int) -> JediConfig:
    """The same run, ending at `env_steps`."""
    return replace(config, schedule=replace(config.schedule, env_steps=env_steps))
