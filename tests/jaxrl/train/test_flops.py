"""Counting arithmetic: hand numbers, loops, and the known cost of DIAMOND's networks."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.jedi.nets.denoiser import Denoiser, DenoiserConfig
from jaxrl.train.flops import count_flops, peak_flops


def test_a_matrix_product():
    assert count_flops(lambda a, b: a @ b, jnp.ones((3, 5)), jnp.ones((5, 7))) == 2 * 3 * 5 * 7


def test_a_convolution():
    def convolve(x, k):
        return jax.lax.conv_general_dilated(
            x, k, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    assert count_flops(convolve, jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 3, 5))) == 2 * (
        2 * 4 * 4 * 5
    ) * (3 * 3 * 3)


def test_a_scan_counts_every_turn_and_a_branch_the_dearest():
    def square(x):
        return x @ x

    def scanned(x):
        return jax.lax.scan(lambda c, _: (square(c), None), x, None, length=10)[0]

    def either(x):
        return jax.lax.cond(True, square, lambda x: x, x)

    x = jnp.ones((4, 4))
    assert count_flops(scanned, x) == 10 * count_flops(either, x) == 10 * 2 * 4**3


def test_the_pixel_denoiser_of_the_reference():
    """6.09 GFLOP per forward pass: 64x64 frames, 4 of them as context, widths (64, 64, 64, 64),
    depths (2, 2, 2, 2).
    """
    model = Denoiser(DenoiserConfig((2, 2, 2, 2), (64, 64, 64, 64)), num_actions=4)
    inputs = (
        jnp.zeros((64, 64, 3)),
        jnp.zeros(()),
        jnp.zeros((4, 64, 64, 3)),
        jnp.zeros(4, jnp.int32),
    )
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), *inputs))
    np.testing.assert_allclose(count_flops(model.apply, params, *inputs) / 1e9, 6.09, atol=0.02)


def test_peaks_are_found_by_a_part_of_the_name():
    assert peak_flops("NVIDIA H100 80GB HBM3", "bfloat16") == 989e12
    assert peak_flops("NVIDIA A100-SXM4-40GB", "float32") == 156e12
    assert peak_flops("TPU v4", "bfloat16") == 275e12 and peak_flops("TPU v4", "float32") is None
    assert peak_flops("cpu", "float32") is None
