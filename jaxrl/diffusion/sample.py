"""Samplers of the probability-flow equation (EDM, algorithms 1 and 2), as DIAMOND calls them for
next frames.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Denoise = Callable[[jax.Array, jax.Array], jax.Array]
"""`D(x, sigma)`: the denoised map; x of any shape, sigma a scalar."""


@dataclass(frozen=True)
class Churn:
    """Stochasticity of EDM's algorithm 2; `s_churn = 0` (the default, and DIAMOND's) makes the
    sampler deterministic.
    """

    s_churn: float = 0.0
    """Amount of noise put back per run, shared by all steps."""
    s_min: float = 0.0
    """Lowest noise level at which noise is put back."""
    s_max: float = math.inf
    """Highest noise level at which noise is put back."""
    s_noise: float = 1.0
    """Standard deviation of that noise relative to what the level asks for."""


class Sampled(NamedTuple):
    """The result and the way there."""

    x: jax.Array
    """The sample, shape of x0."""
    trajectory: jax.Array
    """`[steps + 1, ...]`, x at every noise level, x0 first and the sample last."""


def sample(
    denoise: Denoise,
    x0: jax.Array,
    sigmas: np.ndarray,
    order: int = 1,
    churn: Churn = Churn(),
    churn_noise: jax.Array | None = None,
) -> Sampled:
    """Integrate from noise to a sample by Euler (order 1) or Heun (order 2) steps.

    Args:
      denoise: the denoiser. DIAMOND calls it at sigma also where churn has raised the level to
        sigma_hat; so do we.
      x0: start, standard normal. DIAMOND does not scale it by the first sigma; scale it before
        calling if you want to.
      sigmas: concrete decreasing levels `[steps + 1]`, the last 0 (`noise.karras_sigmas`).
      order: 1 or 2; a Heun step that ends at sigma 0 is an Euler step.
      churn: see `Churn`.
      churn_noise: standard normal `[steps, ...]`, needed only if `churn.s_churn > 0`.

    Raises:
      ValueError: for another order, churn without noise, or settings of churn below 0.
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 (Euler) or 2 (Heun), got {order}")
    if churn.s_churn < 0 or churn.s_noise < 0:
        raise ValueError(
            f"s_churn and s_noise must be at least 0, are {churn.s_churn} and {churn.s_noise}"
        )
    if churn.s_churn > 0 and churn_noise is None:
        raise ValueError("churn needs churn_noise, one standard normal array per step")
    sigmas = np.asarray(sigmas, np.float32)
    sigma_hat = raised_sigmas(sigmas[:-1], churn)
    # In float64 before the scan: in float32, a fused multiply-add can make the difference of equal
    # squares negative.
    added = churn.s_noise * np.sqrt(
        np.square(sigma_hat, dtype=np.float64) - np.square(sigmas[:-1], dtype=np.float64)
    )

    def euler_step(x, cur, hat, nxt):
        denoised = denoise(x, cur)
        d_cur = (x - denoised) / hat
        return x + d_cur * (nxt - hat), d_cur

    def heun_step(x, cur, hat, nxt):
        x_euler, d_cur = euler_step(x, cur, hat, nxt)
        d_next = (x_euler - denoise(x_euler, nxt)) / nxt
        return x + (d_cur + d_next) / 2 * (nxt - hat), d_cur

    def scan_step(method):
        def step(x, inputs):
            cur, hat, nxt, added, noise = inputs
            if noise is not None:
                x = x + noise * added
            x, _ = method(x, cur, hat, nxt)
            return x, x

        return step

    levels = (
        jnp.asarray(sigmas[:-1]),
        jnp.asarray(sigma_hat),
        jnp.asarray(sigmas[1:]),
        jnp.asarray(added, jnp.float32),
    )
    inputs = (*levels, churn_noise if churn.s_churn > 0 else None)
    if len(sigmas) == 2:
        # A carry would take the batch axes of the result: under a vmap over what only conditions
        # the denoiser (actions), whatever it computes from x0 would be computed for each.
        x, last = scan_step(euler_step)(x0, jax.tree.map(lambda a: a[0], inputs))
        path = last[None]
    elif order == 1:
        x, path = jax.lax.scan(scan_step(euler_step), x0, inputs)
    else:
        x, path = jax.lax.scan(scan_step(heun_step), x0, jax.tree.map(lambda a: a[:-1], inputs))
        x, last = scan_step(euler_step)(x, jax.tree.map(lambda a: a[-1], inputs))
        path = jnp.concatenate([path, last[None]])
    return Sampled(x, jnp.concatenate([x0[None], path]))


def raised_sigmas(sigmas: np.ndarray, churn: Churn) -> np.ndarray:
    """Noise levels after churn: `sigma * (1 + gamma)`, gamma = min(s_churn / steps, sqrt(2) - 1)
    inside [s_min, s_max].
    """
    gamma = min(churn.s_churn / len(sigmas), math.sqrt(2) - 1)
    inside = (sigmas >= churn.s_min) & (sigmas <= churn.s_max)
    return (sigmas * (1 + gamma * inside)).astype(np.float32)
