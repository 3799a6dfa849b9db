"""The depth predictor on functions that gradients do not describe."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from reasoning.compositionality.depth.predict import predict_depth
from reasoning.compositionality.depth.separability import Box
from reasoning.compositionality.depth.steps import influence_of_steps
from reasoning.compositionality.single import describe


def step(a):
    return jnp.where(a > 0, 1.0, 0.0)


STEPS = {
    "a tree of steps": (lambda x: step(step(x[0] + x[1]) + step(x[2] - x[3]) - 1.5), 4),
    "and": (lambda x: step(x[0] + x[1]) * step(x[2] + x[3]), 4),
    "a weighted sum": (lambda x: step(x[0] * x[1]) + step(x[2] + x[3]) * 0.5, 4),
    "rounding": (lambda x: jnp.round(2 * (x[0] + x[1])) * jnp.round(2 * (x[2] + x[3])), 4),
    "smooth with kinks": (lambda x: jax.nn.relu(x[0] - x[1]) * jax.nn.relu(x[2] + x[3]), 4),
}


@pytest.mark.parametrize("name", STEPS)
def test_pairs_that_act_through_one_number_are_found(name):
    found = predict_depth(*STEPS[name])
    assert found.depth == 2 and str(found.trees[0]) == "((0 1) (2 3))"
    estimated = name != "smooth with kinks"
    assert found.jumps == ((0,) if estimated else ())
    assert ("outputs with jumps: 0" in describe(found)) == estimated


def halvings(x):
    """A while loop whose length depends on its inputs: it has no gradient."""
    start = (jnp.float32(0), jnp.abs(x[0] + x[1]) + 0.01)
    return jax.lax.while_loop(lambda c: c[1] > 0.1, lambda c: (c[0] + 1, c[1] / 2), start)[0]


def outside(x):
    """A call out of JAX."""
    kind = jax.ShapeDtypeStruct((), jnp.float32)

    def product(v):
        return np.float32(np.sin(v[0] * v[1]) * v[2])

    return jax.pure_callback(product, kind, x, vmap_method="sequential")


TABLE = jnp.array([0.0, 2.0, 1.0, 5.0])
TREES = {
    "a choice": (lambda x: jnp.where(x[0] > 0, x[1], x[2]), 3, "(0 1 2)"),
    "a sawtooth": (lambda x: jnp.mod(x[0] + x[1], 0.5) * x[2], 3, "((0 1) 2)"),
    "a while loop": (lambda x: halvings(x) * (1.5 + x[2]), 3, "((0 1) 2)"),
    "products": (lambda x: x[0] * x[1] + x[2] * x[3], 4, "((0 1) (2 3))"),
    "exp and sin": (lambda x: jnp.exp(x[0] * x[1]) * jnp.sin(x[2] + x[3]), 4, "((0 1) (2 3))"),
    "max and min": (
        lambda x: jnp.maximum(x[0], x[1]) * jnp.minimum(x[2], x[3]),
        4,
        "((0 1) (2 3))",
    ),
    "modulus": (lambda x: jnp.abs(x[0] - x[1]) * (1 + x[2]), 3, "((0 1) 2)"),
    "floor": (lambda x: jnp.floor(3 * (x[0] + x[1])) + x[2] * x[3], 4, "((0 1) (2 3))"),
    "sign": (lambda x: jnp.sign(x[0] - x[1]) * x[2], 3, "((0 1) 2)"),
    "log inside the box": (lambda x: jnp.log(x[0] + x[1] + 2.1) * x[2], 3, "((0 1) 2)"),
    "a pole": (lambda x: jnp.tanh(1 / (x[0] - x[1])) * x[2], 3, "((0 1) 2)"),
    "arccos": (lambda x: jnp.arccos(x[0] * x[1]) + x[2], 3, "((0 1) 2)"),
    "exclusive or": (lambda x: jnp.where((x[0] > 0) != (x[1] > 0), x[2], 0.0), 3, "((0 1) 2)"),
    "argmax": (lambda x: jnp.argmax(x[:3]).astype(jnp.float32) * x[3], 4, "((0 1 2) 3)"),
    "median": (lambda x: jnp.sort(x[:3])[1] * x[3], 4, "((0 1 2) 3)"),
    "a small jump": (
        lambda x: jnp.sin(3 * x[0] * x[1]) + 0.2 * step(x[2] - x[3]),
        4,
        "((0 1) (2 3))",
    ),
    "smooth around a jump": (
        lambda x: jnp.tanh(x[0] * x[1] + step(x[2] - x[3])),
        4,
        "((0 1) (2 3))",
    ),
    "clipped": (
        lambda x: jnp.clip(x[0] + x[1], -0.3, 0.3) * jnp.clip(x[2] - x[3], -0.3, 0.3),
        4,
        "((0 1) (2 3))",
    ),
    "stairs": (lambda x: jnp.floor(4 * x[0]) * x[1] + x[2], 3, "((0 1) 2)"),
    "an infinite slope": (
        lambda x: jnp.sqrt(jnp.maximum(x[0] - x[1], 0.0)) * (1 + x[2]),
        3,
        "((0 1) 2)",
    ),
    "a call out of JAX": (outside, 3, "((0 1) 2)"),
    "large values": (lambda x: 1e5 + x[0] * x[1] + x[2] * x[3], 4, "((0 1) (2 3))"),
    "small values": (lambda x: 1e-8 * (x[0] * x[1] + x[2] * x[3]), 4, "((0 1) (2 3))"),
    "tiny values": (lambda x: 1e-14 * (x[0] * x[1] + x[2] * x[3]), 4, "((0 1) (2 3))"),
    "huge values": (lambda x: 1e25 * (x[0] * x[1] + x[2] * x[3]), 4, "((0 1) (2 3))"),
    "fast waves": (lambda x: jnp.sin(400 * (x[0] + 2 * x[1])) * x[2], 3, "((0 1) 2)"),
    "a table": (
        lambda x: TABLE[jnp.clip((2 * (x[0] + x[1] + 1)).astype(jnp.int32), 0, 3)] * (1 + x[2]),
        3,
        "((0 1) 2)",
    ),
    "the larger of two, compared": (
        lambda x: step(jnp.maximum(x[0], x[1]) - x[2]) * x[3],
        4,
        "(((0 1) 2) 3)",
    ),
    "argmax alone": (lambda x: jnp.argmax(x).astype(jnp.float32), 3, "(0 1 2)"),
    "argmax by a table": (lambda x: TABLE[jnp.argmax(x[:3])] * x[3], 4, "((0 1 2) 3)"),
    "a sum of unequal weights, compared": (
        lambda x: jnp.sign(jnp.sin(2 * x[0] * x[1]) + x[2] * x[3]),
        4,
        "((0 1) (2 3))",
    ),
    "a logarithm next to a jump": (
        lambda x: jnp.log(x[0] + x[1] + 2.001) * step(x[2] - x[3]),
        4,
        "((0 1) (2 3))",
    ),
    "an input without influence": (lambda x: jnp.round(3 * x[1]) * x[2], 4, "(1 2)"),
}
QUICK_TREES = ("a choice", "a sawtooth", "a while loop")


@pytest.mark.parametrize(
    "name", [n if n in QUICK_TREES else pytest.param(n, marks=pytest.mark.slow) for n in TREES]
)
def test_the_tree_of_a_function(name):
    f, inputs, tree = TREES[name]
    assert str(predict_depth(f, inputs).trees[0]) == tree


@pytest.mark.parametrize(
    "f",
    [
        lambda x: jnp.log(x[0] * x[1]) + x[2],
        lambda x: jnp.sqrt(x[0] + x[1]),
        lambda x: 1 / jnp.round(x[0]) + x[1],
    ],
)
def test_functions_that_are_not_finite_everywhere_are_refused(f):
    with pytest.raises(UserError, match=r"not finite in (4|5)\d.* % of the box"):
        predict_depth(f, 3)


def test_an_input_that_only_a_jump_feels_is_not_ignored():
    found = predict_depth(lambda x: jnp.where(x[0] + 0.3 * x[1] > 0, x[2], -x[2]), 3)
    assert found.ignored == () and str(found.trees[0]) == "((0 1) 2)"


def test_an_input_behind_a_gate_near_the_edge_has_influence():
    def f(data, x):
        return jnp.where(x[0] > 0.8, 5 * x[2], x[1])[None]

    box = Box(jnp.full(3, -1.0), jnp.full(3, 1.0))
    found = influence_of_steps(f, None, 0, jax.random.key(0), box)
    # x[2] has the slope 5 in a tenth of the box, and none in the rest
    assert float(found[2]) > 0.1 * float(found.max())


def test_a_function_that_is_not_finite_is_refused_with_the_share():
    with pytest.raises(UserError, match=r"not finite in 5\d? % of the box"):
        predict_depth(lambda x: jnp.log(x[0]) + x[1], 2)
    assert predict_depth(lambda x: jnp.log(x[0]) + x[1], 2, low=0.1).depth == 1
