"""Return value of estimators, and the few pieces that all of them are made of.

An estimator is a function `(key, logits [..., K], options) -> Sample` of independent categorical
variables, one per leading index. Its `value` is exactly one-hot in the forward pass (but for
relaxations), and brings its own rule for the backward pass: the gradient to the logits is A(logits,
noise) G, where G is the loss's gradient at `value` and the matrix A is what the estimators differ
in.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Sample(NamedTuple):
    """Draws of independent categorical variables."""

    value: jax.Array
    """`[..., K]`, dtype of the logits: the one-hot draw, carrying the estimator's gradient."""
    index: jax.Array
    """int32 `[...]`: the category drawn."""
    probs: jax.Array
    """`[..., K]`, dtype of the logits: the law that `index` follows, differentiable in the ordinary
    way.
    """
    log_prob: jax.Array
    """`[...]`, float32 or wider: ln probs[index], in nats; differentiable."""
    soft: jax.Array
    """`[..., K]`, dtype of the logits: the point of the simplex that the backward pass uses; for
    gradient gaps.
    """


def widened(logits: jax.Array) -> jax.Array:
    """The logits in at least float32.

    Raises:
      ValueError: they are not floating, or have no categories.
    """
    logits = jnp.asarray(logits)
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise ValueError(f"logits must be floating-point numbers, not {logits.dtype}")
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise ValueError(
            f"logits of shape {logits.shape} hold no categories: give [..., K] with K at least 1"
        )
    wide = jnp.promote_types(logits.dtype, jnp.float32)
    return logits if wide == logits.dtype else _widened(logits)


@jax.custom_vjp
def _widened(logits):
    """Half-precision logits as float32; their gradient is at most the largest number that they can
    hold, where it would be infinite.
    """
    return logits.astype(jnp.float32)


def _widened_forward(logits):
    return _widened(logits), logits


def _widened_backward(logits, gradient):
    limit = float(jnp.finfo(logits.dtype).max)
    return (jnp.clip(gradient, -limit, limit).astype(logits.dtype),)


_widened.defvjp(_widened_forward, _widened_backward)


def check_positive(**numbers) -> None:
    """Refuse numbers, by name, that are not above 0. Traced values cannot be inspected and are
    accepted.

    Raises:
      ValueError: naming the first such number.
    """
    for name, number in numbers.items():
        found = known(name, number)
        if found is not None and not (found > 0).all():
            raise ValueError(f"{name} must be above 0, not {number}")


def known(name: str, number) -> np.ndarray | None:
    """A number, or several, that can be inspected; None where it is traced.

    Raises:
      ValueError: it is no real number.
    """
    if isinstance(number, jax.core.Tracer):
        return None
    found = np.asarray(number)
    if found.dtype.kind not in "fiu" and not jnp.issubdtype(found.dtype, jnp.floating):
        raise ValueError(f"{name} must be a number, not {number!r}")
    return found


def gumbel(key: jax.Array, logits: jax.Array) -> jax.Array:
    """Standard Gumbel noise, one number per logit, in their dtype."""
    return jax.random.gumbel(key, logits.shape, logits.dtype)


def argmax(scores: jax.Array) -> jax.Array:
    """int32 `[...]` of `[..., K]`; the lowest of equals."""
    return jnp.argmax(scores, axis=-1).astype(jnp.int32)


def one_hot(index: jax.Array, like: jax.Array) -> jax.Array:
    """`[...] -> [..., K]`, with K and dtype of `like [..., K]`."""
    return jax.nn.one_hot(index, like.shape[-1], dtype=like.dtype)


def tempered_softmax(scores: jax.Array, tau: float | jax.Array) -> jax.Array:
    """softmax(scores / tau), `[..., K]`, for finite scores of any size."""
    return jax.nn.softmax(below_largest(scores) / tau, axis=-1)


@jax.custom_jvp
def below_largest(scores: jax.Array) -> jax.Array:
    """The scores minus their largest, which changes no softmax; to be divided by a temperature.

    The largest becomes exactly 0 and no score lies above it. A plain difference need not be safe: a
    compiler may compute the scores twice, rounded in one place and fused with the subtraction in
    the other, and for scores above 1e9 the two differ by so much that an exponential is infinite,
    or all of them are 0.
    """
    lowered = scores - scores.max(-1, keepdims=True)
    places = jax.lax.broadcasted_iota(jnp.int32, scores.shape, scores.ndim - 1)
    largest = places == jnp.argmax(scores, -1, keepdims=True)
    # Times zero, so that a NaN stays one.
    return jnp.where(largest, lowered * 0, jnp.minimum(lowered, 0))


@below_largest.defjvp
def _below_largest_jvp(primals, tangents):
    return below_largest(*primals), tangents[0]


def safe_log_softmax(logits: jax.Array) -> jax.Array:
    """Log-probabilities over the last axis, for finite logits of any size."""
    return jax.nn.log_softmax(below_largest(logits), axis=-1)


def zero_with_softmax_jacobian(probs: jax.Array, logits: jax.Array) -> jax.Array:
    """Zeros `[..., K]` whose Jacobian with respect to the logits is J(probs) = diag(probs) - probs
    probs^T.

    Adding it to a constant gives that constant this gradient, and no rounding error. No gradient
    flows into `probs`. Logits of minus infinity (categories that are forbidden) get none.
    """
    probs, zero = jax.lax.stop_gradient(probs), zero_like(logits)
    return probs * (zero - (probs * zero).sum(-1, keepdims=True))


def zero_like(logits: jax.Array) -> jax.Array:
    """Zeros whose Jacobian with respect to the logits is the identity; logits of minus infinity get
    no gradient.
    """
    finite = jnp.where(jnp.isneginf(logits), jnp.zeros_like(logits), logits)
    return finite - jax.lax.stop_gradient(finite)


def assemble(
    logits: jax.Array, law: jax.Array, index: jax.Array, gradient: jax.Array, soft: jax.Array
) -> Sample:
    """A `Sample` of the one-hot `index` with a zero that carries the gradient.

    Args:
      logits: as the user gave them; their dtype is that of the result.
      law: the widened logits that `index` was drawn from, `[..., K]`.
      index: int32 `[...]`.
      gradient: zeros `[..., K]` with the estimator's Jacobian.
      soft: `[..., K]`.
    """
    log_p = jax.nn.log_softmax(law, axis=-1)
    log_prob = jnp.take_along_axis(log_p, index[..., None], axis=-1)[..., 0]
    value = one_hot(index, law) + gradient
    dtype = jnp.asarray(logits).dtype
    return Sample(
        value.astype(dtype), index, jnp.exp(log_p).astype(dtype), log_prob, soft.astype(dtype)
    )
