"""The depth predictor on planted targets, controls, products, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.train.metrics import CompileCounter
from reasoning.compositionality.depth import (
    depth_by_inputs,
    interactions,
    predict_by_interactions,
    predict_depth,
    separability,
)
from reasoning.compositionality.depth.separability import Box, draws_of
from reasoning.compositionality.depth.tree import join, leaf
from reasoning.compositionality.targets import target_by_name

LOW, HIGH = -jnp.ones(4), jnp.ones(4)


def groups(found):
    return {tuple(sorted(g)) for g in found.trees[0].groups()}


@pytest.mark.parametrize(
    ("name", "depth", "some"),
    [
        ("tanh_tree:3", 3, (4, 5, 6, 7)),
        pytest.param("mix_tree:3", 3, (2, 3), marks=pytest.mark.slow),
        ("chain:4", 4, (0, 1, 2, 3)),
        ("nondecomposable:4", 1, (0, 1, 2, 3)),
    ],
)
def test_planted_depths_are_found_exactly(name, depth, some):
    target = target_by_name(name)
    found = predict_depth(target, target.inputs)
    assert found.depth == depth and not found.ambiguous and some in groups(found)
    wanted = {tuple(np.flatnonzero(row)) for row in target.supports}
    assert groups(found) == wanted


def test_the_tree_of_permuted_inputs_has_the_permuted_pairs():
    target = target_by_name("permuted:tanh_tree:2")
    found = predict_depth(target, 4)
    assert found.depth == 2 and groups(found) == {
        tuple(np.flatnonzero(row)) for row in target.supports
    }


def test_inputs_that_do_nothing_are_ignored():
    target = target_by_name("distractor:tanh_tree:2")
    found = predict_depth(target, target.inputs)
    assert found.depth == 2 and found.ignored == (4, 5)


@pytest.mark.parametrize("f", [lambda x: jnp.prod(1.5 + x), lambda x: jnp.sin(x).sum()])
def test_products_and_sums_are_ambiguous_and_as_shallow_as_can_be(f):
    found = predict_depth(f, 8)
    assert found.ambiguous and found.depth == 3 == depth_by_inputs(8)


def test_nodes_of_three_inputs_are_found_as_such():
    def inner(a, b, c):
        return jnp.sin(2 * a + b) + a * b * c + jnp.cos(b + 1.3 * c)

    found = predict_depth(
        lambda x: jnp.tanh(inner(x[0], x[1], x[2]) + 0.7 * x[3] * inner(x[0], x[1], x[2])), 4
    )
    assert found.depth == 2 and (0, 1, 2) in groups(found)


def test_several_outputs_and_constants():
    found = predict_depth(
        lambda x: jnp.stack(
            [
                x[0] * jnp.exp(x[1]),
                jnp.float32(3.0),
                jnp.tanh(x[0] * x[1]) + x[2] ** 2 * jnp.sin(x[0] * x[1]),
            ]
        ),
        3,
    )
    assert (
        found.trees[1] is None
        and found.trees[0].depth == 1
        and found.depth == 2
        and found.ignored == ()
    )
    assert str(found.trees[2]) == "((0 1) 2)"


def test_scores_by_finite_differences():
    """s of one subset against a loop in float64 NumPy, with the draws of the function itself."""

    def f(x):
        return jnp.sin(x[0] + 2 * x[1]) * x[2] + x[1] * x[3]

    subset = np.array([True, True, False, False])
    key = jax.random.key(0)
    points = draws_of(key, Box(LOW, HIGH), (6, 4))
    got = float(jax.jit(lambda s: separability(f, s, points))(jnp.asarray(subset)[None])[0])
    keys = jax.random.split(key)
    xa, xb = (
        np.asarray(-1 + 2 * jax.random.uniform(k, (c, 4)), np.float64)
        for k, c in zip(keys, (6, 4), strict=True)
    )

    def g(x):
        return np.array([np.cos(x[0] + 2 * x[1]) * x[2], 2 * np.cos(x[0] + 2 * x[1]) * x[2] + x[3]])

    over, under = 0.0, 0.0
    for a in xa:
        rows = [g(np.where(subset, a, b)) for b in xb]
        for i in range(4):
            for j in range(4):
                if i != j:
                    over += abs(rows[i] @ rows[j])
                    under += np.linalg.norm(rows[i]) * np.linalg.norm(rows[j])
    assert got == pytest.approx(over / under, rel=1e-4) and got < 0.99


def test_other_networks_of_the_same_shape_compile_nothing():
    def f(w, x):
        return jnp.tanh(w[0] * jnp.tanh(2 * x[0] - x[1]) + x[2])

    predict_depth(f, 3, data=jnp.array([1.5]))
    counter = CompileCounter()
    assert predict_depth(f, 3, data=jnp.array([0.7])).depth == 2
    assert counter.count == 0


def test_interactions_of_a_polynomial_by_hand():
    def f(x):
        return 3 * x[0] * x[1] + x[2] ** 2 - 0.5 * x[1] * x[2]

    assert np.asarray(interactions(f, 3)) == pytest.approx(
        np.array([[0, 3, 0], [3, 0, 0.5], [0, 0.5, 0]]), abs=1e-5
    )
    found = predict_by_interactions(
        lambda x: x[0] * x[1] + x[2] * x[3] + 0.1 * (x[0] + x[1]) * (x[2] + x[3]), 4
    )
    assert found.depth == 2 and found.inputs == (0, 1, 2, 3)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: jnp.where(x[0] + x[1] > 0, 1.0, 0.0) * x[2],
        lambda x: jax.nn.relu(x[0] - x[1]) + x[2],
        lambda x: jnp.log(x[0]) * x[1],
    ],
)
def test_interactions_that_second_derivatives_do_not_see_are_refused(f):
    with pytest.raises(UserError, match="use predict_depth"):
        predict_by_interactions(f, 3)


def test_trees_by_hand():
    tree = join((join((leaf(2), leaf(3))), leaf(0)))
    assert str(tree) == "(0 (2 3))" and tree.depth == 2 and tree.arity() == 2
    assert tree.groups() == {frozenset({2, 3}), frozenset({0, 2, 3})}


@pytest.mark.parametrize(
    ("f", "inputs", "sentence"),
    [
        (lambda x: x.sum(), 25, "takes 1 to 24"),
        (lambda x: x.sum(), 0, "takes 1 to 24"),
        (lambda x: x @ jnp.ones((3, 1)), 4, "fails on an array of 4 inputs"),
        (lambda x: jnp.outer(x, x), 2, "must return one real number or a vector"),
        (lambda x: x[0] * x[5], 3, "reads more than 3 inputs"),
        (lambda x: jnp.log(x[0] - 5) * x[1], 2, "output 0 is not finite in 100 % of the box"),
        (lambda x: jnp.argmax(x), 2, "must return one real number or a vector"),
        (lambda x: np.sin(np.asarray(x)).sum(), 2, "cannot be differentiated by JAX"),
        (lambda x: x[0] if x[1] > 0 else x[1], 2, "cannot be differentiated by JAX"),
    ],
)
def test_what_cannot_be_asked_is_refused(f, inputs, sentence):
    with pytest.raises(UserError, match=sentence):
        predict_depth(f, inputs)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tolerance": 0.0}, "tolerance is 0.0"),
        ({"low": 1.0, "high": -1.0}, "low must be below high"),
        ({"high": float("nan")}, "low must be below high"),
        ({"most_arity": 1}, "at least 2"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, sentence):
    with pytest.raises(UserError, match=sentence):
        predict_depth(lambda x: x.sum(), 2, **options)


@pytest.mark.slow
def test_another_seed_compiles_nothing():
    """The benchmark measures the seconds that are left."""
    target = target_by_name("tanh_tree:3")
    predict_depth(target, 8)
    counter = CompileCounter()
    assert predict_depth(target, 8, seed=1).depth == 3
    assert counter.count == 0
