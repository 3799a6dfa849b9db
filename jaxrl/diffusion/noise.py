"""Noise levels and noise: the log-normal of training, the Karras schedule of sampling."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.diffusion.precondition import EDM, over_space


class Draws(NamedTuple):
    """Standard normal draws of one noising step, kept apart so that tests and references can supply
    their own.
    """

    level: jax.Array
    """`[...]`, becomes ln(sigma)."""
    offset: jax.Array
    """`[..., 1, 1, C]`, constant over space."""
    pixel: jax.Array
    """`[..., H, W, C]`."""


def draw(key: jax.Array, shape: tuple[int, int, int]) -> Draws:
    """Standard normal draws for one map of `shape` (H, W, C); `vmap` over keys for a batch."""
    level, offset, pixel = jax.random.split(key, 3)
    return Draws(
        jax.random.normal(level, ()),
        jax.random.normal(offset, (1, 1, shape[-1])),
        jax.random.normal(pixel, shape),
    )


def training_sigma(level: jax.Array, edm: EDM) -> jax.Array:
    """Noise level `exp(mean + std * level)`, clipped (EDM, section 5); `level` standard normal, any
    shape.
    """
    sigma = jnp.exp(edm.log_sigma_mean + edm.log_sigma_std * level)
    return jnp.clip(sigma, edm.sigma_train_min, edm.sigma_train_max)


def add_noise(clean: jax.Array, sigma: jax.Array, draws: Draws, edm: EDM) -> jax.Array:
    """`clean + sigma_offset * e_offset + sigma * e_pixel`; clean `[..., H, W, C]`, sigma
    `[...]`.

    Args:
      clean: `[..., H, W, C]`.
      sigma: `[...]`, standard deviation of the noise of each map.
      draws: standard normal draws for the same leading axes.
      edm: constants, of which `sigma_offset` is used.

    Returns:
      `[..., H, W, C]`.
    """
    return clean + edm.sigma_offset * draws.offset + over_space(sigma) * draws.pixel


def karras_sigmas(steps: int, sigma_min: float, sigma_max: float, rho: float) -> np.ndarray:
    """Decreasing noise levels for sampling, float32 `[steps + 1]`, the last one 0 (EDM, equation
    5).

    Args:
      steps: denoising steps, at least 1.
      sigma_min, sigma_max: smallest and largest level above 0, in units of the data.
      rho: curvature of the schedule; a larger one spends more steps near `sigma_min`. EDM has 7.

    Raises:
      ValueError: for steps < 1 or levels not 0 < sigma_min <= sigma_max.
    """
    if steps < 1 or not 0 < sigma_min <= sigma_max:
        raise ValueError(
            f"need steps >= 1 and 0 < sigma_min <= sigma_max, got {steps}, {sigma_min}, {sigma_max}"
        )
    ramp = np.linspace(0.0, 1.0, steps)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return np.append((high + ramp * (low - high)) ** rho, 0.0).astype(np.float32)
