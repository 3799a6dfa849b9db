"""Scores of weights: one small function per rule, `Seen -> [I, J]`; the highest are kept."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.app.errors import UserError
from reasoning.compositionality.prune.moments import Moments, safe_ratio


class Seen(NamedTuple):
    """Arguments of a score: one kernel with all axes but the last made one."""

    weight: jax.Array
    """`[I, J]`."""
    gradient: jax.Array | None = None
    """`[I, J]`."""
    moments: Moments | None = None
    key: jax.Array | None = None
    name: str = "a kernel"


def share(seen: Seen) -> jax.Array:
    """Contribution similarity: |Cov(w_ij h_i, z_j)| / Var(z_j), the share of a unit's variance that
    comes through a weight.

    Without the modulus, the scores of a unit sum to 1 over its inputs. Rescaling a unit's output,
    and the weights that read it by the inverse, changes nothing. Our choice: what the paper's
    similarity-based pruning compares is not known.
    """
    return jnp.abs(signed_share(seen))


def signed_share(seen: Seen) -> jax.Array:
    """`share` with its sign: the summands of a decomposition of 1."""
    known = _moments(seen)
    return safe_ratio(
        seen.weight * known.input_before,
        jnp.broadcast_to(known.before_var[None, :], seen.weight.shape),
    )


def edge(seen: Seen) -> jax.Array:
    """|r(h_i, a_j)|: weights between units whose maps are alike (the most literal reading of
    similarity).
    """
    known = _moments(seen)
    return jnp.abs(
        safe_ratio(known.input_after, jnp.sqrt(known.input_var[:, None] * known.after_var[None, :]))
    )


def magnitude(seen: Seen) -> jax.Array:
    """|w|."""
    return jnp.abs(seen.weight)


def saliency(seen: Seen) -> jax.Array:
    """|w dL/dw|; before any training this is SNIP (Lee et al. 2019)."""
    if seen.gradient is None:
        raise UserError(f"scoring {seen.name} by saliency needs gradients of its shape: pass them")
    return jnp.abs(seen.weight * seen.gradient)


def random(seen: Seen) -> jax.Array:
    """U(0, 1)."""
    if seen.key is None:
        raise UserError(f"scoring {seen.name} at random needs a key: pass one")
    return jax.random.uniform(seen.key, seen.weight.shape)


def _moments(seen: Seen) -> Moments:
    if seen.moments is None:
        raise UserError(
            f"activations of {seen.name} were not captured: pass activations=capture(apply, "
            "params, x), or prune fewer kernels"
        )
    if seen.moments.input_before.shape != seen.weight.shape:
        raise UserError(
            f"activations of {seen.name} have {seen.moments.input_before.shape} inputs and units, "
            f"the kernel {seen.weight.shape}: "
            "capture them from the same model"
        )
    return seen.moments


BY_ACTIVATIONS = (share, signed_share, edge)
"""Scores that need moments."""
