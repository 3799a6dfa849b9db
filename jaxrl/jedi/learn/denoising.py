"""The denoising loss of a batch of segments, the same for latents and for frames."""

import jax
import jax.numpy as jnp

from jaxrl.diffusion import noise
from jaxrl.diffusion.loss import autoregressive_loss
from jaxrl.jedi.agent import AgentSpec, networks
from jaxrl.jedi.nets.encoder import fix_scale
from jaxrl.replay.segment import Segment
from jaxrl.train import parallel


def denoising_loss(
    spec: AgentSpec, denoiser_params, z, targets, batch: Segment, key, axis_name=None
) -> jax.Array:
    """Mean denoising error over examples and autoregressive steps; steps into or out of padding do
    not count.

    Args:
      z: context latents `[B, n, h, w, C]`.
      targets: `[B, S, h, w, C]`.
      batch: the segments `[B, n + S]`, for actions and masks.
      key: PRNG key for noise levels and noise.
    """
    n, steps = z.shape[1], targets.shape[1]
    denoiser = networks(spec).denoiser
    keys = jax.vmap(lambda k: jax.random.split(k, steps))(
        parallel.example_keys(key, len(z), axis_name)
    )
    draws = jax.vmap(jax.vmap(lambda k: noise.draw(k, spec.latent_shape)))(keys)
    windows = [batch.window(i, i + n) for i in range(steps)]
    conditions = (
        jnp.stack([w.action for w in windows]),
        jnp.stack([w.frame_mask for w in windows]),
    )

    def network(noisy, c_noise, context, condition):
        return denoiser.apply(
            {"params": denoiser_params}, noisy, c_noise, jnp.moveaxis(context, 0, 1), *condition
        )

    def time_first(tree):
        return jax.tree.map(lambda a: jnp.moveaxis(a, 1, 0), tree)

    outcome = autoregressive_loss(
        network,
        time_first(z),
        time_first(targets),
        conditions,
        time_first(draws),
        spec.config.edm,
        lambda d: fix_scale(spec.config.encoder, d),
    )
    real = time_first(batch.frame_mask[:, n:] & batch.frame_mask[:, n - 1 : -1])
    return parallel.masked_mean(outcome.loss, real, axis=1, axis_name=axis_name).mean()
