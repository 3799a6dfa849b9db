"""The imagined game as one jitted step: action in; picture, reward, end and value out."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.jedi.agent import AgentState, decode, policy_step
from jaxrl.jedi.diagnostics.open_loop import Game, context_at
from jaxrl.jedi.imagination import Start, advance, draw_noise, prepare
from jaxrl.jedi.nets.reward_values import expected_reward
from jaxrl.rl import categorical


class Shown(NamedTuple):
    """One imagined step, for display. Scalars but for the frame."""

    frame: jax.Array
    """uint8 `[H, W, 3]`, the picture of the latent that was reached."""
    action: jax.Array
    """int32, what was done: the player's action, or the policy's."""
    reward: jax.Array
    """float32 in [-1, 1], expected reward: P(+1) - P(-1)."""
    end: jax.Array
    """float32, probability that the episode ended with this step."""
    value: jax.Array
    """float32, the critic's discounted return from here on."""


def picture(agent: AgentState, z: jax.Array) -> jax.Array:
    """uint8 pictures `[..., H, W, 3]` of latents `[..., h, w, C]`."""
    return jnp.clip((decode(agent, z) + 1) * 127.5 + 0.5, 0, 255).astype(jnp.uint8)


def dream_step(
    agent: AgentState, now: Start, action: jax.Array, by_policy: jax.Array, key: jax.Array
) -> tuple[Start, Shown]:
    """Take one step in the imagined world.

    Args:
      agent: the agent; its `spec` holds the sampler.
      now: where the game stands, with a leading axis of 1 (from `dream_start` or this function).
      action: int32 scalar, the player's.
      by_policy: bool scalar; True samples the action from the policy instead.
      key: PRNG key of this step.

    Returns:
      Where the game stands afterwards, and what to show.
    """
    key_action, key_noise = jax.random.split(key)
    gumbel = jax.random.gumbel(key_action, now.logits.shape)
    chosen = jnp.where(by_policy, categorical.sample_gumbel(now.logits, gumbel), action)
    chosen = chosen.astype(jnp.int32)
    world, outcome = advance(agent, now.world, chosen, *draw_noise(agent.spec, key_noise, (1,)))
    after, out = policy_step(agent, now.after, outcome.z)
    reward = expected_reward(agent.spec.config.reward_end.values, outcome.reward_logits[0])
    shown = Shown(
        picture(agent, outcome.z)[0],
        chosen[0],
        reward,
        jax.nn.softmax(outcome.end_logits[0])[1],
        out.value[0],
    )
    return Start(world, now.after, after, out.logits, out.value), shown


class Dream:
    """The jitted functions of one agent and the place in its imagined game."""

    def __init__(self, agent: AgentState):
        self.agent = agent
        self._start = jax.jit(prepare)
        self._step = jax.jit(dream_step)
        self._picture = jax.jit(picture)
        self._now, self._key, self._time = None, None, 0

    def begin(self, game: Game, seed: int) -> np.ndarray:
        """Start after the last frame of a real game; the picture of its latent."""
        segment = context_at(game, len(game.action), self.agent.spec.config.context)
        self._now = self._start(self.agent, segment)
        self._key, self._time = jax.random.key(seed), 0
        return np.asarray(self._picture(self.agent, self._now.world.z[0, -1]))

    @property
    def value(self) -> float:
        """The critic's discounted return from here on."""
        return float(self._now.value[0])

    def step(self, action: int, by_policy: bool = False) -> Shown:
        """One step, as numpy arrays."""
        key = jax.random.fold_in(self._key, self._time)
        self._time += 1
        self._now, shown = self._step(
            self.agent, self._now, np.int32(action), np.bool_(by_policy), key
        )
        return jax.device_get(shown)
