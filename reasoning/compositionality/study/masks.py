"""New masks for many networks at once, by the scores and distributions of `prune`."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from reasoning.compositionality import network
from reasoning.compositionality.prune.distributions import DISTRIBUTIONS, Distribution, top_per_unit
from reasoning.compositionality.prune.grow import drop_and_grow
from reasoning.compositionality.prune.merge import Merged, merge_layer
from reasoning.compositionality.prune.moments import Moments
from reasoning.compositionality.prune.score import Seen
from reasoning.compositionality.study.train import Cells

Scores = network.Masks
AT_ONCE = 16
"""Networks that are scored together: their probes fit a core's cache, which makes renewing the
masks of 64 networks a twelfth quicker (measured: 4 layers of 12 units, 256 examples).
"""


class How(NamedTuple):
    """Rule of new masks; hashable, so that it is static under jit."""

    score: Callable
    """Function of score.py."""
    distribution: Distribution
    """Spread of a density over layers and units."""
    output_density: float
    """Least density of the output weights where fan-ins are fixed."""


def scores_of(cells: Cells, grads, x: jax.Array, keys: jax.Array, score: Callable) -> Scores:
    """Scores of all weights of all networks; every layer is one kernel. Pruned weights get the
    least score.

    Args:
      cells: networks, `[C, ...]`.
      grads: dense gradients, like their parameters.
      x: probe inputs of every seed, float32 `[S, N, n]`.
      keys: PRNG keys, one per network, for random scores.
      score: function of score.py.
    """
    params = jax.vmap(network.masked)(cells.params, cells.masks)
    x = jnp.swapaxes(x, 1, 2)[cells.which]
    hidden = network.hidden_of_all(params, x, cells.depth)
    last = network.products(hidden[-1], params["wo"])
    below, above, found = [x, *hidden], [*hidden, last], {}
    first, others, final = jax.vmap(lambda k: jax.random.split(k, 3), out_axes=1)(keys)
    between = jax.vmap(lambda k: jax.random.split(k, len(hidden) - 1), out_axes=1)(others)
    keys = [first, *between, final]

    def kernel(weight, slope, mask, seen: Moments, k):
        return jnp.where(mask > 0, score(Seen(weight, slope, seen, k)), -1.0)

    def layer(number: int, weight, slope, mask) -> jax.Array:
        seen = moments_of_all(below[number], weight, above[number])
        return jax.vmap(kernel)(weight, slope, mask, seen, keys[number])

    rows = [
        layer(i + 1, params["wh"][:, i], grads["wh"][:, i], cells.masks["wh"][:, i])
        for i in range(len(hidden) - 1)
    ]
    for name, number in (("win", 0), ("wo", len(hidden))):
        found[name] = layer(number, params[name], grads[name], cells.masks[name])
    return found | {"wh": jnp.stack(rows, 1) if rows else jnp.zeros_like(params["wh"])}


def moments_of_all(h: jax.Array, weights: jax.Array, after: jax.Array) -> Moments:
    """Statistics of one layer of many networks, with the examples on the last axis.

    The sums z are linear in the inputs, so Cov(h, z) = Cov(h) w and Var(z) = diag(w' Cov(h) w):
    examples are read once, for Cov(h). What a score does not read is not computed under jit.

    Args:
      h: inputs of the layer, `[C, I, N]`.
      weights: `[C, I, J]`.
      after: units of the layer, `[C, J, N]`.

    Returns:
      Moments, each `[C, ...]`; means of sums are those without the bias.
    """
    count, mean = h.shape[-1], h.mean(-1)
    h, after = h - mean[..., None], after - after.mean(-1, keepdims=True)
    covariance = jnp.einsum("cib,ckb->cik", h, h) / count
    input_before = covariance @ weights
    return Moments(
        mean,
        jnp.diagonal(covariance, axis1=1, axis2=2),
        (mean[:, None] @ weights)[:, 0],
        (weights * input_before).sum(1),
        (after * after).mean(-1),
        input_before,
        jnp.einsum("cib,cjb->cij", h, after) / count,
    )


def as_kernels(tree: Scores) -> dict[str, jax.Array]:
    """Every layer by itself."""
    return {
        "win": tree["win"],
        **{f"wh{i}": layer for i, layer in enumerate(tree["wh"])},
        "wo": tree["wo"],
    }


def from_kernels(found: dict[str, jax.Array]) -> network.Masks:
    """The inverse, as float32 masks."""
    hidden = [found[name] for name in found if name.startswith("wh")]
    stacked = (
        jnp.stack(hidden).astype(jnp.float32)
        if hidden
        else jnp.zeros((0, found["wo"].shape[0], found["wo"].shape[0]))
    )
    return {
        "win": found["win"].astype(jnp.float32),
        "wh": stacked,
        "wo": found["wo"].astype(jnp.float32),
    }


def spread(found: Scores, density: jax.Array, depth: jax.Array, how: How) -> network.Masks:
    """Masks of one network: unused layers are kept whole.

    Args:
      found: scores of all weights.
      density: scalar, share of weights that is kept.
      depth: int, hidden layers in use.
      how: distribution, and least density of the output.
    """
    kernels = as_kernels(found)
    layers = {name: i for i, name in enumerate(n for n in kernels if n != "wo")}
    present = {
        name: (layers[name] < depth) if name in layers else jnp.asarray(True) for name in kernels
    }
    masks = DISTRIBUTIONS[how.distribution](kernels, density, present)
    if how.distribution == "fan_in":
        masks["wo"] = top_per_unit(kernels["wo"], jnp.maximum(density, how.output_density))
    return from_kernels(masks)


@functools.partial(jax.jit, static_argnames="how")
def renew(cells: Cells, grads, x: jax.Array, key: jax.Array, density: jax.Array, how: How):
    """Make new masks of all cells from a score.

    Args:
      cells: networks, `[C, ...]`.
      grads: like their params; read by the score "saliency" only.
      x: probe of every seed, `[S, N, n]`.
      key: of random scores.
      density: share that is kept, `[C]`.
      how: the rule.

    Returns:
      Masks, `[C, ...]`.
    """

    def several(networks) -> network.Masks:
        cell, slope, k, kept = networks
        found = scores_of(cell, slope, x, k, how.score)
        return jax.vmap(functools.partial(spread, how=how))(found, kept, cell.depth)

    count = len(cells.depth)
    networks = cells, grads, jax.random.split(key, count), density
    whole = count - count % AT_ONCE
    if not whole:
        return several(networks)
    # Not by lax.map's batch_size, which fails on networks of one layer: their `wh` has no elements.
    batches = jax.tree.map(
        lambda a: a[:whole].reshape(whole // AT_ONCE, AT_ONCE, *a.shape[1:]), networks
    )
    masks = jax.tree.map(lambda a: a.reshape(whole, *a.shape[2:]), jax.lax.map(several, batches))
    if whole == count:
        return masks
    rest = several(jax.tree.map(lambda a: a[whole:], networks))
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), masks, rest)


@functools.partial(jax.jit, static_argnames="by_gradient")
def regrow(
    cells: Cells, grads, key: jax.Array, share: jax.Array, *, by_gradient: bool
) -> network.Masks:
    """Masks of all cells after dropping the weakest weights of every layer and growing as many
    (RigL or SET).

    Args:
      cells: C networks.
      grads: dense gradients `[C, ...]`, like their parameters.
      key: PRNG key of random growth.
      share: scalar in [0, 1], share of active weights that moves.
      by_gradient: True: the largest gradients grow (RigL). False: random weights grow (SET).
    """

    def one(params, masks, slope, k):
        draw = as_kernels(
            jax.tree.map(
                lambda a: jax.random.uniform(jax.random.fold_in(k, a.size), a.shape), masks
            )
        )
        growth = (
            as_kernels(jax.tree.map(jnp.abs, {n: slope[n] for n in network.WEIGHTS}))
            if by_gradient
            else draw
        )
        weights, old = as_kernels(params), as_kernels(masks)
        return from_kernels({n: drop_and_grow(old[n], weights[n], growth[n], share) for n in old})

    return jax.vmap(one)(
        cells.params, cells.masks, grads, jax.random.split(key, cells.depth.shape[0])
    )


@jax.jit
def merge(cells: Cells, x: jax.Array, density: jax.Array) -> tuple[network.Params, network.Masks]:
    """Merge the most similar units of every layer until `ceil(W sqrt(density))` are left: weights
    and masks of all cells.
    """

    def one(params, masks, depth, which, rho):
        params, width = network.masked(params, masks), params["wo"].shape[0]
        h = network.forward(params, x[which], depth).h
        least = jnp.ceil(width * jnp.sqrt(rho))
        alive = []
        for layer in range(h.shape[0]):
            params, left = _merge_above(params, h[layer], layer, depth, least)
            alive.append(left)
        alive = jnp.stack(alive).astype(jnp.float32)
        masks = {
            "win": masks["win"] * alive[0][None, :],
            "wh": masks["wh"] * alive[:-1, :, None] * alive[1:, None, :],
            "wo": masks["wo"] * alive[depth - 1][:, None],
        }
        return params, masks

    return jax.vmap(one)(cells.params, cells.masks, cells.depth, cells.which, density)


def _merge_above(params, h, layer, depth, least):
    """Merge the units of one layer; what reads them is the next layer, or the outputs if it is the
    last used one.
    """
    layers, (width, outputs) = params["b"].shape[0], params["wo"].shape
    centered = h - h.mean(0)[None, :]
    last = layer == depth - 1
    wide = jnp.zeros((width, width + outputs)).at[:, width:].set(jnp.where(last, params["wo"], 0.0))
    if layer + 1 < layers:
        wide = wide.at[:, :width].set(jnp.where(last, 0.0, params["wh"][layer]))
    before = Merged(jnp.ones(width, bool), wide, jnp.zeros(width + outputs))
    done = merge_layer(h.mean(0), centered.T @ centered / len(h), before, least, 0.0)
    used, new = layer < depth, dict(params)

    def keep(changed, old):
        return jnp.where(used, changed, old)

    new["wo"] = keep(jnp.where(last, done.outgoing[:, width:], params["wo"]), params["wo"])
    new["bo"] = keep(params["bo"] + done.bias[width:], params["bo"])
    if layer + 1 < layers:
        new["wh"] = (
            params["wh"]
            .at[layer]
            .set(
                keep(
                    jnp.where(last, params["wh"][layer], done.outgoing[:, :width]),
                    params["wh"][layer],
                )
            )
        )
        new["b"] = params["b"].at[layer + 1].add(jnp.where(used, done.bias[:width], 0.0))
    return new, jnp.where(used, done.alive, True)
