"""Relation of a network's maps to the parts of its target: statistics of one network, for jit
and vmap.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from reasoning.compositionality import network
from reasoning.compositionality.prune.moments import safe_ratio
from reasoning.compositionality.targets.graph import Target
from reasoning.compositionality.targets.samples import Corner, examples

ALIKE = 0.95
"""|r| above which two units of a layer count as one thing twice."""
RIDGE = 1e-4
"""Ridge of linear read-outs, as a share of the mean variance of a layer's units."""
SLOPES = 128
"""Examples that derivatives are averaged over."""


class Probe(NamedTuple):
    """A fixed batch, and what is known of the target on it."""

    x: jax.Array
    """`[N, n]`."""
    y: jax.Array
    """Standardized, `[N, m]`."""
    parts: jax.Array
    """Values of the V sub-functions, `[N, V]`."""
    part_slopes: jax.Array
    """Mean squared derivative of every part times the variance of the input, as shares that sum to
    1, `[V, n]`.
    """
    input_var: jax.Array
    """`[n]`."""
    supports: jax.Array
    """Float 0 or 1, `[V, n]`."""
    levels: jax.Array
    """Depth of every part, int32 `[V]`."""
    corner_x: jax.Array
    """Examples of the withheld corner, `[N, n]`; ordinary ones if nothing is withheld."""
    corner_y: jax.Array


@functools.partial(jax.jit, static_argnames=("target", "count", "corner"))
def make_probe(target: Target, key: jax.Array, count: int, corner: Corner | None = None) -> Probe:
    """Draw examples that networks are measured on, outside the corner, and as many inside.

    Args:
      target: the function that was learned; static under jit.
      key: PRNG key.
      count: examples of each of the two sets.
      corner: the corner that was withheld from training; None: both sets are drawn alike.
    """
    x, y = examples(target, key, count, without=corner)
    there = examples(target, jax.random.fold_in(key, 1), count, only=corner)
    slopes = (jax.vmap(jax.jacfwd(target.parts))(x[:SLOPES]) ** 2).mean(0) * x.var(0)[None, :]
    parts, supports = jax.vmap(target.parts)(x), jnp.asarray(target.supports, jnp.float32)
    return Probe(
        x,
        y,
        parts,
        _shares(slopes),
        x.var(0),
        supports,
        jnp.asarray(target.levels, jnp.int32),
        *there,
    )


class Structure(NamedTuple):
    """Statistics of one network, from which matching units to parts, on the host, gives the
    measures.
    """

    mse: jax.Array
    """Mean squared error over outputs."""
    fit: jax.Array
    """R^2, mean over outputs."""
    corner_fit: jax.Array
    """R^2 in the corner: 1 - MSE there / variance everywhere."""
    r: jax.Array
    """|correlation| of units and parts, `[L, W, V]`; unused layers repeat the last used one."""
    read_out: jax.Array
    """Best R^2 of a linear read-out of every part from one layer, `[V]`."""
    support: jax.Array
    """Best match of every part's sensitivity by a unit's, `[V]`."""
    redundancy: jax.Array
    """Share of pairs of active units of a layer with |r| > 0.95."""
    entanglement: jax.Array
    """Mean normalized entropy of an active unit's r^2 over the parts of one level."""
    purity: jax.Array
    """Share of live units that see exactly the inputs of some part, or one input."""
    realised: jax.Array
    """Share of parts whose inputs are exactly those of some live unit."""
    fan_in: jax.Array
    """Mean number of live inputs of a live unit."""
    live: jax.Array
    """Units with a path from an input to an output."""


def structure(
    params: network.Params,
    masks: network.Masks,
    depth: jax.Array,
    probe: Probe,
    activation=jnp.tanh,
    codes=None,
) -> Structure:
    """Statistics of one network on a probe.

    Args:
      params: of `network.init`'s layout, masks not applied yet.
      masks: float or bool.
      depth: hidden layers that are used; may be traced.
      probe: see `make_probe`.
      activation: see `network.forward`.
      codes: see `network.forward`.
    """
    params = network.masked(params, masks)

    def run(x):
        return network.forward(params, x, depth, activation, codes)

    maps, there = run(probe.x), run(probe.corner_x)
    variance = probe.y.var(0)
    error = ((maps.y - probe.y) ** 2).mean(0)
    away = ((there.y - probe.corner_y) ** 2).mean(0)
    used = network.used_layers(depth, maps.h.shape[0])
    r, own, active = correlations(maps.h, probe.parts)
    active = active & used[:, None]
    slopes = (jax.vmap(jax.jacfwd(lambda x: run(x[None]).h[:, 0]))(probe.x[:SLOPES]) ** 2).mean(
        0
    ) * probe.input_var[None, None, :]
    live = network.live_units(masks, depth)
    pure, realised = purity(masks, depth, live, probe.supports)
    return Structure(
        error.mean(),
        (1 - safe_ratio(error, variance)).mean(),
        (1 - safe_ratio(away, variance)).mean(),
        r,
        read_outs(maps.h, probe.parts),
        supports_matched(slopes, probe),
        redundancy(own, active),
        entanglement(r, active, probe.levels),
        pure,
        realised,
        network.effective_fan_in(masks, depth),
        live.sum(),
    )


def correlations(h: jax.Array, parts: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """|r| of units and parts `[L, W, V]`, r of units among themselves `[L, W, W]`, and which units
    vary at all, bool `[L, W]`.
    """
    h, parts = h - h.mean(1, keepdims=True), parts - parts.mean(0, keepdims=True)
    h_sd, p_sd = jnp.sqrt((h * h).mean(1)), jnp.sqrt((parts * parts).mean(0))
    with_parts = jnp.einsum("lbw,bv->lwv", h, parts) / h.shape[1]
    among = jnp.einsum("lbw,lbu->lwu", h, h) / h.shape[1]
    active = h_sd > 1e-4
    r = safe_ratio(jnp.abs(with_parts), h_sd[:, :, None] * p_sd[None, None, :]) * active[:, :, None]
    own = safe_ratio(among, h_sd[:, :, None] * h_sd[:, None, :]) * (
        active[:, :, None] & active[:, None, :]
    )
    return jnp.minimum(r, 1.0), own, active


def read_outs(h: jax.Array, parts: jax.Array) -> jax.Array:
    """R^2 of the best linear read-out of every part from a single layer, never above the true one,
    `[V]`.
    """
    h, parts = h - h.mean(1, keepdims=True), parts - parts.mean(0, keepdims=True)
    variance = (parts * parts).mean(0)

    def of_layer(layer):
        covariance, cross = layer.T @ layer / len(layer), layer.T @ parts / len(layer)
        ridge = RIDGE * jnp.trace(covariance) / layer.shape[1] + 1e-9
        weights = jnp.linalg.solve(covariance + ridge * jnp.eye(layer.shape[1]), cross)
        return safe_ratio(
            2 * (weights * cross).sum(0) - (weights * (covariance @ weights)).sum(0), variance
        )

    return jnp.clip(jax.vmap(of_layer)(h).max(0), 0.0, 1.0)


def supports_matched(slopes: jax.Array, probe: Probe) -> jax.Array:
    """Fit of the best unit's sensitivity `[L, W, n]` keeps to every part's inputs, `[V]`.

    The share of a unit's sensitivity inside the part's inputs, times min(e / e_v, e_v / e) with e
    the effective number of inputs (the exponential of the entropy). Our choice: e_v is that of the
    part itself, not the number of its inputs, so that a planted network scores exactly 1; and
    sensitivities are times the variance of the input, so that scaling an input changes nothing.
    """
    shares = _shares(slopes)
    inside = jnp.einsum("lwi,vi->lwv", shares, probe.supports)
    effective, wanted = jnp.exp(_entropy(shares)), jnp.exp(_entropy(probe.part_slopes))
    ratio = effective[:, :, None] / wanted[None, None, :]
    match = inside * jnp.minimum(ratio, 1 / jnp.maximum(ratio, 1e-9))
    return jnp.where((slopes.sum(-1) > 1e-12)[:, :, None], match, 0.0).max((0, 1))


def redundancy(own: jax.Array, active: jax.Array) -> jax.Array:
    """Share of pairs of active units of the same layer whose maps are alike, all layers together:
    `[]`, 0 without pairs.
    """
    upper = jnp.triu(jnp.ones(own.shape[1:], bool), 1)[None]
    pairs = active[:, :, None] & active[:, None, :] & upper
    return (pairs & (jnp.abs(own) > ALIKE)).sum() / jnp.maximum(pairs.sum(), 1)


def entanglement(r: jax.Array, active: jax.Array, levels: jax.Array) -> jax.Array:
    """Normalized entropy of a unit's r^2 over the parts of the level of its best part; mean over
    active units where that has several.
    """
    square = r * r
    same = levels[None, :] == levels[:, None]
    mine = same[square.argmax(-1)]
    count = mine.sum(-1)
    shares = safe_ratio(
        square * mine, jnp.broadcast_to((square * mine).sum(-1, keepdims=True), square.shape)
    )
    value = _entropy(shares) / jnp.log(jnp.maximum(count, 2))
    counts = active & (count > 1)
    return (value * counts).sum() / jnp.maximum(counts.sum(), 1)


def purity(
    masks: network.Masks, depth: jax.Array, live: jax.Array, supports: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Shares of live units and of parts that agree exactly, by the inputs that a unit sees through
    the masks.

    Args:
      masks: masks of one network.
      depth: int, hidden layers in use.
      live: bool `[L, W]`, units with a path from an input to an output.
      supports: `[V, n]`, 1 where a part depends on an input.

    Returns:
      `(purity, realized)`, scalars in [0, 1]: share of live units that see exactly a part's inputs
      or a single one, and share of parts that some live unit sees exactly.
    """
    inputs = supports.shape[1]

    def step(reach, row):
        return (
            (now := jnp.where(row[1] < depth, (row[0].T @ reach > 0).astype(jnp.float32), reach)),
            now,
        )

    first = (masks["win"] > 0).astype(jnp.float32).T
    _, rest = jax.lax.scan(
        step, first, ((masks["wh"] > 0).astype(jnp.float32), jnp.arange(1, live.shape[0]))
    )
    reach = jnp.concatenate([first[None], rest])

    def equal(known):
        return (jnp.abs(reach[:, :, None, :] - known[None, None]).sum(-1) == 0) & live[:, :, None]

    of_parts, single = equal(supports), equal(jnp.eye(inputs))
    pure = of_parts.any(-1) | single.any(-1)
    return pure.sum() / jnp.maximum(live.sum(), 1), of_parts.any((0, 1)).mean()


def _shares(x: jax.Array) -> jax.Array:
    total = x.sum(-1, keepdims=True)
    return safe_ratio(x, jnp.broadcast_to(total, x.shape))


def _entropy(shares: jax.Array) -> jax.Array:
    return -(shares * jnp.log(jnp.maximum(shares, 1e-12))).sum(-1)
