"""The stack of layers against a slow one, and reach through masks against enumeration of paths."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reasoning.compositionality import activations, network

SHAPE = network.Shape(3, 2, 4, 4)


@pytest.fixture(scope="module")
def params():
    return network.init(jax.random.key(0), SHAPE)


@pytest.fixture(scope="module")
def masks():
    random = np.random.default_rng(2)
    return jax.tree.map(
        lambda a: jnp.asarray((random.random(a.shape) < 0.45).astype(np.float32)),
        network.full(SHAPE),
    )


def slow(params, x, depth):
    h = np.asarray(x)
    for layer in range(depth):
        kernel = params["win"] if layer == 0 else params["wh"][layer - 1]
        h = np.tanh(h @ np.asarray(kernel) + np.asarray(params["b"][layer]))
    return h @ np.asarray(params["wo"]) + np.asarray(params["bo"])


def test_every_depth_is_that_of_a_loop_in_one_program(params):
    x = jax.random.normal(jax.random.key(1), (5, 3))
    maps, plain = jax.jit(network.forward), jax.jit(network.outputs)
    for depth in range(1, 5):
        wanted = slow(params, x, depth)
        assert np.asarray(maps(params, x, depth).y) == pytest.approx(wanted, abs=1e-5)
        assert np.asarray(plain(params, x, depth)) == pytest.approx(wanted, abs=1e-5)
    assert maps._cache_size() == 1 and plain._cache_size() == 1


def test_unused_layers_get_no_gradient(params):
    slope = jax.grad(lambda p: network.outputs(p, jnp.ones((2, 3)), 2).sum())(params)
    assert (
        (slope["wh"][0] != 0).any() and (slope["wh"][1:] == 0).all() and (slope["b"][2:] == 0).all()
    )


def paths(masks, depth):
    """Units on a path from an input to an output, and live weights into them, by trying
    all paths.
    """
    layers = [
        np.asarray(masks["win"]),
        *np.asarray(masks["wh"])[: depth - 1],
        np.asarray(masks["wo"]),
    ]
    on = [set() for _ in range(depth)]
    for path in itertools.product(
        *(range(layer.shape[0]) for layer in layers), range(layers[-1].shape[1])
    ):
        if all(layer[a, b] > 0 for layer, a, b in zip(layers, path[:-1], path[1:], strict=True)):
            for level, unit in enumerate(path[1:-1]):
                on[level].add(unit)
    return on, layers


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_live_units_and_their_fan_in_are_those_on_paths(masks, depth):
    on, layers = paths(masks, depth)
    live = np.asarray(network.live_units(masks, depth))
    assert [set(np.flatnonzero(row)) for row in live[:depth]] == on and not live[depth:].any()
    below = [set(range(3)), *on]
    into = [
        sum(layers[level][i, j] > 0 for i in below[level])
        for level in range(depth)
        for j in on[level]
    ]
    assert float(network.effective_fan_in(masks, depth)) == pytest.approx(np.mean(into))


def test_units_have_their_own_functions():
    z = jnp.array([[0.3, -0.7, 1.2]])
    codes = jnp.array([activations.code(n) for n in ("sin", "gaussian", "relu")])
    wanted = [np.sin(0.3), 2 * np.exp(-0.49) - 1, 1.2]
    assert np.asarray(activations.by_code(z, codes))[0] == pytest.approx(wanted, abs=1e-6)


def test_functions_that_are_not_taken_have_no_gradient():
    slope = jax.grad(lambda z: activations.by_code(z, jnp.array([activations.code("tanh")]))[0])(
        jnp.array([1e20])
    )
    assert np.isfinite(np.asarray(slope)).all()


@pytest.mark.parametrize("unrolled", [32, 0])
def test_many_networks_at_once_are_each_of_them(unrolled, params, masks, monkeypatch):
    """Outputs and gradients, with products written out and as one call."""
    monkeypatch.setattr(network, "UNROLLED", unrolled)
    depth, x = jnp.array([1, 3, 4]), jax.random.normal(jax.random.key(1), (3, 7, 3))
    weights = network.masked(params, masks)
    many = jax.tree.map(lambda a: jnp.stack([a, 2 * a, -0.5 * a]), weights)

    def one(p, x, depth):
        return network.outputs(p, x, depth).T

    def of(f, x):
        return jax.jit(jax.value_and_grad(lambda p: (f(p, x, depth) ** 2).sum()))(many)

    found = of(network.outputs_of_all, jnp.swapaxes(x, 1, 2))
    wanted = of(jax.vmap(one), x)
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert np.asarray(mine) == pytest.approx(np.asarray(theirs), rel=1e-4, abs=1e-5)
