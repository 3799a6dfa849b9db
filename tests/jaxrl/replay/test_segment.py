"""Segments: cutting against the golden cases, 8-bit frames, and the law of the bounds by
enumeration.
"""

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.replay.segment import (
    Segment,
    bounds_around,
    bounds_ending_near,
    cut,
    float_to_frame,
    frame_to_float,
    quantize_frame,
)
from tests.golden import Golden

GOLDEN = Golden("diamond/segments")
DRAWS = 20_000


@pytest.mark.parametrize("number", range(len(GOLDEN.config["cases"])))
def test_a_cut_shows_the_rows_that_the_reference_shows(number):
    case = GOLDEN.config["cases"][number]
    row, inside = cut(
        jnp.int32(case["start"]), case["stop"] - case["start"], jnp.int32(len(GOLDEN["in/act"]))
    )
    np.testing.assert_array_equal(inside, GOLDEN[f"out/{number}/mask_padding"])
    for part in ("obs", "act", "rew", "end", "trunc"):
        values = GOLDEN["in/" + part][np.asarray(row)]
        values[~np.asarray(inside)] = 0
        np.testing.assert_array_equal(values, GOLDEN[f"out/{number}/{part}"], err_msg=part)


def test_hand_cut():
    row, inside = cut(jnp.int32(-2), 6, jnp.int32(3))
    np.testing.assert_array_equal(row, [0, 0, 0, 1, 2, 2])
    np.testing.assert_array_equal(inside, [False, False, True, True, True, False])


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["plain", "jit"])
def test_frames_become_the_reference_floats(transform):
    np.testing.assert_allclose(
        transform(frame_to_float)(GOLDEN["in/disk/all_u8"]),
        GOLDEN["out/disk/all_float"],
        rtol=0,
        atol=1.5e-7,
    )


def test_quantizing_truncates_as_the_reference_does():
    x = GOLDEN["in/disk/x"]
    np.testing.assert_array_equal(float_to_frame(quantize_frame(x)), GOLDEN["out/disk/u8"])


def test_quantizing_clamps_first():
    np.testing.assert_array_equal(
        quantize_frame(jnp.array([-3.0, -1.0, 1.0, 2.0])), [-1.0, -1.0, 1.0, 1.0]
    )
    np.testing.assert_array_equal(float_to_frame(jnp.array([-3.0, 0.0, 2.0])), [0, 128, 255])


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["plain", "jit"])
def test_all_256_levels_survive_the_way_to_floats_and_back(transform):
    levels = jnp.arange(256, dtype=jnp.uint8)
    np.testing.assert_array_equal(
        transform(lambda x: float_to_frame(frame_to_float(x)))(levels), levels
    )


def law_ending_near(count, size):
    """Probability of every start, by going through all equally likely draws."""
    starts = (min(count, t + 1 + shift) - size for t in range(count) for shift in range(size))
    return {start: n / (count * size) for start, n in Counter(starts).items()}


def law_around(count, size):
    starts = (t - shift for t in range(count) for shift in range(size))
    return {start: n / (count * size) for start, n in Counter(starts).items()}


@pytest.mark.parametrize("count, size", [(1, 1), (1, 4), (2, 5), (5, 3), (7, 1)])
@pytest.mark.parametrize(
    "bounds, law", [(bounds_ending_near, law_ending_near), (bounds_around, law_around)]
)
def test_bounds_follow_their_law(bounds, law, count, size, key):
    starts = jax.vmap(bounds, (0, None, None))(jax.random.split(key, DRAWS), count, size)
    expected = law(count, size)
    seen = Counter(np.asarray(starts).tolist())
    assert set(seen) == set(expected)
    for start, probability in expected.items():
        deviation = np.sqrt(probability * (1 - probability) / DRAWS)
        assert abs(seen[start] / DRAWS - probability) <= 5 * deviation


def test_a_window_keeps_leading_axes_and_cuts_time():
    flags = jnp.zeros((2, 5), bool)
    steps = jnp.arange(10, dtype=jnp.int32).reshape(2, 5)
    frame = jnp.arange(2 * 5 * 3, dtype=jnp.uint8).reshape(2, 5, 1, 1, 3)
    segment = Segment(frame, steps, steps.astype(jnp.float32), flags, flags, ~flags, ~flags)
    window = segment.window(1, 3)
    np.testing.assert_array_equal(window.action, [[1, 2], [6, 7]])
    np.testing.assert_array_equal(window.frame, frame[:, 1:3])
    assert {a.shape[:2] for a in jax.tree.leaves(window)} == {(2, 2)}


def test_a_long_segment_does_not_crowd_its_end_into_the_last_row():
    """Segments of 20 rows in an episode of 8: with a reach of 1, its rows are equally likely to be
    the last, with 2 about; without, most segments end with the last one.
    """
    keys = jax.random.split(jax.random.key(0), 4000)

    def last_rows(reach):
        starts = jax.vmap(lambda key: bounds_ending_near(key, jnp.int32(8), 20, reach))(keys)
        return np.bincount(np.asarray(starts) + 20 - 1, minlength=8) / len(keys)

    each, near, far = last_rows(1), last_rows(2), last_rows(None)
    assert np.abs(each - 1 / 8).max() < 0.02
    assert abs(near[-1] - 1.5 / 8) < 0.03 and near[1:-1].min() > 0.1
    assert far[-1] > 0.7
