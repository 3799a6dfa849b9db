"""Distance of an estimator's gradients from the exact one: bias, spread, direction, and what the
relaxation looks away from.

The measures follow the analysis in Liu et al. 2023 (ReinMax, arXiv 2304.08612, section 6) and Shah
et al. 2024 (arXiv 2410.13331).
"""

import functools
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from quant.estimators.exact import exact_gradient, expectation_of_table, tabulate
from quant.estimators.gumbel import decoupled_st_gs
from quant.estimators.sample import Sample
from quant.estimators.score_function import Loss, ScoreFunction, estimate_gradient
from quant.old_names import renamed

Estimator = Callable[..., Sample] | ScoreFunction


class BiasVariance(NamedTuple):
    """Scalars (or a grid of them). g is the exact gradient, e one estimate, m the mean of n
    estimates; norms are Euclidean.
    """

    bias_rel: jax.Array
    """|m - g| / |g|. Noise of the mean counts as bias here."""
    bias_rel_debiased: jax.Array
    """The same with the noise subtracted: sqrt(max(0, |m - g|^2 - var / n)) / |g|, var the unbiased
    total variance of e.
    """
    std_rel: jax.Array
    """sqrt(var) / |g|: spread of one estimate."""
    cosine: jax.Array
    """Cosine of the angle between m and g."""
    mse_rel: jax.Array
    """Mean squared error E |e - g|^2 / |g|^2."""
    gap_z: jax.Array
    """E |grad f(D) - grad f(z)|, z the relaxed value of the same noise; NaN for score functions.
    See `gradient_gap`.
    """
    gap_z_rel: jax.Array
    """Ratio gap_z / E |grad f(z)|."""
    gap_theta: jax.Array
    """E |A^T (grad f(D) - grad f(z))|, A the estimator's Jacobian of the value with respect to the
    logits.
    """
    gap_theta_rel: jax.Array
    """Ratio gap_theta / E |A^T grad f(z)|."""
    grad_norm: jax.Array
    """Length |g| of the exact gradient."""
    entropy: jax.Array
    """Mean entropy of the variables under softmax(logits), in nats."""


class Gap(NamedTuple):
    """The two gradient gaps and their shares of the relaxed gradient's norm."""

    z: jax.Array
    z_rel: jax.Array
    theta: jax.Array
    theta_rel: jax.Array


def bias_variance(
    estimator: Estimator,
    f: Loss,
    key: jax.Array,
    logits: jax.Array,
    n: int = 1024,
    exact: jax.Array | None = None,
    draws: int = 1,
    chunk: int = 256,
) -> BiasVariance:
    """Compare `n` independent gradient estimates with the exact gradient.

    Args:
      estimator: as for `estimate_gradient`.
      f: of a value shaped like the logits, to a scalar; differentiable between one-hot values.
      key: typed PRNG key.
      logits: floating `[..., K]`.
      n: estimates, at least 2.
      exact: the exact gradient `[..., K]`; found by enumeration if absent. For an estimator that
        tempers its draws, give the gradient of the tempered expectation, or of the one that you are
        after.
      draws: draws that each estimate averages over.
      chunk: estimates that are computed together.

    Raises:
      ValueError: n is less than 2, or there are too many configurations to visit and no exact
        gradient was given.
    """
    if n < 2:
        raise ValueError(f"a variance needs at least 2 estimates, not {n}")
    exact = exact_gradient(f, logits) if exact is None else exact
    first, second = jax.random.split(key)

    def one(k):
        return estimate_gradient(estimator, f, k, logits, draws).gradient.reshape(-1)

    estimates = jax.lax.map(one, jax.random.split(first, n), batch_size=min(chunk, n))
    gap = gradient_gap(estimator, f, second, logits, n, chunk)
    return _compare(estimates, exact.reshape(-1), gap, _entropy(logits))


def _compare(estimates, exact, gap, entropy):
    """Args: `[n, P]`, `[P]`."""
    n, mean = estimates.shape[0], estimates.mean(0)
    norm, offset = jnp.linalg.norm(exact), jnp.square(mean - exact).sum()
    variance = jnp.square(estimates - mean[None]).sum() / (n - 1)
    debiased = jnp.sqrt(jnp.maximum(offset - variance / n, 0))
    cosine = (mean * exact).sum() / (jnp.linalg.norm(mean) * norm)
    mse = jnp.square(estimates - exact[None]).sum(-1).mean() / norm**2
    return BiasVariance(
        jnp.sqrt(offset) / norm,
        debiased / norm,
        jnp.sqrt(variance) / norm,
        cosine,
        mse,
        gap.z,
        gap.z_rel,
        gap.theta,
        gap.theta_rel,
        norm,
        entropy,
    )


def gradient_gap(
    estimator: Estimator,
    f: Loss,
    key: jax.Array,
    logits: jax.Array,
    n: int = 1024,
    chunk: int = 256,
) -> Gap:
    """Mismatch that the backward pass ignores: the loss's gradient at the draw against that at the
    relaxed value of the same noise.

    Huh et al. 2023 (arXiv 2305.08842) introduced the notion for vector quantization; arXiv
    2410.13331 applies it to estimators without a formula that we know. Our choice: `z` and `theta`
    as in `BiasVariance`, the logits standing for the parameters, and shares as a ratio of means.
    NaN for score functions, which have no relaxed value.

    Args:
      estimator: as for `estimate_gradient`.
      f: of a value shaped like the logits, to a scalar; differentiable between one-hot values.
      key: typed PRNG key.
      logits: floating `[..., K]`.
      n: draws that the norms are averaged over.
      chunk: draws that are computed together.
    """
    if isinstance(estimator, ScoreFunction):
        return Gap(*(jnp.full((), jnp.nan, logits.dtype),) * 4)

    def one(k):
        value, pull, soft = jax.vjp(
            lambda x: (lambda s: (s.value, s.soft))(estimator(k, x)), logits, has_aux=True
        )
        at_soft = jax.grad(f)(soft)
        difference = jax.grad(f)(value) - at_soft
        return [
            jnp.linalg.norm(a.reshape(-1))
            for a in (difference, at_soft, pull(difference)[0], pull(at_soft)[0])
        ]

    z, soft_z, theta, soft_theta = (
        a.mean() for a in jax.lax.map(one, jax.random.split(key, n), batch_size=min(chunk, n))
    )
    return Gap(z, z / soft_z, theta, theta / soft_theta)


def bias_variance_grid(
    f: Loss,
    key: jax.Array,
    logits: jax.Array,
    tau_f: jax.Array,
    tau_b: jax.Array,
    n: int = 1024,
    make: Callable[[jax.Array, jax.Array], Estimator] | None = None,
    law: Literal["drawn", "logits"] = "drawn",
    chunk: int = 256,
) -> BiasVariance:
    """`bias_variance` for every pair of temperatures, in one program; all cells share their random
    numbers.

    Args:
      f: see `bias_variance`.
      key: typed PRNG key.
      logits: floating `[..., K]`.
      tau_f: forward temperatures `[F]`.
      tau_b: backward temperatures `[B]`.
      n: estimates per cell.
      make: from two temperatures, an estimator; `decoupled_st_gs` if absent.
      law: the exact gradient is that of the expectation over softmax(l / tau_f) ("drawn", Our
        choice: what the estimator samples is what it optimizes), or over softmax(l) ("logits").
      chunk: estimates of one cell that are computed together.

    Returns:
      A `BiasVariance` of arrays `[F, B]`.
    """
    make = make or (lambda f_, b_: functools.partial(decoupled_st_gs, tau_f=f_, tau_b=b_))
    table = tabulate(f, logits)

    def cell(forward, backward):
        def tempered(x):
            return expectation_of_table(table, x / forward if law == "drawn" else x)

        return bias_variance(
            make(forward, backward), f, key, logits, n, jax.grad(tempered)(logits), chunk=chunk
        )

    return jax.vmap(lambda a: jax.vmap(lambda b: cell(a, b))(tau_b))(tau_f)


def _entropy(logits):
    log_p = jax.nn.log_softmax(logits, axis=-1)
    return -jnp.where(jnp.isneginf(log_p), 0, jnp.exp(log_p) * log_p).sum(-1).mean()


__getattr__ = renamed(
    __name__,
    {
        "Fidelity": "BiasVariance",
        "fidelity": "bias_variance",
        "fidelity_grid": "bias_variance_grid",
    },
)
