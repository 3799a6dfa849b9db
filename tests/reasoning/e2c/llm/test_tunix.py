"""Real models through Tunix (extra llm): loading, tags, sampling, SFT, RL, and parity of the losses. Skipped without the extra."""

import json
import warnings
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.train.errors import Refusal
from reasoning.e2c import losses
from reasoning.e2c.asking import Ask, Sampling, Weigh
from reasoning.e2c.format import CLOSE_PLAN, TAGS, Prompt
from reasoning.e2c.llm import extra
from reasoning.e2c.llm.config import LocalModel, RLTraining, SFTTraining
from reasoning.e2c.masks import phase_weights

pytest.importorskip("tunix", reason="google-tunix is in the extra llm")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # warnings of other people's libraries
SIZES = {"qwen3": (2, 2), "llama": (2, 1)}
WORDS = [
    "<pad>", "<eos>", "<unk>", *"abcdefghijklmnopqrstuvwxyz", *"0123456789", ".", ",", "?", "\\", "{", "}", "boxed", "Plan", "step", "\n",
    "the", "answer", "is", ":", "-", "(", ")", "=", "+",
]  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def promotion():
    """Tunix's models broadcast over ranks; its rollouts run in a thread, so the setting is changed for all."""
    jax.config.update("jax_numpy_rank_promotion", "allow")
    yield
    jax.config.update("jax_numpy_rank_promotion", "raise")


def write_tokenizer(folder):
    """A word tokenizer in the layout of tokenizer.json."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.WhitespaceSplit(), tokenizers.pre_tokenizers.Punctuation(),
    ])  # fmt: skip
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=model, eos_token="<eos>", pad_token="<pad>", unk_token="<unk>")
    fast.save_pretrained(folder)


def write_checkpoint(folder, family="qwen3", spare=0, tied=True):
    """A tiny random checkpoint in the published layout."""
    rows = len(WORDS) + spare
    from safetensors.numpy import save_file

    rng = np.random.default_rng(0)
    layers, kv = SIZES[family]
    width, hidden, heads, head = 32, 48, 4, 8
    normal = lambda *shape: (rng.normal(size=shape) * 0.3).astype(np.float32)
    arrays = {"model.embed_tokens.weight": normal(rows, width), "model.norm.weight": np.ones(width, np.float32)}
    if not tied:
        arrays["lm_head.weight"] = normal(rows, width)
    for n in range(layers):
        at = f"model.layers.{n}."
        shapes = {
            "self_attn.q_proj": (heads * head, width), "self_attn.k_proj": (kv * head, width), "self_attn.v_proj": (kv * head, width),
            "self_attn.o_proj": (width, heads * head), "mlp.gate_proj": (hidden, width), "mlp.up_proj": (hidden, width),
            "mlp.down_proj": (width, hidden),
        }  # fmt: skip
        arrays |= {f"{at}{name}.weight": normal(*shape) for name, shape in shapes.items()}
        norms = ["input_layernorm", "post_attention_layernorm"]
        arrays |= {f"{at}{name}.weight": np.ones(width, np.float32) for name in norms}
        if family == "qwen3":
            arrays |= {f"{at}self_attn.{name}.weight": np.ones(head, np.float32) for name in ("q_norm", "k_norm")}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(arrays, folder / "model.safetensors")
    config = {
        "model_type": family, "num_hidden_layers": layers, "vocab_size": rows, "hidden_size": width, "intermediate_size": hidden,
        "num_attention_heads": heads, "num_key_value_heads": kv, "head_dim": head, "rope_theta": 10000.0, "rms_norm_eps": 1e-6,
        "tie_word_embeddings": tied,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    write_tokenizer(folder)
    return LocalModel(folder, dtype="float32", max_prompt=32, batch=2)


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("qwen3") / "model")


@pytest.fixture(scope="module")
def loaded(local):
    from reasoning.e2c.llm.load import load_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_model(local)


def forward(loaded, ids):
    from reasoning.e2c.backends.tunix_local import forward as run

    return np.asarray(run(loaded.model, jnp.asarray(ids), jnp.ones(ids.shape, bool)))


def slow_qwen(folder, ids):
    """The published architecture in NumPy, from the file's arrays."""
    from safetensors.numpy import load_file

    a = load_file(folder / "model.safetensors")
    rms = lambda x, w: x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * w
    x = a["model.embed_tokens.weight"][ids]
    t = len(ids)
    angle = np.arange(t)[:, None] * 10000.0 ** (-np.arange(4) / 4)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    turn = lambda y: np.concatenate([y[..., :4] * cos - y[..., 4:] * sin, y[..., 4:] * cos + y[..., :4] * sin], -1)
    for n in range(2):
        w = lambda name, n=n: a[f"model.layers.{n}.{name}.weight"]
        y = rms(x, w("input_layernorm"))
        q, k, v = ((y @ w(f"self_attn.{p}_proj").T).reshape(t, -1, 8) for p in "qkv")
        q, k = turn(rms(q, w("self_attn.q_norm"))), turn(rms(k, w("self_attn.k_norm")))
        k, v = np.repeat(k, 2, 1), np.repeat(v, 2, 1)
        scores = np.einsum("thd,shd->hts", q, k) / np.sqrt(8) + np.triu(np.full((t, t), -1e30), 1)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        x = x + np.einsum("hts,shd->thd", weights, v).reshape(t, -1) @ w("self_attn.o_proj").T
        y = rms(x, w("post_attention_layernorm"))
        gate = y @ w("mlp.gate_proj").T
        x = x + (gate / (1 + np.exp(-gate)) * (y @ w("mlp.up_proj").T)) @ w("mlp.down_proj").T
    return rms(x, a["model.norm.weight"]) @ a["model.embed_tokens.weight"].T


def test_a_published_layout_is_loaded_number_by_number(local, loaded):
    ids = np.array([5, 9, 20, 3, 7])
    np.testing.assert_allclose(forward(loaded, ids[None])[0][:, : len(WORDS)], slow_qwen(local.path, ids), atol=2e-3)


def test_tags_are_added_and_their_rows_grow(loaded):
    assert sorted(loaded.tags.values()) == list(range(len(WORDS), len(WORDS) + 4)) and set(loaded.tags) == set(TAGS)
    table = np.asarray(loaded.model.embedder.input_embedding.get_value())
    assert table.shape[0] == len(WORDS) + 4
    np.testing.assert_allclose(table[-1], table[: len(WORDS)].mean(0), atol=1e-5)


def test_spare_rows_are_used_and_llama_is_loaded(tmp_path):
    from reasoning.e2c.llm.load import load_model

    found = load_model(write_checkpoint(tmp_path / "llama", "llama", spare=9, tied=False))
    assert found.config.vocab_size == len(WORDS) + 9 and max(found.tags.values()) < found.config.vocab_size
    assert np.isfinite(forward(found, np.array([[4, 5, 6]]))).all()


def test_bad_checkpoints_are_refused(local, tmp_path):
    from reasoning.e2c.llm.load import load_model

    with pytest.raises(Refusal, match="does not know"):
        load_model(replace(local, add_tags=False))
    with pytest.raises(Refusal, match=r"config\.json"):
        load_model(LocalModel(tmp_path))
    with pytest.raises(Refusal, match="mesh"):
        load_model(replace(local, mesh=(64, 1)))
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(Refusal, match="safetensors"):
        load_model(LocalModel(tmp_path))
    (tmp_path / "x.safetensors").write_bytes(b"")
    with pytest.raises(Refusal, match="tokenizer"):
        load_model(LocalModel(tmp_path))
    write_tokenizer(tmp_path)
    with pytest.raises(Refusal, match="gpt2"):
        load_model(LocalModel(tmp_path))


def test_the_backend_samples_stops_and_weighs(local, loaded):
    from reasoning.e2c.backends.tunix_local import TunixBackend

    backend = TunixBackend(loaded, local)
    prompt = Prompt("what is the answer ?", "<EXPLORATION>")
    greedy = Sampling(5, 0.0, 1.0, (CLOSE_PLAN,))
    (one, two), (three,) = backend.complete([Ask("plan", prompt, greedy, 2), Ask("plan", prompt, Sampling(5, 1.0, 0.9), 1, 7)])
    assert one == two and 1 <= one.tokens <= 5 and one.prompt_tokens > 3 and 1 <= three.tokens <= 5
    (weighed,) = backend.weigh([Weigh("judge", prompt, "a b c")])
    ids = loaded.tokenizer.encode("what is the answer ?\n<EXPLORATION>", add_special_tokens=False)
    logits = forward(loaded, np.array([ids + loaded.tokenizer.encode("a b c", add_special_tokens=False)]))[0]
    logp = jax.nn.log_softmax(logits)
    wanted = sum(
        logp[len(ids) - 1 + t, token] for t, token in enumerate(loaded.tokenizer.encode("a b c", add_special_tokens=False))
    )
    np.testing.assert_allclose(weighed.logprob, wanted, atol=1e-3)


@pytest.mark.parametrize("how", ["token-mean", "sequence-mean-token-mean"])
@pytest.mark.parametrize("high, dual", [(0.2, None), (0.28, 3.0)])
def test_our_policy_loss_is_tunixs(loaded, how, high, dual):
    core = extra.load("tunix.rl.algo_core")
    grpo, common = extra.load("tunix.rl.grpo.grpo_learner"), extra.load("tunix.rl.common")
    from flax import nnx

    rng = np.random.default_rng(0)
    prompt, response = rng.integers(3, 40, (4, 5)), rng.integers(3, 40, (4, 7))
    response[0, 2] = loaded.tags[CLOSE_PLAN]
    mask = np.ones((4, 7), bool)
    mask[1, 5:] = False
    tags = (loaded.tags[CLOSE_PLAN], loaded.tags["<EXECUTION>"])
    from reasoning.e2c.masks import Markers

    advantages = jnp.asarray(rng.normal(size=(4, 1)), jnp.float32) * phase_weights(
        jnp.asarray(response), jnp.asarray(mask), Markers(*tags), 2.0
    )
    graph, state = nnx.split(loaded.model)
    logp = common.compute_per_token_logps(
        graph, state, prompt_tokens=jnp.asarray(prompt), completion_tokens=jnp.asarray(response), pad_id=0, eos_id=1, stop_gradient=False,
        return_logits=False, temperature=1.0,
    )  # fmt: skip
    logp = logp[0] if isinstance(logp, tuple) else logp
    old = logp + jnp.asarray(rng.normal(0, 0.3, logp.shape), jnp.float32)
    config = grpo.GRPOConfig(num_generations=2, beta=0.0, epsilon=0.2, loss_agg_mode=how)
    config.temperature, config.epsilon_high, config.epsilon_c = 1.0, high, dual
    example = common.TrainExample(
        prompt_ids=jnp.asarray(prompt), prompt_mask=jnp.ones((4, 5), bool), completion_ids=jnp.asarray(response),
        completion_mask=jnp.asarray(mask), advantages=advantages, ref_per_token_logps=None, old_per_token_logps=old,
    )  # fmt: skip
    theirs, _ = core.grpo_loss_fn(loaded.model, example, config, 0, 1)
    ours = losses.clipped_policy_loss(logp, old, advantages, jnp.asarray(mask), 0.2, high, dual, how)
    np.testing.assert_allclose(ours, theirs, atol=2e-6)


def write_rows(path, count=6):
    rows = [
        {"question": f"what is a + {n} ?", "answer": str(n), "exploration": "1. step a\n2. step b",
         "re_execution": f"1. step a\n2. step b\nthe answer is \\boxed{{{n}}}"} for n in range(count)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("trained, lora", [("all", 0), ("plan", 4)])
def test_sft_lowers_the_loss_and_resumes(local, tmp_path, trained, lora):
    from reasoning.e2c.llm.sft import train

    data = write_rows(tmp_path / "rows.jsonl")
    config = SFTTraining(
        data=data, base_data=data, steps=4, batch=3, max_length=96, learning_rate=1e-2, save_every=2, log_every=2, trained=trained
    )
    train(replace(local, lora_rank=lora), config, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4] and lines[0]["tokens_per_second"] > 0
    assert {"plan_entropy", "execution_entropy"} <= set(lines[0])
    assert set(json.loads((tmp_path / "run" / "tags.json").read_text())) == set(TAGS)
    train(replace(local, lora_rank=lora), config, tmp_path / "run")  # finished: nothing more is done
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 2


def test_rows_that_lack_something_are_named(local, loaded, tmp_path):
    from reasoning.e2c.llm.sft import all_rows

    path = write_rows(tmp_path / "rows.jsonl")
    path.write_text(path.read_text() + '{"question": "q", "exploration": "p", "re_execution": "e"}\n')
    with pytest.raises(Refusal, match="row 7, has no answer"):
        all_rows(SFTTraining(data=path, max_length=96), loaded.tokenizer)
    with pytest.raises(Refusal, match="at most 3 tokens"):
        all_rows(SFTTraining(data=write_rows(tmp_path / "b.jsonl"), max_length=3), loaded.tokenizer)


def test_reinforcement_learning_runs_with_the_plans_weight(local, tmp_path):
    from reasoning.e2c.llm.load import load_model
    from reasoning.e2c.llm.rl import check, train

    data = tmp_path / "rl.jsonl"
    data.write_text("".join(json.dumps({"question": f"what is {n} ?", "answer": str(n)}) + "\n" for n in range(4)))
    config = RLTraining(
        data=data, stage=1, group=2, prompts=2, mini_batch=2, steps=2, temperature=1.3, max_prompt=64, max_response=12, overlong_buffer=6,
        learning_rate=1e-2, save_every=1,
    )  # fmt: skip
    before = np.asarray(load_model(local).model.embedder.input_embedding.get_value())
    trained = train(local, config, tmp_path / "run")
    after = np.asarray(trained.embedder.input_embedding.get_value())
    assert np.abs(after - before).max() > 1e-6
    with pytest.raises(Refusal, match="at least 2"):
        check(replace(config, group=1))


def test_a_learner_without_the_hook_is_refused(monkeypatch):
    from types import SimpleNamespace

    from reasoning.e2c.llm import rl

    monkeypatch.setattr(rl.extra, "load", lambda name: SimpleNamespace(GRPOLearner=object))
    with pytest.raises(Refusal, match="install 'google-tunix"):
        rl.weighted_learner(RLTraining(), (1, 2))
