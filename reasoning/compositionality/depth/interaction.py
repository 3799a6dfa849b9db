"""Cheaper predictors: from the pairwise interactions of inputs, or from their number alone."""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError

STEP = 1 / 16
"""Share of the box's side over which mixed differences are taken."""
UNSEEN = 0.2
"""Share of the largest mixed difference that second derivatives may leave unexplained."""


class ByInteractions(NamedTuple):
    """Reading of the interaction graph."""

    depth: int
    matrix: np.ndarray
    """Mean |d2f / dx_i dx_j|, `[n, n]`, zero on the diagonal."""
    inputs: tuple[int, ...]
    """Inputs that interact with some other."""


@functools.partial(jax.jit, static_argnames=("f", "inputs", "count"))
def interactions(
    f: Callable, inputs: int, low: float = -1.0, high: float = 1.0, seed: int = 0, count: int = 512
) -> jax.Array:
    """Mean strength of the interaction of every two inputs over a box, |d2f / dx_i dx_j|.

    Args:
      f: `[n] -> []`, twice differentiable; static under jit.
      inputs: n.
      low: one end of the box, the same for all inputs.
      high: the other end.
      seed: seed of the points.
      count: points, drawn uniformly.

    Returns:
      float32 `[n, n]`, symmetric, with zero diagonal.
    """
    x = jax.random.uniform(jax.random.key(seed), (count, inputs), minval=low, maxval=high)
    mixed = jnp.abs(jax.vmap(jax.hessian(f))(x)).mean(0)
    return mixed * (1 - jnp.eye(inputs))


@functools.partial(jax.jit, static_argnames=("f", "inputs"))
def _mixed_differences(f: Callable, inputs: int, low: float, high: float, seed: int):
    """Mean modulus of f(x + a + b) - f(x + a) - f(x + b) + f(x) over the lengths of a and b along
    two axes, `[n, n]` with zero diagonal, and the size of its rounding error.
    """
    step = STEP * (high - low)
    x = jax.random.uniform(jax.random.key(seed), (512, inputs), minval=low, maxval=high - 2 * step)
    steps = step * jnp.eye(inputs)
    ends = jax.vmap(lambda row: jax.vmap(jax.vmap(lambda s: f(row + s)))(_sums(steps)))(x)
    ones = jax.vmap(lambda row: jax.vmap(lambda s: f(row + s))(steps))(x)
    none = jax.vmap(f)(x)
    gaps = ends - ones[:, :, None] - ones[:, None, :] + none[:, None, None]
    rounding = 16 * jnp.finfo(jnp.float32).eps * jnp.abs(none).max() / step**2
    return jnp.abs(gaps).mean(0) / step**2 * (1 - jnp.eye(inputs)), rounding


def _sums(steps: jax.Array) -> jax.Array:
    return steps[:, None, :] + steps[None, :, :]


def predict_by_interactions(
    f: Callable, inputs: int, low: float = -1.0, high: float = 1.0, seed: int = 0
) -> ByInteractions:
    """Depth of the hierarchy that average linkage finds in the interaction graph.

    That is the height of its dendrogram: log2 n for a balanced tree of equal parts, n - 1 for a
    chain. Our choice; it is a heuristic: it sees which inputs interact strongly, not whether they
    act through one number.

    Args:
      f: `[n] -> []`, twice differentiable.
      inputs: n.
      low: one end of the box, the same for all inputs.
      high: the other end.
      seed: seed of the points.

    Returns:
      The depth in nodes, the interactions `[n, n]`, and the inputs that interact at all.

    Raises:
      UserError: second derivatives are not finite, or do not see how inputs interact, as at kinks
        and jumps.
    """
    matrix = np.asarray(interactions(f, inputs, low, high, seed))
    seen, rounding = map(np.asarray, _mixed_differences(f, inputs, low, high, seed))
    least = np.maximum(UNSEEN * seen.max(initial=0.0), rounding)
    if not np.isfinite(matrix + seen).all() or (seen > 1.5 * matrix + least).any():
        raise UserError(
            "second derivatives do not describe how the inputs of this function interact (it has "
            "kinks, jumps, or values that are not finite): use predict_depth"
        )
    used = tuple(i for i in range(inputs) if matrix[i].max() > 1e-2 * max(matrix.max(), 1e-12))
    if len(used) < 2:
        return ByInteractions(min(len(used), 1), matrix, used)
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    near = matrix[np.ix_(used, used)]
    apart = near.max() - near
    np.fill_diagonal(apart, 0)
    depths = [0] * len(used)
    for a, b, *_ in linkage(squareform(apart, checks=False), "average"):
        depths.append(1 + max(depths[int(a)], depths[int(b)]))
    return ByInteractions(depths[-1], matrix, used)


def depth_by_inputs(inputs: int, arity: int = 2) -> int:
    """ceil(log_k n), the least depth of a tree of nodes with k inputs."""
    return max(1, math.ceil(math.log(inputs) / math.log(arity) - 1e-9)) if inputs > 1 else 1
