"""Both levels of VQ-VAE-2: shapes, decoding of indices, gradients, learning codes; and what the
contract of quantizers promises, with each quantizer at both levels.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant import QuantError, VQConfig
from quant.models.vqvae2 import VQVAE2
from quant.quantizers.fsq import FSQConfig
from tests.quant.table import ALL

X = jax.random.uniform(jax.random.key(0), (2, 8, 8, 1))
MODEL = VQVAE2(VQConfig(7, 4), FSQConfig((5, 4, 3)), channels=1, width=4, bottom_levels=1)


def variables(model=MODEL):
    """Random values in the shapes of the model's variables: quicker than its initialization."""
    random = np.random.default_rng(0)

    def fill(a):
        if jnp.issubdtype(a.dtype, jnp.floating):
            return jnp.asarray(random.normal(size=a.shape) * 0.3, a.dtype)
        return jnp.zeros(a.shape, a.dtype)

    return jax.tree.map(fill, jax.eval_shape(model.init, jax.random.key(1), X))


def test_two_levels_are_decoded_from_their_indices_and_both_encoders_learn():
    given = variables()

    def loss(params):
        out, changed = MODEL.apply({**given, "params": params}, X, True, mutable=["codebook"])
        return ((out.image - X) ** 2).mean() + out.loss, (out, changed)

    grads, (out, changed) = jax.jit(jax.grad(loss, has_aux=True))(given["params"])
    assert out.top.indices.shape == (2, 2, 2) and out.bottom.indices.shape == (2, 4, 4)
    assert out.image.shape == X.shape
    decode = jax.jit(lambda *indices: MODEL.apply(given, *indices, method="decode"))
    # Straight through, the image of training is that of the codes before this step.
    decoded = decode(out.top.indices, out.bottom.indices)
    np.testing.assert_allclose(decoded, out.image, rtol=1e-4, atol=1e-4)
    for part in ("encode_bottom", "encode_top", "decode_top", "join", "enlarge", "decode_image"):
        assert any((g != 0).any() for g in jax.tree.leaves(grads[part])), part
    before, after = (tree["codebook"]["quantize_top"]["state"].book for tree in (given, changed))
    assert not jnp.array_equal(before.codes, after.codes)


def test_sides_that_cannot_be_halved_are_refused():
    with pytest.raises(QuantError, match="multiples of 4"):
        jax.eval_shape(MODEL.init, jax.random.key(0), jnp.zeros((1, 6, 8, 1)))


QUICK = ("gm-vq",)
each = pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in ALL]
)


@functools.cache
def hierarchical(name):
    """The model with that quantizer at both levels, and its variables as initialized."""
    model = VQVAE2(ALL[name][1], ALL[name][1], channels=1, width=4, bottom_levels=1)
    return model, jax.jit(model.init)({"params": jax.random.key(1)}, X)


@each
def test_every_quantizer_keeps_its_promises_at_both_levels(name):
    model, given = hierarchical(name)
    evaluate = jax.jit(model.apply)
    out = evaluate(given, X)
    assert out.image.shape == X.shape and jnp.isfinite(out.image).all()
    assert out.top.indices.shape[:3] == (2, 2, 2) and out.bottom.indices.shape[:3] == (2, 4, 4)
    decoded = jax.jit(functools.partial(model.apply, method="decode"))(
        given, out.top.indices, out.bottom.indices
    )
    np.testing.assert_allclose(decoded, out.image, rtol=1e-6, atol=1e-6)
    # An image's tokens do not depend on the other images of its batch.
    np.testing.assert_array_equal(evaluate(given, X[1:]).bottom.indices, out.bottom.indices[1:])


@each
def test_every_quantizer_learns_at_both_levels(name):
    model, given = hierarchical(name)
    rest = {kind: tree for kind, tree in given.items() if kind != "params"}

    def loss(params, key):
        out, changed = model.apply(
            {**rest, "params": params}, X, True, rngs={"quantize": key}, mutable=[*rest]
        )
        return ((out.image - X) ** 2).mean() + out.loss, (out, changed)

    grads, (out, changed) = jax.jit(jax.grad(loss, has_aux=True))(
        given["params"], jax.random.key(2)
    )
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((grads, out, changed)))
    assert jax.tree.structure(changed) == jax.tree.structure(rest)
    # The gradient passes both choices, but for fixed projections, which no gradient passes.
    passed = any((g != 0).any() for g in jax.tree.leaves(grads["encode_top"]))
    assert passed == (name != "random projection")
