"""Measures: perfect for planted networks, blind to what does not matter, and never fooled by
networks that do not fit.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reasoning.compositionality import activations, network
from reasoning.compositionality.measure import finish, matched, sentence
from reasoning.compositionality.planting import layerize
from reasoning.compositionality.structure import (
    Probe,
    entanglement,
    make_probe,
    purity,
    read_outs,
    redundancy,
    structure,
)
from reasoning.compositionality.targets import target_by_name

TARGET, DEPTH, WIDTH = target_by_name("tanh_tree:2"), 3, 8
SHAPE = network.Shape(4, 1, WIDTH, 4)
run = jax.jit(structure)
coded = jax.jit(lambda p, m, d, probe, codes: structure(p, m, d, probe, activations.by_code, codes))


@pytest.fixture(scope="module")
def probe():
    return make_probe(TARGET, jax.random.key(0), 256)


@pytest.fixture(scope="module")
def net():
    params = network.init(jax.random.key(3), SHAPE)
    random = np.random.default_rng(0)
    masks = jax.tree.map(
        lambda a: jnp.asarray((random.random(a.shape) < 0.6).astype(np.float32)),
        network.full(SHAPE),
    )
    return params, masks


def vector(params, masks, probe, depth=DEPTH):
    return finish(jax.device_get(run(params, masks, depth, probe)), depth, False, least_fit=-10)


def test_a_planted_network_is_perfect_also_among_random_units(probe):
    planted = layerize(TARGET, 2, WIDTH, 4, key=jax.random.key(1))
    found = finish(
        jax.device_get(coded(planted.params, planted.masks, 2, probe, planted.codes)), 2, False
    )
    assert found.fits and found.live == 3 and found.fan_in == 2
    assert (found.alignment, found.support, found.purity, found.realised) == pytest.approx(
        (1, 1, 1, 1), abs=1e-3
    )
    assert found.fracture == pytest.approx(0, abs=1e-3) and found.score == pytest.approx(
        1, abs=3e-3
    )
    free = {
        name: jnp.where(planted.masks[name] > 0, planted.params[name], noise)
        for name, noise in network.init(jax.random.key(2), SHAPE).items()
        if name in network.WEIGHTS
    }
    used = {name: (planted.masks[name].sum(0) > 0) for name in ("win",)}
    weights = planted.params | {
        "win": jnp.where(used["win"][None, :], planted.params["win"], free["win"])
    }
    more = finish(
        jax.device_get(coded(weights, network.full(SHAPE), 2, probe, planted.codes)), 2, False
    )
    assert (more.alignment, more.support) == pytest.approx(
        (1, 1), abs=1e-3
    ) and more.fracture == pytest.approx(0, abs=1e-3)


def permuted(params, masks, seed=1):
    random = np.random.default_rng(seed)
    orders = [random.permutation(WIDTH) for _ in range(SHAPE.layers)]

    def move(t):
        return {
            "win": t["win"][:, orders[0]],
            "wh": jnp.stack(
                [t["wh"][i][orders[i]][:, orders[i + 1]] for i in range(SHAPE.layers - 1)]
            ),
            "wo": t["wo"][orders[DEPTH - 1]],
        }

    return params | move(params) | {
        "b": jnp.stack([params["b"][i][orders[i]] for i in range(SHAPE.layers)])
    }, move(masks)


def flipped(params, masks):
    sign = jnp.asarray(
        np.random.default_rng(2).choice([-1.0, 1.0], (SHAPE.layers, WIDTH)), jnp.float32
    )
    new = params | {
        "win": params["win"] * sign[0][None],
        "b": params["b"] * sign,
        "wh": params["wh"] * sign[:-1, :, None] * sign[1:, None, :],
        "wo": params["wo"] * sign[DEPTH - 1][:, None],
    }
    return new, masks


@pytest.mark.parametrize("change", [permuted, flipped])
def test_orders_and_signs_of_units_change_no_measure(change, net, probe):
    plain, moved = vector(*net, probe), vector(*change(*net), probe)
    assert moved._asdict() == pytest.approx(plain._asdict(), abs=2e-3, nan_ok=True)


def test_scaling_the_inputs_changes_no_measure(net, probe):
    params, masks = net
    c = jnp.array([0.2, 3.0, 1.0, 5.0])
    scaled = probe._replace(
        x=probe.x * c[None], corner_x=probe.corner_x * c[None], input_var=probe.input_var * c**2
    )
    moved = vector(params | {"win": params["win"] / c[:, None]}, masks, scaled)
    assert moved._asdict() == pytest.approx(vector(*net, probe)._asdict(), abs=2e-3, nan_ok=True)


def test_dead_networks_are_unfit_and_score_nothing(net, probe):
    params, masks = net
    for dead in (jax.tree.map(jnp.zeros_like, masks), masks | {"wo": jnp.zeros_like(masks["wo"])}):
        found = finish(jax.device_get(run(params, dead, DEPTH, probe)), DEPTH, False)
        assert (
            not found.fits
            and found.score == 0
            and found.live == 0
            and "unfit (no unit" in sentence(found)
        )
    broken = finish(
        jax.device_get(run(params | {"bo": jnp.array([jnp.nan])}, masks, DEPTH, probe)),
        DEPTH,
        False,
    )
    assert not broken.fits and broken.score == 0


def test_matching_is_that_of_all_assignments():
    r = np.random.default_rng(0).random((2, 4, 3))
    wanted = np.zeros(3)
    for layer in r:
        best = max(
            itertools.permutations(range(4), 3),
            key=lambda units: sum(layer[u, v] for v, u in enumerate(units)),
        )
        wanted = np.maximum(wanted, [layer[u, v] for v, u in enumerate(best)])
    assert matched(r) == pytest.approx(wanted)


def test_one_unit_serves_one_part():
    r = np.zeros((1, 2, 2))
    r[0, 0] = 1.0
    assert sorted(matched(r)) == [0, 1]


def test_read_outs_are_least_squares():
    random = np.random.default_rng(1)
    h, parts = random.normal(0, 1, (1, 200, 5)), random.normal(0, 1, (200, 2))
    parts[:, 0] = h[0] @ random.normal(0, 1, 5) + 0.5 * random.normal(0, 1, 200)
    centered = h[0] - h[0].mean(0)
    fit = centered @ np.linalg.lstsq(centered, parts - parts.mean(0), rcond=None)[0]
    wanted = fit.var(0) / parts.var(0)
    found = np.asarray(read_outs(jnp.asarray(h, jnp.float32), jnp.asarray(parts, jnp.float32)))
    assert found == pytest.approx(wanted, abs=1e-3)


def test_information_that_is_split_is_fracture():
    """A part as the sum of two independent units: the read-out is perfect, the best unit has half
    of it.
    """
    random = np.random.default_rng(2)
    h = random.normal(0, 1, (1, 4000, 2)).astype(np.float32)
    part = h[0].sum(1, keepdims=True)
    best = max(np.corrcoef(h[0, :, i], part[:, 0])[0, 1] ** 2 for i in range(2))
    assert float(read_outs(jnp.asarray(h), jnp.asarray(part))[0]) - best == pytest.approx(
        0.5, abs=0.03
    )


def test_redundancy_and_entanglement_by_hand():
    own = jnp.array([[[1.0, 0.99, 0.1], [0.99, 1.0, 0.2], [0.1, 0.2, 1.0]]])
    assert float(redundancy(own, jnp.ones((1, 3), bool))) == pytest.approx(1 / 3)
    assert float(redundancy(own, jnp.array([[True, True, False]]))) == 1
    r = jnp.array([[[0.8, 0.0, 0.1], [0.6, 0.6, 0.1]]])  # parts 0 and 1 are one level, 2 is another
    levels = jnp.array([1, 1, 2])
    assert float(entanglement(r, jnp.ones((1, 2), bool), levels)) == pytest.approx(0.5, abs=1e-5)


def test_purity_of_a_hand_made_mask():
    """Two inputs each, then both: units {0,1}, {2}, {0,1,2}; planted are {0,1} and {0,1,2}."""
    masks = {
        "win": jnp.zeros((3, 3)).at[(0, 1, 2), (0, 0, 1)].set(1.0),
        "wh": jnp.zeros((1, 3, 3)).at[0, (0, 1), 0].set(1.0),
        "wo": jnp.zeros((3, 1)).at[0].set(1.0),
    }
    supports = jnp.array([[1.0, 1, 0], [1, 1, 1]])
    assert [float(v) for v in purity(masks, 2, network.live_units(masks, 2), supports)] == [1, 1]
    mixed = masks | {"win": masks["win"].at[1, 1].set(1.0)}  # the second unit sees {1,2}
    assert [
        float(v) for v in purity(mixed, 2, network.live_units(mixed, 2), supports)
    ] == pytest.approx([2 / 3, 1])


def test_a_probe_knows_the_target(probe):
    assert (
        isinstance(probe, Probe)
        and probe.parts.shape == (256, 3)
        and probe.levels.tolist() == [1, 1, 2]
    )
    assert np.asarray(probe.part_slopes).sum(1) == pytest.approx(1, abs=1e-5)
    assert np.asarray(probe.part_slopes[0, 2:]) == pytest.approx(0)
