"""Means and covariances of what one layer reads and computes: sufficient for every score by
activations, and averaged over devices.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.train.parallel import mean


class Activation(NamedTuple):
    """One layer on N examples (or positions)."""

    inputs: jax.Array
    """h, what its weights are multiplied with, `[N, I]`."""
    before: jax.Array
    """z, its sums, `[N, J]`."""
    after: jax.Array | None = None
    """Outputs of its units, `[N, J]`; `before`, if left out."""


class Moments(NamedTuple):
    """Statistics of one layer with I inputs and J units."""

    input_mean: jax.Array
    """`[I]`."""
    input_var: jax.Array
    """`[I]`."""
    before_mean: jax.Array
    """`[J]`."""
    before_var: jax.Array
    """`[J]`."""
    after_var: jax.Array
    """`[J]`."""
    input_before: jax.Array
    """Cov(h_i, z_j), `[I, J]`."""
    input_after: jax.Array
    """Cov(h_i, a_j), `[I, J]`."""


def moments(activation: Activation, axis_name: str | None = None) -> Moments:
    """Over all examples, and over devices: statistics are reduced, never correlations.

    Means are reduced first, and second moments taken about them, which keeps float32 exact to some
    1e-6.
    """
    h, z = activation.inputs, activation.before
    a = z if activation.after is None else activation.after
    center = mean((h.mean(0), z.mean(0), a.mean(0)), axis_name)
    h, z, a = (v - m[None, :] for v, m in zip((h, z, a), center, strict=True))

    def square(v):
        return (v * v).mean(0)

    second = (square(h), square(z), square(a), h.T @ z / len(h), h.T @ a / len(h))
    h_var, z_var, a_var, hz, ha = mean(second, axis_name)
    return Moments(center[0], h_var, center[1], z_var, a_var, hz, ha)


def average(parts: list[Moments]) -> Moments:
    """Moments of a layer that is called several times, as if the calls were one larger batch of
    equal parts.
    """
    if len(parts) == 1:
        return parts[0]

    def over(name):
        return sum(getattr(p, name) for p in parts) / len(parts)

    h, z = over("input_mean"), over("before_mean")

    def shift(p):
        return (p.input_mean - h, p.before_mean - z)

    spread = [(dh * dh, dz * dz, dh[:, None] * dz[None, :]) for dh, dz in map(shift, parts)]
    hh, zz, hz = (sum(s[i] for s in spread) / len(parts) for i in range(3))
    return Moments(
        h,
        over("input_var") + hh,
        z,
        over("before_var") + zz,
        over("after_var") + zz,
        over("input_before") + hz,
        over("input_after") + hz,
    )


def safe_ratio(x: jax.Array, y: jax.Array) -> jax.Array:
    """x / y, and 0 where y is not above 1e-12: constant units resemble nothing. Equal shapes."""
    good = y > 1e-12
    return jnp.where(good, x / jnp.where(good, y, 1.0), 0.0)
