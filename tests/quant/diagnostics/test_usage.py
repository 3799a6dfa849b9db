"""Counts against NumPy, over batches, masks and devices; summaries by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.diagnostics import gini, perplexity, summary, usage_init, usage_update

INDICES = np.random.default_rng(0).integers(-1, 7, size=(4, 6, 3)).astype(np.int32)


def counted(indices, mask=None):
    kept = indices[(indices >= 0) & (indices < 6) & (True if mask is None else mask)]
    return np.bincount(kept, minlength=6)


def test_batches_add_up_to_the_data_set():
    """Six codes; -1 and 6 lie outside."""
    usage = usage_init(6)
    for batch in INDICES:
        usage = jax.jit(usage_update)(usage, jnp.asarray(batch))
    np.testing.assert_array_equal(usage.count, counted(INDICES))
    assert usage.count.dtype == jnp.int32


def test_masked_places_do_not_count():
    mask = np.random.default_rng(1).random(INDICES.shape) < 0.5
    usage = usage_update(usage_init(6), jnp.asarray(INDICES), jnp.asarray(mask))
    np.testing.assert_array_equal(usage.count, counted(INDICES, mask))
    nothing = usage_update(usage_init(6), jnp.asarray(INDICES), jnp.zeros(INDICES.shape, bool))
    assert nothing.count.sum() == 0 and perplexity(nothing.count) == 1 and gini(nothing.count) == 0


@pytest.mark.parametrize("over", [jax.vmap, jax.pmap])
def test_devices_share_the_counts(over):
    parts = over(
        lambda batch: usage_update(usage_init(6), batch, axis_name="data"), axis_name="data"
    )(jnp.asarray(INDICES))
    whole = usage_update(usage_init(6), jnp.asarray(INDICES))
    for device in range(4):
        np.testing.assert_array_equal(parts.count[device], whole.count)
        np.testing.assert_array_equal(parts.idle[device], whole.idle)


def test_idle_codes_are_timed_by_hand():
    usage = usage_init(3)
    for batch, idle in (([0, 1], [0, 0, 1]), ([0, 0], [0, 1, 2]), ([2], [1, 2, 0])):
        usage = usage_update(usage, jnp.array(batch))
        np.testing.assert_array_equal(usage.idle, idle)
    found = summary(usage)
    np.testing.assert_allclose(found.idle, [1, 1.8, 2], rtol=1e-6)
    np.testing.assert_allclose(found.used, 1)


@pytest.mark.parametrize(
    "count, wanted_perplexity, wanted_gini",
    [
        ([5] * 8, 8, 0),
        ([0, 9, 0, 0], 1, 0.75),
        ([1, 1, 0, 0], 2, 0.5),
        ([1, 3], np.exp(-0.25 * np.log(0.25) - 0.75 * np.log(0.75)), 0.25),
    ],
)
def test_perplexity_and_gini_by_hand(count, wanted_perplexity, wanted_gini):
    np.testing.assert_allclose(perplexity(jnp.array(count)), wanted_perplexity, rtol=1e-5)
    np.testing.assert_allclose(gini(jnp.array(count)), wanted_gini, atol=1e-6)


def test_a_codebook_without_codes_is_refused():
    with pytest.raises(ValueError, match="at least 1 code, not 0"):
        usage_init(0)
