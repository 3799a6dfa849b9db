"""Small additions to quantization: beam search, top k, sampling, frozen codes, dropout
of levels, levels as indices, refusals of what comes in.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.codebooks.updates import Restart, make_codebook
from quant.errors import QuantError
from quant.quantizers import fsq, rvq, stack, vq
from quant.quantizers.beam import encode_beam
from quant.quantizers.dropout import DepthDropout
from tests.quant.table import MORE, floats, made

X = jax.random.normal(jax.random.key(1), (40, 6))


@pytest.mark.parametrize("name", MORE)
def test_evaluation_is_decoded_from_its_indices_and_training_is_finite(name):
    module, config, params, state = made(name)
    mask = np.arange(40) % 3 > 0

    def both(params, state, x):
        trained = module.quantize(params, state, x, config, key=jax.random.key(3), mask=mask)
        out, _ = module.quantize(params, state, x, config, train=False)
        return trained, out, module.decode(params, state, out.indices, config)

    trained, out, decoded = jax.jit(both)(params, state, X)
    np.testing.assert_array_equal(decoded, out.quantized)
    assert (trained[0].indices[~mask] == -1).all()
    assert all(jnp.isfinite(a).all() for a in floats(trained))


def test_a_beam_leaves_no_more_than_the_greedy_path_and_of_width_one_is_it():
    module, config, params, state = made("residual")

    def left(index):
        return np.square(X - module.decode(params, state, index, config)).sum(-1)

    greedy = module.encode(params, state, X, config)
    search = jax.jit(encode_beam, static_argnums=(3, 4))
    np.testing.assert_array_equal(search(params, state, X, config, 1), greedy)
    wide = left(search(params, state, X, config, 7))
    assert (wide <= left(greedy) + 1e-5).all() and wide.mean() < 0.95 * left(greedy).mean()
    with pytest.raises(QuantError, match="beam is 8: there are 7 codes"):
        encode_beam(params, state, X, config, 8)


@pytest.mark.parametrize("name", ["vq", "vq cosine rotation", "vq dot"])
def test_top_k_are_the_nearest_in_order(name):
    _, config, params, state = made(name)
    found = jax.jit(vq.encode_top_k, static_argnums=(3, 4))(params, state, X, config, 3)
    x, codes = np.float64(X), np.float64(vq.effective_codes(params, state, config)[0])
    score = -x @ codes.T
    if config.metric == "l2":
        score = ((x[:, None] - codes[None]) ** 2).sum(-1)
    np.testing.assert_array_equal(found, score.argsort(1)[:, :3])


def test_frozen_codes_do_not_move_and_sampling_prefers_near_ones():
    module, config, params, state = made("vq sampled frozen")
    out, after = module.quantize(params, state, X, config, key=jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, after, state)
    nearest = module.encode(params, state, X, config)
    same = (out.indices == nearest).mean()
    assert 1 / 7 < same < 1
    cold = dataclasses.replace(config, sampling=1e-6)
    sure, _ = module.quantize(params, state, X, cold, key=jax.random.key(0))
    np.testing.assert_array_equal(sure.indices, nearest)


def test_dropout_keeps_first_levels_in_multiples():
    rule = DepthDropout(share=0.5, cutoff=2, multiple=2)
    config = stack.StackConfig((fsq.FSQConfig((3,) * 6),) * 5, dropout=rule)
    params, state = stack.init(jax.random.key(0), config)
    x = jnp.tile(X, (10, 1))
    out, _ = stack.quantize(params, state, x, config, key=jax.random.key(1))
    kept = np.asarray(out.indices) >= 0
    depth = kept.sum(1)
    assert (np.diff(kept.astype(int), axis=1) <= 0).all() and set(depth) == {2, 4, 5}
    assert (depth < 5).mean() == pytest.approx(0.5 * 3 / 4, abs=0.1)


def test_more_codes_than_an_index_holds():
    config = fsq.FSQConfig((4,) * 16, flat=False)
    x = 3 * jax.random.normal(jax.random.key(0), (5, 16))
    out, _ = fsq.quantize({}, {}, x, config)
    assert out.indices.shape == (5, 16) and set(np.unique(out.indices)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(fsq.decode({}, {}, out.indices, config), out.quantized)
    with pytest.raises(QuantError, match="flat=False"):
        fsq.FSQConfig((4,) * 16)


def test_the_gradient_passes_residual_levels_once():
    module, config, params, state = made("residual fsq")
    plain = dataclasses.replace(config, soft_clamp=None)

    def total(x):
        return module.quantize(params, state, x, plain)[0].quantized.sum()

    np.testing.assert_allclose(jax.grad(total)(0.1 * X), 1, rtol=1e-5)


def test_the_automatic_restart_waits_until_a_code_had_its_chance():
    """64 codes and 8 rows a step: an average code got thirty rows after 240 steps."""
    book = make_codebook(jnp.zeros((64, 2)))
    book = book.replace(idle=jnp.arange(64) + 200)
    np.testing.assert_array_equal(Restart().dead(book, jnp.float32(8)), book.idle >= 240)
    book = book.replace(idle=jnp.arange(64))
    np.testing.assert_array_equal(Restart().dead(book, jnp.float32(6400)), book.idle >= 20)
    assert Restart(threshold=2.0).kind == "count" and Restart(patience=3).kind == "idle"


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (jnp.ones((3, 6), jnp.int32), "x has dtype int32"),
        (jnp.ones((0, 6)), "there is no row to quantize"),
        (jnp.ones((3, 5)), "must have the quantizer's 6 features"),
    ],
)
@pytest.mark.parametrize("name", ["vq", "fsq", "gm-vq", "residual lfq", "grouped residual"])
def test_inputs_that_no_quantizer_takes_are_refused(name, x, sentence):
    module, config, params, state = made(name)
    with pytest.raises(QuantError, match=sentence):
        module.quantize(params, state, x, config, key=jax.random.key(0))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Restart(kind="cuont"), "kind is 'cuont': choose among 'count', 'idle'"),
        (lambda: Restart(kind="idle", threshold=1.0), "threshold goes with kind='count'"),
        (lambda: Restart(patience=0), "patience is 0"),
        (lambda: vq.VQConfig(4, 2, sampling=-1.0), "sampling is -1.0"),
        (lambda: stack.StackConfig(()), "levels is empty"),
        (lambda: stack.StackConfig((vq.VQConfig(4, 2), vq.VQConfig(4, 3))), "must agree"),
        (lambda: stack.StackConfig((vq.VQConfig(4, 4, heads=2),)), "one index per row"),
        (lambda: DepthDropout(share=2.0), "share is 2.0"),
        (lambda: rvq.ResidualConfig(vq.VQConfig(4, 2), 0), "levels is 0"),
    ],
)
def test_configurations_that_cannot_work_are_refused(make, sentence):
    with pytest.raises(QuantError, match=sentence):
        make()


def test_float64_of_numpy_and_lists_are_taken_as_float32():
    """Warnings are errors here: asking JAX for float64 is one."""
    config = fsq.FSQConfig((3, 4))
    x = np.array([[0.1, 0.2], [0.3, -0.5]])
    for given in (x, x.tolist()):
        out, _ = fsq.quantize({}, {}, given, config)
        assert out.quantized.dtype == jnp.float32
        np.testing.assert_array_equal(
            out.indices, fsq.quantize({}, {}, jnp.asarray(x), config)[0].indices
        )
