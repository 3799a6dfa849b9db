"""Closed forms against all pairs, spectra of matrices whose rank is known, moments over batches and
devices.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant import diagnostics

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(7, 3)) + 1.0
CODES = RNG.normal(size=(5, 3))


def pairs(distance, rows):
    return np.mean([distance(a, b) for a, b in itertools.combinations(rows, 2)])


def test_mean_distances_equal_the_loop_over_pairs():
    def cosine(a, b):
        return 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    np.testing.assert_allclose(
        diagnostics.mean_cosine_distance(jnp.float32(ROWS)), pairs(cosine, ROWS), rtol=1e-5
    )
    for block in (1, 3, 100):
        found = diagnostics.mean_euclidean_distance(jnp.float32(ROWS), block)
        np.testing.assert_allclose(
            found, pairs(lambda a, b: np.linalg.norm(a - b), ROWS), rtol=1e-5
        )


def test_the_number_of_pairs_of_many_rows_need_not_fit_an_integer():
    directions = jnp.eye(2)[jnp.arange(50_000) % 2]
    np.testing.assert_allclose(
        diagnostics.mean_cosine_distance(directions), 25_000 / 49_999, rtol=1e-5
    )
    abstract = jax.ShapeDtypeStruct((50_000, 2), jnp.float32)
    assert jax.eval_shape(diagnostics.mean_euclidean_distance, abstract).shape == ()


def test_cosine_distance_of_equal_opposite_and_empty_directions():
    row = jnp.array([[1.0, 2.0]])
    np.testing.assert_allclose(
        diagnostics.mean_cosine_distance(jnp.concatenate([row, 3 * row])), 0, atol=1e-6
    )
    np.testing.assert_allclose(
        diagnostics.mean_cosine_distance(jnp.concatenate([row, -row])), 2, rtol=1e-6
    )
    np.testing.assert_allclose(
        diagnostics.mean_cosine_distance(jnp.concatenate([row, 0 * row])), 1, rtol=1e-6
    )


def test_margins_equal_the_sorted_distances():
    distance = np.sort(np.linalg.norm(ROWS[:, None] - CODES[None], axis=-1), axis=-1)
    np.testing.assert_allclose(
        diagnostics.code_margin(jnp.float32(ROWS), jnp.float32(CODES)),
        distance[:, 1] - distance[:, 0],
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_orthonormal_directions_count_as_the_rank(rank):
    basis = np.linalg.qr(RNG.normal(size=(6, 6)))[0][:rank]
    rows = jnp.float32(np.concatenate([basis, -basis]))
    singular = diagnostics.singular_values(rows)
    np.testing.assert_allclose(diagnostics.effective_rank(singular), rank, rtol=1e-3)
    np.testing.assert_allclose(diagnostics.participation_ratio(singular), rank, rtol=1e-3)


def test_unequal_directions_by_hand():
    """Singular values 3 and 1: shares 3/4 and 1/4; variances 9 and 1."""
    singular = jnp.array([3.0, 1.0])
    np.testing.assert_allclose(
        diagnostics.effective_rank(singular),
        np.exp(-0.75 * np.log(0.75) - 0.25 * np.log(0.25)),
        rtol=1e-6,
    )
    np.testing.assert_allclose(diagnostics.participation_ratio(singular), 100 / 82, rtol=1e-6)
    assert (
        diagnostics.effective_rank(jnp.zeros(2)) == 0
        and diagnostics.participation_ratio(jnp.zeros(2)) == 0
    )


def test_singular_values_of_many_rows_take_little_memory():
    rows = RNG.normal(size=(300, 4))
    np.testing.assert_allclose(
        diagnostics.singular_values(jnp.float32(rows)),
        np.linalg.svd(rows - rows.mean(0), compute_uv=False),
        rtol=1e-4,
    )
    many = jax.ShapeDtypeStruct((3, 100_000, 4), jnp.float32)
    program = jax.jit(jax.vmap(diagnostics.singular_values)).lower(many).compile()
    assert program.memory_analysis().temp_size_in_bytes < 10 * 4 * many.size


def test_an_offset_is_no_direction():
    same = jnp.ones((5, 3)) * 4
    assert diagnostics.effective_rank(diagnostics.singular_values(same)) == 0
    np.testing.assert_allclose(
        diagnostics.effective_rank(diagnostics.singular_values(same, center=False)), 1, rtol=1e-3
    )


X = RNG.normal(size=(4, 10, 3)) @ np.diag([3.0, 1.0, 0.2]) + 100.0
MASK = RNG.random((4, 10)) < 0.7


def test_moments_of_batches_are_those_of_the_whole():
    """The mean lies far from zero, where a sum of squares would lose the variance."""
    moments = diagnostics.moments_init(3)
    for x, mask in zip(X, MASK, strict=True):
        moments = jax.jit(diagnostics.moments_update)(moments, jnp.float32(x), jnp.asarray(mask))
    rows = X[MASK]
    assert moments.count == len(rows)
    np.testing.assert_allclose(moments.mean, rows.mean(0), rtol=1e-6)
    np.testing.assert_allclose(
        moments.scatter / len(rows), np.cov(rows.T, bias=True), rtol=2e-3, atol=2e-3
    )
    found, variance = (
        diagnostics.embedding_summary(moments),
        np.linalg.eigvalsh(np.cov(rows.T, bias=True)),
    )
    share = np.sqrt(variance) / np.sqrt(variance).sum()
    np.testing.assert_allclose(found.std, np.sqrt(variance.mean()), rtol=1e-3)
    np.testing.assert_allclose(
        found.effective_rank, np.exp(-(share * np.log(share)).sum()), rtol=1e-2
    )
    np.testing.assert_allclose(
        found.participation_ratio, variance.sum() ** 2 / (variance**2).sum(), rtol=1e-2
    )
    np.testing.assert_allclose(
        found.concentration, 1 - variance.sum() / np.square(rows).sum(-1).mean(), rtol=1e-4
    )


def test_a_masked_place_may_hold_anything():
    x = np.float32(X[0])
    x[~MASK[0]] = np.nan
    assert np.isfinite(
        diagnostics.moments_update(
            diagnostics.moments_init(3), jnp.asarray(x), jnp.asarray(MASK[0])
        ).scatter
    ).all()


@pytest.mark.parametrize("over", [pytest.param(jax.vmap, marks=pytest.mark.slow), jax.pmap])
def test_devices_share_the_moments(over):
    def update(x, mask):
        return diagnostics.moments_update(diagnostics.moments_init(3), x, mask, axis_name="data")

    parts = over(update, axis_name="data")(jnp.float32(X), jnp.asarray(MASK))
    whole = diagnostics.moments_update(
        diagnostics.moments_init(3), jnp.float32(X), jnp.asarray(MASK)
    )
    for part, one in zip(parts, whole, strict=True):
        np.testing.assert_allclose(part[3], one, rtol=1e-4, atol=1e-3)


def test_fit_by_hand():
    z = jnp.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    np.testing.assert_allclose(diagnostics.relative_error(z, z), 0)
    np.testing.assert_allclose(diagnostics.relative_error(z, jnp.ones_like(z)), 1)
    np.testing.assert_allclose(diagnostics.relative_error(z, z.at[0, 0].set(2.0)), 4 / 8)
    np.testing.assert_allclose(
        diagnostics.affine_mismatch(z, 3 * z + jnp.array([[-2.0, 1.0]])), [3.0, 3.0], rtol=1e-6
    )
    np.testing.assert_allclose(diagnostics.drift(z + jnp.array([[3.0, 4.0]]), z), 5, rtol=1e-6)


def test_tokens_are_shared_out_over_modes():
    modes = jnp.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    found = diagnostics.token_modes(
        jnp.array([[1.0, 0.0], [9.0, 1.0], [0.0, -1.0], [11.0, 2.0]]), modes
    )
    np.testing.assert_array_equal(found.count, [2, 2, 0, 0])
    np.testing.assert_allclose([found.entropy, found.covered], [np.log(2), 0.5], rtol=1e-6)


@pytest.mark.parametrize("rows", [jnp.zeros((1, 3)), jnp.zeros((3,)), jnp.zeros((0, 3))])
def test_too_few_rows_are_refused(rows):
    with pytest.raises(ValueError, match="at least 2"):
        diagnostics.mean_cosine_distance(rows)
