"""Both towers, preprocessing, tokenizer and converter against open_clip's numbers and hand-made
files.
"""

import collections
import functools
import io
import json
import pickle
import sys
import types
import zipfile
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxrl.app.errors import UserError
from sae.biomedclip import convert, model
from sae.biomedclip.bert import TextTower, check_tokens
from sae.biomedclip.config import ClipConfig
from sae.biomedclip.preprocess import normalized, prepared
from sae.biomedclip.tokenize import ReportTokenizer, clean
from sae.biomedclip.torch_file import read_torch
from sae.biomedclip.vit import VisionTower
from sae.interop.safetensors import write_safetensors
from tests.golden import Golden, relative_error

CLIP, SEEN = Golden("biomedclip/tiny_clip"), Golden("biomedclip/preprocess")
HEADS = (CLIP.config["timm_overrides"]["num_heads"], CLIP.config["bert"]["num_attention_heads"])
CONTEXT = CLIP.config["model"]["text_cfg"]["context_length"]
# Compiled as users do; operation by operation they take seconds.
image_features = jax.jit(model.image_features, static_argnums=2)
text_features = jax.jit(model.text_features, static_argnums=2)


@pytest.fixture(scope="module")
def tiny():
    params = convert.converted(CLIP.params())
    return jax.tree.map(jnp.asarray, params), convert.sizes(params, HEADS, CONTEXT)


def test_features_in_single_precision(tiny):
    params, config = tiny
    pixels, tokens = jnp.asarray(CLIP.maps("in/pixels")), jnp.asarray(CLIP["in/token_ids"])
    image, text = (image_features(params, pixels, config), text_features(params, tokens, config))
    assert relative_error(image, CLIP["out/image_features"]) < 2e-5
    assert relative_error(text, CLIP["out/text_features"]) < 2e-5
    assert relative_error(model.of_length_one(image), CLIP["out/image_features_normalized"]) < 2e-5
    assert relative_error(model.of_length_one(text), CLIP["out/text_features_normalized"]) < 2e-5
    assert (
        relative_error(model.similarity(params, image, text), CLIP["out/logits_per_image"]) < 5e-5
    )


def test_every_block_in_single_precision(tiny):
    params, config = tiny

    @functools.partial(jax.jit, static_argnums=0)
    def within(tower, params, x):
        return tower.apply({"params": params}, x, capture_intermediates=True)

    pixels, tokens = jnp.asarray(CLIP.maps("in/pixels")), jnp.asarray(CLIP["in/token_ids"])
    _, seen = within(VisionTower(config.vision), params["visual"], pixels)
    _, read = within(TextTower(config.text), params["text"], tokens)
    seen, read = seen["intermediates"], read["intermediates"]
    real = np.asarray(CLIP["in/token_ids"]) != 0  # what stands at padded places does not matter
    for name, found in (
        ("patch_embed", seen["patch_embed"]),
        ("block0", seen["block_0"]),
        ("block1", seen["block_1"]),
        ("norm", seen["norm"]),
    ):
        assert relative_error(found["__call__"][0], CLIP[f"mid/visual/{name}"]) < 2e-5, name
    for name, found in (
        ("embeddings", read["norm"]),
        ("layer0", read["layer_0"]),
        ("layer1", read["layer_1"]),
    ):
        assert (
            relative_error(np.asarray(found["__call__"][0])[real], CLIP[f"mid/text/{name}"][real])
            < 2e-5
        ), name


def test_features_and_pixel_gradient_in_double_precision(tiny):
    _, config = tiny
    with jax.enable_x64(True):
        params = jax.tree.map(
            lambda a: jnp.asarray(np.asarray(a, np.float64)), convert.converted(CLIP.params())
        )
        pixels, tokens = (
            jnp.asarray(CLIP.maps("in/pixels"), jnp.float64),
            jnp.asarray(CLIP["in/token_ids"]),
        )
        along = jnp.asarray(CLIP["in/direction"])

        def value(pixels):
            return (lambda f: ((f @ along).sum(), f))(model.image_features(params, pixels, config))

        (_, image), grads = jax.jit(jax.value_and_grad(value, has_aux=True))(pixels)
        assert relative_error(image, CLIP["out/image_features_f64"]) < 1e-10
        assert (
            relative_error(text_features(params, tokens, config), CLIP["out/text_features_f64"])
            < 1e-10
        )
        assert (
            relative_error(np.moveaxis(np.asarray(grads), -1, -3), CLIP["out/grad_pixels_f64"])
            < 1e-6
        )


@pytest.mark.parametrize("case", [case["name"] for case in SEEN.config["cases"]])
def test_preprocessing(case):
    config = ClipConfig(mean=tuple(SEEN.config["mean"]), std=tuple(SEEN.config["std"]))
    found = normalized(prepared(SEEN[f"in/{case}/image"], config), config)
    np.testing.assert_allclose(np.moveaxis(found, -1, 0), SEEN[f"out/{case}/tensor"], atol=1e-6)
    assert found.dtype == np.float32


def published(folder, writer):
    folder.mkdir()
    named = {
        "model_cfg": CLIP.config["model"] | {"heads": HEADS},
        "preprocess_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(named))
    tensors = CLIP.params() | {"text.transformer.embeddings.position_ids": np.arange(32)[None]}
    writer(folder, {name: np.asarray(a) for name, a in tensors.items()})


def as_safetensors(folder, tensors):
    write_safetensors(folder / "open_clip_model.safetensors", tensors)


class Storage:
    """What a pickle of torch.save refers to."""

    def __init__(self, key, array):
        self.key, self.array = key, array


class Tensor:
    """Pickles as a tensor does: a call of torch._utils._rebuild_tensor_v2; here over a transposed
    storage, so that strides matter.
    """

    def __init__(self, key, array):
        self.storage, self.shape = Storage(key, np.array(array.T, order="C")), array.shape
        self.strides = tuple(s // array.itemsize for s in self.storage.array.T.strides)

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, (
            self.storage,
            0,
            self.shape,
            self.strides,
            False,
            collections.OrderedDict(),
        )


def as_torch(folder, tensors):
    """What torch.save writes, by its layout: a pickle of names and references, and one file per
    storage.
    """
    torch, inner = types.ModuleType("torch"), types.ModuleType("torch._utils")
    kinds = {
        np.dtype(np.float32): "FloatStorage",
        np.dtype(np.int64): "LongStorage",
        np.dtype(np.float64): "DoubleStorage",
    }
    for name in kinds.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2(*_):
        raise AssertionError("only its name is written")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = (
        "torch._utils",
        "_rebuild_tensor_v2",
    )
    inner._rebuild_tensor_v2 = _rebuild_tensor_v2

    class Writer(pickle.Pickler):
        def persistent_id(self, value):
            if isinstance(value, Storage):
                return (
                    "storage",
                    getattr(torch, kinds[value.array.dtype]),
                    value.key,
                    "cpu",
                    value.array.size,
                )

    wrapped, out = (
        collections.OrderedDict(
            (name, Tensor(str(i), a)) for i, (name, a) in enumerate(tensors.items())
        ),
        io.BytesIO(),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", torch)
        patch.setitem(sys.modules, "torch._utils", inner)
        Writer(out, 2).dump(wrapped)
    with zipfile.ZipFile(folder / "open_clip_pytorch_model.bin", "w") as archive:
        archive.writestr("archive/data.pkl", out.getvalue())
        for tensor in wrapped.values():
            archive.writestr(f"archive/data/{tensor.storage.key}", tensor.storage.array.tobytes())


@pytest.mark.parametrize("writer", [as_safetensors, as_torch])
def test_published_files_are_converted(tmp_path, writer, tiny, capsys):
    published(tmp_path / "from", writer)
    assert convert.main(["--from", str(tmp_path / "from"), "--to", str(tmp_path / "to")]) == 0
    params, config = model.load(tmp_path / "to")
    assert config == replace(tiny[1], mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    jax.tree.map(np.testing.assert_array_equal, params, tiny[0])
    assert "no tokenizer.json" in capsys.readouterr().err


def test_bad_files_are_refused(tmp_path, capsys):
    assert convert.main(["--from", str(tmp_path), "--to", str(tmp_path / "to")]) == 2
    assert "open_clip_config.json" in capsys.readouterr().err
    (tmp_path / "open_clip_config.json").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        convert.convert(tmp_path, tmp_path / "to")
    (tmp_path / "open_clip_config.json").write_text("{}")
    write_safetensors(tmp_path / "model.safetensors", {"logit_scale": np.zeros(1, np.float32)})
    with pytest.raises(UserError, match="lack 'visual'"):
        convert.convert(tmp_path, tmp_path / "to")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"visual\.trunk\.blocks_0 is not BiomedCLIP's"):
        convert.converted({"visual.trunk.blocks_0": np.zeros(2)})
    with pytest.raises(UserError, match="no converted model"):
        model.load(tmp_path)
    (tmp_path / "x.bin").write_bytes(b"no zip")
    with pytest.raises(UserError, match=r"torch\.save"):
        read_torch(tmp_path / "x.bin")
    with zipfile.ZipFile(tmp_path / "y.bin", "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps(print))
    with pytest.raises(UserError, match="asks for builtins.print"):
        read_torch(tmp_path / "y.bin")


def test_full_size_has_the_published_number_of_parameters():
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), ClipConfig()))

    def count(tree):
        return sum(leaf.size for leaf in jax.tree.leaves(tree))

    assert (count(shapes["visual"]), count(shapes["text"]), count(shapes)) == (
        86_191_872,
        109_710_848,
        195_902_721,
    )


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory):
    tokenizers = pytest.importorskip("tokenizers")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "heart",
        "size",
        "is",
        "normal",
        ".",
        "##s",
        "lung",
        "&",
    ]
    path = tmp_path_factory.mktemp("tok")
    tokenizers.BertWordPieceTokenizer(
        {word: number for number, word in enumerate(words)}, lowercase=True
    ).save(str(path / "tokenizer.json"))
    return path / "tokenizer.json"


def test_reports_become_padded_token_numbers(tokenizer_file):
    tokens = ReportTokenizer(tokenizer_file, 8)(
        ["Heart size\n is  normal.", "Lungs &amp;amp; x", "heart " * 20]
    )
    np.testing.assert_array_equal(tokens[0], [2, 5, 6, 7, 8, 9, 3, 0])
    np.testing.assert_array_equal(tokens[1], [2, 11, 10, 12, 1, 3, 0, 0])
    np.testing.assert_array_equal(tokens[2], [2, 5, 5, 5, 5, 5, 5, 3])
    assert clean("a &lt; b\t c") == "a < b c"
    with pytest.raises(UserError, match="there is no"):
        ReportTokenizer("nowhere/tokenizer.json")


def test_padding_has_no_influence_and_bad_tokens_are_seen(tiny):
    params, config = tiny
    tokens = np.array([[5, 7, 9, 0, 0, 0, 0, 0]])
    short, long = (text_features(params, jnp.asarray(t), config) for t in (tokens[:, :3], tokens))
    np.testing.assert_allclose(short, long, atol=1e-5)
    with pytest.raises(UserError, match="token 300"):
        check_tokens(jnp.array([[300]]), config.text)


def test_a_folder_is_embedded_in_pieces_and_goes_on(tmp_path, tokenizer_file):
    from sae.data import embeddings
    from sae.pipeline import embed

    published(tmp_path / "from", as_safetensors)
    (tmp_path / "from" / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())
    convert.convert(tmp_path / "from", tmp_path / "weights")
    generator, lines = np.random.default_rng(0), ["path,patient,Edema,report"]
    for number in range(7):
        Image.fromarray(generator.integers(0, 256, (60, 50 + number), np.uint8)).save(
            tmp_path / f"{number}.png"
        )
        lines.append(
            f"{number}.png,p{number},{number % 2},heart size {'normal' if number % 2 else ''}"
        )
    (tmp_path / "3.png").write_bytes(b"torn")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    config = embed.EmbedConfig(
        str(tmp_path / "t.csv"),
        out=str(tmp_path / "e.npz"),
        weights=str(tmp_path / "weights"),
        findings=("Edema",),
        batch=2,
        piece=2,
    )
    calls = iter([False, True])
    assert embed.embed_source(config, lambda: next(calls)) == (False, ())
    with pytest.raises(UserError, match="another embedding job"):
        embed.embed_source(replace(config, findings=()), lambda: False)
    done, skipped = embed.embed_source(config)
    assert done and [name for name, _ in skipped] == ["3.png"]
    found = embeddings.load(tmp_path / "e.npz")
    assert len(found.cases) == 6 and found.image.shape == found.text.shape == (6, 32)
    np.testing.assert_allclose(np.linalg.norm(found.image, axis=1), 1, rtol=1e-5)
    params, clip = model.load(tmp_path / "weights")
    pixels = normalized(prepared(found.cases.read(5), clip), clip)
    expected = model.of_length_one(image_features(params, jnp.asarray(pixels), clip))
    np.testing.assert_allclose(found.image[5], expected, atol=1e-5)
    assert not (tmp_path / "e.npz.pieces").exists()
