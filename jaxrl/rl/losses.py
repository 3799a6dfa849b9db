"""Policy-gradient losses of one trajectory."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.rl import categorical


class ActorCriticLoss(NamedTuple):
    """Scalars of one trajectory, means over time."""

    total: jax.Array
    policy: jax.Array
    value: jax.Array
    entropy: jax.Array
    """In nats; not yet weighted."""


def actor_critic_loss(
    logits: jax.Array,
    value: jax.Array,
    action: jax.Array,
    returns: jax.Array,
    value_weight: float,
    entropy_weight: float,
    scale: float | jax.Array = 1.0,
) -> ActorCriticLoss:
    """REINFORCE with a learned baseline, value regression and an entropy bonus (DIAMOND,
    src/models/actor_critic.py).

    total = mean(-ln pi(a_t) sg(R_t - V_t)) + value_weight mean((V_t - R_t)^2) - entropy_weight mean
    H(pi_t); advantages are divided by `scale` and the squared error by its square.

    Args:
      logits: `[T, A]`.
      value: `[T]`.
      action: int `[T]`.
      returns: `[T]`, targets; no gradient flows into them.
      value_weight: weight of the squared error.
      entropy_weight: weight of the entropy, in 1/nats.
      scale: deviation of the advantages; 1 (DIAMOND) normalizes nothing.
    """
    returns = jax.lax.stop_gradient(returns)
    advantage = jax.lax.stop_gradient((returns - value) / scale)
    policy = -(categorical.log_prob(logits, action) * advantage).mean()
    squared_error = jnp.square(value - returns).mean()
    entropy = categorical.entropy(logits).mean()
    total = policy + value_weight * squared_error / scale**2 - entropy_weight * entropy
    return ActorCriticLoss(total, policy, squared_error, entropy)
