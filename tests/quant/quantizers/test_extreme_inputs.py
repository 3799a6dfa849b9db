"""Nothing that trains turns NaN: values and gradients of every quantizer on inputs of any size,
constant batches, dead codes, masks of all and none, narrow numbers.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant.codebooks.regularizers import diversity, orthogonality
from tests.quant.table import ALL as QUANTIZERS
from tests.quant.table import floats, made

pytestmark = pytest.mark.slow
ROWS = 5
SIZES = (0.0, 1e-30, 1e-15, 1e-4, 1.0, 300.0, 1e6, 1e15, 1e30)
MASKS = {"none": np.ones(ROWS, bool), "all": np.zeros(ROWS, bool), "some": np.arange(ROWS) < 2}
INPUTS = st.fixed_dictionaries(
    {
        "size": st.sampled_from(SIZES),
        "constant": st.booleans(),
        "one_far": st.sampled_from((0.0, 1e6, 1e30)),
        "codes": st.sampled_from((1.0, 1e-30, 1e12)),
        "mask": st.sampled_from(sorted(MASKS)),
        "seed": st.integers(0, 3),
    }
)
FEW = ("vq gradient synchronous", "lfq", "simvq", "gm-vq")
each = pytest.mark.parametrize(
    "name", [n if n in FEW else pytest.param(n, marks=pytest.mark.slow) for n in QUANTIZERS]
)
DTYPES = (jnp.float32, jnp.bfloat16, jnp.float16)


@functools.cache
def learner(name, dtype):
    """Values and gradients of a training step, compiled once for all inputs of a dtype."""
    module, config, *_ = made(name)

    def loss(params, state, x, mask):
        out, after = module.quantize(params, state, x, config, key=jax.random.key(3), mask=mask)
        # A bounded function of the output: the square of 1e30 is infinite in anybody's loss.
        return jnp.tanh(out.quantized.astype(jnp.float32)).sum() + out.loss, (out, after)

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 2), has_aux=True))


def inputs(size, constant, one_far, seed, dtype):
    """Rows `[5, 6]` within the range of the dtype; one of them may lie far away."""
    x = np.random.default_rng(seed).normal(size=(ROWS, 6)) * size
    x = np.repeat(x[:1], ROWS, 0) if constant else x
    if one_far:
        x[-1] = one_far
    largest = float(jnp.finfo(dtype).max)
    return jnp.asarray(np.clip(x, -largest, largest), dtype)


def check(name, dtype, size, constant, one_far, codes, mask, seed):
    *_, params, state = made(name)
    # Codes that are tiny or far, as after a learning rate that was too large.
    params = {n: a * codes if n == "codes" else a for n, a in params.items()}
    x = inputs(size, constant, one_far, seed, dtype)
    (value, (out, after)), grads = learner(name, dtype)(params, state, x, jnp.asarray(MASKS[mask]))
    for part, tree in (
        ("loss", value),
        ("output", out.quantized),
        ("losses", out.losses),
        ("metrics", out.metrics),
        ("state", after),
        ("gradient", grads),
    ):
        assert all(np.isfinite(np.asarray(a, np.float32)).all() for a in floats(tree)), part


@each
@settings(max_examples=25, deadline=None)
@given(given_=INPUTS)
def test_values_and_gradients_are_finite(name, given_):
    check(name, jnp.float32, **given_)


@pytest.mark.parametrize("dtype", DTYPES[1:], ids=("bfloat16", "float16"))
@each
def test_narrow_numbers_are_finite(name, dtype):
    for size, constant in ((0.0, True), (1e-5, False), (1.0, False), (300.0, False), (6e4, True)):
        for mask in MASKS:
            check(name, dtype, size, constant, 0.0, 1.0, mask, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUANTIZERS)
def test_the_whole_grid_is_finite(name):
    for size in SIZES:
        for constant in (False, True):
            for far in (0.0, 1e6, 1e30):
                for codes in (1.0, 1e-30, 1e12):
                    for mask in MASKS:
                        check(name, jnp.float32, size, constant, far, codes, mask, 0)


@settings(max_examples=30, deadline=None)
@given(given_=INPUTS, metric=st.sampled_from(("l2", "cosine", "dot")))
def test_regularizers_are_finite(given_, metric):
    x = inputs(given_["size"], given_["constant"], given_["one_far"], given_["seed"], jnp.float32)
    codes = inputs(given_["codes"], given_["constant"], given_["one_far"], 1, jnp.float32)
    found = _regularizers(metric)(x, codes, jnp.asarray(MASKS[given_["mask"]]))
    assert all(jnp.isfinite(a).all() for a in jax.tree.leaves(found))


@functools.cache
def _regularizers(metric):
    def spread(x, codes, usable):
        return diversity(x, codes, usable, metric, 0.1)

    def both(x, codes, usable):
        first = jax.value_and_grad(spread, argnums=(0, 1))(x, codes, usable)
        return first, jax.value_and_grad(orthogonality)(codes)

    return jax.jit(both)
