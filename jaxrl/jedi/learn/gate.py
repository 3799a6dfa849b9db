"""Is imagination worth learning from? It must end, and reward, where the real game did.

From real segments that finish with an end, the model is run open loop with the real actions. A
model whose ball lags behind never ends an episode: its accuracy still looks good (nearly no step
ends), its recall does not. Our choice.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.jedi.agent import AgentState
from jaxrl.jedi.config import GateConfig
from jaxrl.jedi.imagination import advance, begin, draw_noise
from jaxrl.jedi.nets.reward_values import class_logits, reward_class
from jaxrl.replay import buffer
from jaxrl.replay.buffer import Draw, ReplayIndex
from jaxrl.replay.segment import Segment
from jaxrl.train.parallel import masked_mean


class GateResult(NamedTuple):
    """Quality of open-loop imagination on real endings. float32 scalars; all 0 where nothing could
    be tried.
    """

    end_recall: jax.Array
    """Share of endings predicted at the right step."""
    false_alarms: jax.Array
    """Share of the steps before that were predicted to end."""
    reward_accuracy: jax.Array
    """Share of all steps with the right reward class."""
    final_reward_accuracy: jax.Array
    """The same, of the last step only."""
    tried: jax.Array
    """Endings tried."""


def draw_endings(
    index: ReplayIndex, gate: GateConfig, context: int, key: jax.Array
) -> tuple[Draw, jax.Array]:
    """Rows `[B, context + horizon]` of endings, and whether there is any (bool `[B]`).

    Args:
      index: the replay's.
      gate: B = `gate.segments`, and `gate.horizon` (static under jit).
      context: rows before imagination starts, n.
      key: PRNG key of the draw.
    """
    keys = jax.random.split(key, gate.segments)
    return jax.vmap(lambda k: buffer.draw_ending(index, k, context + gate.horizon))(keys)


def run_gate(state: AgentState, batch: Segment, usable: jax.Array, key: jax.Array) -> GateResult:
    """Imagine along the real actions of segments `[B, context + H]` whose last row is the frame
    that an end reached.

    Rows with `usable [B]` False, or too short to have a real frame at the end of the context, do
    not count. An end counts as predicted if it is more likely than not.

    Args:
      state: the agent that imagines.
      batch: segments `[B, context + H]`.
      usable: bool `[B]`, the row holds an ending.
      key: PRNG key of the sampled latents.
    """
    n, values = state.spec.config.context, state.spec.config.reward_end.values
    actions = batch.action[:, n - 1 : -1]  # the steps into rows n .. n + H - 1
    world = begin(state, batch.window(0, n))

    def step(world, inputs):
        action, key = inputs
        world, outcome = advance(state, world, action, *draw_noise(state.spec, key, action.shape))
        return world, (
            jnp.argmax(class_logits(values, outcome.reward_logits), -1),
            jnp.argmax(outcome.end_logits, -1) == 1,
        )

    keys = jax.random.split(key, actions.shape[1])
    _, (reward, end) = jax.lax.scan(step, world, (actions.T, keys))
    reward, end = reward.T, end.T
    real = jnp.broadcast_to((usable & batch.frame_mask[:, n - 1])[:, None], end.shape)
    hit = (reward == reward_class(batch.reward[:, n - 1 : -1])).astype(jnp.float32)
    return GateResult(
        end_recall=masked_mean(end[:, -1].astype(jnp.float32), real[:, -1]),
        false_alarms=masked_mean(end[:, :-1].astype(jnp.float32), real[:, :-1]),
        reward_accuracy=masked_mean(hit, real),
        final_reward_accuracy=masked_mean(hit[:, -1], real[:, -1]),
        tried=real[:, -1].sum().astype(jnp.float32),
    )


def passes(gate_result: GateResult, gate: GateConfig) -> jax.Array:
    """Return True if behavior may be learned, by the thresholds of the gate (bool scalar)."""
    good = (
        (gate_result.end_recall >= gate.end_recall)
        & (gate_result.false_alarms <= gate.false_alarms)
        & (gate_result.tried > 0)
    )
    return good | (gate.end_recall <= 0)
