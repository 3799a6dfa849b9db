"""Denoising and information: for a linear-Gaussian pair, the integrated loss of the best denoiser is a mutual information.

C ~ N(0, 1), Z = a C + b E, Z_s = sqrt(s) Z + N with s = 1 / sigma^2. Conditional I-MMSE: 1/2 INT_0^S mmse(Z | Z_s, C) ds
= I(Z; Z_S | C) = I(Z; Z_S) - I(C; Z_S): what the latent keeps, less what the past says about it.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.diffusion.loss import autoregressive_loss
from jaxrl.diffusion.noise import Draws
from jaxrl.diffusion.precondition import EDM, combine, conditioners

A, B = 0.4, 0.3
EDM_PAIR = EDM(sigma_data=0.5, log_sigma_mean=0.0, log_sigma_std=1.0, sigma_train_min=1e-3, sigma_train_max=1e3)
assert abs(A**2 + B**2 - EDM_PAIR.sigma_data**2) < 1e-12


def best_network(noisy, c_noise, context, condition):
    """F of the best linear denoiser E[Z | Z_s, C], from what a network is given; `context[-1]` is C / sigma_data."""
    sd = EDM_PAIR.sigma_data
    sigma2 = jnp.exp(8 * c_noise)[..., None, None, None]
    x, c = noisy * jnp.sqrt(sigma2 + sd**2), context[-1] * sd
    posterior = (B**2 * x + sigma2 * A * c) / (B**2 + sigma2)
    skip = sd**2 / (sigma2 + sd**2)
    return (posterior - skip * x) / jnp.sqrt(sigma2 * skip)


@jax.jit
def mean_squared_error(log_sigma, nodes, weights):
    """E (D - Z)^2 at noise levels `[L]`: the training loss times c_out^2, averaged by Gauss-Hermite quadrature, exact here."""
    c, e, n = jnp.broadcast_to(nodes.T[:, None, :, None, None, None], (3, len(log_sigma), len(nodes), 1, 1, 1))
    clean = A * c + B * e
    level = jnp.broadcast_to(log_sigma[:, None], clean.shape[:2])
    draws = Draws(level[None], jnp.zeros((1, *clean.shape)), n[None])
    steps = autoregressive_loss(best_network, c[None], clean[None], (), draws, EDM_PAIR)
    scale = jnp.square(conditioners(jnp.exp(level), EDM_PAIR).c_out)
    assert steps.loss.shape == (1, *level.shape)
    return (steps.loss[0] * scale * weights[None]).sum(1)


def quadrature():
    """27 points and weights over (C, E, N), exact for squares."""
    points, weights = np.polynomial.hermite_e.hermegauss(3)
    weights = weights / weights.sum()
    nodes = np.array(list(itertools.product(points, repeat=3)))
    return jnp.asarray(nodes, jnp.float32), jnp.asarray([np.prod(w) for w in itertools.product(weights, repeat=3)], jnp.float32)


def integrated_loss(snr):
    """1/2 INT_0^snr mmse ds by Gauss-Legendre in u = ln(1 + s)."""
    points, weights = np.polynomial.legendre.leggauss(40)
    u = (points + 1) / 2 * np.log1p(snr)
    s = np.expm1(u)
    mmse = np.asarray(mean_squared_error(jnp.asarray(-0.5 * np.log(s), jnp.float32), *quadrature()), np.float64)
    return 0.5 * (weights / 2 * np.log1p(snr) * mmse * (1 + s)).sum()


@pytest.mark.parametrize("snr", [1.0, 10.0, 300.0])
def test_the_integrated_loss_is_compression_minus_prediction(snr):
    kept = 0.5 * np.log1p(snr * (A**2 + B**2))  # I(Z; Z_S)
    predicted = 0.5 * np.log((1 + snr * (A**2 + B**2)) / (1 + snr * B**2))  # I(C; Z_S)
    assert predicted > 0.02
    assert abs(integrated_loss(snr) - (kept - predicted)) < 1e-3


def test_the_mean_squared_error_has_its_closed_form():
    sigma = np.array([0.01, 0.1, 1.0, 10.0])
    actual = mean_squared_error(jnp.asarray(np.log(sigma), jnp.float32), *quadrature())
    np.testing.assert_allclose(actual, 1 / (1 / B**2 + 1 / sigma**2), rtol=1e-3)


def test_a_denoiser_that_ignores_the_past_loses_more():
    """Without C the error is that of the marginal, which is what `I(Z; Z_S)` integrates."""
    sigma2, sd2 = 0.5**2, EDM_PAIR.sigma_data**2
    c = conditioners(jnp.sqrt(jnp.float32(sigma2)), EDM_PAIR)
    x = jnp.ones((1, 1, 1))
    blind = float(combine(jnp.zeros_like(x), x, c)[0, 0, 0])
    np.testing.assert_allclose(blind, sd2 / (sigma2 + sd2), rtol=1e-6)
    marginal = sigma2 * sd2 / (sigma2 + sd2)
    assert float(mean_squared_error(jnp.log(jnp.sqrt(jnp.array([sigma2]))), *quadrature())[0]) < 0.7 * marginal
