"""Whole quantizers of other libraries give the same indices and values here."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.errors import QuantError
from quant.quantizers import import_models
from quant.quantizers.dispatch import functions_of
from quant.quantizers.import_codebooks import from_vector_quantize_pytorch
from tests.golden import FOLDER

LEVELS = (5, 3, 4)
CASES = {
    "affine": from_vector_quantize_pytorch,
    "residual": import_models.residual_vq,
    "residual projected": import_models.residual_vq,
    "residual cosine": lambda a: import_models.residual_vq(a, metric="cosine"),
    "residual shared": import_models.residual_vq,
    "grouped": import_models.grouped_residual_vq,
    "simvq": import_models.sim_vq,
    "fsq": lambda a: import_models.from_fsq(a, LEVELS),
    "fsq codebooks": lambda a: import_models.from_fsq(a, LEVELS, codebooks=2),
    "residual fsq": lambda a: import_models.residual_fsq(a, LEVELS, 3),
    "residual fsq plain": lambda a: import_models.residual_fsq(a, LEVELS, 2),
    "lfq": import_models.from_lfq,
    "bsq": lambda a: import_models.from_lfq(a, spherical=True),
    "dac": lambda a: import_models.descript_audio_codec(a, ""),
    "encodec": lambda a: import_models.encodec(a, ""),
}
CHANNELS_FIRST = ("dac", "encodec")


def golden(name):
    with np.load(FOLDER / "quantizers" / "imports.npz") as file:
        own = {k.removeprefix(f"{name}/"): file[k] for k in file.files if k.startswith(f"{name}/")}
    held = {k.removeprefix("param/"): a for k, a in own.items() if k.startswith("param/")}
    x = own["in/x"].swapaxes(1, 2) if name in CHANNELS_FIRST else own["in/x"]
    return held, jnp.asarray(x), own["out/indices"], own["out/quantized"]


@pytest.mark.parametrize("name", CASES)
def test_indices_and_values_are_those_of_the_library(name):
    held, x, indices, quantized = golden(name)
    params, state, config = CASES[name](held)
    functions = functions_of(config)
    out, _ = jax.jit(lambda x: functions.quantize(params, state, x, config, train=False))(x)
    if name == "grouped":  # theirs: [groups, batch, rows, levels]
        indices = np.moveaxis(indices, 0, 2)
    np.testing.assert_array_equal(np.asarray(out.indices).reshape(indices.shape), indices)
    np.testing.assert_allclose(out.quantized, quantized, rtol=1e-4, atol=1e-5)
    back = functions.decode(params, state, out.indices, config)
    np.testing.assert_allclose(back, quantized, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16])
def test_half_precision_is_widened_before_anything_is_computed(dtype):
    held = {name: array.astype(dtype) for name, array in golden("dac")[0].items()}
    wide = {name: array.astype(np.float32) for name, array in held.items()}
    jax.tree.map(
        np.testing.assert_array_equal,
        import_models.descript_audio_codec(held, "")[:2],
        import_models.descript_audio_codec(wide, "")[:2],
    )


@pytest.mark.parametrize("name", CHANNELS_FIRST)
def test_missing_arrays_of_a_layer_are_named(name):
    held = golden(name)[0]
    for missing in held:
        if missing.startswith(("quantizers.1.", "layers.1.")) and "inited" not in missing:
            rest = {key: array for key, array in held.items() if key != missing}
            with pytest.raises(QuantError, match=r"there is no (quantizers|layers)\.1\."):
                CASES[name](rest)


@pytest.mark.parametrize(
    ("load", "arrays", "sentence"),
    [
        (import_models.residual_vq, {}, "check the prefix"),
        (import_models.residual_vq, {"mlps.0.weight": np.ones(2)}, "mlps.0.weight is not taken"),
        (import_models.sim_vq, {"frozen_codebook": np.ones((2, 2))}, "code_transform.weight"),
        (import_models.from_lfq, {"project_in.weight": np.ones((2, 2))}, "no mask"),
        (
            lambda a: import_models.from_fsq(a, (3, 3)),
            {"orthogonal_rot": np.eye(2)},
            "orthogonal_rot is not taken over",
        ),
        (
            from_vector_quantize_pytorch,
            {"_codebook.embed": np.ones((1, 2, 2)), "_codebook.codebook_mean": np.ones((1, 1, 2))},
            "has affine parameters but no batch_mean",
        ),
        (
            from_vector_quantize_pytorch,
            {"_codebook.embed": np.ones((1, 2, 2)), "_codebook.vq_bridge.weight": np.ones(2)},
            "vq_bridge.weight is not taken over",
        ),
    ],
)
def test_parts_that_are_not_taken_over_are_refused(load, arrays, sentence):
    with pytest.raises(QuantError, match=sentence):
        load(arrays)
