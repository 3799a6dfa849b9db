"""Does a set of inputs act through one number? The condition of Leontief and Sono, measured by
gradients.

f(x_A, x_B) = F(g(x_A), x_B) with a scalar g if and only if the direction of the gradient over x_A,
at a fixed x_A, does not depend on x_B.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

INSIDE, OUTSIDE = 24, 12
"""Draws of x_A, and of x_B for each (the counts of our prototype)."""
AT_ONCE = 128
"""Subsets that are computed at once."""


def separability(
    f: Callable,
    key: jax.Array,
    subsets: jax.Array,
    low: jax.Array,
    high: jax.Array,
    draws=(INSIDE, OUTSIDE),
) -> jax.Array:
    """s(A) in [0, 1] for many subsets of inputs, 1 where they act through one number.

    s(A) = sum |g . g'| / sum |g| |g'| over pairs of gradients g, g' over x_A at the same x_A and
    different x_B: the mean modulus of their cosine, weighted with their lengths.

    Args:
      f: `[n] -> []`, differentiable.
      key: of the draws, which all subsets share.
      subsets: bool `[S, n]`.
      low: ends of the box that inputs are drawn from, `[n]`.
      high: `[n]`.
      draws: of x_A and of x_B.
    """
    inside, outside = draws
    keys = jax.random.split(key)

    def box(k, count):
        return low[None, :] + (high - low)[None, :] * jax.random.uniform(k, (count, low.shape[0]))

    xa, xb = box(keys[0], inside), box(keys[1], outside)
    slope = jax.vmap(jax.vmap(jax.grad(f)))

    def one(subset):
        x = jnp.where(subset[None, None, :], xa[:, None, :], xb[None, :, :])
        g = slope(x) * subset[None, None, :]
        dots = jnp.abs(jnp.einsum("abi,aci->abc", g, g))
        lengths = jnp.sqrt(jnp.einsum("abi,abi->ab", g, g))
        others = ~jnp.eye(outside, dtype=bool)[None]
        total = (lengths[:, :, None] * lengths[:, None, :] * others).sum()
        return jnp.where(total > 1e-20, (dots * others).sum() / jnp.maximum(total, 1e-20), 1.0)

    return jax.lax.map(one, subsets, batch_size=min(AT_ONCE, subsets.shape[0]))


def influence(
    f: Callable, key: jax.Array, low: jax.Array, high: jax.Array, count: int = 256
) -> jax.Array:
    """Root mean square of the derivative with respect to every input, times the side of the box,
    `[n]`.
    """
    x = low[None, :] + (high - low)[None, :] * jax.random.uniform(key, (count, low.shape[0]))
    return jnp.sqrt((jax.vmap(jax.grad(f))(x) ** 2).mean(0)) * (high - low)


@functools.partial(jax.jit, static_argnames=("f", "draws"))
def scores_of_output(
    f: Callable, data, output, key, subsets, low, high, draws=(INSIDE, OUTSIDE)
) -> jax.Array:
    """`separability` of one output of `f(data, x) -> [m]`; `data` and `output` are traced, so one
    program serves all networks.
    """
    return separability(lambda x: f(data, x)[output], key, subsets, low, high, draws)


@functools.partial(jax.jit, static_argnames=("f",))
def influence_of_output(f: Callable, data, output, key, low, high) -> jax.Array:
    """`influence` of one output of `f(data, x) -> [m]`."""
    return influence(lambda x: f(data, x)[output], key, low, high)
