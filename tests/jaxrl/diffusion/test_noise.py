"""Noise: levels by hand, the variances of what is added, schedules in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.diffusion.noise import add_noise, draw, karras_sigmas, training_sigma
from jaxrl.diffusion.precondition import EDM


def test_levels_are_log_normal_and_clipped():
    level = np.array([-100.0, -1.0, 0.0, 1.0, 100.0])
    sigma = training_sigma(jnp.asarray(level, jnp.float32), EDM())
    np.testing.assert_allclose(
        sigma, [2e-3, np.exp(-1.6), np.exp(-0.4), np.exp(0.8), 20.0], rtol=1e-6
    )


def test_draws_are_standard_normal_and_independent(key):
    draws = jax.jit(jax.vmap(lambda k: draw(k, (3, 2, 2))))(jax.random.split(key, 20_000))
    assert (draws.level.shape[1:], draws.offset.shape[1:], draws.pixel.shape[1:]) == (
        (),
        (1, 1, 2),
        (3, 2, 2),
    )
    flat = np.concatenate([np.asarray(d).reshape(20_000, -1) for d in draws], axis=1)
    assert flat.shape[1] == 1 + 2 + 12
    np.testing.assert_allclose(flat.mean(0), 0, atol=5 / np.sqrt(20_000))
    np.testing.assert_allclose(np.cov(flat.T), np.eye(15), atol=7 / np.sqrt(20_000))


def test_noise_is_offset_over_space_plus_sigma_per_pixel(key):
    edm, clean = EDM(sigma_offset=0.3), jnp.full((5, 4, 2, 3), 0.25)
    draws = jax.vmap(lambda k: draw(k, (4, 2, 3)))(jax.random.split(key, 5))
    sigma = jnp.array([0.0, 0.1, 1.0, 5.0, 20.0])
    noisy = np.asarray(add_noise(clean, sigma, draws, edm))
    for i in range(5):
        for h, w, c in np.ndindex(4, 2, 3):
            expected = (
                0.25
                + 0.3 * float(draws.offset[i, 0, 0, c])
                + float(sigma[i]) * float(draws.pixel[i, h, w, c])
            )
            assert abs(noisy[i, h, w, c] - expected) < 1e-5


def test_latents_get_no_offset_noise_by_default(key):
    clean = jnp.ones((4, 4, 2))
    np.testing.assert_array_equal(
        add_noise(clean, jnp.float32(0), draw(key, (4, 4, 2)), EDM()), clean
    )


@pytest.mark.parametrize(
    "steps, low, high, rho",
    [(3, 2e-3, 5.0, 7), (18, 2e-3, 80.0, 7), (4, 0.1, 1.0, 1), (1, 0.1, 2.0, 7)],
)
def test_schedule_in_float64(steps, low, high, rho):
    sigmas = karras_sigmas(steps, low, high, rho)
    ramp = [i / (steps - 1) if steps > 1 else 0.0 for i in range(steps)]
    expected = [
        (high ** (1 / rho) + i * (low ** (1 / rho) - high ** (1 / rho))) ** rho for i in ramp
    ] + [0.0]
    np.testing.assert_allclose(sigmas, expected, rtol=1e-6)
    assert sigmas.dtype == np.float32 and (np.diff(sigmas) < 0).all()


def test_diamonds_schedule():
    np.testing.assert_allclose(
        karras_sigmas(3, 2e-3, 5.0, 7), [5.0, 0.28308, 0.002, 0.0], atol=1e-5
    )


@pytest.mark.parametrize("steps, low, high", [(0, 0.1, 1.0), (3, 0.0, 1.0), (3, 2.0, 1.0)])
def test_an_impossible_schedule_is_refused(steps, low, high):
    with pytest.raises(ValueError, match=f"got {steps}, {low}, {high}"):
        karras_sigmas(steps, low, high, 7)
