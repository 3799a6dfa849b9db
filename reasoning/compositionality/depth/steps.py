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
SCALES = (0.2371, 0.1193, 0.0613)
"""Distances of finite differences, as shares of the box's side: no round ones, over which periodic
functions (a sawtooth) would come back to the same value.
"""
CROSSED = 0.2
"""Weight of `1 - straightness` next to a tolerance of 0.05: inputs are apart below 0.75."""
SPAN, NODES = 1 / 16, 33
"""A difference over this share of the side is compared with the integral of the gradient."""
JUMPY = 0.2
"""Share of the differences' size that gradients leave unexplained from which on f has jumps."""
ROUNDING = 4 * float(np.finfo(np.float32).eps)
"""Share of the values' size below which a difference is rounding."""
MORE_DRAWS = 6
"""Times as many draws of x_A as for gradients: many differences meet no jump."""


@functools.partial(jax.jit, static_argnames="f")
def _values(f: Callable, data, x):
    return jax.vmap(lambda row: f(data, row))(x)


def check_defined(f: Callable, data, key, box: Box) -> jax.Array:
    """Refuse a function that is not finite in part of the box, and return how far its values go
    apart.

    Args:
      f: `f(data, x [n]) -> [m]`.
      data: any tree of arrays, such as weights.
      key: PRNG key of the points.
      box: range of every input.

    Returns:
      The power of two above half the range of every output's values, float32 `[m]`; 1 for one
      that is constant.

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
    half = values.max(0) / 2 - values.min(0) / 2
    power = np.ldexp(1.0, np.frexp(np.where(half > 0, half, 0.5))[1])
    return jnp.asarray(power, jnp.float32)  # a quotient by a power of two is not rounded


def has_jumps(f: Callable, data, key, box: Box) -> np.ndarray:
    """True for every output of which the gradient does not explain the differences, or is not
    finite, or does not exist (a while loop, a call out of JAX).

    Arguments as `check_defined`; returns bool `[m]`.
    """
    largest = np.abs(np.asarray(_values(f, data, box.draw(key, 512)))).max(0)
    if not _differentiable(f, data, box):
        return np.ones(len(largest), bool)
    whole, missed = _differences(f, data, key, box)
    size = np.sqrt(np.asarray(whole).mean(0).max(-1))
    # Differences of large values are mostly rounding, which is no jump.
    least = np.maximum(JUMPY * np.maximum(size, 1e-9), ROUNDING * largest)
    left = np.sqrt(np.asarray(missed).mean(0)).max(-1)
    return ~np.isfinite(left) | (left > least)


def _differentiable(f: Callable, data, box: Box) -> bool:
    try:
        jax.eval_shape(lambda x: jax.jacrev(lambda v: f(data, v))(x), box.low)
        jax.eval_shape(lambda x: jax.jvp(lambda v: f(data, v), (x,), (x,)), box.low)
    except (TypeError, ValueError, NotImplementedError):
        return False
    return True


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
    """Root mean square of differences over all scales, times the side of the box.

    Arguments and result as `separability.influence_of_output`, but `f` need not be differentiable.
    """
    sides = box.high - box.low
    x = box.draw(key, 1024)
    found = [
        scale * jax.vmap(lambda row, s=scale: _slopes(f, data, output, row, sides, s))(x)
        for scale in SCALES
    ]
    return jnp.sqrt((jnp.stack(found) ** 2).mean((0, 1))) * sides


@functools.partial(jax.jit, static_argnames="f")
def scores_of_steps(
    f: Callable, data, output, subsets, draws: Draws, sides: jax.Array
) -> jax.Array:
    """`separability.separability` with finite differences, over all scales together.

    Where one input of a subset decides which other input counts, most points feel only one of
    them, and one number is parallel to itself: such a subset would look as if it acted through one
    number. So points that feel several of its inputs are judged by themselves, too.

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

    slopes = [slope(scale) for scale in SCALES]
    return jnp.minimum(
        parallel(slopes, subsets, draws, 32),
        1 - CROSSED * (1 - straightness(slopes, subsets, draws, 32)),
    )


def straightness(
    slopes: list[Callable], subsets: jax.Array, draws: Draws, at_once: int
) -> jax.Array:
    """1 minus the root of the squared minors of pairs of slopes over the largest that they could be
    with other signs.

    Args:
      slopes: functions `[A, B, n] -> [A, B, n]`, one per kind of slope.
      subsets: bool `[S, n]`, sets of inputs.
      draws: of x_A and x_B.
      at_once: subsets that are computed at once.

    Returns:
      float32 `[S]`, 1 where no point feels two inputs of a subset.
    """
    others = ~jnp.eye(len(draws.outside), dtype=bool)[None]

    def one(subset):
        x = jnp.where(subset[None, None, :], draws.inside[:, None, :], draws.outside[None, :, :])
        minors, most, whole = 0.0, 0.0, 0.0
        for slope in slopes:
            g = slope(x) * subset[None, None, :]
            square = (g * g).sum(-1)
            lengths = square[:, :, None] * square[:, None, :]
            dots = jnp.einsum("abi,aci->abc", g, g)
            bounds = jnp.einsum("abi,aci->abc", jnp.abs(g), jnp.abs(g))
            own = jnp.einsum("abi,aci->abc", g * g, g * g)
            minors += (jnp.maximum(lengths - dots**2, 0) * others).sum()
            most += (jnp.maximum(lengths + bounds**2 - 2 * own, 0) * others).sum()
            whole += (lengths * others).sum()
        felt = most > 1e-4 * jnp.maximum(whole, 1e-20)
        return jnp.where(felt, 1 - jnp.sqrt(minors / jnp.where(felt, most, 1.0)), 1.0)

    return jax.lax.map(one, subsets, batch_size=min(at_once, subsets.shape[0]))
