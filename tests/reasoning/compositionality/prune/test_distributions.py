"""Masks by hand, ties, and the Erdős-Rényi densities against a slow solution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from reasoning.compositionality.prune.distributions import (
    erk_densities,
    masks_from_scores,
    ranks,
    top_of_layer,
    top_per_unit,
)
from reasoning.compositionality.prune.schedules import Cubic, OneShot, Periodic


def test_the_highest_are_kept_and_ties_go_to_the_lower_index():
    scores = jnp.array([[3.0, 1.0], [1.0, 1.0], [2.0, 1.0], [2.0, 0.0]])
    assert top_of_layer(scores, 0.5).astype(int).tolist() == [[1, 1], [0, 0], [1, 0], [1, 0]]
    assert top_per_unit(scores, 0.5).astype(int).tolist() == [[1, 1], [0, 1], [1, 0], [0, 0]]


@pytest.mark.parametrize("length", [7, 40])
def test_places_are_those_of_a_stable_sort_and_nan_is_last(length):
    """Short axes are compared, long ones sorted: the same places."""
    scores = np.random.default_rng(0).integers(0, 5, (length, 3)).astype(np.float32)
    for axis in (0, 1):
        order = np.argsort(-scores, axis, kind="stable")
        assert (
            np.asarray(ranks(jnp.asarray(scores), axis)) == np.argsort(order, axis, kind="stable")
        ).all()
    scores[2, 1] = np.nan
    assert int(ranks(jnp.asarray(scores))[2, 1]) == length - 1


def test_counts_are_rounded_and_never_zero():
    scores = jnp.arange(12.0).reshape(6, 2)
    assert [int(top_per_unit(scores, d).sum(0)[0]) for d in (0.01, 0.24, 0.25, 0.42, 1.0)] == [
        1,
        1,
        2,
        3,
        6,
    ]
    assert int(top_of_layer(scores, 0.01).sum()) == 1


def test_global_takes_the_best_of_all_and_leaves_no_kernel_empty():
    scores = {"a": jnp.array([[9.0, 8.0], [7.0, 6.0]]), "b": jnp.array([[1.0, 0.5]])}
    found = masks_from_scores(scores, 0.5, "global")
    assert found["a"].astype(int).tolist() == [[1, 1], [1, 0]] and found["b"].astype(
        int
    ).tolist() == [[1, 0]]


def slow_erk(shapes, density):
    """The factor by bisection, densities capped at one."""
    size, raw = (
        {n: np.prod(s) for n, s in shapes.items()},
        {n: sum(s) / np.prod(s) for n, s in shapes.items()},
    )
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        kept = sum(size[n] * min(1, middle * raw[n]) for n in shapes)
        low, high = (middle, high) if kept < density * sum(size.values()) else (low, middle)
    return {n: min(1, low * raw[n]) for n in shapes}


@pytest.mark.parametrize("density", [0.05, 0.3, 0.7])
def test_erk_is_that_of_a_slow_solution(density):
    shapes = {"conv": (3, 3, 8, 16), "small": (8, 4), "large": (64, 64), "out": (4, 2)}
    found, wanted = erk_densities(shapes, density), slow_erk(shapes, density)
    assert {n: float(d) for n, d in found.items()} == pytest.approx(wanted, rel=1e-3)


def test_kernels_that_do_not_count_are_kept_and_take_no_share():
    scores = {n: jax.random.uniform(jax.random.key(i), (8, 8)) for i, n in enumerate("abc")}
    for how in ("erk", "global", "uniform", "fan_in"):
        found = jax.jit(
            lambda on, how=how: masks_from_scores(
                scores, 0.25, how, {"a": True, "b": True, "c": on}
            )
        )(False)
        alone = masks_from_scores({n: scores[n] for n in "ab"}, 0.25, how)
        assert found["c"].all() and all((found[n] == alone[n]).all() for n in "ab")


@pytest.mark.parametrize(
    ("density", "how", "sentence"),
    [
        (0.0, "uniform", "above 0"),
        (1.5, "uniform", "at most 1"),
        (0.1, "uniform", "would empty kernel b"),
        (0.5, "best", "choose one of"),
    ],
)
def test_densities_that_empty_a_kernel_are_refused(density, how, sentence):
    with pytest.raises(UserError, match=sentence):
        masks_from_scores({"a": jnp.ones((8, 8)), "b": jnp.ones((2, 2))}, density, how)


def renewals(schedule, steps, blind=()):
    found, last = [], jnp.int32(-1)
    for count in range(steps):
        if count not in blind and schedule.due(jnp.int32(count), last):
            found, last = [*found, count], jnp.int32(count)
    return found


def test_schedules_by_hand():
    assert renewals(OneShot(3), 8) == [3] and renewals(OneShot(3), 8, blind=(3, 4)) == [5]
    assert renewals(Periodic(2, 8, 3), 12) == [2, 5, 8] and renewals(
        Periodic(2, 8, 3), 12, blind=(2, 5)
    ) == [3, 6, 8]
    rising = [
        float(Cubic(0, 4, 2).sparsity(jnp.int32(c), jnp.float32(0.8))) for c in (0, 1, 2, 4, 9)
    ]
    assert rising == pytest.approx([0, 0.8 * (1 - 0.75**3), 0.8 * 0.875, 0.8, 0.8])
    with pytest.raises(UserError, match="must go forwards"):
        Periodic(5, 2, 1)
