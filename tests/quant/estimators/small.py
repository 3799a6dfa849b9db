"""Small losses of one-hot values, and exact expectations over all draws, written out with loops in
float64.
"""

import jax
import jax.numpy as jnp
import numpy as np

K = 5
LOGITS = np.array([0.3, -1.1, 0.9, 0.0, -0.4])
WEIGHT = np.array([1.0, -2.0, 0.5, 3.0, -0.7])
MATRIX = np.random.default_rng(0).normal(size=(K, K))
ANOTHER = np.random.default_rng(1).normal(size=(K, K))


def linear(z):
    return z @ jnp.asarray(WEIGHT, z.dtype)


def quadratic(z):
    return linear(z) + z @ jnp.asarray(MATRIX, z.dtype) @ z


def cubic(z):
    """Mostly quadratic."""
    return quadratic(z) + 0.05 * jnp.sum((jnp.asarray(ANOTHER, z.dtype) @ z) ** 3)


def softmax(x):
    p = np.exp(x - x.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def jacobian(p):
    """diag p - p p^T."""
    return np.diag(p) - np.outer(p, p)


def exact(f, logits=LOGITS):
    """d E f(D) / d logits = J(p) (f(e_1), ..., f(e_K))."""
    with jax.enable_x64(True):
        values = np.asarray(jax.jit(jax.vmap(f))(jnp.eye(len(logits), dtype=jnp.float64)))
    return jacobian(softmax(logits)) @ values


def expected(at, f, logits=LOGITS):
    """The mean gradient of an estimator whose draw is given, `at(logits, index) -> Sample`, over
    all draws; float64.
    """
    with jax.enable_x64(True):
        x = jnp.asarray(logits)

        def gradient(k):
            return jax.grad(lambda row: f(at(row, k).value))(x)

        return softmax(logits) @ np.asarray(
            jax.jit(jax.vmap(gradient))(jnp.arange(len(logits), dtype=jnp.int32))
        )


def backward(estimator, key, logits, cotangent):
    """`(sample, gradient to the logits)` for a gradient G at the value, compiled as one program."""

    @jax.jit
    def run(key, logits, cotangent):
        value, pull, sample = jax.vjp(
            lambda x: (lambda s: (s.value, s))(estimator(key, x)), logits, has_aux=True
        )
        return sample, pull(cotangent.astype(value.dtype))[0]

    return run(key, logits, jnp.asarray(cotangent))
