"""One update of policy and value: imagine, then learn from what was imagined (DIAMOND, sections
2.6-2.7 of its code's logic).
"""

import jax
import jax.numpy as jnp

from jaxrl.jedi.agent import AgentState, networks, optimizers
from jaxrl.jedi.imagination import Rollout, imagine
from jaxrl.replay.segment import Segment
from jaxrl.rl.losses import actor_critic_loss
from jaxrl.rl.returns import lambda_returns
from jaxrl.train import parallel
from jaxrl.train.state import apply_gradients


def update_actor_critic(
    state: AgentState, batch: Segment, key: jax.Array, axis_name: str | None = None
) -> tuple[AgentState, dict[str, jax.Array]]:
    """Imagine from start segments `[B, S, n]` (see `imagine`), then one gradient step on the
    recorded latents.

    Metrics: those of `imagine`, and "loss", "policy_loss", "value_loss", "entropy" (nats),
      "gradient_norm".
    """
    rollout, imagined = imagine(state, batch, key, axis_name)
    (_, metrics), grads = jax.value_and_grad(behaviour_loss, has_aux=True)(
        state.policy.params, state, rollout
    )
    policy, norm = apply_gradients(
        state.policy, parallel.mean(grads, axis_name), optimizers(state.spec).policy
    )
    metrics = parallel.mean({**imagined, **metrics}, axis_name)
    return state.replace(policy=policy), {**metrics, "gradient_norm": norm}


def behaviour_loss(params, state: AgentState, rollout: Rollout):
    """Actor-critic loss of a rollout; the policy is run again over the recorded latents, now with
    gradient.

    The convolutions see all steps at once, only the LSTM is scanned. The returns use the values
    recorded while imagining: they are those of the same parameters.
    """
    learning, model = state.spec.config.behaviour, networks(state.spec).actor_critic
    memory = jax.tree.map(lambda m: m[:, 0], rollout.before)
    _, out, _ = model.apply({"params": params}, memory, rollout.z, rollout.reset, rollout.before)
    never = jnp.zeros_like(rollout.end)
    returns = jax.vmap(lambda_returns, (0, 0, 0, 0, None, None))(
        rollout.reward, rollout.end, never, rollout.value_next, learning.gamma, learning.lambda_
    )
    losses = jax.vmap(actor_critic_loss, (0, 0, 0, 0, None, None))(
        out.logits,
        out.value,
        rollout.action,
        returns,
        learning.value_weight,
        learning.entropy_weight,
    )
    loss = jax.tree.map(jnp.mean, losses)
    metrics = {
        "loss": loss.total,
        "policy_loss": loss.policy,
        "value_loss": loss.value,
        "entropy": loss.entropy,
    }
    return loss.total, metrics
