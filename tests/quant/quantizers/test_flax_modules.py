"""The Flax modules, Linen and NNX, around every quantizer: the same numbers as the functions, alone
and inside what Flax users put around a module.
"""

import pickle

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from quant.errors import QuantError
from quant.quantizers import flax_module, fsq, gmvq, nnx_module, rvq, vq
from tests.quant.table import ALL as QUANTIZERS
from tests.quant.table import made

FEW = ("vq gradient synchronous", "simvq", "gm-vq")
each = pytest.mark.parametrize(
    "name", [n if n in FEW else pytest.param(n, marks=pytest.mark.slow) for n in QUANTIZERS]
)
X = jax.random.normal(jax.random.key(1), (5, 6))
KEY = jax.random.key(2)


def equal(a, b):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), a, b)


def expected(name, train):
    module, config, params, state = made(name)
    return jax.jit(lambda x: module.quantize(params, state, x, config, key=KEY, train=train))(X)


def variables_of(name):
    """Variables of a Linen module that hold what the table's functions are given."""
    *_, params, state = made(name)
    return {"params": params, "codebook": {"state": state}}


@each
def test_linen_gives_the_numbers_of_the_functions(name):
    module, config, params, _ = made(name)
    quantizer = pickle.loads(pickle.dumps(flax_module.Quantizer(module, config)))
    shapes = jax.eval_shape(lambda: quantizer.init(jax.random.key(0), X))
    given = variables_of(name)
    assert jax.tree.map(jnp.shape, shapes.get("params", {})) == jax.tree.map(jnp.shape, params)
    evaluated = jax.jit(lambda v, x: quantizer.apply(v, x))(given, X)
    equal(evaluated, expected(name, False)[0])
    trained, changed = jax.jit(
        lambda v, x, key: quantizer.apply(v, x, True, key=key, mutable=["codebook"])
    )(given, X, KEY)
    ours, after = expected(name, True)
    equal(trained, ours)
    equal(changed["codebook"]["state"], after)


class Model(nn.Module):
    """An encoder, a quantizer (maybe wrapped) and a decoder."""

    name_of: str
    wrap: str = "none"

    @nn.compact
    def __call__(self, x, train):
        module, config, *_ = made(self.name_of)
        z = nn.Dense(6)(x)
        kind = flax_module.Quantizer
        if self.wrap == "remat":
            kind = nn.remat(kind, static_argnums=(2,))
        if self.wrap == "scan":
            scanned = nn.scan(
                lambda quantizer, carry, x: (carry, quantizer(x, train)),
                variable_broadcast=("params", "codebook"),
                split_rngs={"params": False, "quantize": True},
            )
            quantizer = kind(module, config, init_from_x=False, name="quantizer")
            out = scanned(quantizer, None, z[None])[1]
            return nn.Dense(2)(out.quantized[0]), out.losses
        out = kind(module, config, name="quantizer")(z, train)
        return nn.Dense(2)(out.quantized), out.losses


@pytest.mark.slow
@each
def test_linen_trains_inside_a_model_and_under_remat(name):
    """One update of all parameters; rematerialization changes none of them."""
    given = Model(name).init({"params": jax.random.key(0), "quantize": KEY}, X, False)

    def update(wrap):
        def loss(params):
            (y, losses), changed = Model(name, wrap).apply(
                {**given, "params": params}, X, True, rngs={"quantize": KEY}, mutable=["codebook"]
            )
            return (y**2).mean() + sum(losses.values()), changed

        grads, changed = jax.jit(jax.grad(loss, has_aux=True))(given["params"])
        assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(grads))
        return grads, changed

    grads, changed = update("none")
    assert (grads["Dense_1"]["kernel"] != 0).any()
    assert jax.tree.structure(changed["codebook"]) == jax.tree.structure(given["codebook"])
    again, changed_again = update("remat")
    equal(jax.tree.leaves(again), jax.tree.leaves(grads))
    equal(jax.tree.leaves(changed_again), jax.tree.leaves(changed))


@pytest.mark.slow
@each
def test_linen_under_scan(name):
    given = Model(name, "scan").init({"params": jax.random.key(0), "quantize": KEY}, X, False)
    y, _ = jax.jit(lambda v: Model(name, "scan").apply(v, X, False))(given)
    alone, _ = jax.jit(lambda v: Model(name).apply(v, X, False))(
        jax.tree.unflatten(
            jax.tree.structure(Model(name).init(jax.random.key(0), X, False)),
            jax.tree.leaves(given),
        )
    )
    equal(y, alone)


@pytest.mark.slow
@each
def test_nnx_gives_the_numbers_of_the_functions(name):
    module, config, params, state = made(name)
    quantizer = nnx_module.Quantizer(module, config, rngs=nnx.Rngs(0))
    parts = nnx.state(quantizer)
    given = jax.tree.unflatten(jax.tree.structure(parts), [*_leaves(parts, params, state)])
    nnx.update(quantizer, given)
    equal(nnx.jit(lambda q, x: q(x))(quantizer, X), expected(name, False)[0])
    trained = nnx.jit(lambda q, x, key: q(x, True, key=key))(quantizer, X, KEY)
    ours, after = expected(name, True)
    equal(trained, ours)
    equal([leaf[...] for leaf in quantizer.state], jax.tree.leaves(after))
    graph, held = nnx.split(quantizer)
    equal(nnx.merge(graph, pickle.loads(pickle.dumps(held)))(X), quantizer(X))


def _leaves(parts, params, state):
    """Values of the functions' parameters and state in the order of the module's leaves."""
    values = {
        tuple(part.key for part in path): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path({"params": params})
    } | {("state", number): leaf for number, leaf in enumerate(jax.tree.leaves(state))}
    for path, _ in jax.tree_util.tree_leaves_with_path(parts):
        keys = [part.key for part in path if hasattr(part, "key")]
        yield values[tuple(keys)]


@pytest.mark.slow
def test_nnx_trains_with_an_optimizer():
    """`nnx.Param` is what the optimizer sees; the codebook is not among it."""
    quantizer = nnx_module.Quantizer(gmvq, gmvq.GMVQConfig(7, 6), rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(quantizer, optax.sgd(0.1), wrt=nnx.Param)

    @nnx.jit
    def step(quantizer, optimizer, rngs):
        def loss(quantizer, rngs):
            out = quantizer(X, True, rngs=rngs)
            return (out.quantized**2).mean() + out.loss

        grads = nnx.grad(loss)(quantizer, rngs)
        optimizer.update(quantizer, grads)

    before = jax.tree.map(jnp.copy, quantizer.params["codes"][...])
    step(quantizer, optimizer, nnx.Rngs(quantize=1))
    assert (quantizer.params["codes"][...] != before).any()
    ema = nnx_module.Quantizer(vq, vq.VQConfig(7, 6), rngs=nnx.Rngs(0))
    assert not jax.tree.leaves(nnx.state(ema, nnx.Param))
    first = ema.state[0][...]
    ema(X)
    np.testing.assert_array_equal(ema.state[0][...], first)
    ema(X, True)
    assert (ema.state[0][...] != first).any()


@pytest.mark.parametrize(
    ("functions", "config", "sentence"),
    [
        (vq, fsq.FSQConfig((8, 8, 8)), "of quant.quantizers.vq is a VQConfig, not FSQConfig"),
        (rvq, vq.VQConfig(8, 4), "is a ResidualConfig, not VQConfig"),
        (vq, {"codes": 8}, "is a VQConfig, not dict"),
        (vq, vq.VQConfig, "is a VQConfig, not the class VQConfig"),
        ("vq", vq.VQConfig(8, 4), "no module 'vq': give the module itself"),
        (jax, vq.VQConfig(8, 4), "jax is no module of a quantizer"),
        (vq.quantize, vq.VQConfig(8, 4), "quantize is no module of a quantizer"),
    ],
)
def test_what_is_no_quantizer_is_refused(functions, config, sentence):
    with pytest.raises(QuantError, match=sentence):
        flax_module.Quantizer(functions, config)
    with pytest.raises(QuantError, match=sentence):
        nnx_module.Quantizer(functions, config, rngs=nnx.Rngs(0))
