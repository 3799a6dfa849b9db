"""What is captured from Flax models is what their layers read and compute; smaller networks stay
the same function.
"""

import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.nnx import bridge

from jaxrl.app.errors import UserError
from jaxrl.nn.conv import Conv as OurConv
from jaxrl.nn.mlp import Dense as OurDense
from reasoning.compositionality.prune import (
    OneShot,
    capture,
    compact,
    l1_pruning,
    lottery_ticket,
    magnitude_pruning,
    oracle_pruning,
    prune_once,
    random_pruning,
    rigl,
    saliency_pruning,
    set_pruning,
    similarity_pruning,
    snip,
    static_random,
    summarize_sparsity,
)
from reasoning.compositionality.prune.compact import Layer
from reasoning.compositionality.prune.kernels import kernels, layouts, split
from reasoning.compositionality.prune.merge import Merged, merge_layer


class Mixed(nn.Module):
    """Convolutions and linear layers of Flax and of this library, one of them called twice."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3), strides=2, name="flax")(x))
        x = nn.relu(nn.Conv(3, (2, 2), padding="VALID", name="valid")(x))
        x = nn.relu(OurConv(5, stride=2, name="ours")(x))
        x = OurDense(6, name="linear")(x.reshape(len(x), -1))
        twice = nn.Dense(6, name="twice")
        return twice(jnp.tanh(twice(x)))


@pytest.fixture(scope="module")
def model():
    x = jax.random.normal(jax.random.key(0), (8, 10, 10, 2))
    module = Mixed()
    params = jax.jit(module.init)(jax.random.key(1), x)["params"]
    return module, params, x, jax.jit(lambda p, x: capture(module.apply, p, x))(params, x)


def test_inputs_times_kernel_are_the_sums(model):
    """Cov(h, z) = Cov(h) w for every layer: no independent truth could be nearer to what the layer
    does.
    """
    _, params, _, found = model
    for name in ("flax", "valid", "ours", "linear"):
        known, inputs = found[f"{name}/kernel"], np.asarray(found[f"{name}/inputs"])
        kernel = np.asarray(params[name]["kernel"]).reshape(inputs.shape[0], -1)
        assert np.asarray(known.input_before) == pytest.approx(inputs @ kernel, abs=1e-5)
        assert np.asarray(known.before_var) == pytest.approx(
            np.diag(kernel.T @ inputs @ kernel), rel=1e-3, abs=1e-6
        )


def test_a_linear_layer_by_numpy(model):
    module, params, x, found = model
    seen = module.apply({"params": params}, x, capture_intermediates=True)[1]["intermediates"]
    z = np.asarray(seen["linear"]["__call__"][0])
    assert np.asarray(found["linear/kernel"].before_mean) == pytest.approx(z.mean(0), abs=1e-5)
    both = np.concatenate([np.asarray(v) for v in seen["twice"]["__call__"]])
    assert np.asarray(found["twice/kernel"].before_var) == pytest.approx(both.var(0), rel=1e-4)


@pytest.mark.slow
def test_without_jit_it_is_the_same(model):
    module, params, x, found = model
    plain = capture(module.apply, params, x)
    assert all(
        np.allclose(a, b, atol=1e-5)
        for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(found), strict=True)
    )


def test_models_with_convolutions_can_be_pruned(model):
    module, params, x, found = model
    pruned, masks = jax.jit(lambda p, k: prune_once(p, k, 0.25))(params, found)
    assert summarize_sparsity(masks)["flax/kernel"].fan_in == (
        5,
        5.0,
        5,
    )  # round(0.25 * 18), halves up
    assert np.isfinite(np.asarray(jax.jit(module.apply)({"params": pruned}, x))).all()


@pytest.mark.parametrize(
    ("layer", "axes"),
    [
        (nn.Conv(3, (3, 2), strides=(2, 1), kernel_dilation=2, padding=((1, 2), (0, 1))), 2),
        (nn.Conv(4, (5,), strides=2), 1),
        pytest.param(nn.Conv(2, (2, 2, 2), padding=1), 3, marks=pytest.mark.slow),
    ],
)
def test_convolutions_are_read_by_their_own_settings(layer, axes):
    x = jax.random.normal(jax.random.key(2), (3, *(7, 6, 5)[:axes], 2))
    params = jax.jit(layer.init)(jax.random.key(1), x)["params"]
    found = jax.jit(lambda p: capture(layer.apply, p, x))(params)
    kernel = np.asarray(params["kernel"]).reshape(-1, params["kernel"].shape[-1])
    assert np.asarray(found["kernel"].input_before) == pytest.approx(
        np.asarray(found["inputs"]) @ kernel, abs=1e-5
    )


def assert_consistent(found, params):
    """Cov(h, z) = Cov(h) w for every captured kernel, layer of a stack and group."""
    layout = layouts(params, known=found)
    for name, kernel in kernels(params).items():
        known, inputs = found[name], found[name.removesuffix("kernel") + "inputs"]
        parts = np.asarray(split(kernel, layout[name]))
        rows, columns = parts.shape[1:]
        assert np.asarray(known.input_before).reshape(-1, rows, columns) == pytest.approx(
            np.asarray(inputs).reshape(-1, rows, rows) @ parts, abs=1e-4
        )


class AllKinds(nn.Module):
    """Grouped, circular, reflecting and transposed convolutions, and projections of attention."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(4, (3, 2), feature_group_count=2, strides=2, name="grouped")(x)
        x = nn.Conv(4, (3, 3), padding="CIRCULAR", name="circular")(x)
        x = nn.Conv(4, (2, 3), padding="REFLECT", name="reflecting")(x)
        x = nn.ConvTranspose(4, (3, 2), (2, 3), name="transposed")(x)
        x = nn.ConvTranspose(4, (2, 3), (1, 2), padding="VALID", name="valid")(x)
        x = x.reshape(len(x), -1, 4)
        x = nn.Conv(4, (3,), padding="CAUSAL", strides=4, name="causal")(x)
        return nn.MultiHeadDotProductAttention(num_heads=2, name="attention")(x)


class Block(nn.Module):
    """One layer of a stack."""

    @nn.compact
    def __call__(self, h, _):
        h = h + nn.MultiHeadDotProductAttention(num_heads=2, name="attention")(h)
        return h + nn.Dense(4, name="dense")(nn.relu(h)), None


class Stack(nn.Module):
    """Layers by nn.scan, from the first to the last or the other way round."""

    reverse: bool = False

    @nn.compact
    def __call__(self, h):
        options = {"variable_axes": {"params": 0}, "split_rngs": {"params": True}}
        layers = nn.scan(Block, length=3, reverse=self.reverse, **options)(name="layers")
        return nn.Dense(2, name="out")(layers(h, None)[0])


@pytest.mark.parametrize(
    ("module", "shape"),
    [(AllKinds(), (2, 6, 6, 2)), (Stack(), (2, 5, 4)), (Stack(reverse=True), (2, 5, 4))],
    ids=["kinds", "scan", "reversed scan"],
)
def test_all_kinds_of_layers_are_read(module, shape):
    x = jax.random.normal(jax.random.key(0), shape)
    params = jax.jit(module.init)(jax.random.key(1), x)["params"]
    found = jax.jit(lambda p: capture(module.apply, p, x))(params)
    assert_consistent(found, params)
    masks = jax.jit(lambda p, f: prune_once(p, f, 0.5)[1])(params, found)
    for name, layout in layouts(params, known=found).items():
        mask = np.asarray(split(kernels(masks)[name], layout))
        assert (mask.sum(1) == np.floor(mask.shape[1] / 2 + 0.5)).all(), name


@pytest.mark.parametrize(
    "layer", [nn.ConvLocal(2, (3, 3)), nn.ConvTranspose(2, (3, 3), transpose_kernel=True)]
)
def test_layers_whose_inputs_are_not_known_are_named_and_not_guessed(layer):
    x = jnp.ones((1, 4, 4, 2))
    params = jax.eval_shape(layer.init, jax.random.key(1), x)["params"]
    with pytest.raises(UserError, match=f"not read: kernel .{type(layer).__name__}"):
        jax.eval_shape(lambda p: capture(layer.apply, p, x), params)


class Turned(nnx.Module):
    """A square kernel that is used transposed, which its shape does not show."""

    def __init__(self, rngs):
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), (4, 4)))

    def __call__(self, x):
        return x @ self.kernel[...].T


class Holder(nnx.Module):
    """A layer of a kind, by name."""

    def __init__(self, make):
        self.inner = make(nnx.Rngs(0))

    def __call__(self, x):
        return self.inner(x)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda rngs: nnx.Einsum("ab,cb->ac", (4, 4), rngs=rngs), "Einsum"),
        (lambda rngs: nnx.LinearGeneral(4, 4, batch_axis={0: 3}, rngs=rngs), "LinearGeneral"),
        (Turned, "Turned"),
    ],
)
def test_layers_of_nnx_that_do_something_else_are_named(make, kind):
    x = jax.random.normal(jax.random.key(0), (3, 4))
    with pytest.raises(UserError, match=f"not read: inner/kernel .{kind}"):
        capture(Holder(make), x)


class Wrapped(nnx.Module):
    """A layer inside a transformation of NNX."""

    def __init__(self, rngs):
        self.inner = nnx.Linear(4, 4, rngs=rngs)

    def __call__(self, x):
        return nnx.remat(lambda layer, h: layer(h))(self.inner, x)


def test_a_layer_inside_a_transformation_of_nnx_is_named():
    with pytest.raises(UserError, match="inner/kernel is called inside nn.remat"):
        capture(Wrapped(nnx.Rngs(0)), jnp.ones((3, 4)))


class Tied(nnx.Module):
    """Two layers with one kernel."""

    def __init__(self, rngs):
        self.a, self.b = (nnx.Linear(4, 4, rngs=rngs) for _ in range(2))
        self.b.kernel = self.a.kernel

    def __call__(self, x):
        return self.b(10 * jnp.tanh(self.a(x)))


def test_modules_that_share_a_kernel_share_its_statistics():
    model, x = Tied(nnx.Rngs(0)), jax.random.normal(jax.random.key(1), (32, 4))
    found = capture(model, x)
    sums = jnp.concatenate([model.a(x), model.b(10 * jnp.tanh(model.a(x)))])
    wanted = np.asarray(sums.var(0))
    assert np.asarray(found["a/kernel"].before_var) == pytest.approx(wanted, rel=1e-3)


class NnxBlock(nnx.Module):
    """A layer of a stack of NNX."""

    def __init__(self, rngs):
        self.linear = nnx.Linear(4, 4, rngs=rngs)

    def __call__(self, h):
        return jnp.tanh(self.linear(h))


class NnxNet(nnx.Module):
    """Convolutions, attention, a list and a scanned stack of layers."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(4, 4, (3,), feature_group_count=2, rngs=rngs)
        self.up = nnx.ConvTranspose(4, 4, (3,), rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 4, decode=False, rngs=rngs)
        self.several = nnx.List([nnx.Linear(4, 4, rngs=rngs)])
        self.norm = nnx.BatchNorm(4, rngs=rngs)

        @nnx.split_rngs(splits=2)
        @nnx.vmap(in_axes=(0,), out_axes=0)
        def make(rngs):
            return NnxBlock(rngs)

        self.stack = make(rngs)

    def __call__(self, h):
        h = self.several[0](self.norm(self.attention(self.up(self.conv(h)))))

        @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
        def onwards(h, block):
            return block(h)

        return onwards(h, self.stack)


def by_oracle(inner, *, density):
    masks = nnx.to_pure_dict(nnx.state(NnxNet(nnx.Rngs(0)), nnx.Param))
    halves = jax.tree.map(lambda leaf: jnp.arange(leaf.size).reshape(leaf.shape) % 2, masks)
    params = nnx.state(NnxNet(nnx.Rngs(0)), nnx.Param)
    nnx.replace_by_pure_dict(params, halves)
    return oracle_pruning(inner, params)


MAKERS = {
    "share": similarity_pruning,
    "edge": functools.partial(similarity_pruning, mode="edge"),
    "magnitude": magnitude_pruning,
    "saliency": saliency_pruning,
    "random": random_pruning,
    "rigl": rigl,
    "set": set_pruning,
    "static": static_random,
    "snip": snip,
    "lottery": functools.partial(lottery_ticket, rounds=1, length=1),
    "l1": functools.partial(l1_pruning, schedule=OneShot()),
    "oracle": by_oracle,
}


@pytest.mark.parametrize(
    "name",
    [n if n in ("share", "rigl") else pytest.param(n, marks=pytest.mark.slow) for n in MAKERS],
)
def test_modules_of_nnx_are_captured_and_pruned_by_their_optimizer(name):
    """Jitted, and donated."""
    x = jax.random.normal(jax.random.key(0), (3, 6, 4))
    model = NnxNet(nnx.Rngs(0))
    if name == "share":
        statistics = np.asarray(model.norm.mean[...])
        params = nnx.to_pure_dict(nnx.state(model, nnx.Param))
        found = capture(model, x)
        assert_consistent(found, params)
        assert found.keys() >= kernels(params).keys()
        assert (np.asarray(model.norm.mean[...]) == statistics).all()
    tx = MAKERS[name](optax.adam(1e-2), density=0.5)
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)

    @functools.partial(nnx.jit, donate_argnums=(0, 1))
    def step(model, optimizer, x):
        grads = nnx.grad(lambda m: (m(x) ** 2).mean())(model)
        optimizer.update(model, grads, activations=capture(model, x))

    for _ in range(3):
        step(model, optimizer, x)
    found = kernels(nnx.to_pure_dict(nnx.state(model, nnx.Param)))
    kept = sum(int((k != 0).sum()) for k in found.values()) / sum(k.size for k in found.values())
    assert kept == pytest.approx(0.5, abs=0.06)


class Bridged(nnx.Module):
    """A module of Linen inside one of NNX."""

    def __init__(self, x, rngs):
        self.inner = bridge.ToNNX(nn.Sequential([nn.Dense(3), nn.Dense(4)]), rngs=rngs)
        self.inner.lazy_init(x)
        self.out = nnx.Linear(4, 2, rngs=rngs)

    def encode(self, x):
        return self.inner(x)

    def __call__(self, x):
        return self.out(self.encode(x))


def test_a_module_of_linen_inside_nnx_and_a_method_of_it_are_captured():
    x = jax.random.normal(jax.random.key(0), (6, 4))
    model = Bridged(x, nnx.Rngs(0))
    found, params = capture(model, x), nnx.to_pure_dict(nnx.state(model, nnx.Param))
    assert len(kernels(params)) == 3
    assert_consistent(found, params)
    part = capture(model.encode, x)
    assert part.keys() == {name for name in found if name.startswith("inner")}


def test_similar_units_of_nnx_are_merged():
    """Two copies of a unit become one, and the function stays."""
    model = nnx.Sequential(
        nnx.Linear(3, 4, rngs=nnx.Rngs(0)), jnp.tanh, nnx.Linear(4, 2, rngs=nnx.Rngs(1))
    )
    kernel = model.layers[0].kernel
    kernel[...] = kernel[...].at[:, 3].set(kernel[...][:, 0])
    x = jax.random.normal(jax.random.key(0), (50, 3))
    before = model(x)
    tx = similarity_pruning(
        optax.sgd(0.0), mode="node", density=0.75, layers=("layers/0", "layers/2")
    )
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        grads = jax.tree.map(jnp.zeros_like, nnx.state(model, nnx.Param))
        optimizer.update(model, grads, activations=capture(model, x))

    step(model, optimizer)
    assert int((model.layers[0].kernel[...] == 0).all(0).sum()) == 1
    assert np.asarray(model(x)) == pytest.approx(np.asarray(before), abs=1e-4)


class Hidden(nn.Module):
    """A layer inside a transformation."""

    @nn.compact
    def __call__(self, x):
        return nn.remat(nn.Dense)(3, name="inner")(x)


def test_layers_inside_transformations_are_refused_by_name():
    params = {"inner": {"kernel": jnp.ones((2, 3)), "bias": jnp.zeros(3)}}
    with pytest.raises(UserError, match="inner/kernel is called inside nn.remat"):
        capture(Hidden().apply, params, jnp.ones((4, 2)))


def test_a_model_without_layers_is_refused():
    with pytest.raises(UserError, match="nothing was captured"):
        capture(lambda variables, x: x, {"a": {"kernel": jnp.ones((2, 2))}}, jnp.ones((3, 2)))


def run(layers, x):
    for i, (kernel, bias) in enumerate(layers):
        x = (x if i == 0 else np.tanh(x)) @ kernel + bias
    return x


def test_a_smaller_network_is_the_same_function():
    random = np.random.default_rng(0)
    sizes = (5, 9, 7, 2)
    layers = [
        Layer(
            random.normal(0, 1, s).astype(np.float32), random.normal(0, 1, s[1]).astype(np.float32)
        )
        for s in itertools.pairwise(sizes)
    ]
    masks = [random.random(layer.kernel.shape) < 0.25 for layer in layers]
    masks[0][:, 3] = False  # a unit that nothing reaches
    masks[1][4] = False  # one that nothing reads
    small = compact(layers, masks)
    x = random.normal(0, 1, (30, 5))
    assert run(small, x) == pytest.approx(
        run([Layer(k * m, b) for (k, b), m in zip(layers, masks, strict=True)], x), abs=1e-5
    )
    assert (
        small[0].kernel.shape[0] == 5
        and small[0].kernel.shape[1] < 8
        and small[-1].kernel.shape[1] == 2
    )
    assert all((layer.kernel != 0).any(0).all() for layer in small[:-1])
    with pytest.raises(UserError, match="another network"):
        compact(layers, masks[:2])


def test_units_that_do_the_same_are_merged_without_a_change():
    random = np.random.default_rng(1)
    h = random.normal(0, 1, (500, 4)).astype(np.float32)
    h = np.concatenate([h, 2 * h[:, :1] + 1, -h[:, 1:2]], 1)  # units 4 and 5 repeat 0 and 1
    out, bias = random.normal(0, 1, (6, 3)).astype(np.float32), np.zeros(3, np.float32)
    mean, covariance = jnp.asarray(h.mean(0)), jnp.asarray(np.cov(h.T, bias=True))
    before = Merged(jnp.ones(6, bool), jnp.asarray(out), jnp.asarray(bias))
    done = merge_layer(mean, covariance, before, 1, 0.95)
    assert int(done.alive.sum()) == 4 and done.alive[jnp.array([2, 3])].all()
    assert h @ np.asarray(done.outgoing) + np.asarray(done.bias) == pytest.approx(
        h @ out + bias, abs=1e-3
    )
    assert (np.asarray(done.outgoing)[~np.asarray(done.alive)] == 0).all()
    kept = merge_layer(mean, covariance, before, 3, 0.0)
    assert int(kept.alive.sum()) == 3
