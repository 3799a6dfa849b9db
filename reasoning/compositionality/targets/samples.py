"""Fresh inputs of a target, its scale, and a corner of its sub-functions' space that can be
withheld.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from reasoning.compositionality.targets.graph import Target

SCALE_SAMPLES = 8192
"""Examples that the scale and the corner of a target are computed from, with a key of their own."""
CORNER = 0.65
"""Our choice: both sub-functions above this quantile are the corner, some tenth of all examples."""


def draw(target: Target, key: jax.Array, count: int) -> jax.Array:
    """Fresh inputs, float32 `[count, n]`.

    "uniform": U(-1, 1). "bits": -1 or 1. "codes": bits, of which the last four are one of five
    control patterns (after arXiv 2505.15811: one of four subsets, or all). "plane": (y, x, d, 1) of
    a point of the square, d = 1.4 sqrt(x^2 + y^2) (code of arXiv 2505.11581).
    """
    n = target.inputs
    if target.draws == "uniform":
        return jax.random.uniform(key, (count, n), minval=-1.0)
    if target.draws == "plane":
        return plane(jax.random.uniform(key, (count, 2), minval=-1.0))
    bits = jax.random.rademacher(key, (count, n), jnp.float32)
    if target.draws == "bits":
        return bits
    patterns = jnp.concatenate([2 * jnp.eye(4) - 1, jnp.ones((1, 4))])
    chosen = patterns[jax.random.randint(jax.random.fold_in(key, 1), (count,), 0, 5)]
    return bits.at[:, n - 4 :].set(chosen)


def plane(points: jax.Array) -> jax.Array:
    """`(y, x)` in [-1, 1] to the four inputs of a compositional pattern network: `[..., 2] -> [...,
    4]`.
    """
    distance = 1.4 * jnp.sqrt((points**2).sum(-1, keepdims=True))
    return jnp.concatenate([points, distance, jnp.ones_like(distance)], -1)


class Scale(NamedTuple):
    """Mean and standard deviation of the outputs. Hashable."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def standardize(self, y: jax.Array) -> jax.Array:
        """Scale outputs to zero mean and unit variance, `[m] -> [m]`."""
        return (y - jnp.asarray(self.mean, y.dtype)) / jnp.asarray(self.std, y.dtype)


class Corner(NamedTuple):
    """Two sub-functions, as numbers of `Target.values`, and the thresholds that both exceed in the
    corner. Hashable.
    """

    parts: tuple[int, int]
    thresholds: tuple[float, float]

    def holds(self, values: jax.Array) -> jax.Array:
        """Membership of an example, `[n + V] -> bool []`."""
        return (values[jnp.asarray(self.parts)] > jnp.asarray(self.thresholds, values.dtype)).all()


@functools.lru_cache
def _known(target: Target) -> np.ndarray:
    with jax.ensure_compile_time_eval():
        x = draw(target, jax.random.key(20_260_618), SCALE_SAMPLES)
        return np.asarray(jax.jit(jax.vmap(target.values))(x))


@functools.lru_cache
def scale(target: Target) -> Scale:
    """Scale of a target, from `SCALE_SAMPLES` examples.

    Raises:
      UserError: an output is constant or not finite: there would be nothing to fit, and R^2 no
        meaning.
    """
    y = _known(target)[:, list(target.outputs)].astype(np.float64)
    if not np.isfinite(y).all():
        raise UserError(
            f"target {target.name}: output {int(np.argwhere(~np.isfinite(y))[0, 1])} is not finite "
            "on some inputs: correct its weights"
        )
    flat = [number for number, sd in enumerate(y.std(0)) if sd <= 1e-6]
    if flat:
        raise UserError(
            f"target {target.name}: output {flat[0]} is constant, so there is nothing to learn: "
            "leave it out"
        )
    return Scale(tuple(map(float, y.mean(0))), tuple(map(float, y.std(0))))


@functools.lru_cache
def corner(target: Target) -> Corner | None:
    """Corner of the first two parts that the last output reads; None if it reads but one, or if the
    corner is empty.
    """
    parents = target.nodes[target.outputs[-1] - target.inputs].parents
    if len(parents) < 2:
        return None
    known = _known(target)[:, list(parents[:2])]
    thresholds = np.quantile(known, CORNER, axis=0)
    if not 0.01 < (known > thresholds).all(1).mean() < 0.5:
        return None
    return Corner(parents[:2], tuple(map(float, thresholds)))


class Examples(NamedTuple):
    """Inputs `[B, n]` and standardized outputs `[B, m]`."""

    x: jax.Array
    y: jax.Array


@functools.partial(jax.jit, static_argnames=("target", "count", "without", "only"))
def examples(
    target: Target,
    key: jax.Array,
    count: int,
    without: Corner | None = None,
    only: Corner | None = None,
) -> Examples:
    """Draw a fresh batch of standardized examples.

    Where too few are left in or outside a corner, the last ones are repeated from the other side,
    which the sizes make improbable.

    Args:
      target: the function; static under jit.
      key: PRNG key.
      count: examples.
      without: corner to leave out; twice as many are drawn.
      only: corner to keep; 16 times as many are drawn. Not used together with `without`.

    Returns:
      Inputs `[count, n]`, and outputs `[count, m]`, standardized by `scale(target)`.
    """
    times = 2 if without else 16 if only else 1
    x = draw(target, key, times * count)
    values = jax.vmap(target.values)(x)
    aside = without or only
    if aside:
        inside = jax.vmap(aside.holds)(values)
        first = jnp.argsort(inside if without else ~inside, stable=True)[:count]
        x, values = x[first], values[first]
    return Examples(x, jax.vmap(scale(target).standardize)(values[:, jnp.asarray(target.outputs)]))
