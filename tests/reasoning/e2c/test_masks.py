"""Boundaries, masks and weights against a slow loop, and the rule for odd rows by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reasoning.e2c.masks import (
    Markers,
    has_boundary,
    phase_boundary,
    phase_coefficients,
    phase_masks,
    phase_weights,
)

TAGS = Markers(7, 8)


def slow_boundary(row, mask):
    """The rule, token by token."""
    for marker in TAGS:
        for place, token in enumerate(row):
            if token == marker and mask[place]:
                return place
    return len(row)


def random_rows(seed, rows=200, length=12):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 10, (rows, length)).astype(np.int32), rng.random((rows, length)) < 0.8


def test_boundaries_and_masks_are_those_of_a_loop():
    ids, mask = random_rows(0)
    found = jax.jit(
        lambda i, m: (
            phase_boundary(i, TAGS, m),
            *phase_masks(i, m, TAGS),
            *phase_masks(i, m, TAGS, True),
        )
    )(ids, mask)
    wanted = [slow_boundary(row, m) for row, m in zip(ids, mask, strict=True)]
    np.testing.assert_array_equal(found[0], wanted)
    place = np.arange(ids.shape[1])
    before = place[None] < np.array(wanted)[:, None]
    np.testing.assert_array_equal(found[1], before & mask)
    np.testing.assert_array_equal(found[2], ~before & mask)
    np.testing.assert_array_equal(found[3], (place[None] <= np.array(wanted)[:, None]) & mask)
    assert not (found[1] & found[2]).any() and ((found[1] | found[2]) == mask).all()


@pytest.mark.parametrize(
    "row, boundary",
    [
        ([1, 2, 7, 8, 3], 2),
        ([1, 7, 2, 7, 8], 1),  # repeated: the first
        ([1, 8, 2, 7, 3], 3),  # reversed: the closing tag has the first word
        ([1, 2, 8, 3, 8], 2),  # no closing tag: the opening one
        ([1, 2, 3, 4, 5], 5),  # neither
        ([7, 1, 2, 3, 4], 0),  # an empty plan
    ],
)
def test_the_rule_by_hand(row, boundary):
    assert int(phase_boundary(jnp.array(row), TAGS)) == boundary
    assert bool(has_boundary(jnp.array(row), TAGS)) == (boundary < 5)


def test_tags_of_the_prompt_do_not_count():
    ids, mask = jnp.array([7, 8, 1, 2, 7, 3]), jnp.array([0, 0, 1, 1, 1, 1])
    assert int(phase_boundary(ids, TAGS, mask)) == 4
    plan, execution = phase_masks(ids, mask, TAGS)
    assert plan.tolist() == [False, False, True, True, False, False]
    assert execution.tolist() == [False, False, False, False, True, True]


def test_weights_of_rows_with_and_without_tags():
    ids = jnp.array([[1, 2, 7, 3], [1, 2, 3, 4]])
    mask = jnp.ones((2, 4))

    def of(missing):
        return phase_weights(ids, mask, TAGS, 2.0, missing).tolist()

    assert of("one") == [[2, 2, 1, 1], [1, 1, 1, 1]]
    assert of("weighted") == [[2, 2, 1, 1], [2, 2, 2, 2]]  # the authors' rule
    assert of("zero") == [[2, 2, 1, 1], [0, 0, 0, 0]]
    assert phase_weights(ids, mask, TAGS, 2.0).tolist() == of("one")


def test_pads_on_either_side_change_nothing():
    ids, mask = random_rows(1, 50)
    weights = phase_weights(ids, mask, TAGS, 2.0)

    def wide(a):
        return np.pad(a, ((0, 0), (3, 4)))

    padded = phase_weights(wide(ids), wide(mask), TAGS, 2.0)
    np.testing.assert_array_equal(
        np.where(mask, weights, 0), np.where(wide(mask), padded, 0)[:, 3:-4]
    )


def test_coefficients_of_both_phases_and_the_authors_cast():
    ids = jnp.array([[1] * 5 + [7, 2, 3], [1, 7, 2, 3, 4, 5, 6, 6], [1] * 8])
    mask = jnp.ones((3, 8), jnp.int32)
    found = phase_coefficients(ids, mask, TAGS, 0.5, 2.0)
    assert found.tolist() == [
        [0.5] * 5 + [2.0] * 3,
        [0.0] * 8,
        [0.0] * 8,
    ]  # short plans and rows without tags are left out
    assert (
        phase_coefficients(ids, mask, TAGS, 0.5, 2.0, official=True).tolist()[0]
        == [0] * 5 + [2] * 3
    )  # .5 becomes 0
