"""SiLU and the logistic function by tanh, compared with JAX's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.nn.activations import sigmoid, silu

X = jnp.concatenate([jnp.linspace(-12, 12, 4001), jnp.array([-1e30, -100.0, 0.0, 100.0, 1e30])])


@pytest.mark.parametrize(("ours", "theirs"), [(sigmoid, jax.nn.sigmoid), (silu, jax.nn.silu)])
def test_values_and_gradients_are_those_of_jax(ours, theirs):
    np.testing.assert_allclose(ours(X), theirs(X), rtol=2e-6, atol=2e-6)
    slope, known = (jax.vmap(jax.grad(f))(X[:-5]) for f in (ours, theirs))
    np.testing.assert_allclose(slope, known, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_the_type_stays(dtype):
    assert silu(X.astype(dtype)).dtype == dtype


@pytest.mark.parametrize(("ours", "theirs"), [(sigmoid, jax.nn.sigmoid), (silu, jax.nn.silu)])
def test_small_values_in_bfloat16_keep_their_digits(ours, theirs):
    x = jnp.linspace(-9, 9, 721).astype(jnp.bfloat16)
    exact = theirs(x.astype(jnp.float32))
    np.testing.assert_allclose(ours(x).astype(jnp.float32), exact, rtol=2**-8, atol=1e-6)
