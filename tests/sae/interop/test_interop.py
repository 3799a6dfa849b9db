"""Other libraries' layouts: read what they wrote, write what they read, refuse what
cannot be said.
"""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from sae.interop import dictionary_learning, export, others, saelens, sparsify
from sae.interop.export import ExportConfig
from sae.interop.safetensors import read_safetensors, write_safetensors
from sae.transcoders import model
from sae.transcoders.model import TranscoderConfig
from tests.golden import Golden, relative_error

SAVED, CODED = Golden("transcoders/saelens_transcoders"), Golden("transcoders/sparsify")
TRAINED, DICTIONARY = (
    Golden("transcoders/saelens_training"),
    Golden("transcoders/dictionary_learning"),
)
KEYS = (
    "architecture",
    "d_in",
    "d_out",
    "d_sae",
    "apply_b_dec_to_input",
    "dtype",
    "device",
    "normalize_activations",
    "reshape_activations",
)


@pytest.mark.parametrize("case", SAVED.config["cases"], ids=lambda case: case["name"])
def test_saelens_transcoders_are_read_and_written_as_they_were(case, tmp_path):
    name, arrays = case["name"], SAVED.params(f"{case['name']}/")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "cfg.json").write_text(case["cfg_json"])
    write_safetensors(tmp_path / "in" / case["weights_file"], arrays)
    params, config = saelens.read(tmp_path / "in")
    found = model.reconstruct(params, jnp.asarray(SAVED[f"in/{name}/x"]), config)
    assert relative_error(found, SAVED[f"out/{name}/forward"]) < 1e-5
    saelens.write(params, config, tmp_path / "out")
    again = read_safetensors(tmp_path / "out" / "sae_weights.safetensors")
    assert set(again) == set(arrays)
    for key, array in arrays.items():
        np.testing.assert_array_equal(again[key], array)
    written, original = (
        json.loads((tmp_path / "out" / "cfg.json").read_text()),
        json.loads(case["cfg_json"]),
    )
    assert {key: written[key] for key in KEYS} == {key: original[key] for key in KEYS}


@pytest.mark.parametrize("case", TRAINED.config["cases"], ids=lambda case: case["name"])
def test_saelens_autoencoders_are_read(case):
    name, named = case["name"], json.loads(case["inference_cfg_json"])
    arrays = {
        key: np.asarray(a, np.float32) for key, a in TRAINED.under(f"out/{name}/inference/").items()
    }
    params, config = saelens.from_tensors(arrays, named)
    x = jnp.asarray(TRAINED[f"in/{name}/x"][0])
    z = model.encode(params, x, config)
    lengths = model.row_norms(params)[None] if config.rescale else 1
    assert relative_error(z * lengths, TRAINED[f"out/{name}/inference_acts"]) < 1e-5
    assert relative_error(model.decode(params, z), TRAINED[f"out/{name}/inference_out"]) < 1e-5


@pytest.mark.parametrize("case", CODED.config["cases"], ids=lambda case: case["name"])
def test_sparsify_is_read_and_written(case, tmp_path):
    name, arrays = case["name"], CODED.params(f"{case['name']}/")
    params, config = sparsify.from_tensors(arrays, json.loads(case["cfg_json"]))
    if name != "transcoder_multitopk":
        found = model.reconstruct(params, jnp.asarray(CODED[f"in/{name}/x"]), config)
        assert relative_error(found, CODED[f"out/{name}/sae_out"]) < 1e-5
    sparsify.write(params, config, tmp_path)
    for key, array in read_safetensors(tmp_path / "sae.safetensors").items():
        np.testing.assert_array_equal(array, arrays[key])
    written, original = (
        json.loads((tmp_path / "cfg.json").read_text()),
        json.loads(case["cfg_json"]),
    )
    assert {**written, "multi_topk": original["multi_topk"]} == original
    again = sparsify.read(tmp_path)[0]
    jax.tree.map(np.testing.assert_array_equal, again, params)


def test_a_narrow_transcoder_is_padded_for_sparsify():
    config = TranscoderConfig(5, 3, 8, "topk", 2, skip=True)
    params = model.init(jax.random.key(0), config) | {
        "W_skip": jax.random.normal(jax.random.key(1), (5, 3))
    }
    wide, square = sparsify.from_tensors(*sparsify.tensors(params, config))
    x = jax.random.normal(jax.random.key(2), (6, 5))
    found = model.reconstruct(wide, x, square)
    np.testing.assert_allclose(found[:, :3], model.reconstruct(params, x, config), atol=1e-6)
    assert (found[:, 3:] == 0).all()


@pytest.mark.parametrize("name", ["topk", "batchtopk"])
def test_dictionary_learning_is_read_and_written(name, tmp_path):
    arrays = DICTIONARY.params(f"{name}/") | {"k": np.array(8), "threshold": np.float32(0.3)}
    named = {
        "trainer": {"dict_class": {"topk": "AutoEncoderTopK", "batchtopk": "BatchTopKSAE"}[name]}
    }
    params, config = dictionary_learning.from_tensors(arrays, named)
    x = jnp.asarray(DICTIONARY[f"in/{name}/x"][0])
    if name == "topk":
        assert relative_error(model.encode(params, x, config), DICTIONARY["out/topk/0/f"]) < 1e-5
        assert (
            relative_error(model.reconstruct(params, x, config), DICTIONARY["out/topk/0/x_hat"])
            < 1e-5
        )
    else:
        pre = np.maximum(
            (np.asarray(x) - arrays["b_dec"]) @ arrays["encoder.weight"].T + arrays["encoder.bias"],
            0,
        )
        np.testing.assert_allclose(model.encode(params, x, config), pre * (pre > 0.3), atol=1e-5)
    dictionary_learning.write(params, config, tmp_path)
    again, same = dictionary_learning.read(tmp_path)
    assert same == config
    jax.tree.map(np.testing.assert_array_equal, again, params)


def test_jumprelu_of_dictionary_learning_does_not_subtract_the_bias(tmp_path):
    """Its encoder, in NumPy: relu(pre * [pre > threshold]) of pre = x W_enc + b_enc."""
    config = TranscoderConfig(5, 5, 9, "jumprelu", 9, centered=True)

    def draw(key, a):
        return jax.random.normal(jax.random.key(key), a.shape)

    params = model.init(jax.random.key(0), config)
    params |= {
        "b_enc": draw(1, params["b_enc"]),
        "b_dec": draw(2, params["b_dec"]),
        "threshold": jnp.full(9, 0.3),
    }
    x = np.asarray(jax.random.normal(jax.random.key(3), (20, 5)))
    dictionary_learning.write(params, config, tmp_path)
    held = dict(np.load(tmp_path / "ae.npz"))
    pre = x @ held["W_enc"] + held["b_enc"]
    theirs = np.maximum(pre * (pre > held["threshold"]), 0) @ held["W_dec"] + held["b_dec"]
    np.testing.assert_allclose(theirs, model.reconstruct(params, jnp.asarray(x), config), atol=1e-5)
    np.testing.assert_allclose(
        theirs, model.reconstruct(*_with(dictionary_learning.read(tmp_path), x)), atol=1e-5
    )


def _with(read, x):
    return read[0], jnp.asarray(x), read[1]


def test_members_of_a_grid_are_written_with_their_own_k(tmp_path):
    config = TranscoderConfig(6, 6, 12, "topk", 5, centered=True)
    params = jax.vmap(lambda key: model.init(key, config))(jax.random.split(jax.random.key(0), 2))
    params["k"] = jnp.array([2.0, 3.0])
    rows = np.ones((4, 6), np.float32)
    export.export_run(params, config, rows, tmp_path, ExportConfig("sparsify"))
    assert [
        json.loads((tmp_path / f"member00{m}" / "cfg.json").read_text())["k"] for m in (0, 1)
    ] == [2, 3]


def test_openai_and_gemma_scope_are_read():
    generator = np.random.default_rng(0)

    def draw(*shape):
        return generator.standard_normal(shape).astype(np.float32)

    held = {
        "pre_bias": draw(4),
        "encoder.weight": draw(9, 4),
        "latent_bias": draw(9),
        "decoder.weight": draw(4, 9),
    }
    x = draw(6, 4)
    params, config = others.from_openai(held, 3)
    pre = (x - held["pre_bias"]) @ held["encoder.weight"].T + held["latent_bias"]
    kept = np.where(pre >= np.sort(pre, 1)[:, [-3]], np.maximum(pre, 0), 0)
    expected = kept @ held["decoder.weight"].T + held["pre_bias"]
    np.testing.assert_allclose(
        model.reconstruct(params, jnp.asarray(x), config), expected, atol=1e-5
    )
    held = {
        "W_enc": draw(4, 9),
        "b_enc": draw(9),
        "W_dec": draw(9, 4),
        "b_dec": draw(4),
        "threshold": np.abs(draw(9)),
    }
    params, config = others.from_gemma_scope(held)
    pre = x @ held["W_enc"] + held["b_enc"]
    expected = (pre * (pre > held["threshold"])) @ held["W_dec"] + held["b_dec"]
    np.testing.assert_allclose(
        model.reconstruct(params, jnp.asarray(x), config), expected, atol=1e-5
    )


def members(kind, **fields):
    config = TranscoderConfig(6, 4, 12, kind, 3, encoder_norm=1.0, **fields)
    params = jax.vmap(lambda key: model.init(key, config))(jax.random.split(jax.random.key(0), 3))
    if kind == "batchtopk":
        params["threshold"] = jnp.array([0.2, 0.3, 0.4])
    return params, config, np.asarray(jax.random.normal(jax.random.key(1), (400, 6)))


@pytest.mark.parametrize("rescale", [False, True])
def test_batchtopk_members_are_exported_exactly(tmp_path, rescale):
    params, config, x = members("batchtopk", rescale=rescale)
    (line,) = export.export_run(params, config, x, tmp_path, ExportConfig(members=(1,)))
    assert "exactly" in line and [p.name for p in tmp_path.iterdir() if p.is_dir()] == ["member001"]
    read, other = saelens.read(tmp_path / "member001")
    mine = jax.tree.map(lambda a: a[1], params)
    np.testing.assert_allclose(
        model.reconstruct(read, x, other), model.reconstruct(mine, x, config), atol=1e-5
    )


@pytest.mark.parametrize(("rescale", "which"), [(False, ()), (True, ()), (False, (0, 2))])
def test_the_whole_ensemble_is_exported_as_one(tmp_path, rescale, which):
    params, config, x = members("batchtopk", rescale=rescale)
    params["W_dec"] = params["W_dec"] * jnp.linspace(1, 3, 12)[None, :, None]
    export.export_run(params, config, x, tmp_path, ExportConfig(members=which, together=True))
    read, other = saelens.read(tmp_path / "ensemble")
    params = jax.tree.map(lambda a: a[np.array(which)], params) if which else params
    mean = jax.vmap(lambda one: model.reconstruct(one, x, config))(params).mean(0)
    np.testing.assert_allclose(model.reconstruct(read, x, other), mean, atol=1e-5)


def test_what_a_layout_cannot_say_is_refused_or_measured(tmp_path):
    params, config, x = members("topk")
    with pytest.raises(UserError, match="keeps the k largest latents"):
        export.export_run(params, config, x, tmp_path / "a", ExportConfig())
    assert not (tmp_path / "a").exists()
    (line,) = export.export_run(params, config, x, tmp_path / "a", ExportConfig(approximate=True))
    record = json.loads((tmp_path / "a" / "member002" / "cfg.json").read_text())["metadata"][
        "approximation"
    ]
    assert "approximately" in line
    assert record["mean_l0"] == pytest.approx(record["mean_l0_exact"], rel=0.02)
    read, other = saelens.read(tmp_path / "a" / "member002")
    exact = model.reconstruct(jax.tree.map(lambda a: a[2], params), x, config)
    apart = np.linalg.norm(model.reconstruct(read, x, other) - exact) / np.linalg.norm(exact)
    assert apart == pytest.approx(record["relative_error"], rel=1e-4) and 0 < apart < 1
    for kind, layout, complaint in (
        ("gated", "saelens", "gated"),
        ("relu", "sparsify", "topk and groupmax"),
        ("topk", "dictionary-learning", "autoencoders only"),
    ):
        params, config, x = members(kind)
        with pytest.raises(UserError, match=complaint) as refused:
            export.export_run(params, config, x, tmp_path / "b", ExportConfig(layout))
        assert ("--approximate" in str(refused.value)) == (
            kind == "topk"
        )  # offered only where it would help
    with pytest.raises(UserError, match="members 0 to 2"):
        export.export_run(params, config, x, tmp_path / "b", ExportConfig(members=(5,)))


def autoencoder(kind):
    """An autoencoder whose every array counts, and rows."""
    config = TranscoderConfig(5, 5, 9, kind, 9, centered=True, encoder_norm=1.0)
    made = model.init(jax.random.key(0), config)
    names = [name for name in made if made[name].ndim == 1]
    made |= {
        name: 0.5 * jax.random.normal(jax.random.key(i), made[name].shape)
        for i, name in enumerate(names, 1)
    }
    return made, config, np.asarray(jax.random.normal(jax.random.key(7), (20, 5)))


def test_gated_autoencoders_of_both_libraries_are_ours(tmp_path):
    """Their encoders in NumPy, as sae_lens/saes/gated_sae.py and dictionary.py have them."""
    params, config, x = autoencoder("gated")
    ours = model.reconstruct(params, jnp.asarray(x), config)
    saelens.write(params, config, tmp_path / "s")
    held = read_safetensors(tmp_path / "s" / "sae_weights.safetensors")
    inner = x - held["b_dec"]
    opens = inner @ held["W_enc"] + held["b_gate"] > 0
    strength = np.maximum(inner @ (held["W_enc"] * np.exp(held["r_mag"])) + held["b_mag"], 0)
    np.testing.assert_allclose(opens * strength @ held["W_dec"] + held["b_dec"], ours, atol=1e-5)
    dictionary_learning.write(params, config, tmp_path / "d")
    held = dict(np.load(tmp_path / "d" / "ae.npz"))
    inner = (x - held["decoder_bias"]) @ held["encoder.weight"].T
    strength = np.maximum(np.exp(held["r_mag"]) * inner + held["mag_bias"], 0)
    theirs = (inner + held["gate_bias"] > 0) * strength @ held["decoder.weight"].T
    np.testing.assert_allclose(theirs + held["decoder_bias"], ours, atol=1e-5)
    for library, folder in ((saelens, "s"), (dictionary_learning, "d")):
        again, same = library.read(tmp_path / folder)
        assert same.activation == "gated" and same.centered
        jax.tree.map(np.testing.assert_array_equal, again, params)
    assert json.loads((tmp_path / "s" / "cfg.json").read_text())["architecture"] == "gated"


def test_the_plain_autoencoder_of_dictionary_learning_is_ours(tmp_path):
    params, config, x = autoencoder("relu")
    dictionary_learning.write(params, config, tmp_path)
    held = dict(np.load(tmp_path / "ae.npz"))
    z = np.maximum((x - held["bias"]) @ held["encoder.weight"].T + held["encoder.bias"], 0)
    theirs = z @ held["decoder.weight"].T + held["bias"]
    np.testing.assert_allclose(theirs, model.reconstruct(params, jnp.asarray(x), config), atol=1e-5)
    assert json.loads((tmp_path / "config.json").read_text())["trainer"]["dict_class"] == (
        "AutoEncoder"
    )
    again, same = dictionary_learning.read(tmp_path)
    assert (same.activation, same.centered) == ("relu", True)
    jax.tree.map(np.testing.assert_array_equal, again, params)


def test_safetensors_equal_the_package(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.array(True),
        "c": np.array([1, 2], np.int64),
    }
    write_safetensors(tmp_path / "x.safetensors", arrays)
    for name, array in numpy.load_file(tmp_path / "x.safetensors").items():
        np.testing.assert_array_equal(array, arrays[name])
    numpy.save_file(arrays, tmp_path / "y.safetensors")
    for name, array in read_safetensors(tmp_path / "y.safetensors").items():
        np.testing.assert_array_equal(array, arrays[name])
    (tmp_path / "z.safetensors").write_bytes(b"12345678{")
    with pytest.raises(UserError, match="no safetensors file"):
        read_safetensors(tmp_path / "z.safetensors")
    with pytest.raises(UserError, match="is missing"):
        saelens.read(tmp_path)


def pursued(x, rows, most, residual, until_stable):
    """Matching pursuit of one example, step by step."""
    z, left, before = np.zeros(len(rows)), x.copy(), frozenset()
    for _ in range(most):
        best = int(np.argmax(rows @ left))
        amount = max(float(rows[best] @ left), 0.0)
        z[best] += amount
        left = left - amount * rows[best]
        active = frozenset(np.flatnonzero(z))
        if (until_stable and active == before) or np.linalg.norm(left) < residual:
            break
        before = active
    return z


@pytest.mark.parametrize("until_stable", [True, False])
@pytest.mark.parametrize("centered", [True, False])
def test_matching_pursuit_of_saelens_is_ours(tmp_path, until_stable, centered):
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((12, 5)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    bias = generator.standard_normal(5).astype(np.float32)
    named = {
        "architecture": "matching_pursuit",
        "d_in": 5,
        "d_sae": 12,
        "residual_threshold": 0.3,
        "max_iterations": 4,
        "stop_on_duplicate_support": until_stable,
        "apply_b_dec_to_input": centered,
        "dtype": "float32",
    }
    write_safetensors(tmp_path / "sae_weights.safetensors", {"W_dec": rows, "b_dec": bias})
    (tmp_path / "cfg.json").write_text(json.dumps(named))
    params, config = saelens.read(tmp_path)
    x = generator.standard_normal((2, 10, 5)).astype(np.float32)
    offset = bias if centered else 0 * bias
    wanted = np.array(
        [pursued(row, rows, 4, 0.3, until_stable) for row in (x - offset).reshape(-1, 5)]
    )
    z = np.asarray(model.encode(params, jnp.asarray(x), config)).reshape(-1, 12)
    np.testing.assert_allclose(z, wanted, atol=1e-5)
    assert 1 < (z > 0).sum(1).mean() <= 4
    found = model.reconstruct(params, jnp.asarray(x), config)
    np.testing.assert_allclose(found.reshape(-1, 5), wanted @ rows + offset, atol=1e-5)
    saelens.write(params, config, tmp_path / "out")
    again, same = saelens.read(tmp_path / "out")
    assert same == config
    jax.tree.map(np.testing.assert_array_equal, again, params)
    written = json.loads((tmp_path / "out" / "cfg.json").read_text())
    assert {k: written[k] for k in named} == pytest.approx(named)
    with pytest.raises(UserError, match="not trained here"):
        model.check(config)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_dtypes_come_back_as_they_were(tmp_path, dtype):
    params, config, x = autoencoder("topk")
    half = jax.tree.map(lambda a: a.astype(dtype), params)
    for library, folder in ((saelens, "s"), (sparsify, "p")):
        shape = replace(config, centered=library is saelens) if library is sparsify else config
        library.write(half, shape, tmp_path / folder)
        again, same = library.read(tmp_path / folder)
        assert {str(a.dtype) for a in jax.tree.leaves(again)} == {dtype}
        jax.tree.map(np.testing.assert_array_equal, again, half)
        ours = model.reconstruct(half, jnp.asarray(x), shape)
        np.testing.assert_array_equal(model.reconstruct(again, jnp.asarray(x), same), ours)
    named = json.loads((tmp_path / "s" / "cfg.json").read_text())
    assert named["dtype"] == dtype
    name = "sae_weights.safetensors"
    wide = read_safetensors(tmp_path / "s" / name)
    assert wide["W_dec"].dtype == (np.float32 if dtype == "bfloat16" else np.float16)


def plain_arrays(d=4, latents=9):
    """Arrays of an autoencoder, under SAELens' names."""
    generator = np.random.default_rng(5)
    shapes = {"W_enc": (d, latents), "b_enc": (latents,), "W_dec": (latents, d), "b_dec": (d,)}
    return {
        name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()
    }


OLD = {
    "d_in": 4,
    "d_sae": 9,
    "hook_name": "blocks.8.hook_resid_pre",
    "normalize_activations": False,
    "sae_lens_training_version": None,
}
"""Fields of a cfg.json from before SAELens 6."""


def by_hand(arrays, x, k=None, centered=True):
    """What such an autoencoder computes, ReLU or the k largest."""
    pre = np.maximum((x - centered * arrays["b_dec"]) @ arrays["W_enc"] + arrays["b_enc"], 0)
    kept = pre if k is None else np.where(pre >= np.sort(pre, 1)[:, [-k]], pre, 0)
    return kept @ arrays["W_dec"] + arrays["b_dec"]


@pytest.mark.parametrize(
    ("named", "k", "centered"),
    [
        (OLD, None, True),  # neither an architecture nor apply_b_dec_to_input
        (OLD | {"architecture": "standard", "apply_b_dec_to_input": False}, None, False),
        (OLD | {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 2}}, 2, True),
        (
            OLD
            | {"architecture": "standard", "activation_fn": "topk"}
            | {"activation_fn_kwargs": {"k": 3}, "apply_b_dec_to_input": False},
            3,
            False,
        ),
        ({"architecture": "topk", "d_in": 4, "d_sae": 9, "k": 2}, 2, True),
    ],
)
def test_files_of_older_saelens_are_what_they_were(named, k, centered):
    arrays, x = plain_arrays(), np.random.default_rng(6).standard_normal((50, 4), np.float32)
    params, config = saelens.from_tensors(arrays, dict(named))
    np.testing.assert_allclose(
        model.reconstruct(params, jnp.asarray(x), config),
        by_hand(arrays, x, k, centered),
        atol=1e-5,
    )
    scaled = arrays | {"scaling_factor": np.ones(9, np.float32)}
    same, _ = saelens.from_tensors(scaled, dict(named))
    assert set(same) == set(params)


@pytest.mark.parametrize(
    ("named", "more", "said"),
    [
        ({"architecture": "topk"}, {}, "names no k"),
        (OLD | {"activation_fn_str": "tanh-relu"}, {}, "tanh-relu"),
        (OLD | {"hook_name": "blocks.1.attn.hook_z"}, {}, "reshape_activations"),
        (OLD | {"normalize_activations": True}, {}, "normalize_activations"),
        (OLD | {"finetuning_scaling_factor": True}, {}, "scaling_factor"),
        (OLD, {"scaling_factor": np.full(9, 2, np.float32)}, "holds scaling_factor"),
        (OLD, {"threshold": np.ones(9, np.float32)}, "holds threshold"),
        ({"architecture": "transcoder", "d_out": 4}, {"W_skip": np.eye(4)}, "holds W_skip"),
    ],
)
def test_files_of_saelens_that_would_be_read_otherwise_are_refused(named, more, said):
    with pytest.raises(UserError, match=said):
        saelens.from_tensors(plain_arrays() | more, {"d_in": 4, "d_sae": 9} | named)


def test_files_of_other_libraries_are_what_they_were_or_refused():
    plain, x = plain_arrays(), np.random.default_rng(7).standard_normal((50, 4), np.float32)
    theirs = {
        "encoder.weight": plain["W_enc"].T,
        "encoder.bias": plain["b_enc"],
        "decoder.weight": plain["W_dec"].T,
        "b_dec": plain["b_dec"],
    }
    named = {"trainer": {"dict_class": "AutoEncoderTopK", "k": 2}}  # as before k was a buffer
    params, config = dictionary_learning.from_tensors(theirs, named)
    estimate = model.reconstruct(params, jnp.asarray(x), config)
    np.testing.assert_allclose(estimate, by_hand(plain, x, 2), atol=1e-5)
    with pytest.raises(UserError, match="name its k"):
        dictionary_learning.from_tensors(theirs, {"trainer": {"dict_class": "AutoEncoderTopK"}})
    with pytest.raises(UserError, match="holds W_skip"):
        dictionary_learning.from_tensors(theirs | {"W_skip": plain["W_enc"]}, named)
    coder = {"W_dec": plain["W_dec"]} | {
        name: a for name, a in theirs.items() if name != "decoder.weight"
    }
    for fields, said in (({"signed": True}, "signed"), ({"activation": "relu"}, "relu")):
        with pytest.raises(UserError, match=said):
            sparsify.from_tensors(coder, {"d_in": 4, "k": 2} | fields)
    opened = {
        "encoder.weight": plain["W_enc"].T,
        "latent_bias": plain["b_enc"],
        "decoder.weight": plain["W_dec"].T,
        "pre_bias": plain["b_dec"],
        "stats_last_nonzero": np.zeros(9, np.int64),
    }
    for given, k in (
        ({}, None),  # its own reader takes ReLU
        ({"activation": "TopK", "activation_state_dict": {"k": 3}}, 3),
    ):
        params, config = others.from_openai(opened | given)
        estimate = model.reconstruct(params, jnp.asarray(x), config)
        np.testing.assert_allclose(estimate, by_hand(plain, x, k), atol=1e-5)
    for given, said in (({"activation": "TopK"}, "names no k"), ({"activation": "Tanh"}, "Tanh")):
        with pytest.raises(UserError, match=said):
            others.from_openai(opened | given)
    gemma = plain | {"threshold": np.ones(9), "affine_skip_connection": np.eye(4)}
    with pytest.raises(UserError, match="affine_skip_connection"):
        others.from_gemma_scope(gemma)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"b_enc": np.zeros(1, np.float32)}, "b_enc of this transcoder has shape"),
        ({"b_dec": np.zeros(3, np.float32)}, "b_dec of this transcoder has shape"),
        ({"W_dec": np.full((24, 16), np.nan, np.float32)}, "W_dec of this transcoder holds NaN"),
        ({"k": -3}, "k of this transcoder is -3"),
        ({"k": 2.5}, "k of this transcoder is 2.5"),
        ({"metadata": "text"}, "damaged, or of another layout"),
        (None, "damaged, or of another layout"),
    ],
    ids=str,
)
def test_files_of_saelens_that_do_not_fit_are_refused(tmp_path, change, sentence):
    config = TranscoderConfig(16, 16, 24, "topk", 4, centered=True)
    saelens.write(model.init(jax.random.key(0), config), config, tmp_path)
    named = json.loads((tmp_path / "cfg.json").read_text())
    arrays = dict(read_safetensors(tmp_path / "sae_weights.safetensors"))
    for name, value in (change or {}).items():
        (arrays if name in arrays else named)[name] = value
    (tmp_path / "cfg.json").write_text(json.dumps(named if change else []))
    write_safetensors(tmp_path / "sae_weights.safetensors", arrays)
    with pytest.raises(UserError, match=sentence):
        saelens.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"skip_connection": True}, "contradict each other"),
        ({"num_latents": 7}, "num_latents is 7, but the arrays have 24"),
        ({"d_in": 7}, "of this transcoder has shape"),
        ({"k": 0}, "k of this transcoder is 0"),
        ({"k": None}, "damaged, or of another layout"),
    ],
    ids=str,
)
def test_files_of_sparsify_that_do_not_fit_are_refused(tmp_path, change, sentence):
    config = TranscoderConfig(16, 16, 24, "topk", 4, centered=True)
    sparsify.write(model.init(jax.random.key(0), config), config, tmp_path)
    named = json.loads((tmp_path / "cfg.json").read_text()) | change
    (tmp_path / "cfg.json").write_text(json.dumps(named))
    with pytest.raises(UserError, match=sentence):
        sparsify.read(tmp_path)


def test_missing_arrays_are_named():
    with pytest.raises(UserError, match="lacks W_dec, b_dec, threshold"):
        others.from_gemma_scope({"W_enc": np.zeros((2, 3)), "b_enc": np.zeros(3)})
    with pytest.raises(UserError, match="lacks decoder.weight, pre_bias, latent_bias"):
        others.from_openai({"encoder.weight": np.zeros((3, 2))})
