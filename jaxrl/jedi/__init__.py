"""JEDI: an online, end-to-end latent diffusion world model (arXiv 2605.13013), its policy learned
in imagination.

The library in six pure functions, each `(state, batch, key) -> (result, metrics)`, to be jitted by
the caller:

  init                 a fresh `AgentState`
  update_world_model   one step on encoder and denoiser
  update_reward_end    one step on the reward and end model
  update_actor_critic  imagine, and one step on policy and value
  imagine              roll the policy inside the world model
  act                  choose actions from real frames

The trainer around them: `python -m jaxrl.jedi --help`.
"""

from typing import TYPE_CHECKING

from jaxrl.app import lazy
from jaxrl.jedi.old_names import install

if TYPE_CHECKING:
    from jaxrl.jedi.agent import AgentState, Observation, act, init
    from jaxrl.jedi.config import AgentConfig
    from jaxrl.jedi.imagination import Rollout, imagine
    from jaxrl.jedi.learn.actor_critic import update_actor_critic
    from jaxrl.jedi.learn.reward_end import update_reward_end
    from jaxrl.jedi.learn.world_model import update_world_model

__all__ = [
    "AgentConfig",
    "AgentState",
    "Observation",
    "Rollout",
    "act",
    "imagine",
    "init",
    "update_actor_critic",
    "update_reward_end",
    "update_world_model",
]

__getattr__ = lazy.attributes(
    __name__,
    {
        "agent": ("AgentState", "Observation", "act", "init"),
        "config": ("AgentConfig",),
        "imagination": ("Rollout", "imagine"),
        "learn.actor_critic": ("update_actor_critic",),
        "learn.reward_end": ("update_reward_end",),
        "learn.world_model": ("update_world_model",),
    },
    {
        "update_heads": "jaxrl.jedi:update_reward_end",
        "update_behaviour": "jaxrl.jedi:update_actor_critic",
    },
)
install()
