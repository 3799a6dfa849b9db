"""Denoising loss over autoregressive steps (DIAMOND, src/models/diffusion/denoiser.py), for one
example or with leading axes.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.diffusion.noise import Draws, add_noise, training_sigma
from jaxrl.diffusion.precondition import EDM, combine, conditioners, network_target, over_space

Network = Callable[[jax.Array, jax.Array, jax.Array, object], jax.Array]
"""`F(c_in * noisy [..., H, W, C], c_noise [...], context / sigma_data [n, ..., H, W, C], condition)
-> [..., H, W, C]`.
"""


class DenoisingSteps(NamedTuple):
    """Results of each autoregressive step; S is the leading axis."""

    loss: jax.Array
    """`[S, ...]`, mean squared error of F over H, W, C; not masked."""
    sigma: jax.Array
    """`[S, ...]`."""
    noisy: jax.Array
    """`[S, ..., H, W, C]`."""
    output: jax.Array
    """`[S, ..., H, W, C]`, the raw network output F."""
    denoised: jax.Array
    """`[S, ..., H, W, C]`, after `postprocess`; this is what the next step's context holds."""


def autoregressive_loss(
    network: Network,
    context: jax.Array,
    targets: jax.Array,
    conditions: object,
    draws: Draws,
    edm: EDM,
    postprocess: Callable[[jax.Array], jax.Array] = lambda x: x,
) -> DenoisingSteps:
    """Denoise S successive targets; after each, the one-pass denoised map replaces the true one in
    the context.

    Args:
      network: see `Network`.
      context: `[n, ..., H, W, C]` clean maps, oldest first.
      targets: `[S, ..., H, W, C]` clean next maps (apply `stop_gradient` before, if they should
        receive none).
      conditions: pytree with leading axis S; slice i is handed to the network at step i (actions,
        masks).
      draws: standard normal draws with leading axis S.
      edm: the constants.
      postprocess: applied to the denoised map before it enters the context (clamp and quantize, or
        fix the scale); no gradient flows through the context.
    """

    def step(context, inputs):
        clean, condition, draws = inputs
        sigma = training_sigma(draws.level, edm)
        noisy = add_noise(clean, sigma, draws, edm)
        c = conditioners(sigma, edm)
        output = network(over_space(c.c_in) * noisy, c.c_noise, context / edm.sigma_data, condition)
        error = output.astype(jnp.float32) - network_target(clean, noisy, c)
        loss = jnp.square(error).mean((-3, -2, -1))
        denoised = jax.lax.stop_gradient(postprocess(combine(output, noisy, c)))
        context = jnp.concatenate([context[1:], denoised[None]])
        return context, DenoisingSteps(loss, sigma, noisy, output, denoised)

    _, steps = jax.lax.scan(step, context, (targets, conditions, draws))
    return steps
