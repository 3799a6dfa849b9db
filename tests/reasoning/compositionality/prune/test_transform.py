"""The pruning transformation: one contract for all rules, then what each of them adds."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrl.app.errors import UserError
from reasoning.compositionality import prune
from reasoning.compositionality.prune import (
    Cubic,
    OneShot,
    Periodic,
    PruneState,
    capture,
    similarity_pruning,
    summarize_sparsity,
)
from reasoning.compositionality.prune.kernels import kernels


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = jnp.tanh(nn.Dense(8, name="first")(x))
        return nn.Dense(2, name="second")(jnp.tanh(nn.Dense(6, name="middle")(x)))


MODULE, X = Net(), jax.random.normal(jax.random.key(5), (64, 4))
PARAMS = MODULE.init(jax.random.key(0), X[:1])["params"]


def loss(params, x):
    return (
        (
            MODULE.apply({"params": params}, x)
            - jnp.stack([jnp.sin(x[:, 0] * 2), x[:, 1] * x[:, 2]], 1)
        )
        ** 2
    ).mean()


ADAM = optax.adam(1e-2)
SUBJECTS = {
    "share": similarity_pruning(ADAM, density=0.5, schedule=OneShot(2)),
    "share cubic erk": similarity_pruning(
        ADAM, density=0.3, schedule=Cubic(0, 4, 2), distribution="erk"
    ),
    "edge average": similarity_pruning(
        ADAM, mode="edge", density=0.5, schedule=OneShot(2), ema=0.5, distribution="global"
    ),
    "node": similarity_pruning(
        ADAM,
        mode="node",
        density=0.5,
        schedule=OneShot(1),
        layers=("first", "middle", "second"),
        threshold=0.0,
    ),
    "magnitude": prune.magnitude_pruning(ADAM, density=0.5, schedule=OneShot(2)),
    "random": prune.random_pruning(ADAM, density=0.5, schedule=OneShot(0)),
    "saliency": prune.saliency_pruning(
        ADAM, density=0.5, schedule=OneShot(2), distribution="uniform"
    ),
    "snip": prune.snip(ADAM, density=0.5),
    "lottery": prune.lottery_ticket(ADAM, density=0.4, rounds=2, length=2),
    "rigl": prune.rigl(ADAM, density=0.4, schedule=Periodic(1, 6, 2)),
    "set": prune.set_pruning(ADAM, density=0.4, schedule=Periodic(1, 6, 2)),
    "static": prune.static_random(ADAM, density=0.4),
    "l1": prune.l1_pruning(ADAM, density=0.5, schedule=OneShot(2)),
    "oracle": prune.oracle_pruning(
        ADAM, jax.tree.map(lambda p: (jnp.abs(p) > 0.3).astype(jnp.uint8), PARAMS)
    ),
}


QUICK = ("share", "node", "lottery", "rigl")
"""Subjects of the default tests; the others compile for as long, and are slow ones."""
BY_ACTIVATIONS = ("share", "share cubic erk", "edge average", "node")


def each(names=SUBJECTS):
    return [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in names]


def steps(tx, params, state, x, count, seen=True):
    """`count` updates, with activations in each."""
    for _ in range(count):
        grads = jax.grad(loss)(params, x)
        known = capture(MODULE.apply, params, x, after=jnp.tanh) if seen else None
        updates, state = tx.update(grads, state, params, activations=known)
        params = optax.apply_updates(params, updates)
    return params, state


@functools.cache
def after(name):
    """Parameters and state after six jitted updates of a subject."""
    tx = SUBJECTS[name]
    step = jax.jit(lambda p, s: steps(tx, p, s, X, 1, name in BY_ACTIVATIONS))
    params, state = PARAMS, tx.init(PARAMS)
    for _ in range(6):
        params, state = step(params, state)
    assert step._cache_size() == 1
    return params, state


@pytest.mark.parametrize("name", each())
def test_pruned_weights_are_exactly_zero_and_so_are_their_moments(name):
    params, state = after(name)
    assert isinstance(state, PruneState) and int(state.count) == 6
    assert jax.tree.structure(state.masks) == jax.tree.structure(params)
    zeros = sum(int((m == 0).sum()) for m in jax.tree.leaves(state.masks))
    assert zeros > 0
    moments = [
        s
        for s in jax.tree.leaves(
            state.inner_state, is_leaf=lambda s: isinstance(s, optax.ScaleByAdamState)
        )
        if hasattr(s, "mu")
    ]
    for tree in (params, moments[0].mu, moments[0].nu):
        assert all(
            (np.asarray(leaf)[np.asarray(mask) == 0] == 0).all()
            for leaf, mask in zip(jax.tree.leaves(tree), jax.tree.leaves(state.masks), strict=True)
        )
    biases = [
        m
        for n, m in jax.tree_util.tree_leaves_with_path(state.masks)
        if "bias" in jax.tree_util.keystr(n)
    ]
    assert all(bool(m.all()) for m in biases)


DENSITIES = dict.fromkeys(("lottery", "rigl", "set", "static"), 0.4)
DENSITIES |= {
    "share": 0.5,
    "share cubic erk": 0.3,
    "edge average": 0.5,
    "magnitude": 0.5,
    "snip": 0.5,
}


@pytest.mark.parametrize("name", each(DENSITIES))
def test_the_density_is_the_one_asked_for(name):
    assert summarize_sparsity(after(name)[1].masks)["total"].density == pytest.approx(
        DENSITIES[name], abs=0.03
    )


def assert_same(found, wanted):
    """Parameters to 1e-5, masks exactly."""
    for one, other in zip(jax.tree.leaves(found[0]), jax.tree.leaves(wanted[0]), strict=True):
        assert np.asarray(one) == pytest.approx(np.asarray(other), abs=1e-5)
    for one, other in zip(
        jax.tree.leaves(found[1].masks), jax.tree.leaves(wanted[1].masks), strict=True
    ):
        assert (np.asarray(one) == np.asarray(other)).all()


def test_under_vmap_all_is_the_same():
    tx = SUBJECTS["share"]
    params = jax.tree.map(lambda p: jnp.stack([p, 0.5 * p]), PARAMS)
    state = jax.tree.map(lambda s: jnp.stack([s, s]), tx.init(PARAMS))
    step = jax.jit(jax.vmap(lambda p, s: steps(tx, p, s, X, 1)))
    for _ in range(6):
        params, state = step(params, state)
    assert_same(jax.tree.map(lambda a: a[0], (params, state)), after("share"))


@pytest.mark.slow
def test_without_jit_all_is_the_same():
    tx = SUBJECTS["share"]
    assert_same(steps(tx, PARAMS, tx.init(PARAMS), X, 6), after("share"))


def test_devices_with_other_examples_find_the_masks_of_all():
    """Statistics are averaged, not correlations."""
    tx = similarity_pruning(optax.sgd(0.0), density=0.5, axis_name="d")
    one = similarity_pruning(optax.sgd(0.0), density=0.5)
    skewed = X * jnp.linspace(0.2, 3, 64)[:, None]
    grads = jax.tree.map(jnp.zeros_like, PARAMS)

    def renew(x, tx, axis):
        return tx.update(
            grads,
            tx.init(PARAMS),
            PARAMS,
            activations=capture(MODULE.apply, PARAMS, x, axis_name=axis),
        )[1].masks

    shares = skewed.reshape(4, 16, 4)
    spread = jax.pmap(lambda x: renew(x, tx, "d"), "d", devices=jax.devices()[:4])(shares)
    single = jax.jit(lambda x: renew(x, one, None))
    whole, alone = single(skewed), single(shares[0])

    def same(a, b):
        return all(
            (np.asarray(m) == np.asarray(n)).all()
            for m, n in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
        )

    assert all(
        same(jax.tree.map(lambda m, i=i: m[i], spread), whole) for i in range(4)
    ) and not same(alone, whole)


def test_statistics_of_devices_are_those_of_all_to_a_millionth():
    known = jax.pmap(
        lambda x: capture(MODULE.apply, PARAMS, x, axis_name="d"), "d", devices=jax.devices()[:4]
    )(X.reshape(4, 16, 4))
    whole = capture(MODULE.apply, PARAMS, X)
    for name in whole:
        for mine, all_ in zip(
            jax.tree.leaves(known[name]), jax.tree.leaves(whole[name]), strict=True
        ):
            assert np.asarray(mine[0]) == pytest.approx(np.asarray(all_), abs=1e-6)


def test_without_activations_masks_wait():
    tx = SUBJECTS["share"]
    params, state, grads = PARAMS, tx.init(PARAMS), jax.tree.map(jnp.ones_like, PARAMS)
    update, seen = jax.jit(tx.update), jax.jit(lambda p: capture(MODULE.apply, p, X))(params)
    for _ in range(4):
        _updates, state = update(grads, state, params)
    assert all(bool(m.all()) for m in jax.tree.leaves(state.masks)) and int(state.last) == -1
    _, state = update(grads, state, params, activations=seen)
    assert int(state.last) == 4 and not all(bool(m.all()) for m in jax.tree.leaves(state.masks))


def test_without_pruning_it_is_the_inner_optimizer():
    tx = similarity_pruning(ADAM, density=0.5, schedule=OneShot(100))
    grads = jax.grad(loss)(PARAMS, X)
    mine, _ = tx.update(grads, tx.init(PARAMS), PARAMS)
    theirs, _ = ADAM.update(grads, ADAM.init(PARAMS), PARAMS)
    assert all(
        np.allclose(a, b, atol=1e-7)
        for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True)
    )


def test_a_lottery_ticket_goes_back_to_where_it_began():
    tx = prune.lottery_ticket(ADAM, density=0.4, rounds=2, length=2)
    params, state = steps(
        tx, PARAMS, tx.init(PARAMS), X, 3
    )  # the first renewal is in the third update
    kept = kernels(state.masks)
    assert summarize_sparsity(state.masks)["total"].density == pytest.approx(0.4**0.5, abs=0.03)
    for name, kernel in kernels(params).items():
        assert np.allclose(kernel, kernels(PARAMS)[name] * kept[name], atol=1e-6)
    assert float(state.inner_state[0].count) == 0


def test_after_a_rewind_the_inner_optimizer_begins_at_the_first_weights():
    """Schedule-free optimizers keep a copy of the weights in their state."""
    inner = optax.contrib.schedule_free_sgd(0.05)
    tx = prune.magnitude_pruning(inner, density=0.5, schedule=OneShot(2), rewind="init")
    _, state = steps(tx, PARAMS, tx.init(PARAMS), X, 3, seen=False)
    began = inner.init(jax.tree.map(lambda p, mask: p * mask, PARAMS, state.masks))
    assert summarize_sparsity(state.masks)["total"].density == pytest.approx(0.5, abs=0.03)
    for one, other in zip(
        jax.tree.leaves(state.inner_state.z), jax.tree.leaves(began.z), strict=True
    ):
        assert np.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("name", each(("rigl", "set")))
def test_rigl_and_set_keep_the_number_of_weights_and_move_some(name):
    first, last = kernels(SUBJECTS[name].init(PARAMS).masks), kernels(after(name)[1].masks)
    assert all(int(first[n].sum()) == int(last[n].sum()) for n in first)
    assert any((np.asarray(first[n]) != np.asarray(last[n])).any() for n in first)


def test_it_stands_inside_a_chain_and_masked_of_optax():
    """The rule sees only what the outer mask lets through."""
    only = jax.tree_util.tree_map_with_path(
        lambda path, _: "first" in jax.tree_util.keystr(path), PARAMS
    )
    tx = optax.masked(
        prune.magnitude_pruning(
            optax.sgd(0.1), density=0.5, prunable=lambda p, leaf: p[-1] == "kernel" and "first" in p
        ),
        only,
    )
    updates, _state = tx.update(jax.grad(loss)(PARAMS, X), tx.init(PARAMS), PARAMS)
    new = optax.apply_updates(PARAMS, updates)
    assert (
        int((new["first"]["kernel"] == 0).sum()) == 16
        and int((new["middle"]["kernel"] == 0).sum()) == 0
    )


def test_bad_input_is_refused():
    tx, grads = SUBJECTS["share"], jax.tree.map(jnp.ones_like, PARAMS)
    state = tx.init(PARAMS)
    with pytest.raises(UserError, match="needs the parameters"):
        tx.update(grads, state)
    with pytest.raises(UserError, match="masks are of another tree: first/kernel"):
        other = PARAMS | {"first": {"kernel": jnp.ones((5, 8)), "bias": jnp.ones(8)}}
        tx.update(grads, state, other)
    with pytest.raises(UserError, match="activations of middle/kernel were not captured"):
        known = {n: m for n, m in capture(MODULE.apply, PARAMS, X).items() if "middle" not in n}
        tx.update(grads, state, PARAMS, activations=known)
    with pytest.raises(UserError, match="would empty kernel second/kernel"):
        similarity_pruning(ADAM, density=0.01).init(PARAMS)
    with pytest.raises(UserError, match="nothing to prune"):
        tx.init({"a": jnp.ones(3)})
    with pytest.raises(UserError, match="mode is"):
        similarity_pruning(ADAM, mode="best")
    with pytest.raises(UserError, match="name at least two"):
        steps(
            similarity_pruning(ADAM, mode="node", density=0.5),
            PARAMS,
            similarity_pruning(ADAM, density=0.5).init(PARAMS),
            X,
            1,
        )
