"""Codebooks of other libraries, presets, and the Flax module."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.errors import QuantError
from quant.quantizers import fsq, presets, rvq, vq
from quant.quantizers.flax_module import Quantizer
from quant.quantizers.import_codebooks import (
    from_haiku_ema,
    from_vector_quantize_pytorch,
    read_arrays,
)
from tests.golden import FOLDER, Golden, relative_error


def test_a_codebook_of_vector_quantize_pytorch_gives_the_same_indices(tmp_path):
    golden = Golden("quantizers/vq_ema")
    held = {
        f"quantizer._codebook.{name}": golden[f"in/0/{name}"][None]
        for name in ("embed", "embed_avg", "cluster_size")
    }
    np.savez(tmp_path / "codes.npz", **held)
    params, state, config = from_vector_quantize_pytorch(
        read_arrays(tmp_path / "codes.npz"), "quantizer."
    )
    x = jnp.asarray(golden["in/0/x"])
    out, after = vq.quantize(params, state, x, config)
    np.testing.assert_array_equal(out.indices, golden["out/0/indices"])
    assert relative_error(after.book.codes[0], golden["out/0/embed_after"]) < 1e-5


@pytest.mark.parametrize(
    ("name", "heads"), [("projected", 1), ("separate", 1), ("separate", 3), ("shared", 2)]
)
def test_projections_and_heads_come_along(name, heads):
    with np.load(FOLDER / "quantizers" / "projections.npz") as file:
        own = {
            key.removeprefix(f"{name}/"): file[key]
            for key in file.files
            if key.startswith(f"{name}/")
        }
    held = {
        key.replace("param/", "quantizer."): array
        for key, array in own.items()
        if key.startswith("param/")
    }
    params, state, config = from_vector_quantize_pytorch(held, "quantizer.", heads)
    out, _ = vq.quantize(params, state, jnp.asarray(own["in/x"]), config, train=False)
    np.testing.assert_array_equal(out.indices, own["out/indices"])
    assert relative_error(out.quantized, own["out/quantized"]) < 1e-5
    older = {key.replace("project_in.", "project_in.0."): array for key, array in held.items()}
    again, *_ = from_vector_quantize_pytorch(older, "quantizer.", heads)
    jax.tree.map(np.testing.assert_array_equal, again, params)
    normed = {**older, "quantizer.project_in.1.weight": np.ones(5, np.float32)}
    with pytest.raises(QuantError, match=r"project_in\.1\.weight is no linear projection"):
        from_vector_quantize_pytorch(normed, "quantizer.", heads)
    if name == "shared":
        with pytest.raises(QuantError, match="give heads"):
            from_vector_quantize_pytorch(held, "quantizer.")


def test_safetensors_hold_the_same_arrays_as_npz(tmp_path):
    from safetensors.numpy import save_file

    held = {"_codebook.embed": np.arange(24, dtype=np.float32).reshape(1, 6, 4)}
    save_file(held, tmp_path / "codes.safetensors")
    np.savez(tmp_path / "codes.npz", **held)
    one, other = (read_arrays(tmp_path / f"codes.{kind}") for kind in ("safetensors", "npz"))
    np.testing.assert_array_equal(one["_codebook.embed"], other["_codebook.embed"])


def test_a_haiku_codebook_gives_the_nearest_of_its_columns():
    codes = np.random.default_rng(0).standard_normal((3, 7)).astype(np.float32)
    params, state, config = from_haiku_ema({"embeddings": codes})
    x = np.random.default_rng(1).standard_normal((20, 3)).astype(np.float32)
    expected = ((x[:, None] - codes.T[None]) ** 2).sum(-1).argmin(1)
    np.testing.assert_array_equal(vq.encode(params, state, jnp.asarray(x), config), expected)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.pt", b"", "neither .safetensors nor .npz"),
        ("b.npz", None, "there is no file"),
        ("c.npz", b"nonsense", "cannot be read"),
    ],
)
def test_files_that_cannot_be_read_are_refused(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(QuantError, match=sentence):
        read_arrays(tmp_path / name)


def test_arrays_that_are_no_codebook_are_refused():
    with pytest.raises(QuantError, match="check the prefix"):
        from_vector_quantize_pytorch({"x._codebook.embed": np.zeros((1, 2, 3))}, "y.")
    with pytest.raises(QuantError, match="not \\[codebooks, K, D\\]"):
        from_vector_quantize_pytorch({"_codebook.embed": np.zeros((2, 3))})
    with pytest.raises(QuantError, match="no array embeddings"):
        from_haiku_ema({"w": np.zeros(3)})


def test_presets_differ_where_the_libraries_do():
    assert (
        presets.lucidrains(8, 4).wrapper == "rotation"
        and presets.lucidrains(8, 1).wrapper == "straight_through"
    )
    assert presets.lucidrains(8, 4, decay=0.5).decay == 0.5
    torch = presets.vqtorch(8, 4, beta=0.9)
    assert torch.codebook_weight == 0.9 and torch.commitment == pytest.approx(0.1)
    assert (
        presets.haiku(8, 4).update == "gradient"
        and presets.with_restart(8, 4, 2.0).restart.threshold == 2.0
    )
    assert presets.lucidrains_residual(8, 4, 3).straight_through_all


@pytest.mark.parametrize(
    ("module", "config"),
    [
        (vq, vq.VQConfig(6, 4)),
        (fsq, fsq.FSQConfig((3, 3, 3, 3))),
        (rvq, rvq.ResidualConfig(vq.VQConfig(6, 4), 2)),
    ],
)
def test_the_module_is_the_functions(module, config):
    quantizer = Quantizer(module, config)
    x = jax.random.normal(jax.random.key(1), (5, 4))
    variables = quantizer.init(jax.random.key(0), x)
    out, changed = quantizer.apply(
        variables, x, train=True, key=jax.random.key(2), mutable=["codebook"]
    )
    params, state = variables.get("params", {}), variables["codebook"]["state"]
    ours, after = module.quantize(params, state, x, config, key=jax.random.key(2))
    np.testing.assert_array_equal(out.quantized, ours.quantized)
    jax.tree.map(np.testing.assert_array_equal, changed["codebook"]["state"], after)
    same = quantizer.apply(variables, x)
    np.testing.assert_array_equal(same.indices, module.encode(params, state, x, config))
