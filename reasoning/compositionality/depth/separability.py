"""Does a set of inputs act through one number? The condition of Leontief and Sono, measured by
gradients.

f(x_A, x_B) = F(g(x_A), x_B) with a scalar g if and only if the direction of the gradient over x_A,
at a fixed x_A, does not depend on x_B.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Box(NamedTuple):
    """Box that inputs are drawn from. A pytree."""

    low: jax.Array
    """`[n]`."""
    high: jax.Array
    """`[n]`."""

    def draw(self, key: jax.Array, count: int) -> jax.Array:
        """Points at random, `[count, n]`."""
        unit = jax.random.uniform(key, (count, self.low.shape[0]))
        return self.low[None, :] + (self.high - self.low)[None, :] * unit


class Draws(NamedTuple):
    """Points that all subsets share: inputs of a subset are taken from `inside`, the others from
    `outside`, in all pairs. A pytree.
    """

    inside: jax.Array
    """`[A, n]`."""
    outside: jax.Array
    """`[B, n]`."""


INSIDE, OUTSIDE = 24, 12
"""Draws of x_A, and of x_B for each (the counts of our prototype)."""
AT_ONCE = 128
"""Subsets that are computed at once."""


def draws_of(key: jax.Array, box: Box, counts: tuple[int, int] = (INSIDE, OUTSIDE)) -> Draws:
    """Draw points of x_A and of x_B."""
    return Draws(*(box.draw(k, n) for k, n in zip(jax.random.split(key), counts, strict=True)))


def separability(f: Callable, subsets: jax.Array, draws: Draws) -> jax.Array:
    """s(A) in [0, 1] for many subsets of inputs, 1 where they act through one number.

    s(A) = sum |g . g'| / sum |g| |g'| over pairs of gradients g, g' over x_A at the same x_A and
    different x_B: the mean modulus of their cosine, weighted with their lengths.

    Args:
      f: `[n] -> []`, differentiable.
      subsets: bool `[S, n]`.
      draws: see `draws_of`.
    """
    slope = jax.vmap(jax.vmap(jax.grad(f)))

    def one(subset):
        x = jnp.where(subset[None, None, :], draws.inside[:, None, :], draws.outside[None, :, :])
        return alignment(slope(x) * subset[None, None, :])

    return jax.lax.map(one, subsets, batch_size=min(AT_ONCE, subsets.shape[0]))


def alignment(slopes: jax.Array) -> jax.Array:
    """Mean modulus of the cosine between slopes at the same x_A and different x_B, weighted with
    their lengths.

    `[A, B, n] -> []`, 1 where all are zero.
    """
    dots, lengths, _ = pairs(slopes)
    total = lengths.sum()
    return jnp.where(total > 1e-20, dots.sum() / jnp.maximum(total, 1e-20), 1.0)


def pairs(slopes: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Moduli of inner products and products of lengths for all two different x_B, `[A, B, B]`, and
    the lengths `[A, B]`, of slopes `[A, B, n]`.
    """
    others = ~jnp.eye(slopes.shape[1], dtype=bool)[None]
    size = jnp.sqrt((slopes**2).sum(-1))
    dots = jnp.abs(jnp.einsum("abi,aci->abc", slopes, slopes))
    return dots * others, size[:, :, None] * size[:, None, :] * others, size


def influence(f: Callable, key: jax.Array, box: Box, count: int = 256) -> jax.Array:
    """Root mean square of the derivative with respect to every input, times the side of the box.

    Args:
      f: `[n] -> []`, differentiable.
      key: PRNG key of the points.
      box: range of every input.
      count: points.

    Returns:
      float32 `[n]`, in units of the output.
    """
    slopes = jax.vmap(jax.grad(f))(box.draw(key, count))
    return jnp.sqrt((slopes**2).mean(0)) * (box.high - box.low)


@functools.partial(jax.jit, static_argnames="f")
def scores_of_output(f: Callable, data, output, subsets, draws: Draws) -> jax.Array:
    """`separability` of one output; `data` and `output` are traced, so one program serves all
    networks.

    Args:
      f: `f(data, x [n]) -> [m]`, differentiable; static under jit.
      data: any tree of arrays, such as weights.
      output: int, number of the output, below m.
      subsets: bool `[S, n]`, sets of inputs.
      draws: see `draws_of`.

    Returns:
      float32 `[S]`, 1 for a separable set.
    """
    return separability(lambda x: f(data, x)[output], subsets, draws)


@functools.partial(jax.jit, static_argnames=("f",))
def influence_of_output(f: Callable, data, output, key, box: Box) -> jax.Array:
    """`influence` of one output.

    Args:
      f: `f(data, x [n]) -> [m]`, differentiable; static under jit.
      data: any tree of arrays, such as weights.
      output: int, number of the output, below m.
      key: PRNG key of the points.
      box: range of every input.

    Returns:
      float32 `[n]`.
    """
    return influence(lambda x: f(data, x)[output], key, box)
