"""Functions that gradients do not describe: not finite in part of the box, or with jumps.

A step has the gradient zero almost everywhere, and would look like a constant. Its finite
differences over a distance see the jump; for f(x_A, x_B) = F(g(x_A), x_B) with a g of two values
they are exactly as parallel over x_B as gradients are.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from reasoning.compositionality.depth.separability import Box, Draws, parallel

POINTS = 4096
"""Draws that look for values that are not finite."""
SCALES = (1 / 4, 1 / 8, 1 / 16)
"""Distances of finite differences, as shares of the box's side."""
SPAN, NODES = 1 / 16, 33
"""A difference over this share of the side is compared with the integral of the gradient."""
JUMPY = 0.2
"""Share of the differences' size that gradients leave unexplained from which on f has jumps."""
MORE_DRAWS = 6
"""Times as many draws of x_A as for gradients: many differences meet no jump."""


@functools.partial(jax.jit, static_argnames="f")
def _values(f: Callable, data, x):
    return jax.vmap(lambda row: f(data, row))(x)


def check_defined(f: Callable, data, key, box: Box) -> None:
    """Refuse a function that is not finite in part of the box.

    Raises:
      UserError: with the share of the box.
    """
    values = np.asarray(_values(f, data, box.draw(key, POINTS)))
    wrong = ~np.isfinite(values)
    if wrong.any():
        output = int(wrong.mean(0).argmax())
        low, high = float(box.low.min()), float(box.high.max())
        raise UserError(
            f"output {output} is not finite in {100 * wrong[:, output].mean():.3g} % of the box "
            f"from {low:g} to {high:g} (NaN or infinite, as a log of negative numbers): narrow the "
            "box with low and high"
        )


def has_jumps(f: Callable, data, key, box: Box) -> np.ndarray:
    """True for every output of which the gradient does not explain the differences, bool `[m]`."""
    whole, missed = _differences(f, data, key, box)
    size = np.sqrt(np.asarray(whole).mean(0).max(-1))
    return np.sqrt(np.asarray(missed).mean(0)).max(-1) > JUMPY * np.maximum(size, 1e-9)


@functools.partial(jax.jit, static_argnames="f")
def _differences(f: Callable, data, key, box: Box):
    """Squares of differences over `SPAN`, and of what is left when the integral of the gradient is
    subtracted, both `[N, m, n]`.
    """
    x = box.draw(key, 512)
    half = SPAN * (box.high - box.low) / 2
    nodes = jnp.linspace(-1.0, 1.0, NODES)
    weights = jnp.ones(NODES).at[jnp.array([0, NODES - 1])].set(0.5) / (NODES - 1)

    def along(row, axis):
        step = jnp.zeros_like(row).at[axis].set(half[axis])
        gap = f(data, row + step) - f(data, row - step)
        slopes = jax.vmap(lambda t: jax.jvp(lambda v: f(data, v), (row + t * step,), (step,))[1])
        return gap, gap - 2 * (weights[:, None] * slopes(nodes)).sum(0)

    axes = jnp.arange(box.low.shape[0])
    gaps, rest = jax.vmap(lambda row: jax.vmap(lambda axis: along(row, axis))(axes))(x)
    return jnp.swapaxes(gaps**2, 1, 2), jnp.swapaxes(rest**2, 1, 2)


def _slopes(f: Callable, data, output, x, sides, scale: float) -> jax.Array:
    """Finite differences of one output over `scale` of the sides, per side, `[n]`."""
    half = scale * sides / 2

    def along(axis):
        step = jnp.zeros_like(x).at[axis].set(half[axis])
        return (f(data, x + step)[output] - f(data, x - step)[output]) / (2 * half[axis])

    return jax.vmap(along)(jnp.arange(x.shape[0]))


@functools.partial(jax.jit, static_argnames="f")
def influence_of_steps(f: Callable, data, output, key, box: Box) -> jax.Array:
    """Root mean square of differences over the largest scale, times the side of the box, `[n]`."""
    sides = box.high - box.low
    x = box.draw(key, 1024)
    found = jax.vmap(lambda row: _slopes(f, data, output, row, sides, SCALES[0]))(x)
    return jnp.sqrt((found**2).mean(0)) * sides


@functools.partial(jax.jit, static_argnames="f")
def scores_of_steps(
    f: Callable, data, output, subsets, draws: Draws, sides: jax.Array
) -> jax.Array:
    """`separability.separability` with finite differences, over all scales together.

    Args:
      f: `(data, x) -> [m]`.
      data: of f.
      output: its number.
      subsets: bool `[S, n]`.
      draws: of x_A (more than for gradients, see `MORE_DRAWS`) and of x_B.
      sides: of the box, `[n]`.
    """

    def slope(scale):
        def of(row):
            return _slopes(f, data, output, row, sides, scale)

        return jax.vmap(jax.vmap(of))

    return parallel([slope(scale) for scale in SCALES], subsets, draws, 32)
