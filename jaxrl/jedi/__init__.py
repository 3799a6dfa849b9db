"""JEDI: an online, end-to-end latent diffusion world model (arXiv 2605.13013), its policy learned
in imagination.

The library in six pure functions, each `(state, batch, key) -> (result, metrics)`, to be jitted by
the caller:

  init                 a fresh `AgentState`
  update_world_model   one step on encoder and denoiser
  update_heads         one step on the reward and end model
  update_behaviour     imagine, and one step on policy and value
  imagine              roll the policy inside the world model
  act                  look at real frames and choose actions

The trainer around them: `python -m jaxrl.jedi --help`.
"""

from jaxrl.jedi.agent import AgentState, Observation, act, init
from jaxrl.jedi.config import AgentConfig
from jaxrl.jedi.imagination import Rollout, imagine
from jaxrl.jedi.learn.actor_critic import update_behaviour
from jaxrl.jedi.learn.reward_end import update_heads
from jaxrl.jedi.learn.world_model import update_world_model

__all__ = [
    "AgentConfig",
    "AgentState",
    "Observation",
    "Rollout",
    "act",
    "imagine",
    "init",
    "update_behaviour",
    "update_heads",
    "update_world_model",
]
