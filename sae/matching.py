"""Which latents of different members are the same: cosine of decoders and correlation of activations, then clusters around leaders.

Everything is a function of the latents alone; in which order members stand does not matter. Blocks of the table of similarities are
computed one at a time, so that hundreds of thousands of latents fit.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class MatchConfig:
    """When two latents of different members count as one."""

    cosine: float = 0.7
    """Least cosine of their decoder rows."""
    correlation: float = 0.5
    """Least Pearson correlation of their activations on the probe cases. Our choice, as the paper does not say: both must hold."""
    neighbours: int = 0
    """Most neighbours of one latent that are looked at, nearest first; 0: two per other member, at least 20."""
    block: int = 1024
    """Latents compared at once."""


class Edges(NamedTuple):
    """Pairs of latents that match; each pair once from either side it was found from."""

    source: np.ndarray
    """int32 `[n]`."""
    target: np.ndarray
    """int32 `[n]`."""
    cosine: np.ndarray
    """float32 `[n]`."""
    correlation: np.ndarray
    """float32 `[n]`."""


@functools.partial(jax.jit, static_argnums=(5, 6))
def _nearest(rows, signatures, members, start, limits, block, count):
    """The best `count` latents for each of a block: indices, cosines, correlations; not allowed ones have cosine -1."""
    mine = jax.lax.dynamic_slice_in_dim(rows, start, block)
    sign = jax.lax.dynamic_slice_in_dim(signatures, start, block)
    cosine, correlation = mine @ rows.T, sign @ signatures.T
    other = jax.lax.dynamic_slice_in_dim(members, start, block)[:, None] != members[None]
    allowed = other & (cosine >= limits[0]) & (correlation >= limits[1])
    best, where = jax.lax.top_k(jnp.where(allowed, cosine, -1.0), count)
    return where, best, jnp.take_along_axis(correlation, where, 1)


def edges(decoders: np.ndarray, activations: np.ndarray, members: np.ndarray, config: MatchConfig) -> Edges:
    """All pairs that match.

    Args:
      decoders: `[n, E]`, any length.
      activations: `[N, n]` on probe cases.
      members: int `[n]`: whose latent each is.
    """
    count = len(members)
    if count < 2:
        return Edges(*(np.zeros(0, np.int32),) * 2, *(np.zeros(0, np.float32),) * 2)
    block = min(config.block, count)
    wanted = config.neighbours or max(20, 2 * (len(np.unique(members)) - 1))
    centred = activations - activations.mean(0, keepdims=True)
    unit = lambda a: a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-12)
    rows, signatures = jnp.asarray(unit(decoders), jnp.float32), jnp.asarray(unit(centred.T), jnp.float32)
    limits, found = jnp.array([config.cosine, config.correlation], jnp.float32), []
    for begin in range(0, count, block):
        start = min(begin, count - block)  # the last block begins earlier and repeats some
        where, cosine, correlation = map(
            np.asarray, _nearest(rows, signatures, jnp.asarray(members), start, limits, block, min(wanted, count))
        )
        source = np.repeat(np.arange(start, start + block), where.shape[1]).reshape(where.shape)
        keep = (cosine >= config.cosine) & (source >= begin)
        found.append((source[keep], where[keep], cosine[keep], correlation[keep]))
    return Edges(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def leaders(found: Edges, members: np.ndarray, order: np.ndarray) -> list[np.ndarray]:
    """Clusters of latents, the leader of each first; a latent is in at most one, and a cluster has at most one of each member.

    A leader takes those of its neighbours that no earlier leader took, nearest first: there is no chaining, as in connected
    components. Latents without matches lead clusters of their own.

    Args:
      found: see `edges`.
      members: int `[n]`.
      order: latents from the first leader to the last. It must come from the latents, not from their numbers.
    """
    count, rank = len(members), np.empty(len(members), np.int64)
    rank[order] = np.arange(count)
    by_source = np.lexsort((rank[found.target], -np.round(found.cosine, 4), found.source))
    target, bounds = found.target[by_source], np.searchsorted(found.source[by_source], np.arange(count + 1))
    taken, clusters = np.zeros(count, bool), []
    for leader in order:
        if taken[leader]:
            continue
        group, there = [leader], {members[leader]}
        for other in target[bounds[leader] : bounds[leader + 1]]:
            if not taken[other] and members[other] not in there:
                group.append(other)
                there.add(members[other])
        taken[group] = True
        clusters.append(np.array(group))
    return clusters


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Mean cosine of the best one-to-one matching of two members' decoder rows (Hungarian)."""
    from sae.metrics import recovery

    small, large = sorted((np.asarray(a), np.asarray(b)), key=len)
    return recovery(large, small).mcc


def sinkhorn(a: np.ndarray, b: np.ndarray, temperature: float = 0.05, rounds: int = 100) -> np.ndarray:
    """Soft matching of two members' rows: non-negative `[n, n]` whose rows and columns each add up to 1."""
    from scipy.special import logsumexp

    unit = lambda rows: rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    table = unit(np.asarray(a, np.float64)) @ unit(np.asarray(b, np.float64)).T / temperature
    for _ in range(rounds):
        table = table - logsumexp(table, 1, keepdims=True)
        table = table - logsumexp(table, 0, keepdims=True)
    return np.exp(table)
