"""Convolution: values and every kind of derivative against XLA's own, in and out of scan; pooling
and folding by loops.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxrl.nn.conv import Conv, conv2d, max_pool2, space_to_depth

# kernel size, stride, height, width
SHAPES = [
    (3, 1, 6, 5),
    (3, 2, 6, 5),
    (3, 2, 7, 8),
    (1, 1, 4, 3),
    (1, 2, 5, 4),
    (5, 3, 8, 7),
    (3, 1, 1, 1),
]
shapes = pytest.mark.parametrize("size, stride, height, width", SHAPES)


def arrays(size, height, width, leading=(2,), channels=3, features=4):
    rng = np.random.default_rng(size + height)
    x = rng.normal(size=(*leading, height, width, channels))
    kernel = rng.normal(size=(size, size, channels, features))
    return jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32)


def xla(x, kernel, stride):
    pad = kernel.shape[0] // 2
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def slow_conv(x, kernel, stride):
    """Sums written out for one map."""
    size, pad = kernel.shape[0], kernel.shape[0] // 2
    padded = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    rows, columns = (x.shape[0] - 1) // stride + 1, (x.shape[1] - 1) // stride + 1
    y = np.zeros((rows, columns, kernel.shape[-1]))
    for i, j in np.ndindex(rows, columns):
        window = padded[i * stride : i * stride + size, j * stride : j * stride + size]
        y[i, j] = np.einsum("abc,abcd->d", window, kernel)
    return y


def close(actual, expected):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), actual, expected
    )


@shapes
def test_values_equal_sums_written_out(size, stride, height, width):
    x, kernel = arrays(size, height, width)
    y = conv2d(x, kernel, stride)
    assert y.shape == (2, -(-height // stride), -(-width // stride), 4)
    close(y[1], slow_conv(np.asarray(x[1]), np.asarray(kernel), stride))


def weighted(convolve, stride, weight):
    """A scalar that is not linear in the convolution, so that its second derivatives are
    not zero.
    """
    return lambda x, kernel: (jnp.sin(convolve(x, kernel, stride)) * weight).sum()


@shapes
@pytest.mark.parametrize("inside_scan", [False, True])
def test_gradients_equal_those_of_xla(size, stride, height, width, inside_scan):
    x, kernel = arrays(size, height, width)
    weight = jnp.asarray(
        np.random.default_rng(1).normal(size=xla(x, kernel, stride).shape), jnp.float32
    )

    def gradients(convolve):
        grad = jax.grad(weighted(convolve, stride, weight), argnums=(0, 1))
        if not inside_scan:
            return jax.jit(grad)(x, kernel)

        def step(carry, _):
            by_x, by_kernel = grad(*carry)
            return (carry[0] - 0.1 * by_x, carry[1] - 0.1 * by_kernel), None

        return jax.jit(lambda: lax.scan(step, (x, kernel), length=2)[0])()

    close(gradients(conv2d), gradients(xla))


@pytest.mark.parametrize("size, stride, height, width", [(3, 2, 7, 6), (1, 1, 3, 3), (3, 1, 5, 4)])
def test_forward_mode_equals_xla(size, stride, height, width):
    x, kernel = arrays(size, height, width)
    dx, dkernel = arrays(size, height, width)
    tangents = (dx[::-1], dkernel * 0.5)
    for argnums in ((0, 1), (0,), (1,)):
        moved = tuple(t if i in argnums else jnp.zeros_like(t) for i, t in enumerate(tangents))
        ours = jax.jvp(lambda x, k: conv2d(x, k, stride), (x, kernel), moved)
        close(ours, jax.jvp(lambda x, k: xla(x, k, stride), (x, kernel), moved))


def test_second_derivatives_equal_those_of_xla():
    """Hessian times vector, forward over reverse and reverse over reverse."""
    x, kernel = arrays(3, 5, 4)
    weight = jnp.ones((2, 3, 2, 4))

    def forward_over_reverse(convolve):
        grad = jax.grad(weighted(convolve, 2, weight), argnums=(0, 1))
        return jax.jvp(grad, (x, kernel), (jnp.cos(x), jnp.cos(kernel)))[1]

    def reverse_over_reverse(convolve):
        grad = jax.grad(weighted(convolve, 2, weight), argnums=(0, 1))

        def norm(x, k):
            return sum(jnp.square(g).sum() for g in grad(x, k))

        return jax.grad(norm, argnums=(0, 1))(x, kernel)

    for derivative in (forward_over_reverse, reverse_over_reverse):
        close(
            jax.jit(derivative, static_argnums=0)(conv2d),
            jax.jit(derivative, static_argnums=0)(xla),
        )


@pytest.mark.parametrize("leading", [(), (5,), (2, 3), (2, 1, 3)])
def test_leading_axes_are_a_batch(leading):
    x, kernel = arrays(3, 4, 5, leading)
    y = conv2d(x, kernel, 2)
    flat = xla(x.reshape(-1, 4, 5, 3), kernel, 2)
    close(y, flat.reshape(*leading, *flat.shape[1:]))


def test_vmap_over_maps_and_over_kernels():
    x, kernel = arrays(3, 4, 5, (3, 2))
    close(jax.vmap(conv2d, (0, None))(x, kernel), conv2d(x, kernel))
    kernels = jnp.stack([kernel, 2 * kernel, -kernel])
    grad = jax.vmap(jax.grad(lambda x, k: jnp.sin(conv2d(x, k)).sum(), argnums=(0, 1)))(x, kernels)
    for i in range(3):
        alone = jax.grad(lambda x, k: jnp.sin(xla(x, k, 1)).sum(), argnums=(0, 1))(x[i], kernels[i])
        close((grad[0][i], grad[1][i]), alone)


def test_low_precision_stays_low():
    x, kernel = arrays(3, 4, 4)
    half = conv2d(x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), xla(x, kernel, 1), atol=0.2)


def test_the_module_adds_a_bias_and_starts_within_pytorchs_bounds(key):
    x, _ = arrays(3, 6, 6)
    module = Conv(500, stride=2)
    y, variables = module.init_with_output(key, x)
    params = variables["params"]
    close(y, xla(x, params["kernel"], 2) + params["bias"].reshape(1, 1, 1, -1))
    bound = 1 / np.sqrt(3 * 3 * 3)
    for leaf in (params["kernel"], params["bias"]):
        assert np.abs(leaf).max() <= bound
        np.testing.assert_allclose(leaf.std(), bound / np.sqrt(3), rtol=0.1)


@pytest.mark.parametrize("height, width", [(4, 6), (5, 3)])
def test_pooling_takes_the_maximum_of_squares_and_drops_odd_edges(height, width):
    x, _ = arrays(3, height, width, (2, 1))
    y = max_pool2(x)
    assert y.shape == (2, 1, height // 2, width // 2, 3)
    for i, j in np.ndindex(height // 2, width // 2):
        np.testing.assert_array_equal(
            y[:, :, i, j], x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max((2, 3))
        )


def test_space_to_depth_folds_squares_row_by_row():
    x, _ = arrays(3, 4, 6)
    y = space_to_depth(x, 2)
    assert y.shape == (2, 2, 3, 12)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_array_equal(
            y[:, i, j], x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].reshape(2, 12)
        )
