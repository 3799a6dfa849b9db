"""Node-level similarity: units of a layer with nearly the same map are merged into one, and
the weights of the layer above are added up.
"""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.app.errors import UserError
from reasoning.compositionality.prune.kernels import path_name, replaced
from reasoning.compositionality.prune.moments import safe_ratio


class Merged(NamedTuple):
    """One hidden layer, and what reads it."""

    alive: jax.Array
    """Units that are left, bool `[W]`."""
    outgoing: jax.Array
    """`[W, J]`; rows of merged units are zero."""
    bias: jax.Array
    """Bias of the layer above, `[J]`."""


def merge_layer(
    mean: jax.Array, covariance: jax.Array, before: Merged, least: jax.Array | int, threshold: float
) -> Merged:
    """Greedily merge the most similar pair of units while it has |r| >= threshold and more than
    `least` units are left.

    The unit with the larger downstream saliency, sd * |outgoing|, stays; the other's outgoing
    weights are added to it with the slope of the regression between them, and the rest of its mean
    goes to the bias.

    Args:
      mean: of the units, `[W]`.
      covariance: `[W, W]`.
      before: units to begin with, the weights that read them, and the bias of these.
      least: units that must stay.
      threshold: 0 to 1.

    Returns:
      The layer afterwards.
    """
    width = mean.shape[0]
    sd = jnp.sqrt(jnp.diagonal(covariance))
    r = safe_ratio(covariance, sd[:, None] * sd[None, :])

    def step(_, state: Merged) -> Merged:
        pairs = state.alive[:, None] & state.alive[None, :] & ~jnp.eye(width, dtype=bool)
        alike = jnp.where(pairs, jnp.abs(r), -1.0)
        i, j = jnp.unravel_index(alike.argmax(), alike.shape)
        weight = sd * jnp.linalg.norm(state.outgoing, axis=1)
        keep, drop = (
            jnp.where(weight[i] >= weight[j], i, j),
            jnp.where(weight[i] >= weight[j], j, i),
        )
        slope = r[keep, drop] * sd[drop] / jnp.maximum(sd[keep], 1e-12)
        moved = state.outgoing[drop]
        merged = Merged(
            state.alive.at[drop].set(False),
            state.outgoing.at[keep].add(slope * moved).at[drop].set(0.0),
            state.bias + moved * (mean[drop] - slope * mean[keep]),
        )
        go = (alike.max() >= threshold) & (state.alive.sum() > least)
        return jax.tree.map(lambda new, old: jnp.where(go, new, old), merged, state)

    return jax.lax.fori_loop(0, width - 1, step, before)


def merge_similar_units(
    params: Any, known: dict, layers: tuple[str, ...], density: float, threshold: float, masks: dict
):
    """Merge in all hidden layers of a chain of linear layers: `(masks by path, params)`.

    Args:
      params: with "<layer>/kernel" and "<layer>/bias" for every layer.
      known: what `capture` returned: moments, and the covariance of every layer's inputs as
        "<layer>/inputs".
      layers: paths of the modules, from input to output.
      density: the least share of units that is left in a layer.
      threshold: the least |r| of units that are merged.
      masks: by path of the kernels, so far.

    Raises:
      UserError: no layers are named, or one is not in the parameters or was not captured.
    """
    if len(layers) < 2:
        raise UserError(
            'mode "node" merges the units between layers: name at least two, layers=("layers_0", '
            '"layers_1")'
        )
    flat = {path_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params)}
    new, found = {}, dict(masks)
    for lower, upper in itertools.pairwise(layers):
        for name in (f"{lower}/kernel", f"{upper}/kernel", f"{upper}/bias", f"{lower}/bias"):
            if name not in flat:
                raise UserError(
                    f'mode "node": the parameters have no {name}; name linear layers with bias, '
                    "from input to output"
                )
        if f"{upper}/inputs" not in known:
            raise UserError(
                f"activations of {upper} were not captured: pass activations=capture(apply, "
                "params, x)"
            )
        kernel, bias = (
            new.get(f"{upper}/{leaf}", flat[f"{upper}/{leaf}"]) for leaf in ("kernel", "bias")
        )
        alive = (found[f"{upper}/kernel"] > 0).any(1)
        least = jnp.ceil(density * kernel.shape[0])
        done = merge_layer(
            known[f"{upper}/kernel"].input_mean,
            known[f"{upper}/inputs"],
            Merged(alive, kernel, bias),
            least,
            threshold,
        )
        below = (found[f"{lower}/kernel"] > 0) & done.alive[None, :]
        new |= {f"{upper}/kernel": done.outgoing, f"{upper}/bias": done.bias}
        found |= {
            f"{lower}/kernel": below,
            f"{upper}/kernel": (found[f"{upper}/kernel"] > 0) & done.alive[:, None],
        }
    return found, replaced(params, new)
