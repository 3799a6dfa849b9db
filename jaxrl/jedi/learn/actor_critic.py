"""One update of policy and value: imagine, then learn from what was imagined (DIAMOND, sections
2.6-2.7 of its code's logic); on request the value learns from real segments too.
"""

import jax
import jax.numpy as jnp

from jaxrl.jedi.agent import AgentState, encode, networks, optimizers, policy_memory
from jaxrl.jedi.imagination import Rollout, imagine
from jaxrl.jedi.nets.reward_end import preceded_by_padding
from jaxrl.jedi.nets.reward_values import learned_reward
from jaxrl.replay.segment import Segment
from jaxrl.rl.losses import actor_critic_loss, expected_policy_loss
from jaxrl.rl.returns import lambda_returns
from jaxrl.train import parallel
from jaxrl.train.state import apply_gradients


def update_actor_critic(
    state: AgentState, batch: Segment, key: jax.Array, axis_name: str | None = None
) -> tuple[AgentState, dict[str, jax.Array]]:
    """Imagine from start segments `[B, S, n]` (see `imagine`), then `behavior.gradient_steps`
    gradient steps on the recorded latents.

    With `behavior.replay_weight` above 0 the segments are `[B, S, n + replay_length]`: imagination
    starts from their last n rows, and the value also learns from the first segment of every
    `replay_every`th.

    Args:
      state: the agent.
      batch: segments as above, from the replay.
      key: PRNG key of imagination.
      axis_name: device axis that examples are spread over under pmap; None otherwise.

    Returns:
      The agent with a new policy, and float32 scalar metrics: those of `imagine`, and "loss",
      "policy_loss", "value_loss", "entropy" (nats), "gradient_norm", all of the last gradient step;
      "advantage" (standard deviation) if advantages are normalized, with lookahead also
      "action_advantage", and "replay_value_loss" if the value learns from the replay.
    """
    size, context = batch.action.shape[-1], state.spec.config.context
    rollout, imagined = imagine(state, batch.window(size - context, size), key, axis_name)
    learning = state.spec.config.behavior
    every = learning.replay_every
    real = jax.tree.map(lambda a: a[::every, 0], batch) if learning.replay_weight > 0 else None

    def loss_of(params):
        return behavior_loss(params, state, rollout, real, axis_name)

    policy = state.policy
    for _ in range(learning.gradient_steps):
        (_, metrics), grads = jax.value_and_grad(loss_of, has_aux=True)(policy.params)
        policy, norm = apply_gradients(
            policy, parallel.mean(grads, axis_name), optimizers(state.spec).policy
        )
    metrics = parallel.mean({**imagined, **metrics}, axis_name)
    return state.replace(policy=policy), {**metrics, "gradient_norm": norm}


def behavior_loss(
    params,
    state: AgentState,
    rollout: Rollout,
    real: Segment | None = None,
    axis_name: str | None = None,
):
    """Actor-critic loss of a rollout; the policy is run again over the recorded latents, now with
    gradient.

    The convolutions see all steps at once, only the LSTM is scanned. The returns use the values
    recorded while imagining: at the first gradient step they are those of the same parameters,
    later ones keep them. Where a drawn end cut the trajectory, the value of the latent reached
    stands for what would have followed, discounted by the end's probability (1 without `lookahead`,
    so nothing follows).

    Args:
      params: of the policy.
      state: the agent.
      rollout: what it imagined with the parameters before the first gradient step.
      real: segments `[B, T]` of the replay for the value; needed if `replay_weight` is above 0.
      axis_name: device axis, if the batch is spread over one.

    Returns:
      The loss, and metrics.
    """
    learning, model = state.spec.config.behavior, networks(state.spec).actor_critic
    memory = jax.tree.map(lambda m: m[:, 0], rollout.before)
    _, out, _ = model.apply({"params": params}, memory, rollout.z, rollout.reset, rollout.before)
    returns = jax.vmap(lambda_returns, (0, 0, 0, 0, None, None))(
        rollout.reward,
        rollout.end_probability,
        rollout.end,
        rollout.value_next,
        learning.gamma,
        learning.lambda_,
    )
    normalized = learning.normalize or state.spec.config.reward_end.values != "sign"
    scale, metrics = 1.0, {}
    if normalized:
        scale = deviation(returns - out.value, axis_name)
        metrics["advantage"] = scale
    losses = jax.vmap(actor_critic_loss, (0, 0, 0, 0, None, None, None))(
        out.logits,
        out.value,
        rollout.action,
        returns,
        learning.value_weight,
        learning.entropy_weight,
        scale,
    )
    loss = jax.tree.map(jnp.mean, losses)
    if learning.lookahead:
        policy, of_actions = lookahead_loss(
            out.logits, rollout.action_returns, normalized, axis_name
        )
        metrics["action_advantage"] = of_actions
        total = (
            policy
            + learning.value_weight * loss.value / jnp.square(scale)
            - learning.entropy_weight * loss.entropy
        )
        loss = loss._replace(policy=policy, total=total)
    metrics |= {
        "loss": loss.total,
        "policy_loss": loss.policy,
        "value_loss": loss.value,
        "entropy": loss.entropy,
    }
    if learning.replay_weight == 0:
        return loss.total, metrics
    error = replay_value_loss(params, state, real, axis_name)
    weight = learning.replay_weight * learning.value_weight / jnp.square(scale)
    return loss.total + weight * error, {**metrics, "replay_value_loss": error}


def lookahead_loss(
    logits: jax.Array, action_returns: jax.Array, normalized: bool, axis_name: str | None = None
) -> tuple[jax.Array, jax.Array]:
    """Policy loss from the imagined return of every action.

    Args:
      logits: `[B, T, A]`.
      action_returns: `[B, T, A]`, without gradient.
      normalized: divide by the root mean square of how far the returns of the actions lie from
        their mean, over batch and devices.
      axis_name: device axis, if the batch is spread over one.

    Returns:
      The loss, and that root mean square; float32 scalars.
    """
    mean = action_returns.mean(-1, keepdims=True)
    differ = deviation(action_returns - mean, axis_name)
    scale = differ if normalized else 1.0
    losses = jax.vmap(expected_policy_loss, (0, 0, None))(logits, action_returns, scale)
    return losses.mean(), differ


SMALLEST_DEVIATION = 1e-2
"""Advantages that differ by less, in rewards, are not blown up further: where nothing happens, the
noise of the value would become the signal.
"""


def deviation(advantage: jax.Array, axis_name: str | None = None) -> jax.Array:
    """Root mean square of advantages `[B, T]` over batch and devices, at least
    `SMALLEST_DEVIATION`; no gradient.
    """
    square = parallel.mean(jnp.square(jax.lax.stop_gradient(advantage)).mean(), axis_name)
    return jnp.maximum(jnp.sqrt(square), SMALLEST_DEVIATION)


def replay_value_loss(
    params, state: AgentState, real: Segment, axis_name: str | None = None
) -> jax.Array:
    """Mean squared error of the value against lambda-returns of real segments `[B, T]`.

    The rewards are real (by sign, or by size), the bootstrap values those of the same parameters
    without gradient. The actions were those of older policies: like DreamerV3 (arXiv 2301.04104,
    replay critic loss) this accepts the bias.

    Args:
      params: parameters of the policy and value network; the gradient is with respect to them.
      state: the agent.
      real: segments `[B, T]` from the replay.
      axis_name: device axis that examples are spread over under pmap; None otherwise.

    Returns:
      float32 scalar, the mean over real steps, each by its weight.
    """
    learning, model = state.spec.config.behavior, networks(state.spec).actor_critic
    z = encode(state, real.frame, real.frame_mask)
    memory = policy_memory(state.spec, (len(z),))
    _, out, _ = model.apply({"params": params}, memory, z, preceded_by_padding(real.frame_mask))
    steps = real.window(0, real.action.shape[1] - 1)
    following = jax.lax.stop_gradient(out.value[:, 1:])
    returns = jax.vmap(lambda_returns, (0, 0, 0, 0, None, None))(
        learned_reward(state.spec.config.reward_end.values, steps.reward),
        steps.end,
        steps.trunc,
        following,
        learning.gamma,
        learning.lambda_,
    )
    error = jnp.square(out.value[:, :-1] - returns)
    return parallel.masked_mean(error, steps.counted, axis_name=axis_name)
