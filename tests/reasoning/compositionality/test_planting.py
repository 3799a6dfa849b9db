"""Planted networks compute their targets, at any depth, width and place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from reasoning.compositionality import network
from reasoning.compositionality.planting import compute, layerize, masks_for
from reasoning.compositionality.targets import target_by_name
from reasoning.compositionality.targets.samples import examples

QUICK = {"tanh_tree:2": 2, "mix_tree:2": 0, "cppn:0": 0}
OTHERS = {"chain:3": 1, "reuse:2": 0, "boolean:2": 0, "symbolic:sharing": 0}


@pytest.mark.parametrize(
    ("name", "surplus"),
    [*QUICK.items(), *(pytest.param(*o, marks=pytest.mark.slow) for o in OTHERS.items())],
)
def test_a_planted_network_is_its_target(name, surplus):
    target = target_by_name(name)
    planted = layerize(target, target.layers + surplus, 16, key=jax.random.key(1))
    data = examples(target, jax.random.key(0), 64)
    maps = jax.jit(lambda x: compute(planted, x))(data.x)
    assert np.asarray(maps.y) == pytest.approx(np.asarray(data.y), abs=2e-6)
    parts = np.asarray(jax.jit(jax.vmap(target.parts))(data.x))
    for part, (layer, unit) in enumerate(planted.places):
        assert np.asarray(maps.h[layer, :, unit]) == pytest.approx(parts[:, part], abs=1e-6)


def test_a_complete_tree_needs_no_relays_and_surplus_layers_one_each():
    target = target_by_name("tanh_tree:3")
    exact, deeper = layerize(target, 3, 12), layerize(target, 5, 12)
    assert (exact.counts, exact.edges, exact.relays) == ((4, 2, 1), (8, 4, 2), 0)
    assert (deeper.counts, deeper.edges, deeper.relays) == ((4, 2, 1, 1, 1), (8, 4, 2, 1, 1), 2)


def test_relays_of_a_chain_are_counted_by_hand():
    assert layerize(target_by_name("chain:3"), 3, 12).counts == (
        3,
        2,
        1,
    )  # s(x0, x1) and two inputs; two parts; one


def test_oracle_masks_lie_at_random_places_and_keep_the_graph():
    target, shape = target_by_name("tanh_tree:2"), network.Shape(4, 1, 10, 3)
    one, other = (masks_for(target, 2, shape, jax.random.key(k)) for k in (0, 1))
    assert one["win"].sum() == other["win"].sum() == 4 and not jnp.array_equal(
        one["win"], other["win"]
    )
    assert int(network.live_units(one, 2).sum()) == 3


@pytest.mark.parametrize(
    ("layers", "width", "sentence"), [(2, 12, "needs 3 layers"), (3, 3, "needs 4 units in layer 1")]
)
def test_what_does_not_fit_is_refused(layers, width, sentence):
    with pytest.raises(UserError, match=sentence):
        layerize(target_by_name("tanh_tree:3"), layers, width)
