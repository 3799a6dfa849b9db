"""Arithmetic that stays finite: inputs of any size, probabilities that underflow, narrow dtypes.

A loss that is infinite or NaN once ruins a training for good, so numbers beyond what can be squared
in float32 count as the largest that can.
"""

import functools

import jax
import jax.numpy as jnp

LARGEST = 1e12
"""Absolute value beyond which features count as this large (Our choice): the sum of 10^14 squares
of it is still a float32.
"""
LARGEST_APART = 1e8
"""The same for distances that a softmax and learned weights follow (Our choice): their gradients
are fourth powers.
"""
SMALLEST = 1.2e-38
"""Just above the smallest normal float32: below it CPUs flush to zero."""


def bounded(x: jax.Array, largest: float = LARGEST) -> jax.Array:
    """float32 of `x`, within plus and minus `largest`; the gradient passes as it is, but that of a
    narrow dtype is at most its largest number (and has no forward mode).
    """
    return _clipped(x if float(jnp.finfo(x.dtype).max) > 1e38 else _widened(x), largest)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _clipped(x: jax.Array, largest: float) -> jax.Array:
    return jnp.clip(x.astype(jnp.float32), -largest, largest)


@_clipped.defjvp
def _clipped_jvp(largest, primals, tangents):
    return _clipped(*primals, largest), tangents[0].astype(jnp.float32)


@jax.custom_vjp
def _widened(x: jax.Array) -> jax.Array:
    return x.astype(jnp.float32)


def _widened_forward(x):
    return _widened(x), jnp.zeros(0, x.dtype)


def _widened_backward(like, gradient):
    return (narrowed(gradient, like.dtype),)


_widened.defvjp(_widened_forward, _widened_backward)


def narrowed(x: jax.Array, dtype) -> jax.Array:
    """`x` in another floating dtype, with the largest number of that dtype in place of overflow."""
    limit = float(jnp.finfo(dtype).max)
    return x.astype(dtype) if limit > 1e38 else jnp.clip(x, -limit, limit).astype(dtype)


def xlogx(p: jax.Array) -> jax.Array:
    """p ln p, 0 at 0, where also the gradient is 0 instead of infinite: a share that underflows
    belongs to a code that no row moves any more.
    """
    positive = p > SMALLEST
    return jnp.where(positive, p * jnp.log(jnp.where(positive, p, 1)), 0)


def varying_like(a: jax.Array, *others: jax.Array) -> jax.Array:
    """`a`, marked as differing between devices where one of the others does: `jax.shard_map` wants
    the carry of a scan to begin with the type that it ends with.
    """
    for other in others:
        # A choice between equals: its type is that of all its inputs in every version of JAX, and
        # the compiler removes it.
        a = jnp.where(other.reshape(-1)[0] == 0, a, a)
    return a
