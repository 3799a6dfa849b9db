"""The U-Net: odd sizes, leading axes, conditioning, and its size at the paper's setting."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.nn.unet import UNet

MODEL = UNet((1, 1), (4, 6))
apply = jax.jit(MODEL.apply)


@functools.cache
def params():
    """Random numbers everywhere: a new U-Net has zeros that would hide mistakes."""
    shapes = jax.eval_shape(
        MODEL.init, jax.random.key(0), jnp.zeros((2, 4, 4, 4)), jnp.zeros((2, 5))
    )
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape) * 0.3, jnp.float32), shapes
    )


def inputs(height, width, leading=(2,)):
    rng = np.random.default_rng(1)
    return (
        jnp.asarray(rng.normal(size=(*leading, *shape)), jnp.float32)
        for shape in ((height, width, 4), (5,))
    )


@pytest.mark.parametrize("height, width", [(4, 3), (3, 3)])
def test_an_odd_map_is_padded_at_the_bottom_and_right_and_cropped(height, width):
    x, cond = inputs(height, width)
    padded = jnp.pad(x, ((0, 0), (0, 4 - height), (0, 4 - width), (0, 0)))
    y = apply(params(), x, cond)
    assert y.shape == x.shape
    np.testing.assert_allclose(y, apply(params(), padded, cond)[:, :height, :width], atol=1e-5)


def test_leading_axes_are_a_batch():
    x, cond = inputs(4, 4, (1, 2))
    np.testing.assert_allclose(
        apply(params(), x, cond)[0], apply(params(), x[0], cond[0]), atol=1e-5
    )


def test_examples_see_their_own_condition_only():
    x, cond = inputs(4, 4)
    before, after = apply(params(), x, cond), apply(params(), x, cond.at[1].add(1))
    np.testing.assert_allclose(after[0], before[0], atol=1e-5)
    assert np.abs(after[1] - before[1]).max() > 1e-2


def test_number_of_parameters_at_diamonds_size():
    shapes = jax.eval_shape(
        UNet((2,) * 4, (64,) * 4).init, jax.random.key(0), jnp.zeros((64, 64, 64)), jnp.zeros(256)
    )["params"]

    def size(prefix):
        return sum(
            leaf.size
            for name, part in shapes.items()
            if name.startswith(prefix)
            for leaf in jax.tree.leaves(part)
        )

    assert [size(part) for part in ("d_", "mid_", "u_", "downsamples_", "upsamples_", "")] == [
        1_117_184,
        312_832,
        2_611_968,
        110_784,
        110_784,
        4_263_552,
    ]


def test_levels_attend_where_asked():
    plain = jax.eval_shape(MODEL.init, jax.random.key(0), jnp.zeros((4, 4, 4)), jnp.zeros(5))[
        "params"
    ]
    model = UNet((1, 1), (4, 6), (False, True))
    attending = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((4, 4, 4)), jnp.zeros(5))[
        "params"
    ]

    def has(tree, block):
        return any("attn" in name for name in tree[block]["resblocks_0"])

    assert [has(plain, block) for block in ("d_blocks_0", "d_blocks_1", "mid_blocks")] == [
        False,
        False,
        True,
    ]
    assert [
        has(attending, block) for block in ("d_blocks_0", "d_blocks_1", "u_blocks_0", "u_blocks_1")
    ] == [False, True, True, False]
