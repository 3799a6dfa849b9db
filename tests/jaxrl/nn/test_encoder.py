"""Encoders and decoder: shapes and leading axes; the ways to fix the scale of a latent map,
exactly.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.nn import encoder
from jaxrl.nn.encoder import ConvDecoder, ConvEncoder, PatchEncoder, StridedEncoder

H = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 4, 4, 5)) * 3 + 1, jnp.float32)


def rms(z, axes=(-3, -2, -1)):
    return np.sqrt(np.square(np.asarray(z, np.float64)).mean(axes))


@pytest.mark.parametrize("fix, axes", [(encoder.fix_rms, (-3, -2, -1)), (encoder.fix_position, -1)])
def test_the_root_mean_square_is_exactly_that_of_sigma_data(fix, axes):
    for scale in (0.1, 1.0, 1e4):
        np.testing.assert_allclose(rms(fix(scale * H), axes), 0.5, rtol=2e-4 if scale < 1 else 1e-5)


def test_fixing_keeps_directions():
    z = encoder.fix_rms(H)
    np.testing.assert_allclose(
        z / H, np.broadcast_to(0.5 / rms(H)[..., None, None, None], H.shape), rtol=1e-5
    )
    positions = encoder.fix_position(H)
    np.testing.assert_allclose(
        positions / H, np.broadcast_to(0.5 / rms(H, -1)[..., None], H.shape), rtol=1e-4
    )


def test_nothing_does_nothing():
    np.testing.assert_array_equal(encoder.fix_nothing(H), H)


FIXES = [encoder.fix_rms, encoder.fix_position, encoder.fix_nothing]


@pytest.mark.parametrize("fix", FIXES)
def test_every_fix_gives_finite_float32_with_finite_gradients_even_for_a_blank_map(fix):
    assert fix(H.astype(jnp.bfloat16)).dtype == jnp.float32
    blank = jnp.zeros((4, 4, 5))
    np.testing.assert_array_equal(fix(blank), 0)
    assert np.isfinite(jax.grad(lambda h: fix(h).sum())(blank)).all()


@pytest.mark.parametrize("fix", FIXES)
def test_every_fix_treats_maps_apart(fix):
    np.testing.assert_allclose(jax.vmap(jax.vmap(fix))(H), fix(H), atol=1e-6)


def test_scale_carries_no_gradient_after_fixing():
    """Along the map itself the derivative vanishes: the scale of a latent can neither grow nor
    shrink the loss.
    """
    weight = jnp.asarray(np.random.default_rng(1).normal(size=H.shape), jnp.float32)
    grad = jax.grad(lambda h: (encoder.fix_rms(h) * weight).sum())(H)
    np.testing.assert_allclose((grad * H).sum((-3, -2, -1)), 0, atol=1e-4)
    assert np.abs(grad).max() > 1e-3


@pytest.mark.parametrize("module", [ConvEncoder, StridedEncoder])
@pytest.mark.parametrize("widths, height, width", [((4, 6), 8, 12), ((4,), 5, 7)])
def test_an_encoder_halves_once_per_level(module, widths, height, width, key):
    model, x = module(widths, 3), jnp.ones((2, 1, height, width, 3))
    z = jax.eval_shape(lambda: model.init_with_output(key, x)[0])
    level = 2 ** len(widths)
    assert z.shape == (2, 1, -(-height // level), -(-width // level), 3)


def test_a_decoder_doubles_once_per_level(key):
    model = ConvDecoder((6, 4, 4))
    image = jax.eval_shape(lambda: model.init_with_output(key, jnp.ones((5, 2, 3, 7)))[0])
    assert image.shape == (5, 16, 24, 3)
    assert jax.eval_shape(
        lambda: ConvDecoder((4,), 1).init_with_output(key, jnp.ones((2, 2, 7)))[0]
    ).shape == (4, 4, 1)


@pytest.mark.parametrize(
    "model",
    [ConvEncoder((4, 4), 3), StridedEncoder((4, 4), 3), ConvDecoder((4, 4))],
    ids=lambda m: type(m).__name__,
)
def test_examples_do_not_see_one_another(model, key):
    x = jax.random.normal(key, (2, 4, 4, 3))
    params = jax.jit(model.init)(key, x)
    apply = jax.jit(model.apply)
    other = apply(params, x.at[1].set(0))
    np.testing.assert_allclose(apply(params, x)[0], other[0], atol=1e-6)
    assert np.abs(apply(params, x)[1] - other[1]).max() > 1e-3


def test_computing_in_bfloat16_keeps_parameters_in_float32(key):
    x = jnp.ones((1, 4, 4, 3))
    z, variables = jax.eval_shape(
        lambda: ConvEncoder((4,), 3, jnp.bfloat16).init_with_output(key, x)
    )
    assert z.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_the_patch_encoder_has_no_fine_maps():
    """Its size by hand: a 48 -> 64 convolution, three residual blocks, a stride-2 convolution, a
    1x1 to 16.
    """
    module = PatchEncoder((32, 64, 64), 16)
    x = jax.random.normal(jax.random.key(0), (2, 3, 64, 64, 3))
    params = module.init(jax.random.key(1), x)
    block = 2 * 64 + 64 * 64 * 9 + 64
    by_hand = (48 * 64 * 9 + 64) + 3 * block + (64 * 64 * 9 + 64) + (64 * 16 + 16)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == by_hand == 176_848
    z = jax.jit(module.apply)(params, x)
    assert z.shape == (2, 3, 8, 8, 16)
    np.testing.assert_allclose(z[1, 2], module.apply(params, x[1, 2]), atol=1e-4)
    text = jax.jit(module.apply).lower(params, x).as_text()
    assert "x64x64x32" not in text and "x32x32x" not in text
