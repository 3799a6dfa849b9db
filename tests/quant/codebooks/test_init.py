"""Where codes begin."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.codebooks.init import from_data, initial_codes, kmeans, kmeans_plus_plus, normal, uniform
from quant.errors import QuantError

X = jax.random.normal(jax.random.key(1), (60, 3))
lloyd = jax.jit(
    kmeans, static_argnames=("codes", "iterations", "begin", "empty", "metric", "axis_name")
)


def test_laws():
    assert float(jnp.abs(uniform(jax.random.key(0), 50, 40)).max()) == pytest.approx(
        1 / 50, rel=0.01
    )
    assert float(normal(jax.random.key(0), 500, 16).std()) == pytest.approx(0.25, rel=0.05)


def test_rows_of_the_data_without_repetition():
    codes = from_data(jax.random.key(0), X, 60)
    np.testing.assert_array_equal(np.sort(codes, 0), np.sort(X, 0))
    many = np.asarray(from_data(jax.random.key(0), X[:5], 12))
    assert len(np.unique(many, axis=0)) == 12
    assert np.abs(many[:, None] - np.asarray(X[:5])[None]).max(-1).min(1).max() < 0.02


@pytest.mark.parametrize("begin", ["data", "++"])
def test_the_error_of_kmeans_never_rises_and_ends_at_a_fixed_point(begin):
    centers, errors = lloyd(jax.random.key(0), X, 7, iterations=40, begin=begin)
    assert (np.diff(errors) <= 1e-6).all() and errors[-1] < errors[0]
    nearest = ((np.asarray(X)[:, None] - np.asarray(centers)[None]) ** 2).sum(-1).argmin(1)
    for k in range(7):
        if (nearest == k).any():
            np.testing.assert_allclose(centers[k], np.asarray(X)[nearest == k].mean(0), atol=1e-5)


@pytest.mark.parametrize("empty", ["keep", "farthest"])
def test_as_many_distinct_points_as_codes_leave_no_error(empty):
    points = jnp.array([[0.0, 0], [10, 0], [0, 10], [10, 10]])
    centers, _ = lloyd(
        jax.random.key(3), jnp.tile(points, (5, 1)), 4, iterations=20, begin="++", empty=empty
    )
    np.testing.assert_allclose(
        np.unique(np.round(centers, 4), axis=0), np.unique(points, axis=0), atol=1e-4
    )


def test_centers_without_rows_move_to_the_farthest_rows():
    points = jnp.concatenate([jnp.zeros((30, 1)), jnp.array([[100.0], [200.0]])])
    centers, _ = lloyd(jax.random.key(0), points, 3, iterations=10, empty="farthest")
    np.testing.assert_allclose(np.sort(centers[:, 0]), [0, 100, 200], atol=1e-3)


def test_plus_plus_spreads_out():
    clusters = jnp.concatenate(
        [jax.random.normal(jax.random.key(k), (20, 2)) * 0.01 + 10 * k for k in range(5)]
    )
    drawn = np.round(np.asarray(kmeans_plus_plus(jax.random.key(1), clusters, 5))[:, 0] / 10)
    assert sorted(drawn) == [0, 1, 2, 3, 4]


def test_spherical_centers_have_length_one():
    centers, _ = lloyd(jax.random.key(0), X, 5, metric="cosine")
    np.testing.assert_allclose(jnp.linalg.norm(centers, axis=1), 1, rtol=1e-5)


def test_devices_agree_and_equal_one():
    x = jax.random.normal(jax.random.key(2), (40, 3))
    parts = x.reshape(4, 10, 3)

    def run(x):
        return kmeans(jax.random.key(0), x, 4, iterations=5, axis_name="data")[0]

    four = jax.pmap(run, axis_name="data")(parts)
    assert (four == four[:1]).all()
    first = from_data(jax.random.key(0), parts[0], 4)
    for _ in range(5):
        nearest = ((np.asarray(x)[:, None] - np.asarray(first)[None]) ** 2).sum(-1).argmin(1)
        first = np.stack(
            [
                np.asarray(x)[nearest == k].mean(0)
                if (nearest == k).any()
                else np.asarray(first)[k]
                for k in range(4)
            ]
        )
    np.testing.assert_allclose(four[0], first, atol=1e-4)


def test_fewer_points_than_codes_give_every_point_a_code():
    codes = initial_codes(jax.random.key(0), "kmeans", 10, 3, X[:4])
    assert codes.shape == (10, 3) and jnp.isfinite(codes).all()
    distance = ((np.asarray(X[:4])[:, None] - np.asarray(codes)[None]) ** 2).sum(-1)
    assert distance.min(1).max() < 0.05


@pytest.mark.parametrize(
    ("how", "sample", "sentence"),
    [
        ("kmeans", None, "give a sample"),
        ("data", X[:, :2], "2 features"),
        ("data", X[:0], "no rows"),
    ],
)
def test_refusals(how, sample, sentence):
    with pytest.raises(QuantError, match=sentence):
        initial_codes(jax.random.key(0), how, 4, 3, sample)
