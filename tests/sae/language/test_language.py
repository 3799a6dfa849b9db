"""A tiny Llama of random weights: its two halves against a plain loop, windows, contexts, and a
whole run of the command.
"""

import json

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from sae.cli import main
from sae.interop.safetensors import write_safetensors
from sae.language import activations, llama, report
from sae.language.llama import BLOCK

WORDS = ("the", "cat", "sat", "on", "a", "mat", "and", "slept", "dog", "ran")
D, HEADS, PAIRS, LAYERS = 8, 4, 2, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    tokenizers = pytest.importorskip("tokenizers")
    path = tmp_path_factory.mktemp("llama")
    rng = np.random.default_rng(0)
    sizes = {
        "norm": (D,),
        "mlp_norm": (D,),
        "q": (D, D),
        "k": (PAIRS * 2, D),
        "v": (PAIRS * 2, D),
        "o": (D, D),
        "gate": (12, D),
        "up": (12, D),
        "down": (D, 12),
    }

    def draw(shape):
        return (rng.standard_normal(shape) / 2 + (len(shape) == 1)).astype(np.float32)

    tensors = {
        f"model.layers.{n}.{BLOCK[name]}": draw(shape)
        for n in range(LAYERS)
        for name, shape in sizes.items()
    }
    tensors |= {"model.embed_tokens.weight": draw((len(WORDS), D)), "model.norm.weight": draw((D,))}
    write_safetensors(path / "model.safetensors", tensors)
    stored = {
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": D,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": PAIRS,
        "rms_norm_eps": 1e-5,
        "rope_theta": 100.0,
        "tie_word_embeddings": True,
    }
    (path / "config.json").write_text(json.dumps(stored))
    vocabulary = {word: n for n, word in enumerate(WORDS)}
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="the"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.save(str(path / "tokenizer.json"))
    return path


def by_loops(folder, tokens, layer):
    """`(x, y)` of the perceptron of a block and nats per token, token by token in NumPy."""
    from sae.interop.safetensors import read_safetensors

    w = read_safetensors(folder / "model.safetensors")
    w = {name: a.astype(np.float64) for name, a in w.items()}
    width = D // HEADS

    def norm(v, scale):
        return v / np.sqrt((v**2).mean() + 1e-5) * scale

    def turned(v, place):
        angle = place * 100.0 ** (-np.arange(width // 2) / (width // 2))
        pairs = v[: width // 2] + 1j * v[width // 2 :]
        pairs = pairs * np.exp(1j * angle)
        return np.concatenate([pairs.real, pairs.imag])

    h = [w["model.embed_tokens.weight"][t] for t in tokens]
    seen = None
    for n in range(LAYERS):
        b = {ours: w[f"model.layers.{n}.{name}"] for ours, name in BLOCK.items()}
        x = [norm(v, b["norm"]) for v in h]
        q, k, v = ([(b[m] @ one).reshape(-1, width) for one in x] for m in "qkv")
        for t in range(len(tokens)):
            mixed = []
            for head in range(HEADS):
                pair = head // (HEADS // PAIRS)
                mine = turned(q[t][head], t)
                scores = [mine @ turned(k[s][pair], s) / np.sqrt(width) for s in range(t + 1)]
                share = np.exp(scores) / np.exp(scores).sum()
                mixed.append(sum(p * v[s][pair] for s, p in enumerate(share)))
            h[t] = h[t] + b["o"] @ np.concatenate(mixed)
        x = [norm(v, b["mlp_norm"]) for v in h]
        y = [b["down"] @ ((a := b["gate"] @ v) / (1 + np.exp(-a)) * (b["up"] @ v)) for v in x]
        if n == layer:
            seen = np.array(x), np.array(y)
        h = [a + c for a, c in zip(h, y, strict=True)]
    nats = []
    for t in range(len(tokens) - 1):
        logits = w["model.embed_tokens.weight"] @ norm(h[t], w["model.norm.weight"])
        nats.append(np.log(np.exp(logits).sum()) - logits[tokens[t + 1]])
    return *seen, np.mean(nats)


def test_both_halves_are_the_model(folder):
    model, tokens = llama.read(folder), np.array([[1, 2, 3, 4, 5, 9]])
    h, x, y = activations.read_windows(model, tokens, 1)
    wanted_x, wanted_y, nats = by_loops(folder, tokens[0], 1)
    np.testing.assert_allclose(x[0], wanted_x, atol=2e-5)
    np.testing.assert_allclose(y[0], wanted_y, atol=2e-5)
    assert activations.downstream(model, tokens, h, y, 1) == pytest.approx(nats, abs=1e-5)
    assert activations.downstream(model, tokens, h, y + 1, 1) != pytest.approx(nats, abs=1e-3)


@pytest.mark.parametrize(
    "change", [{"rope_scaling": {"factor": 2}}, {"model_type": "qwen3"}, {"mlp_bias": True}]
)
def test_what_is_not_computed_is_refused(folder, tmp_path, change):
    stored = json.loads((folder / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(stored))
    (tmp_path / "model.safetensors").symlink_to(folder / "model.safetensors")
    with pytest.raises(UserError, match=next(iter(change))):
        llama.read(tmp_path)


def test_a_checkpoint_that_lacks_a_weight_is_refused(folder, tmp_path):
    stored = json.loads((folder / "config.json").read_text()) | {"num_hidden_layers": 4}
    (tmp_path / "config.json").write_text(json.dumps(stored))
    (tmp_path / "model.safetensors").symlink_to(folder / "model.safetensors")
    with pytest.raises(UserError, match=r"model\.layers\.3"):
        llama.read(tmp_path)


def test_windows_keep_the_end_apart():
    cut = activations.windows(np.arange(47), 4, 42, 0.2)
    assert cut.train.ravel().tolist() == list(range(32))
    assert cut.held.ravel().tolist() == list(range(32, 40))
    with pytest.raises(UserError, match="more text"):
        activations.windows(np.arange(7), 4, 100)


def test_contexts_are_the_strongest_of_different_windows():
    signal = np.array([[0, 3, 1], [5, 4, 0], [0, 0, 0]])
    assert report.contexts(signal) == [(1, 1), (0, 2)]
    z = np.array([[1.0, 9, 0, 2], *[[0, 9.0, 0, 0]] * 19])
    assert report.chosen(z, 9).tolist() == [3, 0]  # 1 is always active, 2 never


@pytest.mark.parametrize("kind", ["transcoder", "autoencoder"])
def test_the_command_trains_measures_and_shows(folder, tmp_path, kind):
    text = tmp_path / "text.txt"
    text.write_text(" ".join(np.random.default_rng(1).choice(WORDS, 600)))
    command = ["language", "--model", str(folder), "--layer", "1", "--kind", kind]
    command += ["--texts", str(text), "--length", "12", "--latents", "48", "--k", "2"]
    command += ["--batch", "64", "--run-dir", str(tmp_path / "run"), "--learning-rate", "0.01"]
    assert main([*command, "--updates", "150"]) == 0
    found = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert found["fvu"] < 0.5 and found["l0"] <= 2 and 0 <= found["dead"] < 1
    distance = abs(found["nats_with_reconstruction"] - found["nats"])
    assert distance < abs(found["nats_with_mean"] - found["nats"])
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert "<mark>" in page and any(f"<mark>{word}</mark>" in page for word in WORDS)
    assert main([*command, "--updates", "151"]) == 2  # another run's folder
    file = tmp_path / "run" / "config.json"
    stored = json.loads(file.read_text())
    del stored["seed"]  # as if the field had come later
    file.write_text(json.dumps(stored))
    assert main([*command, "--updates", "150", "--patterns", "3"]) == 0
    assert json.loads(file.read_text())["seed"] == 0
