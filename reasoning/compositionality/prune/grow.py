"""Rules that drop weak weights and grow others: RigL and SET."""

from typing import Literal

import jax
import jax.numpy as jnp

from jaxrl.app.errors import UserError
from reasoning.compositionality.prune.distributions import DISTRIBUTIONS, Distribution, ranks
from reasoning.compositionality.prune.transform import Look, Renewal, Rule


def drop_and_grow(
    mask: jax.Array, weight: jax.Array, growth: jax.Array, share: jax.Array
) -> jax.Array:
    """Drop the weakest of a kernel's active weights, and grow as many others.

    The number of active weights stays. A weight that was just dropped may grow again if its growth
    is among the highest (as in RigL).

    Args:
      mask: any shape, above 0 where a weight is active.
      weight: like `mask`; the smallest magnitudes are dropped.
      growth: like `mask`, at least 0; the largest values grow.
      share: scalar in [0, 1], share of the active weights that moves.

    Returns:
      bool, like `mask`.
    """
    active, flat = mask.reshape(-1) > 0, lambda a: a.reshape(-1)
    count = active.sum()
    moved = jnp.floor(share * count)
    strong = ranks(jnp.where(active, jnp.abs(flat(weight)), -1.0)) < count - moved
    new = ranks(jnp.where(strong, -1.0, flat(growth))) < moved
    return (strong | new).reshape(mask.shape)


def growing(by: Literal["gradient", "random"], first_share: float, stop: int) -> Rule:
    """RigL (by the modulus of the dense gradient, Evci et al. 2020) or SET (at random, Mocanu et
    al. 2018).

    The share that moves falls as `first_share / 2 * (1 + cos(pi t / stop))`.
    """

    def rule(look: Look) -> Renewal:
        share = first_share / 2 * (1 + jnp.cos(jnp.pi * jnp.clip(look.count / max(stop, 1), 0, 1)))
        found = {}
        for number, (name, mask) in enumerate(look.masks.items()):
            if by == "gradient" and name not in look.gradients:
                raise UserError(f"growing {name} by gradient needs gradients of its shape")
            random = jax.random.uniform(jax.random.fold_in(look.key, number), mask.shape)
            growth = jnp.abs(look.gradients[name]) if by == "gradient" else random
            found[name] = drop_and_grow(mask, look.weights[name], growth, share)
        return Renewal(found)

    return rule


def random_masks(density: float, distribution: Distribution):
    """Masks at random, for `pruning(begin=...)`: `(kernels, key) -> masks`."""

    def begin(chosen, key):
        def draw(number, kernel):
            return jax.random.uniform(jax.random.fold_in(key, number), kernel.shape)

        return DISTRIBUTIONS[distribution](
            {n: draw(i, k) for i, (n, k) in enumerate(chosen.items())}, jnp.float32(density)
        )

    return begin
