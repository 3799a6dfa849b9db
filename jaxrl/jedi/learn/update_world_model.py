"""One update of the world model, whatever its objective."""

import jax
import jax.numpy as jnp

from jaxrl.jedi.agent import AgentState, optimizers
from jaxrl.jedi.learn.world_model import OBJECTIVES
from jaxrl.replay.segment import Segment
from jaxrl.train import parallel
from jaxrl.train.state import apply_gradients, ema


def update_world_model(
    state: AgentState, batch: Segment, key: jax.Array, axis_name: str | None = None
) -> tuple[AgentState, dict[str, jax.Array]]:
    """One gradient step on a batch of segments `[B, context + autoregressive_steps]`; also moves
    the target encoder.

    Metrics: "loss", "denoising", "latent_std" (mean over dimensions), "gradient_norm", and by mode
      "hinge" or "reconstruction".
    """
    compute = jax.value_and_grad(OBJECTIVES[state.spec.config.mode], has_aux=True)
    (_, metrics), grads = compute(state.world.params, state, batch, key, axis_name)
    grads = parallel.mean(grads, axis_name)
    world, norm = apply_gradients(state.world, grads, optimizers(state.spec).world)
    learning = state.spec.config.world_model
    if learning.target == "ema":
        target = ema(state.target, world.params["encoder"], learning.ema_decay)
    else:
        target = jax.tree.map(jnp.copy, world.params["encoder"])
    return state.replace(world=world, target=target), {**metrics, "gradient_norm": norm}
