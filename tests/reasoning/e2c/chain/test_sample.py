"""The model and its sampler: cache equals no cache, pads change nothing, sharing equals reading
anew, greedy equals argmax.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reasoning.e2c.chain.model import ModelConfig, init_params, logits_of
from reasoning.e2c.chain.sample import (
    Decoding,
    continue_rows,
    extend,
    generate,
    generate_shared,
    in_nucleus,
    left_pad,
    owned,
    pick,
    prefill,
)

CONFIG = ModelConfig(vocabulary=13, width=16, heads=2, hidden=32)
HOW = Decoding(longest=6, stop=(2,))
ROWS = [[5, 6, 7, 8], [9, 10], [3, 4, 5]]


@pytest.fixture(scope="module")
def params():
    grown = jax.tree.map(
        lambda a: a * 3 if a.ndim == 2 else a, init_params(jax.random.key(0), CONFIG)
    )  # peaked, so that rows differ
    return grown


LOGITS = jax.jit(logits_of, static_argnums=3)


def full(params, row):
    ids = jnp.array([row])
    return np.asarray(LOGITS(params, ids, ids > 0, CONFIG))[0]


def padded(params, row):
    """`full` by one program for all lengths: pads on the right change nothing (tested below)."""
    ids = jnp.array([row + [0] * (11 - len(row))])
    return np.asarray(LOGITS(params, ids, ids > 0, CONFIG))[0, : len(row)]


def test_later_tokens_change_nothing_earlier(params):
    one, other = full(params, [5, 6, 7, 8, 9]), full(params, [5, 6, 7, 1, 1])
    np.testing.assert_allclose(one[:3], other[:3], atol=1e-5)
    assert np.abs(one[3] - other[3]).max() > 1e-3


def test_pads_on_either_side_change_nothing(params):
    left = left_pad(ROWS, 7)
    found = np.asarray(LOGITS(params, jnp.asarray(left), jnp.asarray(left) > 0, CONFIG))
    for number, row in enumerate(ROWS):
        np.testing.assert_allclose(found[number, -len(row) :], full(params, row), atol=1e-4)
    right = jnp.array([[5, 6, 7, 8, 0, 0]])
    np.testing.assert_allclose(
        LOGITS(params, right, right > 0, CONFIG)[0, :4], full(params, ROWS[0]), atol=1e-4
    )


def test_reading_in_parts_equals_reading_at_once(params):
    prompts, branches = (
        jnp.asarray(left_pad([[5, 6], [9]], 4)),
        jnp.asarray(left_pad([[7, 8], [10], [3, 4, 5]], 3)),
    )
    _, cache = prefill(params, prompts, CONFIG, 9)
    logits, after = extend(params, branches, owned(cache, jnp.array([0, 1, 0])), CONFIG)
    for number, row in enumerate([[5, 6, 7, 8], [9, 10], [5, 6, 3, 4, 5]]):
        np.testing.assert_allclose(logits[number], full(params, row)[-1], atol=1e-4)
    assert int(after.slot) == 7 and after.valid.sum(1).tolist() == [4, 2, 5]


def greedy(params, row, count):
    """Token by token without a cache."""
    written = []
    for _ in range(count):
        written.append(1 + int(padded(params, row + written)[-1, 1:].argmax()))
        if written[-1] == 2:
            break
    return written


def test_greedy_writing_is_the_argmax_of_a_model_without_cache(params):
    found = generate(params, left_pad(ROWS, 5), jax.random.key(0), 0.0, HOW, CONFIG)
    for number, row in enumerate(ROWS):
        wanted = greedy(params, row, HOW.longest)
        assert found.ids[number, : int(found.length[number])].tolist() == wanted and int(
            found.length[number]
        ) == len(wanted)
        assert bool(found.ended[number]) == (wanted[-1] == 2)
        logp = sum(
            jax.nn.log_softmax(padded(params, row + wanted[:t])[-1])[wanted[t]]
            for t in range(len(wanted))
        )
        np.testing.assert_allclose(found.logp[number].sum(), logp, atol=1e-3)


def test_sharing_a_prompt_equals_reading_it_for_each(params):
    owner = np.array([0, 0, 1], np.int32)
    shared = generate_shared(
        params,
        left_pad(ROWS[:2], 4),
        owner,
        left_pad([[7], [8, 9], [7]], 2),
        jax.random.key(1),
        0.8,
        HOW,
        CONFIG,
    )
    alone = generate(
        params,
        left_pad([ROWS[0] + [7], ROWS[0] + [8, 9], ROWS[1] + [7]], 6),
        jax.random.key(1),
        0.8,
        HOW,
        CONFIG,
    )
    np.testing.assert_array_equal(shared.ids, alone.ids)
    np.testing.assert_allclose(shared.logp, alone.logp, atol=1e-4)


def test_an_early_end_changes_nothing_that_is_read(params):
    prompts = left_pad(ROWS, 5)
    early = generate(params, prompts, jax.random.key(2), 1.0, HOW, CONFIG)
    late = generate(
        params, prompts, jax.random.key(2), 1.0, Decoding(6, (2,), early_end=False), CONFIG
    )
    np.testing.assert_array_equal(early.ids, late.ids)
    ended = np.asarray(early.ended)
    for row, length in zip(
        np.asarray(early.ids)[ended], np.asarray(early.length)[ended], strict=True
    ):
        assert row[length - 1] == 2 and (row[length:] == 0).all()


def test_sampling_has_the_models_distribution():
    logits = jnp.log(jnp.array([0.5, 0.3, 0.2]))
    draws = pick(jax.random.key(0), jnp.broadcast_to(logits, (20_000, 3)), jnp.float32(1.0), 1.0)
    np.testing.assert_allclose(
        np.bincount(np.asarray(draws), minlength=3) / 20_000, [0.5, 0.3, 0.2], atol=0.015
    )
    cold = pick(jax.random.key(0), jnp.broadcast_to(logits, (20_000, 3)), jnp.float32(0.5), 1.0)
    squared = np.array([0.25, 0.09, 0.04]) / 0.38
    np.testing.assert_allclose(
        np.bincount(np.asarray(cold), minlength=3) / 20_000, squared, atol=0.015
    )


def test_the_nucleus_by_hand():
    logits = jnp.log(jnp.array([[0.2, 0.5, 0.3], [0.9, 0.05, 0.05]]))
    assert in_nucleus(logits, 0.6).tolist() == [[False, True, True], [True, False, False]]
    assert in_nucleus(logits, 0.5).tolist() == [[False, True, False], [True, False, False]]
    drawn = pick(jax.random.key(0), jnp.broadcast_to(logits[0], (500, 3)), jnp.float32(1.0), 0.6)
    assert set(np.asarray(drawn).tolist()) == {1, 2}


def test_prompts_that_do_not_fit_are_an_error():
    with pytest.raises(ValueError, match="row 1 has 3 tokens"):
        left_pad([[1], [1, 2, 3]], 2)


def test_without_jit_it_is_the_same(params):
    prompts = jnp.asarray(left_pad(ROWS[:1], 4))
    with jax.disable_jit():
        read = prefill(params, prompts, CONFIG, 7)
    jitted = generate(params, prompts, jax.random.key(0), 0.0, Decoding(3, (2,)), CONFIG)
    plain = continue_rows(
        params, *read, jax.random.key(0), jnp.float32(0.0), Decoding(3, (2,)), CONFIG
    )
    np.testing.assert_array_equal(jitted.ids, plain.ids)
