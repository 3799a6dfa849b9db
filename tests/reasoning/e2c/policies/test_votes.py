"""Votes by hand, k-means against enumeration, representatives by brute force."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reasoning.e2c.policies.votes import k_means, majority, representatives


@pytest.mark.parametrize(
    "answers, weights, winner",
    [
        (["1", "2", "2"], None, "2"),
        (["1", "2"], None, "1"),  # a tie: the one seen first
        (["2", "1", "1", "2"], None, "2"),
        ([None, None, "3"], None, "3"),
        ([None, "", " "], None, None),
        ([], None, None),
        (["1", "2", "2"], [3.0, 1.0, 1.0], "1"),
    ],
)
def test_majorities(answers, weights, winner):
    assert majority(answers, weights) == winner


def test_equal_answers_in_other_words_vote_together():
    assert majority(["a", "b", "B"], None, lambda one, other: one.lower() == other.lower()) == "b"


def best_inertia(x, clusters):
    """Over all assignments."""
    inertias = []
    for labels in itertools.product(range(clusters), repeat=len(x)):
        parts = [x[np.array(labels) == c] for c in range(clusters)]
        inertias.append(sum(((part - part.mean(0)) ** 2).sum() for part in parts if len(part)))
    return min(inertias)


def test_k_means_finds_the_best_partition():
    x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    centers, labels, inertia = k_means(jax.random.key(0), jnp.asarray(x), 3, starts=20)
    np.testing.assert_allclose(inertia, best_inertia(x, 3), rtol=1e-4)
    np.testing.assert_array_equal(
        labels, ((x[:, None] - np.asarray(centers)[None]) ** 2).sum(-1).argmin(1)
    )


def test_k_means_is_no_worse_than_scikit_learns():
    cluster = pytest.importorskip("sklearn.cluster")
    x = np.random.default_rng(1).normal(size=(60, 5)).astype(np.float32)
    theirs = cluster.KMeans(3, n_init=10, random_state=42).fit(x).inertia_
    assert float(k_means(jax.random.key(42), jnp.asarray(x), 3)[2]) <= theirs * 1.02


def test_representatives_are_nearest_to_their_centers():
    x = np.array([[1, 0], [1, 0.05], [1, 0.1], [0, 1], [-1, 0.02]], np.float32)
    chosen, sizes = representatives(x, 3)
    assert dict(zip(chosen, sizes, strict=True)) == {1: 3, 3: 1, 4: 1}


def test_equal_rows_are_one_cluster():
    chosen, sizes = representatives(np.ones((6, 4)), 3)
    assert (len(chosen), sizes) == (1, [6])
