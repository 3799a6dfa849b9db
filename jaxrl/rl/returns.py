"""Returns of one trajectory."""

import jax
import jax.numpy as jnp


def lambda_returns(
    reward: jax.Array,
    end: jax.Array,
    trunc: jax.Array,
    value_next: jax.Array,
    gamma: float,
    lambda_: float,
) -> jax.Array:
    """TD(lambda) targets in DIAMOND's form (arXiv 2405.12399, src/utils.py), computed backwards in
    one scan.

    R_t = r_t + (1 - e_t) gamma [ ((1 - u_t)(1 - lambda) + u_t) V'_t + (1 - u_t) lambda R_{t+1} ],
    R_T := V'_{T-1}.

    Args:
      reward: float `[T]`.
      end: `[T]`, 1 where the episode ended at t (nothing follows), or the probability that it did.
      trunc: `[T]`, 1 where it was cut at t although it would continue; the bootstrap value then
        stands for the rest.
      value_next: float `[T]`, V'_t = value of the state reached at t, before any reset.
      gamma: discount in [0, 1].
      lambda_: trace decay in [0, 1].

    Returns:
      float `[T]`.
    """
    alive = 1.0 - end.astype(jnp.float32)
    cut = trunc.astype(jnp.float32)

    def step(following, inputs):
        reward, alive, cut, value_next = inputs
        bootstrap = ((1 - cut) * (1 - lambda_) + cut) * value_next
        current = reward + alive * gamma * (bootstrap + (1 - cut) * lambda_ * following)
        return current, current

    _, returns = jax.lax.scan(step, value_next[-1], (reward, alive, cut, value_next), reverse=True)
    return returns
