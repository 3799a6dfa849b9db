"""Votes on answers and clusters of plans."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from reasoning.e2c.answers.checkers import exact


def majority(
    answers: Sequence[str | None],
    weights: Sequence[float] | None = None,
    same: Callable[[str, str], bool] = exact,
) -> str | None:
    """The answer with most votes; ties go to the one seen first; None never votes, and wins only if
    nothing else is there. Equal numbers are one answer: 0.5, 1/2.
    """
    weights = [1.0] * len(answers) if weights is None else weights
    totals: list[list] = []
    for answer, weight in zip(answers, weights, strict=True):
        if answer is None or not answer.strip():
            continue
        entry = next((entry for entry in totals if same(entry[0], answer)), None)
        if entry is None:
            totals.append([answer, weight])
        else:
            entry[1] += weight
    return max(totals, key=lambda entry: entry[1])[0] if totals else None


def representatives(
    vectors: np.ndarray, clusters: int, seed: int = 42
) -> tuple[list[int], list[int]]:
    """Rows nearest to the centers of at most `clusters` clusters, and the clusters' sizes.

    There are never more clusters than different rows, so that equal plans are one cluster.
    """
    vectors = np.asarray(vectors, np.float32)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    count = min(clusters, len(np.unique(np.round(vectors, 5), axis=0)))
    centers, labels, _ = jax.device_get(k_means(jax.random.key(seed), jnp.asarray(vectors), count))
    chosen, sizes = [], []
    for cluster in range(count):
        members = np.flatnonzero(labels == cluster)
        if len(members):
            gaps = ((vectors[members] - centers[cluster]) ** 2).sum(-1)
            chosen.append(int(members[np.argmin(gaps)]))
            sizes.append(len(members))
    return chosen, sizes


@functools.partial(jax.jit, static_argnames=("clusters", "starts", "rounds"))
def k_means(key: jax.Array, x: jax.Array, clusters: int, starts: int = 10, rounds: int = 20):
    """Lloyd's algorithm from k-means++ starts: `(centers [M, D], labels [N], inertia)` of the best
    of `starts`.

    Args:
      key: for the starts.
      x: rows `[N, D]`.
      clusters: M, at most N.
      starts: tried.
      rounds: of Lloyd's algorithm.
    """
    found = jax.vmap(lambda k: _one_start(k, x, clusters, rounds))(jax.random.split(key, starts))
    best = jnp.argmin(found[2])
    return jax.tree.map(lambda a: a[best], found)


def _one_start(key, x, clusters, rounds):
    centers = _plus_plus(key, x, clusters)

    def round_(centers, _):
        labels = jnp.argmin(_gaps(x, centers), -1)
        member = (labels[:, None] == jnp.arange(clusters)[None]).astype(x.dtype)
        count = member.sum(0)[:, None]
        return jnp.where(count > 0, member.T @ x / jnp.maximum(count, 1), centers), None

    centers, _ = jax.lax.scan(round_, centers, None, rounds)
    gaps = _gaps(x, centers)
    return centers, jnp.argmin(gaps, -1), gaps.min(-1).sum()


def _plus_plus(key, x, clusters):
    """Starts far apart: each next one is drawn with probability proportional to its squared
    distance from those there are.
    """
    keys = jax.random.split(key, clusters)
    centers = (
        jnp.zeros((clusters, x.shape[1]), x.dtype)
        .at[0]
        .set(x[jax.random.randint(keys[0], (), 0, x.shape[0])])
    )
    for number in range(1, clusters):
        nearest = _gaps(x, centers[:number]).min(-1)
        place = jax.random.categorical(keys[number], jnp.log(nearest + 1e-12))
        centers = centers.at[number].set(x[place])
    return centers


def _gaps(x, centers):
    return ((x[:, None] - centers[None]) ** 2).sum(-1)
