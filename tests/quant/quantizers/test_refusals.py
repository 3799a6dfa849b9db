"""What no quantizer can work with is refused in one sentence, by all of them; what codebook
functions refuse.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.codebooks.init import initial_codes, kmeans
from quant.codebooks.nearest import nearest, nearest_k
from quant.codebooks.rows import flatten
from quant.errors import QuantError
from quant.quantizers import fsq, grouped, latent, lfq, rvq, simvq, stack, vq
from quant.quantizers.dispatch import functions_of
from tests.quant.table import ALL as QUANTIZERS
from tests.quant.table import made

KEY = jax.random.key(0)
each = pytest.mark.parametrize("name", QUANTIZERS)
X = jnp.ones((4, 6))
LEVELLED = [
    rvq.ResidualConfig(vq.VQConfig(7, 6), 2),
    stack.StackConfig((simvq.SimVQConfig(7, 6),) * 2),
]
INPUTS = {
    "whole numbers": (jnp.ones((4, 6), int), "x has dtype int32"),
    "truth values": (jnp.ones((4, 6), bool), "x has dtype bool"),
    "no rows": (jnp.ones((0, 6)), "there is no row"),
    "another width": (jnp.ones((4, 7)), "its last axis must have the quantizer's 6 features"),
    "no axes": (jnp.float32(1), "its last axis"),
    "nothing": (None, "x is no array"),
    "text": ("rows", "x is no array"),
}


def refused(sentence, call):
    with pytest.raises(QuantError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)


@each
def test_inputs_and_samples(name):
    module, config, params, state = made(name)
    for what, (x, sentence) in INPUTS.items():
        refused(sentence, lambda x=x: module.quantize(params, state, x, config, key=KEY))
        refused(sentence, lambda x=x: module.encode(params, state, x, config))
        if what != "nothing":
            of_sample = sentence.replace("x ", "the sample ", 1) if sentence[0] == "x" else sentence
            refused(of_sample, lambda x=x: module.init(KEY, config, x))


@each
def test_masks_and_indices(name):
    module, config, params, state = made(name)
    for mask, sentence in (
        (jnp.ones(3, bool), "must have shape"),
        (jnp.ones(4) / 2, "mask has dtype float32"),
    ):
        refused(sentence, lambda m=mask: module.quantize(params, state, X, config, key=KEY, mask=m))
    refused(
        "indices have dtype float32",
        lambda: module.decode(params, state, jnp.zeros((4, 6)), config),
    )


@each
def test_missing_parts_and_unknown_words(name):
    module, config, params, state = made(name)
    index = module.encode(params, state, X, config)
    if params:
        refused("params.* is missing", lambda: module.quantize({}, state, X, config, key=KEY))
        refused("params.* is missing", lambda: module.decode({}, state, index, config))
    if jax.tree.leaves(state):
        refused("state.* is missing", lambda: module.quantize(params, {}, X, config, key=KEY))
    with pytest.raises(TypeError, match="'warmth': this quantizer takes key, train, mask"):
        module.quantize(params, state, X, config, key=KEY, warmth=1.0)


@pytest.mark.parametrize("codes", [256, 65536])
def test_indices_may_be_of_the_narrowest_type_that_holds_them(codes):
    config = vq.VQConfig(codes, 2)
    params, state = vq.init(KEY, config)
    last, narrow = jnp.array([0, codes - 1]), {256: jnp.uint8, 65536: jnp.uint16}[codes]
    np.testing.assert_array_equal(
        vq.decode(params, state, last.astype(narrow), config),
        vq.decode(params, state, last, config),
    )
    signed = {256: jnp.int8, 65536: jnp.int16}[codes]  # too narrow: the last one becomes -1
    wrong = vq.decode(params, state, last.astype(signed), config)
    assert jnp.isfinite(wrong[0]).all() and jnp.isnan(wrong[1]).all()


@pytest.mark.parametrize("config", LEVELLED)
def test_only_minus_one_says_that_a_level_is_absent(config):
    module = functions_of(config)
    params, state = module.init(KEY, config)
    decoded = module.decode(params, state, jnp.array([[3, -1], [3, 3], [3, -2], [3, 7]]), config)
    assert jnp.isfinite(decoded[:2]).all() and jnp.isnan(decoded[2:]).all()
    for levels in (0, 3):
        refused(
            "must be that of the levels, of which there are 2",
            lambda n=levels: module.decode(params, state, jnp.zeros((4, n), int), config),
        )


def test_parts_of_another_configuration():
    config = vq.VQConfig(7, 6)
    params, state = vq.init(KEY, config)
    more = vq.VQConfig(8, 6)
    refused(r"has shape \(1, 7", lambda: vq.quantize(params, state, X, more, key=KEY))
    residual = rvq.ResidualConfig(config, 2)
    refused(
        "ResidualConfig belongs to quant.quantizers.rvq",
        lambda: vq.quantize(params, state, X, residual, key=KEY),
    )
    two = rvq.init(KEY, residual)
    refused(r"has shape \(2,", lambda: rvq.quantize(*two, X, rvq.ResidualConfig(config, 3)))


def test_a_failure_of_ones_own_stays_what_it_is(monkeypatch):
    config = simvq.SimVQConfig(7, 6)
    params, state = simvq.init(KEY, config)

    def broken(*_):
        raise KeyError("mine")

    monkeypatch.setattr(simvq, "wrap_rows", broken)
    with pytest.raises(KeyError, match="mine"):
        simvq.quantize(params, state, X, config)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: vq.VQConfig(4.5, 6), "num_codes is 4.5"),
        (lambda: vq.VQConfig("4", 6), "num_codes is '4'"),
        (lambda: vq.VQConfig(4, 6, code_dim=1.5), "code_dim is 1.5"),
        (lambda: vq.VQConfig(4, 6, restart=True), "restart is True"),
        (lambda: vq.VQConfig(4, 6, smoothing=-1.0), "smoothing is -1"),
        (lambda: vq.Restart(kind="cuont"), "kind is 'cuont'"),
        (lambda: fsq.FSQConfig((2.5, 3)), "levels is 2.5"),
        (lambda: lfq.LFQConfig(1.5), "dim is 1.5"),
        (lambda: latent.LatentConfig(3), "levels is 3"),
        (lambda: rvq.ResidualConfig("vq", 2), "level is 'vq'"),
        (lambda: rvq.ResidualConfig(vq.VQConfig(4, 6), 2.0), "levels is 2.0"),
        (lambda: stack.StackConfig(fsq.FSQConfig((3, 3))), "levels is FSQConfig"),
        (lambda: stack.StackConfig(("fsq",)), "str is no quantizer's configuration"),
        (lambda: grouped.GroupedConfig(("fsq",)), "str is no quantizer's configuration"),
        (lambda: nearest(X, X[:, :5]), "rows have 6 features"),
        (lambda: nearest(X, X[:0]), "at least one code"),
        (lambda: nearest(X, X, way="scan", tile=0), "tile is 0"),
        (lambda: nearest_k(X, X[:, :5], 1), "rows have 6 features"),
        (lambda: nearest_k(X[0], X, 1), r"wants \[N, D\]"),
        (lambda: nearest_k(X, X, 1, "l3"), "metric is 'l3'"),
        (lambda: nearest_k(X, X, 1.5), "k is 1.5"),
        (lambda: kmeans(KEY, X, 2, iterations=-1), "iterations is -1"),
        (lambda: kmeans(KEY, X[:0], 2), "no rows"),
        (lambda: initial_codes(KEY, "data", 2, 6, jnp.float32(1)), "the sample has shape"),
        (lambda: flatten(X, jnp.ones(4)), "mask has dtype float32"),
    ],
)
def test_configurations_and_codebook_functions(make, sentence):
    refused(sentence, make)
