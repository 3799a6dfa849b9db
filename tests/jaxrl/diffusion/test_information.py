"""Denoising and information: for a linear-Gaussian pair, the integrated loss of the best denoiser
is a mutual information.

First in one dimension and through the training loss of `jaxrl.diffusion.loss`; then
`jaxrl.diffusion.information`, in several.

C ~ N(0, 1), Z = a C + b E, Z_s = sqrt(s) Z + N with s = 1 / sigma^2. Conditional I-MMSE: 1/2
INT_0^S mmse(Z | Z_s, C) ds = I(Z; Z_S | C) = I(Z; Z_S) - I(C; Z_S): what the latent keeps, less
what the past says about it.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.diffusion import information
from jaxrl.diffusion.information import GaussianPair
from jaxrl.diffusion.loss import autoregressive_loss
from jaxrl.diffusion.noise import Draws
from jaxrl.diffusion.precondition import EDM, combine, conditioners

A, B = 0.4, 0.3
EDM_PAIR = EDM(
    sigma_data=0.5, log_sigma_mean=0.0, log_sigma_std=1.0, sigma_train_min=1e-3, sigma_train_max=1e3
)
assert abs(A**2 + B**2 - EDM_PAIR.sigma_data**2) < 1e-12


def best_network(noisy, c_noise, context, condition):
    """F of the best linear denoiser E[Z | Z_s, C], from what a network is given; `context[-1]` is C
    / sigma_data.
    """
    sd = EDM_PAIR.sigma_data
    sigma2 = jnp.exp(8 * c_noise)[..., None, None, None]
    x, c = noisy * jnp.sqrt(sigma2 + sd**2), context[-1] * sd
    posterior = (B**2 * x + sigma2 * A * c) / (B**2 + sigma2)
    skip = sd**2 / (sigma2 + sd**2)
    return (posterior - skip * x) / jnp.sqrt(sigma2 * skip)


@jax.jit
def mean_squared_error(log_sigma, nodes, weights):
    """E (D - Z)^2 at noise levels `[L]`: the training loss times c_out^2, averaged by Gauss-Hermite
    quadrature, exact here.
    """
    c, e, n = jnp.broadcast_to(
        nodes.T[:, None, :, None, None, None], (3, len(log_sigma), len(nodes), 1, 1, 1)
    )
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
    return jnp.asarray(nodes, jnp.float32), jnp.asarray(
        [np.prod(w) for w in itertools.product(weights, repeat=3)], jnp.float32
    )


def integrated_loss(snr):
    """1/2 INT_0^snr mmse ds by Gauss-Legendre in u = ln(1 + s)."""
    points, weights = np.polynomial.legendre.leggauss(40)
    u = (points + 1) / 2 * np.log1p(snr)
    s = np.expm1(u)
    mmse = np.asarray(
        mean_squared_error(jnp.asarray(-0.5 * np.log(s), jnp.float32), *quadrature()), np.float64
    )
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
    assert (
        float(mean_squared_error(jnp.log(jnp.sqrt(jnp.array([sigma2]))), *quadrature())[0])
        < 0.7 * marginal
    )


# ---- several dimensions
# ------------------------------------------------------------


def random_pair(seed, dimensions=3, known=2):
    """A pair with full covariances, and the same as float64 arrays."""
    rng = np.random.default_rng(seed)

    def square(n):
        return (lambda root: root @ root.T / n + 0.2 * np.eye(n))(rng.normal(size=(n, n)))

    arrays = 1 + 0.5 * rng.normal(size=(dimensions, known)), square(dimensions), square(known)
    return GaussianPair(*(jnp.asarray(a, jnp.float32) for a in arrays)), arrays


def by_eigenvalues(covariance, snr):
    """1/2 sum ln(1 + s v) over eigenvalues v."""
    return 0.5 * np.log1p(snr * np.linalg.eigvalsh(covariance)).sum()


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (2, 4)])
@pytest.mark.parametrize("snr", [0.5, 20.0, 1000.0])
def test_the_identity_in_several_dimensions(shape, snr):
    """The integral is numeric; kept and predicted come from determinants of covariances."""
    pair, _ = random_pair(sum(shape), *shape)
    loss = jax.jit(lambda: information.integrated_loss(lambda s: information.mmse(pair, s), snr))()
    kept, predicted = information.kept(pair, snr), information.predicted(pair, snr)
    assert predicted > 0.01
    assert abs(loss - (kept - predicted)) < 1e-3
    blind = jax.jit(
        lambda: information.integrated_loss(lambda s: information.blind_mmse(pair, s), snr)
    )()
    assert abs(blind - kept) < 1e-3


@pytest.mark.parametrize("snr", [0.5, 20.0])
def test_informations_are_those_of_eigenvalues_and_of_the_other_side(snr):
    """I(C; Z_S) = h(C) - h(C | Z_S), with the posterior covariance of C by the matrix inversion
    that the code does not use.
    """
    pair, (gain, noise, context) = random_pair(1)
    np.testing.assert_allclose(
        information.kept(pair, snr), by_eigenvalues(gain @ context @ gain.T + noise, snr), rtol=1e-5
    )
    np.testing.assert_allclose(
        information.left_over(pair, snr), by_eigenvalues(noise, snr), rtol=1e-5
    )
    observed = snr * gain.T @ np.linalg.inv(snr * noise + np.eye(3)) @ gain
    posterior = np.linalg.inv(np.linalg.inv(context) + observed)
    expected = 0.5 * (np.linalg.slogdet(context)[1] - np.linalg.slogdet(posterior)[1])
    np.testing.assert_allclose(information.predicted(pair, snr), expected, rtol=1e-4)


def test_the_best_denoiser_is_the_conditional_mean_of_the_joint_gaussian():
    pair, (gain, noise, context) = random_pair(2)
    rng, snr = np.random.default_rng(0), 3.0
    c, noisy = rng.normal(size=2), rng.normal(size=3)
    covariance = gain @ context @ gain.T + noise
    root = np.sqrt(snr)
    seen = np.block(
        [[context, root * context @ gain.T], [root * gain @ context, snr * covariance + np.eye(3)]]
    )
    cross = np.hstack([gain @ context, root * covariance])
    expected = cross @ np.linalg.solve(seen, np.concatenate([c, noisy]))
    actual = information.best_denoiser(
        pair, jnp.asarray(noisy, jnp.float32), jnp.asarray(c, jnp.float32), snr
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
    error = np.trace(covariance - cross @ np.linalg.solve(seen, cross.T))
    np.testing.assert_allclose(information.mmse(pair, snr), error, rtol=1e-4)
    blind = root * covariance @ np.linalg.solve(snr * covariance + np.eye(3), noisy)
    actual = information.blind_denoiser(
        pair, jnp.asarray(noisy, jnp.float32), jnp.asarray(c, jnp.float32), snr
    )
    np.testing.assert_allclose(actual, blind, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("snr", [0.3, 5.0])
def test_the_measured_loss_of_the_best_denoiser_is_its_closed_form_and_no_other_is_lower(snr, key):
    pair, _ = random_pair(3)
    measure = jax.jit(
        lambda shift, scale: information.denoising_loss(
            pair,
            lambda *seen: shift + scale * information.best_denoiser(pair, *seen),
            snr,
            key,
            100_000,
        )
    )
    closed = information.mmse(pair, snr)
    np.testing.assert_allclose(measure(0.0, 1.0), closed, rtol=0.01)
    for shift, scale in ((0.1, 1.0), (0.0, 0.9), (0.0, 1.1)):
        assert measure(shift, scale) > measure(0.0, 1.0) + 0.005
    blind = information.denoising_loss(
        pair, lambda *seen: information.blind_denoiser(pair, *seen), snr, key, 100_000
    )
    np.testing.assert_allclose(blind, information.blind_mmse(pair, snr), rtol=0.01)


def test_limits():
    """No signal: nothing is known but the past. Much signal: predicted tends to I(C; Z). An
    unrelated past predicts nothing.
    """
    pair, (gain, noise, context) = random_pair(4)
    np.testing.assert_allclose(information.mmse(pair, 0.0), np.trace(noise), rtol=1e-5)
    np.testing.assert_allclose(
        information.blind_mmse(pair, 0.0), np.trace(gain @ context @ gain.T + noise), rtol=1e-5
    )
    whole = 0.5 * (
        np.linalg.slogdet(gain @ context @ gain.T + noise)[1] - np.linalg.slogdet(noise)[1]
    )
    np.testing.assert_allclose(information.predicted(pair, 1e4), whole, rtol=1e-2)
    unrelated = pair._replace(gain=jnp.zeros_like(pair.gain))
    np.testing.assert_allclose(information.predicted(unrelated, 5.0), 0.0, atol=1e-5)


def test_nodes_integrate_what_has_a_known_integral():
    snr, weights = information.snr_nodes(50.0)
    np.testing.assert_allclose((weights / (1 + snr) ** 2).sum(), 1 - 1 / 51, rtol=1e-5)
    for largest, count in ((0.0, 4), (float("nan"), 4), (1.0, 0)):
        with pytest.raises(ValueError, match="need largest > 0"):
            information.snr_nodes(largest, count)
