"""The search against brute force in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.codebooks.nearest import LARGEST_SCORES, choose, nearest
from quant.errors import QuantError

WAYS = ("xla", "scan", "pallas")


def brute_force(x, codebook, metric):
    """All distances in float64, `[N, K]`."""
    x, codebook = np.asarray(x, np.float64), np.asarray(codebook, np.float64)
    if metric == "l2":
        return ((x[:, None] - codebook[None]) ** 2).sum(-1)
    if metric == "cosine":
        x, codebook = (a / np.linalg.norm(a, axis=-1, keepdims=True) for a in (x, codebook))
    return (metric == "cosine") - x @ codebook.T


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("metric", ["l2", "cosine", "dot"])
@pytest.mark.parametrize(("rows", "codes", "features"), [(1, 1, 1), (130, 300, 5), (257, 67, 16)])
def test_it_finds_the_least_distance(way, metric, rows, codes, features):
    x = jax.random.normal(jax.random.key(0), (rows, features))
    codebook = jax.random.normal(jax.random.key(1), (codes, features))
    index, distance = nearest(x, codebook, metric, way, tile=64)
    truth = brute_force(x, codebook, metric)
    assert index.dtype == jnp.int32 and index.shape == distance.shape == (rows,)
    np.testing.assert_allclose(truth[np.arange(rows), index], truth.min(1), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(distance, truth.min(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_of_equal_codes_the_first_wins(way):
    codebook = jnp.tile(jnp.arange(5.0)[:, None], (40, 2))
    index, distance = nearest(jnp.array([[3.0, 3.0], [0.2, 0.0]]), codebook, way=way, tile=16)
    np.testing.assert_array_equal(index, [3, 0])
    np.testing.assert_allclose(distance, [0, 0.04], atol=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_a_common_offset_costs_no_digits(way):
    codebook = 1000 + jax.random.normal(jax.random.key(1), (50, 8)) * 0.1
    x = codebook[::7] + 1e-3
    index, _ = nearest(x, codebook, way=way, tile=16)
    np.testing.assert_array_equal(index, jnp.arange(0, 50, 7))


def test_it_searches_in_float32_and_gives_no_gradient():
    codebook = 1 + jnp.arange(64.0)[:, None] * 1e-3  # bfloat16 cannot tell them apart
    index, _ = nearest(jnp.asarray(codebook, jnp.bfloat16), codebook)
    np.testing.assert_array_equal(
        index, jnp.round((jnp.asarray(codebook, jnp.bfloat16).astype(jnp.float32)[:, 0] - 1) * 1000)
    )
    grads = jax.grad(lambda x, c: nearest(x, c)[1].sum(), argnums=(0, 1))(codebook, codebook)
    assert all((g == 0).all() for g in grads)


@pytest.mark.parametrize(
    ("device", "tiled"), [("cpu", "scan"), ("gpu", "pallas"), ("tpu", "pallas")]
)
def test_small_problems_are_built_whole_and_large_ones_in_tiles(monkeypatch, device, tiled):
    monkeypatch.setattr(jax, "default_backend", lambda: device)
    codebook, small = jnp.zeros((1024, 64)), LARGEST_SCORES[device] // 4 // 1024
    assert choose("auto", small, codebook) == "xla" and choose("auto", small + 1, codebook) == tiled
    assert (
        choose("auto", small + 1, jnp.zeros((1024, 256))) == "scan"
    )  # wider than the kernel takes
    if device == "tpu":
        assert (
            choose("auto", small, jnp.zeros((2**16, 64))) == "scan"
        )  # more codes than fit its memory


@pytest.mark.parametrize(
    ("x", "codebook", "sentence"),
    [
        ((3, 2), (4, 3), "must agree"),
        ((3, 2), (0, 2), "at least one code"),
        ((3,), (4, 3), r"not \(3,\)"),
    ],
)
def test_refusals(x, codebook, sentence):
    with pytest.raises(QuantError, match=sentence):
        nearest(jnp.zeros(x), jnp.zeros(codebook))


def test_no_rows_at_all():
    index, distance = nearest(jnp.zeros((0, 3)), jnp.zeros((4, 3)))
    assert index.shape == distance.shape == (0,)
