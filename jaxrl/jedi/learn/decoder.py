"""One update of the probe decoder: pictures of latents, to be seen only. It never trains the
encoder.
"""

import jax
import jax.numpy as jnp

from jaxrl.jedi.agent import AgentState, encode, networks, optimizers
from jaxrl.replay.segment import Segment, frame_to_float
from jaxrl.train import parallel
from jaxrl.train.state import apply_gradients


def update_decoder(
    state: AgentState, batch: Segment, key: jax.Array, axis_name: str | None = None
) -> tuple[AgentState, dict[str, jax.Array]]:
    """One gradient step on frames `[B, T]` of segments. Metrics: "loss" (squared error of pixels in
    [-1, 1]), "gradient_norm".

    Args:
      state: the agent; only its probe is changed.
      batch: segments `[B, T]`; padding does not count.
      key: not used; it makes the signature that of the other updates.
      axis_name: device axis that examples are spread over under pmap; None otherwise.
    """
    del key
    z = jax.lax.stop_gradient(encode(state, batch.frame, batch.frame_mask))
    frame = frame_to_float(batch.frame)
    weight = jnp.broadcast_to(batch.frame_mask[..., None, None, None], frame.shape)

    def loss_of(params):
        decoded = networks(state.spec).decoder.apply({"params": params}, z).astype(jnp.float32)
        return parallel.masked_mean(jnp.square(decoded - frame), weight, axis_name=axis_name)

    loss, grads = jax.value_and_grad(loss_of)(state.probe.params)
    probe, norm = apply_gradients(
        state.probe, parallel.mean(grads, axis_name), optimizers(state.spec).probe
    )
    return state.replace(probe=probe), {"loss": loss, "gradient_norm": norm}
