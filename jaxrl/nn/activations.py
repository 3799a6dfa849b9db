"""The logistic function and SiLU by the hyperbolic tangent.

Equal to `jax.nn`'s but for rounding. XLA's CPU backend computes tanh by a short rational function,
in a fifth of the time of the exponential that `jax.nn.sigmoid` becomes (2 million values on one
core: SiLU 1.0 ms instead of 4.7).
"""

import jax
import jax.numpy as jnp


def sigmoid(x: jax.Array) -> jax.Array:
    """`1 / (1 + exp(-x))`, any shape, in x's dtype."""
    return _sigmoid32(x).astype(x.dtype)


def silu(x: jax.Array) -> jax.Array:
    """`x * sigmoid(x)`, any shape, in x's dtype."""
    return (x.astype(jnp.float32) * _sigmoid32(x)).astype(x.dtype)


def _sigmoid32(x: jax.Array) -> jax.Array:
    # In bfloat16 the sum of two numbers near 0.5 and -0.5 would lose all digits of small values.
    return 0.5 * jnp.tanh(0.5 * x.astype(jnp.float32)) + 0.5
