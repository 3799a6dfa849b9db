"""Inputs that a fresh user brought: far rows, numbers of other types, files that are none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxrl.app.errors import UserError
from quant import (
    FSQConfig,
    QuantError,
    Restart,
    VQConfig,
    fsq,
    latent,
    random_projection,
    stack,
    vq,
)
from quant import estimators as q
from quant.codebooks.regularizers import similarity
from quant.codebooks.rows import from_books, to_books
from quant.codebooks.soft_assignment import warmth
from quant.data.data_by_name import load
from quant.quantizers.dropout import DepthDropout
from quant.quantizers.gmvq import GMVQConfig
from quant.quantizers.lfq import LFQConfig
from quant.quantizers.nnx_module import Quantizer
from quant.quantizers.random_projection import RandomProjectionConfig
from quant.quantizers.rvq import ResidualConfig
from quant.quantizers.stack import StackConfig

X = jax.random.normal(jax.random.key(0), (6, 4))
CODES = jax.random.normal(jax.random.key(1), (16, 4))


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e4])
def test_similarities_do_not_depend_on_a_common_offset(offset):
    x, codes = np.float64(X + offset), np.float64(CODES + offset)
    distance = np.linalg.norm(x[:, None] - codes[None], axis=-1)
    found = similarity(X + offset, CODES + offset, "l2")
    np.testing.assert_allclose(found, -distance, atol=1e-5)


@pytest.mark.parametrize("tau", [np.float32(-1), jnp.float32(0), np.array(0.0), float("nan"), "1"])
def test_temperatures_of_any_type_are_checked(tau):
    with pytest.raises(ValueError, match="tau_f must be"):
        q.st_gs(jax.random.key(0), X, tau)
    with pytest.raises(ValueError, match="temperature must be"):
        warmth(tau, GMVQConfig(4, 4))
    assert jnp.isfinite(jax.jit(lambda t: q.st_gs(jax.random.key(0), X, t).value)(0.5)).all()


def test_gaps_are_numbers_or_p():
    for gap in ("q", 0.0, np.float32(-1)):
        with pytest.raises(ValueError, match="gap must be"):
            q.gst(jax.random.key(0), X, gap=gap)


def test_times_of_any_type_are_checked():
    with pytest.raises(ValueError, match="time must be at most 1"):
        q.redge(jax.random.key(0), X, np.float32(2))


def test_gradients_of_half_precision_logits_are_cut_where_they_would_be_infinite():
    def loss(logits):
        value = q.decoupled_st_gs(jax.random.key(0), logits, tau_b=1e-3).value
        return (value.astype(jnp.float32) * jnp.array([[1.0, -3e4, 3e4, 3.0]])).sum()

    logits = jnp.array([[0.0, 1e-3, 2e-3, 1e-3]], jnp.float16)
    assert jnp.isinf(jax.grad(loss)(logits.astype(jnp.float32)).astype(jnp.float16)).any()
    grads = jax.grad(loss)(logits)
    assert jnp.isfinite(grads).all() and jnp.abs(grads).max() > 6e4


@pytest.mark.parametrize(
    "estimator",
    [
        *(q.bernoulli_ste_identity, q.bernoulli_ste_sigmoid, q.bernoulli_reinmax),
        *(q.bernoulli_decoupled_st_gs, q.as_bernoulli(q.reinmax), q.as_bernoulli(q.st_gs)),
    ],
)
def test_certain_units_are_certain_and_get_no_gradient(estimator):
    logits = jnp.array([jnp.inf, -jnp.inf, 0.3])
    bits = estimator(jax.random.key(0), logits)
    np.testing.assert_array_equal(bits.value[:2], [1, 0])
    np.testing.assert_array_equal(bits.probs[:2], [1, 0])
    grads = jax.grad(lambda a: estimator(jax.random.key(0), a).value.sum())(logits)
    np.testing.assert_array_equal(grads[:2], [0, 0])
    assert jnp.isfinite(grads[2]) and grads[2] != 0


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_indices_of_64_bits_do_not_wrap(dtype):
    config = VQConfig(8, 4)
    params, state = vq.init(jax.random.key(0), config)
    found = vq.decode(params, state, np.array([2**32 + 3, 3], dtype), config)
    assert jnp.isnan(found[0]).all() and jnp.isfinite(found[1]).all()
    assert vq.decode(params, state, np.zeros((0,), np.int32), config).shape == (0, 4)
    with pytest.raises(QuantError, match="indices are no array"):
        vq.decode(params, state, [[1], [1, 2]], config)


def test_books_without_rows():
    for heads, books in ((1, 1), (2, 1), (2, 2)):
        parts = to_books(jnp.zeros((0, 4)), heads, books)
        assert from_books(parts, heads).shape == (0, 4)


def test_indices_of_the_wrong_width_are_refused():
    config = FSQConfig((4,) * 16, flat=False)
    for shape in ((5, 1), ()):
        with pytest.raises(QuantError, match="last axis must be 16 features"):
            fsq.decode({}, {}, jnp.zeros(shape, jnp.int32), config)
    heads = RandomProjectionConfig(8, 4, 5, heads=2)
    params, state = random_projection.init(jax.random.key(0), heads)
    for shape in ((4, 6), (4,)):
        with pytest.raises(QuantError, match="last axis must be the 2 heads"):
            random_projection.decode(params, state, jnp.zeros(shape, jnp.int32), heads)


def test_numbers_of_levels_may_be_of_any_type():
    assert FSQConfig(tuple(np.array([8, 8, 8], np.int8))).num_codes == 512


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ResidualConfig(VQConfig(8, 4), 2, dropout=DepthDropout()), "StackConfig takes a"),
        (lambda: StackConfig((VQConfig(8, 4),) * 2, dropout=True), "give a DepthDropout"),
        (lambda: Restart(threshold=float("nan")), "threshold is nan"),
        (lambda: Restart(threshold=-1.0), "threshold is -1.0"),
        (lambda: Restart(patience=1.5), "patience is 1.5"),
        (lambda: Restart(patience="3"), "patience is '3'"),
        (lambda: GMVQConfig(8, 4, largest_noise=0.0), "largest_noise is 0.0"),
        (lambda: LFQConfig(4, inverse_temperature=float("nan")), "inverse_temperature is nan"),
        (lambda: LFQConfig(4, scale=0.0), "scale is 0.0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make, sentence):
    with pytest.raises(QuantError, match=sentence):
        make()


def test_the_table_of_the_guide_can_be_imported():
    assert latent.quantize and stack.quantize
    from quant import grouped

    assert grouped.quantize


def test_nnx_modules_decode_what_they_give():
    module = Quantizer(vq, VQConfig(8, 4), rngs=nnx.Rngs(0))
    out = module(X)
    np.testing.assert_array_equal(module.decode(out.indices), out.quantized)


def test_npz_files_that_are_none_are_refused(tmp_path):
    file = tmp_path / "a.npz"
    for content in (b"", b"PK\x03\x04 garbage", b"garbage"):
        file.write_bytes(content)
        with pytest.raises(UserError, match="cannot be read as an .npz file"):
            load(file)
    np.save(tmp_path / "b.npy", np.zeros(3))
    (tmp_path / "b.npy").rename(file)
    with pytest.raises(UserError, match="cannot be read as an .npz file"):
        load(file)
    for x in (np.array([["a"]]), np.ones((3, 2)) * 1j):
        np.savez(file, x=x)
        with pytest.raises(UserError, match="where numbers are wanted"):
            load(file)
    np.savez(file, x=np.ones((2, 3)), y=np.array([0, 2**33 + 1]))
    with pytest.raises(UserError, match="more than 32 bits hold"):
        load(file)
