"""Group norms against float64 loops: groups, modulation, precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.nn.modulate import AdaGroupNorm, GroupNorm, normalize_groups


def slow_norm(x, epsilon=1e-5):
    """One map, group by group."""
    channels = x.shape[-1]
    groups = max(1, channels // 32)
    y = np.empty(x.shape, np.float64)
    for part in np.split(np.arange(channels), groups):
        group = x[..., part].astype(np.float64)
        y[..., part] = (group - group.mean()) / np.sqrt(group.var() + epsilon)
    return y


@pytest.mark.parametrize("channels", [4, 32, 48, 64, 96])
def test_each_group_of_each_map_is_normalized_alone(channels):
    x = (
        np.random.default_rng(channels).normal(size=(2, 1, 3, 2, channels)).astype(np.float32) * 4
        + 3
    )
    y = normalize_groups(jnp.asarray(x))
    for i in range(2):
        np.testing.assert_allclose(y[i, 0], slow_norm(x[i, 0]), atol=1e-5)


def test_a_large_mean_does_not_spoil_the_variance():
    """Statistics are centered first, not differences of large squares."""
    x = np.random.default_rng(0).normal(size=(4, 4, 8)).astype(np.float32) + 1000
    np.testing.assert_allclose(normalize_groups(jnp.asarray(x)), slow_norm(x), atol=2e-3)


def test_low_precision_goes_in_and_out_but_statistics_are_float32():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 4, 8)) + 8, jnp.bfloat16)
    y = normalize_groups(x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(
        y.astype(jnp.float32), slow_norm(np.asarray(x.astype(jnp.float32))), atol=0.02
    )


@pytest.mark.parametrize("shape", [(0, 4, 4, 8), (2, 0, 4, 4, 64)])
def test_no_maps_are_no_maps(shape):
    assert normalize_groups(jnp.ones(shape)).shape == shape


@pytest.mark.parametrize("channels", [8, 64])
def test_scale_and_shift_come_after_the_normalization(channels):
    draw = np.random.default_rng(channels).normal
    x = jnp.asarray(draw(size=(2, 4, 4, channels)), jnp.float32)
    scale, shift = (jnp.asarray(draw(size=(2, channels)), jnp.float32) for _ in range(2))
    wanted = [
        slow_norm(np.asarray(x[i])) * np.asarray(scale[i]) + np.asarray(shift[i]) for i in range(2)
    ]
    found = normalize_groups(x, scale, shift)
    np.testing.assert_allclose(found, np.stack(wanted), atol=1e-5)
    np.testing.assert_array_equal(jax.vmap(normalize_groups)(x, scale, shift), found)


def test_a_constant_map_becomes_zero_with_finite_gradient():
    x = jnp.full((3, 3, 4), 5.0)
    np.testing.assert_array_equal(normalize_groups(x), 0)
    assert np.isfinite(jax.grad(lambda x: jnp.sin(normalize_groups(x)).sum())(x)).all()


def test_a_new_group_norm_only_normalizes(key):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 3, 8)), jnp.float32)
    y, variables = GroupNorm().init_with_output(key, x)
    np.testing.assert_array_equal(y, normalize_groups(x))
    assert {name: leaf.shape for name, leaf in variables["params"].items()} == {
        "scale": (8,),
        "bias": (8,),
    }


def test_modulation_is_one_plus_scale_then_shift_per_example(key):
    rng = np.random.default_rng(0)
    x, cond = (
        jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((2, 3, 2, 2, 4), (2, 3, 6))
    )
    y, variables = AdaGroupNorm().init_with_output(key, x, cond)
    linear = jax.tree.map(np.asarray, variables["params"]["linear"])
    for i in np.ndindex(2, 3):
        scale, shift = np.split(np.asarray(cond[i]) @ linear["kernel"] + linear["bias"], 2)
        np.testing.assert_allclose(
            y[i], slow_norm(np.asarray(x[i])) * (1 + scale) + shift, atol=1e-5
        )
