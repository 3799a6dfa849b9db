"""Knowledge of a denoising loss about the past: the predictive-information identity, with closed
forms for a Gaussian pair.

C is what is known (past latents and actions), Z the next latent, Z_s = sqrt(s) Z + N with N ~ N(0,
I) its noisy version at signal-to-noise ratio s = 1 / sigma^2. Conditional I-MMSE (Guo, Shamai,
Verdu 2005) says d/ds I(Z; Z_s | C) = mmse(Z | Z_s, C) / 2. Because C - Z - Z_s is a Markov chain,
integrating to S gives

    1/2 INT_0^S mmse(Z | Z_s, C) ds  =  I(Z; Z_S | C)  =  I(Z; Z_S) - I(C; Z_S).

The loss of the best conditional denoiser, weighted by SNR, is what the latent keeps (compression)
less what the past says about it (prediction). All informations are in nats; our derivation, tests
check both sides.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class GaussianPair(NamedTuple):
    """C ~ N(0, context) in K dimensions, Z = gain C + E with E ~ N(0, noise) independent of C, in D
    dimensions.
    """

    gain: jax.Array
    """`[D, K]`."""
    noise: jax.Array
    """`[D, D]`, symmetric positive definite: what the past cannot say about Z."""
    context: jax.Array
    """`[K, K]`, symmetric positive definite."""

    @property
    def covariance(self) -> jax.Array:
        """Covariance of Z, `[D, D]`."""
        return self.gain @ self.context @ self.gain.T + self.noise


def _logdet(matrix):
    return jnp.linalg.slogdet(matrix)[1]


def kept(pair: GaussianPair, snr: jax.Array) -> jax.Array:
    """I(Z; Z_S), nats: information that the noisy latent keeps about the latent. `snr` a scalar."""
    return _logdet(jnp.eye(len(pair.noise)) + snr * pair.covariance) / 2


def predicted(pair: GaussianPair, snr: jax.Array) -> jax.Array:
    """I(C; Z_S), nats: information of the past about the noisy latent. From the joint covariance of
    C and Z_S.
    """
    cross = jnp.sqrt(snr) * pair.gain @ pair.context
    noisy = jnp.eye(len(pair.noise)) + snr * pair.covariance
    joint = jnp.block([[pair.context, cross.T], [cross, noisy]])
    return (_logdet(pair.context) + _logdet(noisy) - _logdet(joint)) / 2


def left_over(pair: GaussianPair, snr: jax.Array) -> jax.Array:
    """I(Z; Z_S | C), nats: information of the noisy latent about the latent, beyond that of the
    past.
    """
    return _logdet(jnp.eye(len(pair.noise)) + snr * pair.noise) / 2


def best_denoiser(
    pair: GaussianPair, noisy: jax.Array, context: jax.Array, snr: jax.Array
) -> jax.Array:
    """E[Z | Z_s, C], linear: `noisy [D]` is Z_s = sqrt(snr) Z + N, `context [K]` is C; result
    `[D]`.

    Args:
      pair: the distribution of C and Z.
      noisy: `[D]`, Z_s.
      context: `[K]`, C.
      snr: scalar s, at least 0.

    Returns:
      `[D]`.
    """
    prior = pair.gain @ context
    surprise = noisy - jnp.sqrt(snr) * prior
    gain = jnp.linalg.solve(jnp.eye(len(pair.noise)) + snr * pair.noise, jnp.sqrt(snr) * pair.noise)
    return prior + gain.T @ surprise


def blind_denoiser(
    pair: GaussianPair, noisy: jax.Array, context: jax.Array, snr: jax.Array
) -> jax.Array:
    """E[Z | Z_s]: the same for somebody who does not see the past.

    Args:
      pair: the distribution of C and Z.
      noisy: `[D]`, Z_s.
      context: `[K]`; its values do not matter, it makes the signature that of `Denoiser`.
      snr: scalar s, at least 0.

    Returns:
      `[D]`.
    """
    blind = GaussianPair(jnp.zeros_like(pair.gain), pair.covariance, pair.context)
    return best_denoiser(blind, noisy, context, snr)


def mmse(pair: GaussianPair, snr: jax.Array) -> jax.Array:
    """E |Z - E[Z | Z_s, C]|^2, summed over dimensions: the loss of the best conditional denoiser,
    trace((noise^-1 + s)^-1).
    """
    return jnp.trace(jnp.linalg.solve(jnp.eye(len(pair.noise)) + snr * pair.noise, pair.noise))


def blind_mmse(pair: GaussianPair, snr: jax.Array) -> jax.Array:
    """The same without the past: E |Z - E[Z | Z_s]|^2."""
    return jnp.trace(
        jnp.linalg.solve(jnp.eye(len(pair.noise)) + snr * pair.covariance, pair.covariance)
    )


Denoiser = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
"""`(noisy [D], context [K], snr) -> [D]`."""


def denoising_loss(
    pair: GaussianPair, denoiser: Denoiser, snr: jax.Array, key: jax.Array, samples: int
) -> jax.Array:
    """Mean of |Z - denoiser(Z_s, C, s)|^2 over draws from the pair, scalar: what one would measure
    in training.

    Args:
      pair: the distribution of C and Z.
      denoiser: the estimator of Z, for one example; it is vmapped.
      snr: scalar s, at least 0.
      key: PRNG key of the draws.
      samples: number of draws (static).

    Returns:
      float scalar: squared error summed over the D dimensions, mean over draws.
    """
    key_context, key_own, key_noise = jax.random.split(key, 3)
    dimensions, known = pair.gain.shape
    context = jax.random.normal(key_context, (samples, known)) @ jnp.linalg.cholesky(pair.context).T
    clean = (
        context @ pair.gain.T
        + jax.random.normal(key_own, (samples, dimensions)) @ jnp.linalg.cholesky(pair.noise).T
    )
    noisy = jnp.sqrt(snr) * clean + jax.random.normal(key_noise, clean.shape)
    denoised = jax.vmap(denoiser, (0, 0, None))(noisy, context, snr)
    return jnp.square(clean - denoised).sum(-1).mean()


def snr_nodes(largest: float, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Signal-to-noise ratios in (0, largest) and weights for an integral over them, float32
    `[count]`.

    Gauss-Legendre in ln(1 + s), in which such losses are smooth.

    Raises:
      ValueError: for largest <= 0 or count < 1.
    """
    if not largest > 0 or count < 1:
        raise ValueError(f"need largest > 0 and count >= 1, got {largest} and {count}")
    points, weights = np.polynomial.legendre.leggauss(count)
    span = np.log1p(largest) / 2
    snr = np.expm1((points + 1) * span)
    return snr.astype(np.float32), (weights * span * (1 + snr)).astype(np.float32)


def integrated_loss(
    loss: Callable[[jax.Array], jax.Array], largest: float, count: int = 40
) -> jax.Array:
    """`1/2 INT_0^largest loss(s) ds`, nats, for a loss that maps a scalar signal-to-noise ratio to
    a scalar (it is vmapped).
    """
    snr, weights = snr_nodes(largest, count)
    return (jax.vmap(loss)(jnp.asarray(snr)) * weights).sum() / 2
