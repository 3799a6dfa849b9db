"""Preconditioning of EDM (arXiv 2206.00364, table 1) with DIAMOND's offset noise in the noise level
(arXiv 2405.12399, code).
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class EDM:
    """The constants of the diffusion process."""

    sigma_data: float = 0.5
    """Standard deviation of clean data, in data units (frames in [-1, 1], latents of fixed RMS
    0.5).
    """
    sigma_offset: float = 0.0
    """Standard deviation of the noise that is constant over space (DIAMOND: 0.3 for frames; 0 for
    latents, our choice).
    """
    log_sigma_mean: float = -0.4
    """Mean of ln(sigma) in training."""
    log_sigma_std: float = 1.2
    """Standard deviation of ln(sigma) in training."""
    sigma_train_min: float = 2e-3
    """Training noise levels are clipped from below here."""
    sigma_train_max: float = 20.0
    """Training noise levels are clipped from above here."""


class Conditioners(NamedTuple):
    """`D(x) = c_skip x + c_out F(c_in x; c_noise)`: the four scalars of EDM, each with sigma's
    shape.
    """

    c_in: jax.Array
    c_skip: jax.Array
    c_out: jax.Array
    c_noise: jax.Array


def conditioners(sigma: jax.Array, edm: EDM) -> Conditioners:
    """The four scalars at noise level `sigma` (> 0, any shape, data units).

    With s = sqrt(sigma^2 + sigma_offset^2): c_in = 1/sqrt(s^2 + sd^2), c_skip = sd^2/(s^2 + sd^2),
    c_out = s sqrt(c_skip), c_noise = ln(s)/4. DIAMOND uses s also in sampling, where no offset
    noise is added.
    """
    s = jnp.sqrt(jnp.square(sigma) + edm.sigma_offset**2)
    total = jnp.square(s) + edm.sigma_data**2
    c_skip = edm.sigma_data**2 / total
    return Conditioners(1 / jnp.sqrt(total), c_skip, s * jnp.sqrt(c_skip), jnp.log(s) / 4)


def over_space(scalar: jax.Array) -> jax.Array:
    """`[...] -> [..., 1, 1, 1]`, to multiply maps `[..., H, W, C]`."""
    return scalar[..., None, None, None]


def combine(output: jax.Array, noisy: jax.Array, c: Conditioners) -> jax.Array:
    """The denoised map `D = c_skip * noisy + c_out * F`; maps `[..., H, W, C]`, conditioners
    `[...]`; computed in float32.
    """
    return over_space(c.c_skip) * noisy + over_space(c.c_out) * output.astype(jnp.float32)


def network_target(clean: jax.Array, noisy: jax.Array, c: Conditioners) -> jax.Array:
    """Target output of the network F: `(clean - c_skip * noisy) / c_out`."""
    return (clean - over_space(c.c_skip) * noisy) / over_space(c.c_out)
