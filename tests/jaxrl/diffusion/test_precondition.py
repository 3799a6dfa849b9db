"""Preconditioning: the identities that define it, limits, and the values of DIAMOND's sampler."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.diffusion.precondition import EDM, combine, conditioners, network_target, over_space

SIGMAS = np.geomspace(2e-3, 80, 9)
FRAMES = EDM(sigma_offset=0.3)


@pytest.mark.parametrize("edm", [EDM(), FRAMES, EDM(sigma_data=1.3)])
def test_unit_variance_in_and_out_and_least_amplified_error(edm):
    """EDM, appendix B.6, in float64: Var(c_in x) = 1, Var(target) = 1, and c_skip makes c_out
    smallest.
    """
    c = [np.asarray(a, np.float64) for a in conditioners(jnp.asarray(SIGMAS, jnp.float32), edm)]
    c_in, c_skip, c_out, c_noise = c
    s2, d2 = SIGMAS**2 + edm.sigma_offset**2, edm.sigma_data**2
    np.testing.assert_allclose(c_in**2 * (s2 + d2), 1, rtol=1e-5)
    np.testing.assert_allclose(((1 - c_skip) ** 2 * d2 + c_skip**2 * s2) / c_out**2, 1, rtol=1e-4)

    def error(skip):
        return (1 - skip) ** 2 * d2 + skip**2 * s2

    for nudge in (-1e-2, 1e-2):
        assert (error(c_skip) < error(c_skip + nudge)).all()
    np.testing.assert_allclose(c_noise, np.log(s2) / 8, rtol=1e-5, atol=1e-6)


def test_limits():
    """No noise: the input is the answer. Only noise: the network is."""
    clear, lost = conditioners(jnp.float32(1e-6), EDM()), conditioners(jnp.float32(1e5), EDM())
    np.testing.assert_allclose([clear.c_skip, clear.c_out], [1, 0], atol=1e-5)
    np.testing.assert_allclose([lost.c_skip, lost.c_out], [0, 0.5], atol=1e-5)


def test_values_at_diamonds_sampling_levels():
    c = conditioners(jnp.array([5.0, 0.28308, 0.002]), FRAMES)
    np.testing.assert_allclose(c.c_in, [0.1987, 1.5428, 1.7150], atol=1e-4)
    np.testing.assert_allclose(c.c_skip, [0.0099, 0.5950, 0.7353], atol=1e-4)
    np.testing.assert_allclose(c.c_out, [0.4975, 0.3182, 0.2573], atol=1e-4)
    np.testing.assert_allclose(c.c_noise, [0.4028, -0.2214, -0.3010], atol=1e-4)


def test_a_network_that_hits_its_target_denoises_perfectly():
    rng = np.random.default_rng(0)
    clean, noisy = (jnp.asarray(rng.normal(size=(9, 4, 3, 2)), jnp.float32) for _ in range(2))
    c = conditioners(jnp.asarray(SIGMAS, jnp.float32), FRAMES)
    np.testing.assert_allclose(combine(network_target(clean, noisy, c), noisy, c), clean, atol=2e-5)


def test_combining_is_done_in_float32_whatever_the_network_computes_in():
    c = conditioners(jnp.float32(0.5), EDM())
    x = jnp.full((2, 2, 1), 1.0 + 2**-12, jnp.float32)
    combined = combine(jnp.zeros((2, 2, 1), jnp.bfloat16), x, c)
    assert combined.dtype == jnp.float32
    np.testing.assert_allclose(combined, 0.5 * x, rtol=1e-6)


def test_a_scalar_per_example_is_spread_over_its_map():
    assert over_space(jnp.arange(6.0).reshape(2, 3)).shape == (2, 3, 1, 1, 1)
