"""A very small agent and random segments for it, shared by tests so that they compile once."""

import functools

import jax
import jax.numpy as jnp

from jaxrl.jedi.agent import AgentState, init
from jaxrl.jedi.config import (
    AgentConfig,
    BehaviorLearning,
    ProbeLearning,
    RewardEndLearning,
    WorldModelLearning,
)
from jaxrl.jedi.nets.actor_critic import ActorCriticConfig
from jaxrl.jedi.nets.denoiser import DenoiserConfig
from jaxrl.jedi.nets.encoder import EncoderConfig
from jaxrl.jedi.nets.reward_end import RewardEndConfig
from jaxrl.replay.segment import Segment

FRAME = (16, 16, 3)
ACTIONS = 3
CONFIG = AgentConfig(
    context=2,
    encoder=EncoderConfig("local", (8, 8), channels=4),
    denoiser=DenoiserConfig((1,), (8,), cond_width=8),
    reward_end=RewardEndConfig((1,), (8,), cond_width=8, lstm_width=8),
    actor_critic=ActorCriticConfig((8,), (True,), lstm_width=8),
    world_model=WorldModelLearning(batch=4),
    reward_end_learning=RewardEndLearning(batch=4, length=5),
    behavior=BehaviorLearning(batch=4, horizon=3),
    probe=ProbeLearning(batch=4, widths=(8, 8)),
)


@functools.cache
def agent() -> AgentState:
    """The agent, fresh."""
    return init(CONFIG, ACTIONS, FRAME, jax.random.key(0))


def segments(key: jax.Array, leading: tuple[int, ...], size: int) -> Segment:
    """Random segments without padding."""
    k = jax.random.split(key, 4)
    shape = (*leading, size)
    return Segment(
        frame=jax.random.randint(k[0], (*shape, *FRAME), 0, 256).astype(jnp.uint8),
        action=jax.random.randint(k[1], shape, 0, ACTIONS),
        reward=jax.random.randint(k[2], shape, -1, 2).astype(jnp.float32),
        end=jax.random.bernoulli(k[3], 0.2, shape),
        trunc=jnp.zeros(shape, bool),
        step_mask=jnp.ones(shape, bool),
        frame_mask=jnp.ones(shape, bool),
    )
