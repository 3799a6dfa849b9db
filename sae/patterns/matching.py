"""Matching of latents of different members: by the cosine of decoders and the correlation of
activations, then by clusters around leaders.

Everything is a function of the latents alone; the order of members does not matter. Cosines are
computed tile by tile, and activations are sparse, so that hundreds of thousands of latents fit.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

PAIRS = 200_000
"""Pairs whose correlations are computed at once."""


@dataclass(frozen=True)
class MatchConfig:
    """Limits at which two latents of different members count as one."""

    cosine: float = 0.7
    """Least cosine of their decoder rows."""
    correlation: float = 0.5
    """Least Pearson correlation of their activations on the probe cases. Our choice, as the paper
    does not say: both must hold.
    """
    block: int = 2048
    """Height and width of a tile."""


class Edges(NamedTuple):
    """Pairs of latents that match, each in both directions."""

    source: np.ndarray
    """int32 `[n]`."""
    target: np.ndarray
    """int32 `[n]`."""
    cosine: np.ndarray
    """float32 `[n]`."""
    correlation: np.ndarray
    """float32 `[n]`."""


def sparse(activations):
    """Activations `[n, N]`, latents by cases, as a SciPy matrix of rows; those that are one already
    stay.
    """
    from scipy.sparse import csr_array, issparse

    return (
        activations.tocsr()
        if issparse(activations)
        else csr_array(np.asarray(activations, np.float32))
    )


@jax.jit
def _alike(rows, columns, rows_of, columns_of, limit):
    """Cosines of a tile, and where they are large enough between different members."""
    cosine = rows @ columns.T
    return cosine, (cosine >= limit) & (rows_of[:, None] != columns_of[None])


def candidates(
    decoders: np.ndarray, members: np.ndarray, config: MatchConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs `i < j` of different members with a large enough cosine, and that cosine."""
    count, block = len(members), min(config.block, len(members))
    whole = -(-count // block) * block
    rows = np.zeros((whole, decoders.shape[1]), np.float32)
    rows[:count] = decoders / np.maximum(np.linalg.norm(decoders, axis=1, keepdims=True), 1e-12)
    own = np.full(whole, -1, np.int32)  # the padding belongs to one member, and its cosines are 0
    own[:count] = members
    rows, own, found = jnp.asarray(rows), jnp.asarray(own), []
    for top in range(0, whole, block):
        for left in range(top, whole, block):
            here, there = slice(top, top + block), slice(left, left + block)
            cosine, alike = map(
                np.asarray, _alike(rows[here], rows[there], own[here], own[there], config.cosine)
            )
            i, j = np.nonzero(np.triu(alike, 1) if top == left else alike)
            found.append((np.int32(top + i), np.int32(left + j), cosine[i, j]))
    i, j, cosine = (np.concatenate(parts) for parts in zip(*found, strict=True))
    real = (i < count) & (j < count)
    return i[real], j[real], cosine[real]


def correlations(signals, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Pearson correlations of rows i and j of sparse signals `[n, N]`; 0 for a row that does not
    vary.
    """
    cases = signals.shape[1]
    mean = np.asarray(signals.mean(1)).reshape(-1)
    square = np.asarray(signals.multiply(signals).mean(1)).reshape(-1)
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    together = np.zeros(len(i), np.float64)
    for start in range(0, len(i), PAIRS):
        some = slice(start, start + PAIRS)
        together[some] = (
            np.asarray(signals[i[some]].multiply(signals[j[some]]).sum(1)).reshape(-1) / cases
        )
    scale = spread[i] * spread[j]
    return np.where(
        scale > 1e-12, (together - mean[i] * mean[j]) / np.maximum(scale, 1e-12), 0
    ).astype(np.float32)


def edges(decoders: np.ndarray, activations, members: np.ndarray, config: MatchConfig) -> Edges:
    """All pairs that match.

    Args:
      decoders: `[n, E]`, any length.
      activations: `[n, N]` on probe cases, dense or sparse.
      members: int `[n]`: the member of each latent.
      config: least cosine and least correlation of a match.
    """
    i, j, cosine = candidates(decoders, members, config)
    linked = correlations(sparse(activations), i, j)
    keep = linked >= config.correlation
    i, j, cosine, linked = i[keep], j[keep], cosine[keep], linked[keep]
    return Edges(np.r_[i, j], np.r_[j, i], np.r_[cosine, cosine], np.r_[linked, linked])


def leaders(found: Edges, members: np.ndarray, order: np.ndarray) -> list[np.ndarray]:
    """Clusters of latents, the leader of each first; a latent is in at most one, and a cluster has
    at most one of each member.

    A leader takes those of its neighbors that no earlier leader took, nearest first: there is no
    chaining, as in connected components. Latents without matches lead clusters of their own.

    Args:
      found: see `edges`.
      members: int `[n]`.
      order: latents from the first leader to the last. It must come from the latents, not from
        their numbers.
    """
    count, rank = len(members), np.empty(len(members), np.int64)
    rank[order] = np.arange(count)
    by_source = np.lexsort((rank[found.target], -np.round(found.cosine, 4), found.source))
    target, bounds = (
        found.target[by_source],
        np.searchsorted(found.source[by_source], np.arange(count + 1)),
    )
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


def sinkhorn(
    a: np.ndarray, b: np.ndarray, temperature: float = 0.05, rounds: int = 100
) -> np.ndarray:
    """Soft matching of two members' rows: non-negative `[n, n]` whose rows and columns each add up
    to 1.

    Args:
      a: `[n, E]`, decoder rows of one member.
      b: `[n, E]`, those of the other.
      temperature: above 0, in units of the cosine; low ones are nearly one-to-one.
      rounds: normalizations of rows and columns. Columns are last, so rows add up to 1 only nearly.
    """
    from scipy.special import logsumexp

    def unit(rows):
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    table = unit(np.asarray(a, np.float64)) @ unit(np.asarray(b, np.float64)).T / temperature
    for _ in range(rounds):
        table = table - logsumexp(table, 1, keepdims=True)
        table = table - logsumexp(table, 0, keepdims=True)
    return np.exp(table)
