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


def expected_policy_loss(
    logits: jax.Array, action_returns: jax.Array, scale: float | jax.Array = 1.0
) -> jax.Array:
    """Policy loss from the return of every action: the mean of REINFORCE's over the actions,
    without the noise of drawing one (expected policy gradients, Ciosek and Whiteson, arXiv
    1706.05374).

    mean over t of -sum_a pi(a) sg(Q_a - sum_b pi(b) Q_b) / scale.

    Args:
      logits: `[T, A]`.
      action_returns: `[T, A]`, Q; no gradient flows into them.
      scale: deviation of the advantages; 1 normalizes nothing.

    Returns:
      float32 scalar.
    """
    chance = jax.nn.softmax(logits.astype(jnp.float32), axis=-1)
    mean = (chance * action_returns).sum(-1, keepdims=True)
    advantage = jax.lax.stop_gradient((action_returns - mean) / scale)
    return -(chance * advantage).sum(-1).mean()
