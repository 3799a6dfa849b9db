"""Functions that gradients do not describe: not finite in part of the box, or with jumps.

A step has the gradient zero almost everywhere, and would look like a constant. Its values averaged
over a small ball have a gradient, and that gradient keeps the direction of the surface on which f
jumps; for f(x_A, x_B) = F(g(x_A), x_B) it is as parallel over x_B as the gradient of a smooth f.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from reasoning.compositionality.depth.separability import Box, Draws, alignment, pairs

POINTS = 4096
"""Draws that look for values that are not finite."""
SCALES = (0.2371, 0.1193, 0.0613)
"""Distances of the finite differences that measure influence, as shares of the box's side: no round
ones, over which periodic functions (a sawtooth) would come back to the same value.
"""
RADII = (0.0971, 0.0493)
"""Radii of the balls, as shares of the side; no round ones, as above."""
DIRECTIONS = 24
"""Directions that a ball's average is taken over, each with its opposite."""
FELT = 0.25
"""Share of the longest slope at the same x_A from which on a slope counts by itself."""
CROSSED = 0.77
"""Weight of `crossing` next to a tolerance of 0.05: inputs are apart above 0.065. Our choice, made
on eight functions: inputs that belong together have at most 0.048, others (but for one group,
which other terms refuse) at least 0.085.
"""
SURE = 5e-3
"""Disagreement of the values below which their squares are not asked."""
MOST_CALLS = (16, 8, 4)
"""Draws of x_A and x_B, and directions, for functions that call out of JAX, one point a call."""
SPAN, NODES = 1 / 16, 33
"""A difference over this share of the side is compared with the integral of the gradient."""
JUMPY = 0.2
"""Share of the differences' size that gradients leave unexplained from which on f has jumps."""
ROUNDING = 4 * float(np.finfo(np.float32).eps)
"""Share of the values' size below which a difference is rounding."""
MORE_DRAWS = 6
"""Times as many draws of x_A as for gradients: many balls meet no jump."""
LEAST_OTHERS = 16
"""Draws of x_B at least: `crossing` grows with them."""


@functools.partial(jax.jit, static_argnames="f")
def _values(f: Callable, data, x):
    return jax.vmap(lambda row: f(data, row))(x)


def check_defined(f: Callable, data, key, box: Box, count: int = POINTS) -> jax.Array:
    """Refuse a function that is not finite in part of the box, and return how far its values go
    apart.

    Args:
      f: `f(data, x [n]) -> [m]`.
      data: any tree of arrays, such as weights.
      key: PRNG key of the points.
      box: range of every input.
      count: points.

    Returns:
      The power of two above half the range of every output's values, float32 `[m]`; 1 for one
      that is constant.

    Raises:
      UserError: with the share of the box.
    """
    values = np.asarray(_values(f, data, box.draw(key, count)))
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
    if not _differentiable(f, data, box):
        return np.ones(jax.eval_shape(f, data, box.low).shape, bool)
    largest = np.abs(np.asarray(_values(f, data, box.draw(key, 512)))).max(0)
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
    x, inside = box.draw(key, 512), within(box, SPAN / 2)
    half = SPAN * (box.high - box.low) / 2
    nodes = jnp.linspace(-1.0, 1.0, NODES)
    weights = jnp.ones(NODES).at[jnp.array([0, NODES - 1])].set(0.5) / (NODES - 1)

    def along(row, axis):
        row = _off_the_edge(row, axis, box, inside)
        step = jnp.zeros_like(row).at[axis].set(half[axis])
        gap = f(data, row + step) - f(data, row - step)
        slopes = jax.vmap(lambda t: jax.jvp(lambda v: f(data, v), (row + t * step,), (step,))[1])
        return gap, gap - 2 * (weights[:, None] * slopes(nodes)).sum(0)

    axes = jnp.arange(box.low.shape[0])
    gaps, rest = jax.vmap(lambda row: jax.vmap(lambda axis: along(row, axis))(axes))(x)
    return jnp.swapaxes(gaps**2, 1, 2), jnp.swapaxes(rest**2, 1, 2)


def _off_the_edge(x: jax.Array, axis, box: Box, inside: Box) -> jax.Array:
    """A point of the box moved along one axis alone, so that a step along it stays in the box; the
    other inputs may lie at the edge, where a gate may be.
    """
    share = (x[axis] - box.low[axis]) / (box.high[axis] - box.low[axis])
    return x.at[axis].set(inside.low[axis] + share * (inside.high[axis] - inside.low[axis]))


def _slopes(f: Callable, data, output, x, box: Box, scale: float) -> jax.Array:
    """Finite differences of one output over `scale` of the sides, per side, `[n]`."""
    half, inside = scale * (box.high - box.low) / 2, within(box, scale / 2)

    def along(axis):
        row = _off_the_edge(x, axis, box, inside)
        step = jnp.zeros_like(x).at[axis].set(half[axis])
        return (f(data, row + step)[output] - f(data, row - step)[output]) / (2 * half[axis])

    return jax.vmap(along)(jnp.arange(x.shape[0]))


@functools.partial(jax.jit, static_argnames=("f", "count"))
def influence_of_steps(f: Callable, data, output, key, box: Box, count: int = 1024) -> jax.Array:
    """Root mean square of differences over all scales, times the side of the box.

    Arguments and result as `separability.influence_of_output`, but `f` need not be differentiable.
    """
    sides, x = box.high - box.low, box.draw(key, count)
    found = [
        scale * jax.vmap(lambda row, s=scale: _slopes(f, data, output, row, box, s))(x)
        for scale in SCALES
    ]
    return jnp.sqrt((jnp.stack(found) ** 2).mean((0, 1))) * sides


def calls_out(f: Callable, data, inputs: int) -> bool:
    """True if f leaves JAX, which may cost a call of Python for every point."""
    return "callback[" in str(jax.make_jaxpr(f)(data, jnp.zeros(inputs)))


def within(box: Box, share: float) -> Box:
    """The box without a margin of `share` of its sides, so that steps from there stay in it."""
    margin = share * (box.high - box.low)
    return Box(box.low + margin, box.high - margin)


class Balls(NamedTuple):
    """Balls that all subsets share. A pytree."""

    draws: Draws
    """Their centers; those of x_A have a ball inside the box."""
    ways: jax.Array
    """Normal numbers whose directions are those of the averages, `[len(RADII), K, n]`."""
    sides: jax.Array
    """Sides of the box, `[n]`."""


def balls_of(key: jax.Array, box: Box, counts: tuple[int, int, int]) -> Balls:
    """Draw centers, `counts[0]` of x_A and `counts[1]` of x_B, and `counts[2]` directions."""
    keys, sides = jax.random.split(key, 3), box.high - box.low
    inside = within(box, max(RADII)).draw(keys[0], counts[0])
    ways = jax.random.normal(keys[2], (len(RADII), counts[2], len(sides)))
    return Balls(Draws(inside, box.draw(keys[1], counts[1])), ways, sides)


@functools.partial(jax.jit, static_argnames="f")
def scores_of_steps(f: Callable, data, output, subsets, balls: Balls) -> jax.Array:
    """Separability of sets of inputs by slopes of averages over balls.

    By the divergence theorem the gradient of f's average over a ball is the mean of f times the
    outward direction over its surface. Whether f factors through a number does not depend on how
    its values are coded, but directions at several jumps do (argmax is 0, 1 or 2, and 1 happens to
    be half way): so squares of the values are judged as well, and the worse counts, unless the
    values agree to `SURE`.

    Args:
      f: `(data, x) -> [m]`.
      data: of f.
      output: its number.
      subsets: bool `[S, n]`.
      balls: see `balls_of`.

    Returns:
      float32 `[S]`, above 0.95 for a separable set.
    """
    draws, sides = balls.draws, balls.sides

    def one(subset):
        x = jnp.where(subset[None, None, :], draws.inside[:, None, :], draws.outside[None, :, :])
        found = []
        for radius, way in zip(RADII, balls.ways, strict=True):
            unit = way * subset[None, :]
            unit /= jnp.maximum(jnp.sqrt((unit**2).sum(-1, keepdims=True)), 1e-9)
            away = radius * sides[None, :] * jnp.concatenate([unit, -unit])
            around = (x[:, :, None, :] + away[None, None]).reshape(-1, len(sides))
            values = jax.vmap(lambda row: f(data, row)[output])(around).reshape(*x.shape[:2], -1)
            values -= values.mean()
            for coded in (values, (values - 0.37) ** 2):
                there, back = jnp.split(coded, 2, axis=-1)
                slopes = jnp.einsum("abk,ki->abi", there - back, unit) / len(unit)
                found.append(jnp.stack([1 - alignment(slopes), CROSSED * crossing(slopes)]))
        # [codings, 2]; a small ball resolves more, a large one meets more jumps.
        values, squares = jnp.stack(found).reshape(len(RADII), 2, 2).mean(0).max(1)
        # Values are not parallel by chance everywhere, but squares of waves that a ball does not
        # resolve are noise.
        return 1 - jnp.where(values < SURE, values, jnp.maximum(values, squares))

    def judge(subset):
        return jax.lax.cond(subset.any(), one, lambda _: jnp.float32(1), subset)

    return jax.lax.map(judge, subsets)  # a row of padding costs nothing


def crossing(slopes: jax.Array) -> jax.Array:
    """Largest disagreement between slopes at the same x_A, averaged over the x_A that have two
    slopes of some length.

    Surfaces of jumps that fork (x0 > x1 or x0 > x2) disagree close to the fork only, where the mean
    of all pairs hardly notices.

    `[A, B, n] -> []`: 0 where all are parallel, 1 where everywhere some two are perpendicular.
    """
    dots, lengths, size = pairs(slopes)
    longest = size.max(1)
    felt = size > jnp.maximum(FELT * longest[:, None], 1e-6)
    both = felt[:, :, None] & felt[:, None, :] & (lengths > 0)
    apart = jnp.where(both, 1 - dots / jnp.where(both, lengths, 1.0), 0.0).max((1, 2))
    weight = longest * both.any((1, 2))
    return (weight * apart).sum() / jnp.maximum(weight.sum(), 1e-20)
