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

import warnings

from jaxrl.jedi import old_names
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

_RENAMED = {"update_heads": "update_reward_end", "update_behaviour": "update_actor_critic"}
"""Names of 0.1, and the present ones; they work until 0.3."""


def __getattr__(name: str):
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    present = _RENAMED[name]
    warnings.warn(
        f"jaxrl.jedi.{name} is called {present} now; the old name works until version 0.3",
        DeprecationWarning,
        stacklevel=2,
    )
    globals()[name] = globals()[present]  # so that it warns once
    return globals()[present]


old_names.install()
