"""Both levels of VQ-VAE-2: shapes, decoding of indices, gradients, learning codes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant import QuantError, VQConfig
from quant.models.vqvae2 import VQVAE2
from quant.quantizers.fsq import FSQConfig

X = jax.random.uniform(jax.random.key(0), (2, 8, 8, 1))
MODEL = VQVAE2(VQConfig(7, 4), FSQConfig((5, 4, 3)), channels=1, width=4, bottom_levels=1)


def variables():
    """Random values in the shapes of the model's variables: quicker than its initialization."""
    random = np.random.default_rng(0)

    def fill(a):
        if jnp.issubdtype(a.dtype, jnp.floating):
            return jnp.asarray(random.normal(size=a.shape) * 0.3, a.dtype)
        return jnp.zeros(a.shape, a.dtype)

    return jax.tree.map(fill, jax.eval_shape(MODEL.init, jax.random.key(1), X))


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
