"""Samplers: exact solutions, orders of convergence, a NumPy loop in float64, churn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.diffusion.noise import karras_sigmas
from jaxrl.diffusion.sample import Churn, raised_sigmas, sample

SD = 0.5


def gaussian(x, sigma):
    """The best denoiser of data N(0, SD^2)."""
    return SD**2 / (SD**2 + sigma**2) * x


def wavy(x, sigma):
    """Some smooth denoiser."""
    return (
        np.tanh(x) * 0.5 / (1 + sigma)
        if isinstance(x, np.ndarray)
        else jnp.tanh(x) * 0.5 / (1 + sigma)
    )


def slow_sample(denoise, x, sigmas, order, churn=Churn(), noise=None):  # noqa: B008
    """EDM's algorithm 2 in float64, with the denoiser called at sigma."""
    x, path, steps = np.asarray(x, np.float64), [], len(sigmas) - 1
    for i in range(steps):
        cur, nxt = float(sigmas[i]), float(sigmas[i + 1])
        gamma = (
            min(churn.s_churn / steps, np.sqrt(2) - 1) if churn.s_min <= cur <= churn.s_max else 0.0
        )
        hat = cur * (1 + gamma)
        if noise is not None:
            x = x + np.sqrt(hat**2 - cur**2) * churn.s_noise * np.asarray(noise[i], np.float64)
        d = (x - denoise(x, cur)) / hat
        x_euler = x + d * (nxt - hat)
        if order == 2 and nxt > 0:
            d = (d + (x_euler - denoise(x_euler, nxt)) / nxt) / 2
        x = x + d * (nxt - hat)
        path.append(x)
    return np.stack(path)


X0 = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
CHURN = Churn(s_churn=1.5, s_min=0.05, s_max=3.0, s_noise=1.1)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("churn", [Churn(), CHURN], ids=["plain", "churn"])
@pytest.mark.parametrize("steps", [1, 4])
def test_trajectories_equal_a_slow_loop(order, churn, steps):
    sigmas = karras_sigmas(steps, 0.01, 5.0, 7)
    noise = (
        np.random.default_rng(1).normal(size=(steps, *X0.shape)).astype(np.float32)
        if churn.s_churn
        else None
    )
    result = jax.jit(lambda x: sample(wavy, x, sigmas, order, churn, noise))(X0)
    np.testing.assert_array_equal(result.trajectory[0], X0)
    np.testing.assert_array_equal(result.trajectory[-1], result.x)
    np.testing.assert_allclose(
        result.trajectory[1:], slow_sample(wavy, X0, sigmas, order, churn, noise), atol=1e-5
    )


@pytest.mark.parametrize("order", [1, 2])
def test_data_at_one_point_are_found_in_one_step(order):
    x = sample(lambda x, _: jnp.full_like(x, 0.7), X0, karras_sigmas(1, 5.0, 5.0, 7), order).x
    np.testing.assert_allclose(x, 0.7, atol=1e-6)


def test_the_last_step_returns_the_denoised_map_itself():
    """As the last level is 0: what DIAMOND relies on for frames on the 8-bit grid."""
    result = sample(lambda x, sigma: jnp.round(4 * x) / 4, X0, karras_sigmas(3, 2e-3, 5.0, 7))
    np.testing.assert_allclose(result.x, np.round(4 * result.trajectory[-2]) / 4, atol=1e-6)


def error(order, steps):
    """Of the sampler on Gaussian data, where x(sigma) ~ sqrt(SD^2 + sigma^2) solves the flow."""
    sigmas = karras_sigmas(steps, 0.05, 2.0, 3)
    result = sample(gaussian, jnp.ones(1), sigmas, order)
    exact = np.sqrt((SD**2 + sigmas[-2] ** 2) / (SD**2 + sigmas[0] ** 2))
    return abs(float(result.trajectory[-2, 0]) - exact)


def test_euler_is_of_first_order_and_heun_of_second():
    assert 1.7 < error(1, 9) / error(1, 17) < 2.4
    assert 3.3 < error(2, 9) / error(2, 17) < 5.5
    assert error(2, 17) < error(1, 17) / 8


def test_a_large_number_of_steps_gives_samples_of_the_data():
    """From noise of variance sigma_max^2 + SD^2 to variance SD^2."""
    sigmas = karras_sigmas(200, 1e-3, 10.0, 7)
    result = sample(gaussian, jnp.float32(np.sqrt(10.0**2 + SD**2))[None], sigmas, 2)
    np.testing.assert_allclose(result.x, SD, rtol=1e-3)


def test_churn_puts_back_the_noise_that_the_raised_level_asks_for(key):
    """With the identity as denoiser nothing else moves, so variances add: hat^2 - cur^2 per step,
    times s_noise^2.
    """
    sigmas = karras_sigmas(3, 0.5, 4.0, 2)
    noise = jax.random.normal(key, (3, 40_000))
    x = sample(lambda x, _: x, jnp.zeros(40_000), sigmas, 1, CHURN, noise).x
    hat = raised_sigmas(sigmas[:-1], CHURN)
    np.testing.assert_allclose(
        float(x.var()), 1.1**2 * (hat**2 - sigmas[:-1] ** 2).sum(), rtol=0.05
    )


def test_raised_levels_by_hand():
    sigmas = np.array([4.0, 1.0, 0.1], np.float32)
    np.testing.assert_allclose(
        raised_sigmas(sigmas, Churn(0.6, 0.5, 2.0)), [4.0, 1.2, 0.1], rtol=1e-6
    )
    np.testing.assert_allclose(raised_sigmas(sigmas, Churn(99.0)), np.sqrt(2) * sigmas, rtol=1e-6)
    np.testing.assert_array_equal(raised_sigmas(sigmas, Churn()), sigmas)


def test_number_of_denoiser_calls():
    """Euler: one per step. Heun: two, but for the last."""
    for order, expected in ((1, 4), (2, 7)):
        calls = []
        with jax.disable_jit():
            sample(
                lambda x, s, calls=calls: calls.append(float(s)) or x,
                jnp.ones(1),
                karras_sigmas(4, 0.1, 1.0, 7),
                order,
            )
        assert len(calls) == expected
        assert min(calls) > 0


@pytest.mark.parametrize(
    "arguments, sentence",
    [({"order": 3}, "order must be 1"), ({"churn": Churn(1.0)}, "churn needs churn_noise")],
)
def test_wrong_settings_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        sample(gaussian, X0, karras_sigmas(2, 0.1, 1.0, 7), **arguments)
