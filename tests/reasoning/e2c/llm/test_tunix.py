"""Real models through Tunix (extra llm): loading, tags, sampling, SFT, RL, and parity of the
losses. Skipped without the extra.
"""

import json
import shutil
import warnings
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from reasoning.e2c import losses
from reasoning.e2c.asking import Ask, Sampling, Weigh
from reasoning.e2c.format import CLOSE_PLAN, TAGS, Prompt
from reasoning.e2c.llm import extra
from reasoning.e2c.llm.config import LocalModel, RLTraining, SFTTraining
from reasoning.e2c.masks import phase_weights

pytest.importorskip("tunix", reason="google-tunix is in the extra llm")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]  # warnings of other people's libraries
SIZES = {"qwen3": (2, 2), "llama": (2, 1)}
WORDS = [
    "<pad>",
    "<eos>",
    "<unk>",
    *"abcdefghijklmnopqrstuvwxyz",
    *"0123456789",
    ".",
    ",",
    "?",
    "\\",
    "{",
    "}",
    "boxed",
    "Plan",
    "step",
    "\n",
    "the",
    "answer",
    "is",
    ":",
    "-",
    "(",
    ")",
    "=",
    "+",
]


@pytest.fixture(autouse=True, scope="module")
def promotion():
    """Tunix's models broadcast over ranks; its rollouts run in a thread, so the setting is changed
    for all.
    """
    jax.config.update("jax_numpy_rank_promotion", "allow")
    yield
    jax.config.update("jax_numpy_rank_promotion", "raise")


def write_tokenizer(folder):
    """A word tokenizer in the layout of tokenizer.json."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    model = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>")
    )
    model.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [tokenizers.pre_tokenizers.WhitespaceSplit(), tokenizers.pre_tokenizers.Punctuation()]
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=model, eos_token="<eos>", pad_token="<pad>", unk_token="<unk>"
    )
    fast.save_pretrained(folder)


def write_checkpoint(folder, family="qwen3", spare=0, tied=True):
    """A tiny random checkpoint in the published layout."""
    rows = len(WORDS) + spare
    from safetensors.numpy import save_file

    rng = np.random.default_rng(0)
    layers, kv = SIZES[family]
    width, hidden, heads, head = 32, 48, 4, 8

    def normal(*shape):
        return (rng.normal(size=shape) * 0.3).astype(np.float32)

    arrays = {
        "model.embed_tokens.weight": normal(rows, width),
        "model.norm.weight": np.ones(width, np.float32),
    }
    if not tied:
        arrays["lm_head.weight"] = normal(rows, width)
    for n in range(layers):
        at = f"model.layers.{n}."
        shapes = {
            "self_attn.q_proj": (heads * head, width),
            "self_attn.k_proj": (kv * head, width),
            "self_attn.v_proj": (kv * head, width),
            "self_attn.o_proj": (width, heads * head),
            "mlp.gate_proj": (hidden, width),
            "mlp.up_proj": (hidden, width),
            "mlp.down_proj": (width, hidden),
        }
        arrays |= {f"{at}{name}.weight": normal(*shape) for name, shape in shapes.items()}
        norms = ["input_layernorm", "post_attention_layernorm"]
        arrays |= {f"{at}{name}.weight": np.ones(width, np.float32) for name in norms}
        if family == "qwen3":
            arrays |= {
                f"{at}self_attn.{name}.weight": np.ones(head, np.float32)
                for name in ("q_norm", "k_norm")
            }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(arrays, folder / "model.safetensors")
    config = {
        "model_type": family,
        "num_hidden_layers": layers,
        "vocab_size": rows,
        "hidden_size": width,
        "intermediate_size": hidden,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "head_dim": head,
        "rope_theta": 10000.0,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": tied,
    }
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

    def rms(x, w):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * w

    x = a["model.embed_tokens.weight"][ids]
    t = len(ids)
    angle = np.arange(t)[:, None] * 10000.0 ** (-np.arange(4) / 4)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]

    def turn(y):
        return np.concatenate(
            [y[..., :4] * cos - y[..., 4:] * sin, y[..., 4:] * cos + y[..., :4] * sin], -1
        )

    for n in range(2):

        def w(name, n=n):
            return a[f"model.layers.{n}.{name}.weight"]

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
    np.testing.assert_allclose(
        forward(loaded, ids[None])[0][:, : len(WORDS)], slow_qwen(local.path, ids), atol=2e-3
    )


def test_tags_are_added_and_their_rows_grow(loaded):
    assert sorted(loaded.tags.values()) == list(range(len(WORDS), len(WORDS) + 4)) and set(
        loaded.tags
    ) == set(TAGS)
    table = np.asarray(loaded.model.embedder.input_embedding.get_value())
    assert table.shape[0] == len(WORDS) + 4
    new = table[-4:]
    assert np.linalg.norm(new[:, None] - new[None], axis=-1)[~np.eye(4, dtype=bool)].min() > 1e-3
    # the logit of a mean of rows is never the largest: each tag has a direction of its own
    away = new - table[2]  # <unk>
    assert np.linalg.norm(away, axis=1).min() > 0.5 * np.linalg.norm(table[2])
    cosines = away @ away.T / np.outer(*[np.linalg.norm(away, axis=1)] * 2)
    assert np.abs(cosines[~np.eye(4, dtype=bool)]).max() < 0.7


def test_spare_rows_are_used_and_llama_is_loaded(tmp_path):
    from reasoning.e2c.llm.load import load_model

    found = load_model(write_checkpoint(tmp_path / "llama", "llama", spare=9, tied=False))
    assert (
        found.config.vocab_size == len(WORDS) + 9
        and max(found.tags.values()) < found.config.vocab_size
    )
    assert np.isfinite(forward(found, np.array([[4, 5, 6]]))).all()


def test_bad_checkpoints_are_refused(local, tmp_path):
    from reasoning.e2c.llm.load import load_model

    with pytest.raises(UserError, match="does not know"):
        load_model(replace(local, add_tags=False))
    with pytest.raises(UserError, match=r"config\.json"):
        load_model(LocalModel(tmp_path))
    with pytest.raises(UserError, match="mesh"):
        load_model(replace(local, mesh=(64, 1)))
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(UserError, match="safetensors"):
        load_model(LocalModel(tmp_path))
    (tmp_path / "x.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="tokenizer"):
        load_model(LocalModel(tmp_path))
    write_tokenizer(tmp_path)
    with pytest.raises(UserError, match="gpt2"):
        load_model(LocalModel(tmp_path))


def three_of_one(backend, prompt, greedy):
    """Rows of the batches that four equal greedy asks take."""
    rows, real = [], backend._batch
    backend._batch = lambda part, *rest: (rows.append(len(part)), real(part, *rest))[1]
    found = backend.complete([Ask("plan", prompt, greedy, 3), Ask("plan", prompt, greedy, 1, 5)])
    backend._batch = real
    assert [len(group) for group in found] == [3, 1] and len(
        {c for group in found for c in group}
    ) == 1
    return rows


def test_the_backend_samples_stops_and_weighs(local, loaded):
    from reasoning.e2c.backends.tunix_local import TunixBackend

    backend = TunixBackend(loaded, local)
    prompt = Prompt("what is the answer ?", "<EXPLORATION>")
    greedy = Sampling(5, 0.0, 1.0, (CLOSE_PLAN,))
    (one, two), (three,) = backend.complete(
        [Ask("plan", prompt, greedy, 2), Ask("plan", prompt, Sampling(5, 1.0, 0.9), 1, 7)]
    )
    assert one == two and three_of_one(backend, prompt, greedy) == [1]
    assert 1 <= one.tokens <= 5 and one.prompt_tokens > 3 and 1 <= three.tokens <= 5

    (weighed,) = backend.weigh([Weigh("judge", prompt, "a b c")])
    ids = loaded.tokenizer.encode("what is the answer ?\n<EXPLORATION>", add_special_tokens=False)
    logits = forward(
        loaded, np.array([ids + loaded.tokenizer.encode("a b c", add_special_tokens=False)])
    )[0]
    logp = jax.nn.log_softmax(logits)
    wanted = sum(
        logp[len(ids) - 1 + t, token]
        for t, token in enumerate(loaded.tokenizer.encode("a b c", add_special_tokens=False))
    )
    np.testing.assert_allclose(weighed.logprob, wanted, atol=1e-3)


TEMPLATE = (
    "the answer is <eos> {% for message in messages %}{{ message['content'] }} <eos> "
    "{% endfor %}{% if add_generation_prompt %}step {% endif %}"
)
"""A chat template that ends turns with the end token, as SmolLM2's does."""


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A checkpoint whose pad is its end token."""
    folder = tmp_path_factory.mktemp("ended") / "model"
    local = write_checkpoint(folder)
    file = folder / "tokenizer_config.json"
    changed = json.loads(file.read_text()) | {"pad_token": "<eos>", "chat_template": TEMPLATE}
    file.write_text(json.dumps(changed))
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    return replace(local, batch=3, max_prompt=64)


def test_ends_of_turns_in_prompts_are_read_by_the_sampler(ended):
    """Greedy tokens of a batch are those of a loop over the logits of unpadded rows."""
    from reasoning.e2c.backends.tunix_local import TunixBackend, ends
    from reasoning.e2c.llm.load import load_model
    from reasoning.e2c.llm.prompts import prompt_text

    loaded = load_model(ended)
    prompts = [Prompt(text, "<EXPLORATION>") for text in ("a", "what is a ?", "b + c is the step")]
    texts = [prompt_text(loaded.tokenizer, prompt) for prompt in prompts]
    assert all(text.count("<eos>") == 2 for text in texts)
    backend, sampled = TunixBackend(loaded, ended), []
    finish = backend._completion
    backend._completion = lambda tokens, *rest: (sampled.append(tokens), finish(tokens, *rest))[1]
    backend.complete([Ask("plan", prompt, Sampling(8, 0.0, 1.0), 1) for prompt in prompts])
    for text, tokens in zip(texts, sampled, strict=True):
        ids = loaded.tokenizer.encode(text, add_special_tokens=False)
        assert ids.count(loaded.tokenizer.eos_token_id) == 2
        start = len(ids)
        while len(ids) < start + 8:
            ids.append(int(forward(loaded, np.array([ids]))[0, -1].argmax()))
            if ids[-1] in ends(loaded.tokenizer):
                ids.pop()
                break
        assert tokens.tolist() == ids[start:]


@pytest.mark.parametrize("pad", ["<eos>", None, "answer", "<pad>"])
def test_the_pad_is_no_token_of_prompts_and_responses(ended, pad):
    from reasoning.e2c.llm.load import load_tokenizer
    from reasoning.e2c.llm.tags import NEW_PAD, add_tags, set_pad, tag_ids

    def padded(template, *more):
        tokenizer = load_tokenizer(ended.path)
        add_tags(tokenizer)
        tokenizer.chat_template, tokenizer.pad_token = template, pad
        tokenizer.add_special_tokens({"additional_special_tokens": [*TAGS, *more]})
        assert set_pad(tokenizer) == tokenizer.pad_token_id
        assert tokenizer.pad_token_id not in {*tag_ids(tokenizer).values(), tokenizer.eos_token_id}
        return tokenizer.pad_token

    assert padded(TEMPLATE) == "<pad>"
    assert padded(TEMPLATE + "<pad>") == NEW_PAD
    assert padded(TEMPLATE + "<pad>", "<free>", "<right_pad>") == "<right_pad>"
    assert padded(TEMPLATE + "<pad>", "<free>") == "<free>"


def test_the_end_of_a_response_is_trained_by_sft_and_rl(ended, tmp_path):
    from types import SimpleNamespace

    from reasoning.e2c.llm.load import load_model
    from reasoning.e2c.llm.rl import ended_rollouts
    from reasoning.e2c.llm.sft import all_rows

    tokenizer = load_model(ended).tokenizer
    config = SFTTraining(data=write_rows(tmp_path / "rows.jsonl"), max_length=96)
    rows, end = all_rows(config, tokenizer), tokenizer.eos_token_id
    for ids, valid, trained in zip(rows.ids, rows.valid, rows.trained, strict=True):
        last = valid.sum() - 1
        assert ids[last] == end and trained[last] and valid[: last + 1].all()

    def generate(prompts):
        return SimpleNamespace(tokens=[np.array([5, 6]), np.array([5, 6, 7]), np.array([], int)])

    most = SimpleNamespace(rollout_config=SimpleNamespace(max_tokens_to_generate=3))
    rollout = SimpleNamespace(eos_id=lambda: end)
    cluster = SimpleNamespace(generate=generate, rollout=rollout, cluster_config=most)
    with ended_rollouts(cluster):
        found = [tokens.tolist() for tokens in cluster.generate(["a"]).tokens]
    assert found == [[5, 6, end], [5, 6, 7], [end]] and cluster.generate is generate


@pytest.mark.parametrize("how", ["token-mean", "sequence-mean-token-mean"])
@pytest.mark.parametrize("high, dual, beta", [(0.2, None, 0.0), (0.28, 3.0, 0.04)])
def test_our_policy_loss_is_tunixs(loaded, how, high, dual, beta):
    core = extra.load("tunix.rl.algo_core")
    common = extra.load("tunix.rl.common")
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
        graph,
        state,
        prompt_tokens=jnp.asarray(prompt),
        completion_tokens=jnp.asarray(response),
        pad_id=0,
        eos_id=1,
        stop_gradient=False,
        return_logits=False,
        temperature=1.0,
    )
    logp = logp[0] if isinstance(logp, tuple) else logp
    old = logp + jnp.asarray(rng.normal(0, 0.3, logp.shape), jnp.float32)
    reference = logp + jnp.asarray(rng.normal(0, 0.3, logp.shape), jnp.float32)
    from reasoning.e2c.llm.rl import algorithm_of

    config = algorithm_of(RLTraining(group=2, eps=0.2, eps_high=high, dual_clip=dual, beta=beta))
    config.temperature, config.loss_agg_mode = 1.0, how
    example = common.TrainExample(
        prompt_ids=jnp.asarray(prompt),
        prompt_mask=jnp.ones((4, 5), bool),
        completion_ids=jnp.asarray(response),
        completion_mask=jnp.asarray(mask),
        advantages=advantages,
        ref_per_token_logps=reference if beta else None,
        old_per_token_logps=old,
    )
    theirs, _ = core.grpo_loss_fn(loaded.model, example, config, 0, 1)
    ours = losses.clipped_policy_loss(
        logp, old, advantages, jnp.asarray(mask), 0.2, high, dual, how
    )
    ours += beta * losses.aggregate_tokens(losses.k3_kl(logp, reference), jnp.asarray(mask), how)
    np.testing.assert_allclose(ours, theirs, atol=2e-6)


def write_rows(path, count=6):
    rows = [
        {
            "question": f"what is a + {n} ?",
            "answer": str(n),
            "exploration": "1. step a\n2. step b",
            "re_execution": f"1. step a\n2. step b\nthe answer is \\boxed{{{n}}}",
        }
        for n in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def forget(run, *steps):
    """As if the process had died before these checkpoints."""
    for step in steps:
        (folder,) = (run / "checkpoints").rglob(str(step))
        shutil.rmtree(folder)


def arrays(model):
    from flax import nnx

    return [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(model))]


@pytest.mark.parametrize("trained, lora", [("all", 0), ("plan", 4)])
def test_sft_goes_on_as_if_it_had_never_stopped_and_its_weights_are_found_again(
    local, tmp_path, trained, lora
):
    from reasoning.e2c.llm.load import load_model
    from reasoning.e2c.llm.sft import train

    data, run = write_rows(tmp_path / "rows.jsonl"), tmp_path / "run"
    sizes = {"steps": 4, "batch": 3, "max_length": 96, "save_every": 2, "log_every": 2}
    config = SFTTraining(data=data, base_data=data, learning_rate=1e-2, trained=trained, **sizes)
    model = replace(local, lora_rank=lora)
    whole = arrays(train(model, config, run).model)

    def read():
        return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]

    lines = read()
    assert [line["step"] for line in lines] == [2, 4] and lines[0]["tokens_per_second"] > 0
    assert {"loss", "plan_entropy", "execution_entropy"} <= set(lines[0]) and 0 < lines[0][
        "tokens"
    ] < 2 * 3 * 96
    assert set(json.loads((run / "tags.json").read_text())) == {*TAGS, "begun"}
    for before, after in zip(
        arrays(load_model(replace(model, trained=run)).model), whole, strict=True
    ):
        np.testing.assert_array_equal(before, after)
    forget(run, 4)
    resumed = arrays(train(model, config, run).model)
    for one, other in zip(whole, resumed, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert [{**line, "tokens_per_second": 0} for line in read()] == [
        {**line, "tokens_per_second": 0} for line in lines
    ]
    train(model, config, run)  # finished: nothing more is done
    assert read()[:2] == read() and len(read()) == 2
    ids = json.loads((run / "tags.json").read_text())
    del ids["begun"]  # as before 0.2, when new rows began by another rule
    (run / "tags.json").write_text(json.dumps(ids))
    if lora:
        with pytest.raises(UserError, match="next to other rows of the tags"):
            load_model(replace(model, trained=run))
        with pytest.raises(UserError, match="next to other rows of the tags"):
            train(model, config, run)
    else:  # the run keeps its rows
        load_model(replace(model, trained=run))
    with pytest.raises(UserError, match="was trained with the tags"):
        (run / "tags.json").write_text(json.dumps(dict.fromkeys(TAGS, 1) | {"begun": 2}))
        load_model(replace(model, trained=run))
    with pytest.raises(UserError, match=r"holds no tags\.json"):
        load_model(replace(model, trained=tmp_path))


@pytest.mark.parametrize("lora", [0, 2])
def test_parts_of_an_update_sum_up_to_the_whole_one(local, tmp_path, lora):
    """Rows of different lengths: token for token, not part for part."""
    from reasoning.e2c.llm.sft import train

    data = write_rows(tmp_path / "rows.jsonl")
    whole = SFTTraining(data=data, steps=2, batch=6, max_length=96, learning_rate=1e-2, log_every=1)
    model, found = replace(local, lora_rank=lora), {}
    for micro in (None, 2, 1):
        run = tmp_path / f"run{micro}"
        found[micro] = arrays(train(model, replace(whole, micro_batch=micro), run).model)
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [1, 2]
        found[f"loss{micro}"] = lines[0]["loss"]
    for micro in (2, 1):
        assert found[f"loss{micro}"] == pytest.approx(found["lossNone"], rel=1e-4)
        for one, other in zip(found[None], found[micro], strict=True):
            np.testing.assert_allclose(one, other, atol=2e-4)
    with pytest.raises(UserError, match="no multiple of micro_batch"):
        train(model, replace(whole, micro_batch=4), tmp_path / "bad")


def test_ef_sft_draws_its_base_rows(loaded, tmp_path):
    from reasoning.e2c.llm.sft import all_rows

    new, base = write_rows(tmp_path / "a.jsonl"), write_rows(tmp_path / "b.jsonl", 10)
    config = SFTTraining(
        data=new, base_data=base, base_share=0.5, trained="plan", max_length=96, seed=1
    )
    drawn = [all_rows(replace(config, seed=s), loaded.tokenizer) for s in (1, 1, 2)]
    assert all(len(rows.ids) == 6 + 3 for rows in drawn)
    np.testing.assert_array_equal(drawn[0].ids, drawn[1].ids)
    assert (drawn[0].ids[6:] != drawn[2].ids[6:]).any()
    assert (drawn[0].trained[6:] == drawn[0].response[6:]).all()  # whole
    assert (drawn[0].trained[:6].sum(1) < drawn[0].response[:6].sum(1)).all()


PUBLISHED = {
    "Qwen3-0.6B": (("qwen3", 1024, 3072, 28, 16, 8, 128, 151_936, True), 596_049_920),
    "Qwen3-1.7B": (("qwen3", 2048, 6144, 28, 16, 8, 128, 151_936, True), 1_720_574_976),
    "Qwen3-4B": (("qwen3", 2560, 9728, 36, 32, 8, 128, 151_936, True), 4_022_468_096),
    "Qwen3-8B": (("qwen3", 4096, 12_288, 36, 32, 8, 128, 151_936, False), 8_190_735_360),
    "Qwen3-32B": (("qwen3", 5120, 25_600, 64, 64, 8, 128, 151_936, False), 32_762_123_264),
    "Llama-3.2-1B": (("llama", 2048, 8192, 16, 32, 8, 64, 128_256, True), 1_235_814_400),
    "Llama-3.2-3B": (("llama", 3072, 8192, 28, 24, 8, 128, 128_256, True), 3_212_749_824),
    "Llama-3.1-8B": (("llama", 4096, 14_336, 32, 32, 8, 128, 128_256, False), 8_030_261_248),
    "Llama-3.1-70B": (("llama", 8192, 28_672, 80, 64, 8, 128, 128_256, False), 70_553_706_496),
    "SmolLM2-135M": (("llama", 576, 1536, 30, 9, 3, 64, 49_152, True), 134_515_008),
}
"""Sizes of published config.json files, and the published numbers of parameters."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_load_by_shape(tmp_path, name):
    from flax import nnx

    from reasoning.e2c.llm.load import abstract_model

    sizes, parameters = PUBLISHED[name]
    fields = (
        "model_type",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "vocab_size",
        "tie_word_embeddings",
    )
    written = dict(zip(fields, sizes, strict=True)) | {"rms_norm_eps": 1e-6, "rope_theta": 1e6}
    (tmp_path / "config.json").write_text(json.dumps(written))
    shapes = jax.tree.leaves(nnx.state(abstract_model(tmp_path), nnx.Param))
    assert sum(int(np.prod(leaf.shape)) for leaf in shapes) == parameters


@pytest.mark.parametrize(
    "field",
    [
        {"attention_bias": True},
        {"mlp_bias": True},
        {"use_sliding_window": True},
        {"hidden_act": "gelu"},
        {"quantization_config": {"bits": 4}},
    ],
)
def test_what_would_be_computed_wrongly_is_refused(tmp_path, field):
    from reasoning.e2c.llm.load import model_config

    usual = {"attention_bias": False, "mlp_bias": None, "hidden_act": "silu"}
    sizes = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 9}
    sizes |= {"model_type": "llama", "intermediate_size": 8, "rms_norm_eps": 1e-6}
    (tmp_path / "config.json").write_text(json.dumps(sizes | usual | {"rope_theta": 1e4}))
    assert model_config(tmp_path, LocalModel())["family"] == "llama"
    (tmp_path / "config.json").write_text(json.dumps(sizes | usual | {"rope_theta": 1e4} | field))
    with pytest.raises(UserError, match=f"says {next(iter(field))} .* not supported"):
        model_config(tmp_path, LocalModel())


def test_prompts_are_padded_to_few_sizes():
    from reasoning.e2c.backends.tunix_local import padded

    assert [padded(n, 1000) for n in (1, 64, 65, 500, 600, 1000, 1001)] == [
        64,
        64,
        128,
        512,
        1000,
        1000,
        1024,
    ]  # fmt: skip (matrix of sizes)
    assert padded(20, 32) == 32


def test_rows_that_lack_something_are_named(local, loaded, tmp_path):
    from reasoning.e2c.llm.sft import all_rows

    path = write_rows(tmp_path / "rows.jsonl")
    path.write_text(
        path.read_text() + '{"question": "q", "exploration": "p", "re_execution": "e"}\n'
    )
    with pytest.raises(UserError, match="row 7, has no answer"):
        all_rows(SFTTraining(data=path, max_length=96), loaded.tokenizer)
    with pytest.raises(UserError, match="at most 3 tokens"):
        all_rows(SFTTraining(data=write_rows(tmp_path / "b.jsonl"), max_length=3), loaded.tokenizer)


def test_reinforcement_learning_goes_on_as_if_it_had_never_stopped(local, tmp_path):
    from reasoning.e2c.llm.load import load_model
    from reasoning.e2c.llm.rl import check, train

    data, run = tmp_path / "rl.jsonl", tmp_path / "run"
    data.write_text(
        "".join(
            json.dumps({"question": f"what is {n} ?", "answer": str(n)}) + "\n" for n in range(4)
        )
    )
    config = RLTraining(
        data=data,
        stage=1,
        group=2,
        prompts=2,
        mini_batch=2,
        micro_batch=1,
        steps=2,
        temperature=1.3,
        max_prompt=64,
        max_response=12,
        overlong_buffer=11,
        learning_rate=1e-2,
        save_every=1,
        beta=0.1,
    )
    before = arrays(load_model(local).model)
    whole = arrays(train(local, config, run))
    assert max(np.abs(a - b).max() for a, b in zip(before, whole, strict=True)) > 1e-3

    def read():
        return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]

    lines = read()
    assert [line["step"] for line in lines] == [1, 2, 3, 4]  # two micro-batches of each batch
    assert all({"reward", "length", "tokens_per_second"} <= set(line) for line in lines)
    forget(run, 2)
    for one, other in zip(whole, arrays(train(local, config, run)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)

    def plain(line):
        return {**line, "tokens_per_second": 0}

    assert [plain(line) for line in read()] == [
        pytest.approx(plain(line), abs=1e-4) for line in lines
    ]
    for one, other in zip(
        whole, arrays(load_model(replace(local, trained=run)).model), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    train(local, config, run)  # finished: nothing more is done
    assert len(read()) == 4
    for bad, stated in (
        ({"group": 1}, "at least 2"),
        ({"micro_batch": 3}, "micro_batch"),
        ({"prompts": 3}, "mini_batch"),
    ):
        with pytest.raises(UserError, match=stated):
            check(replace(config, **bad))


def test_batches_of_rollouts_have_random_numbers_of_their_own():
    from reasoning.e2c.llm.rl import seed_of_batch

    assert len({seed_of_batch(seed, batch) for seed in range(3) for batch in range(50)}) == 150
    assert seed_of_batch(1, 2) == seed_of_batch(1, 2) < 2**31


def test_entropies_of_rollouts_are_those_of_all_rows_at_once(loaded):
    from types import SimpleNamespace

    from reasoning.e2c.backends.tunix_local import forward as run
    from reasoning.e2c.llm.tags import markers
    from reasoning.e2c.llm.watch import batch_entropies

    rng, tags = np.random.default_rng(0), markers(loaded.tokenizer)
    ids = rng.integers(3, 40, (3, 11))
    ids[0, 7], ids[2, 6] = tags.close_plan, tags.close_plan  # the second response has no tag
    valid = np.ones(ids.shape, bool)
    valid[0, :2], valid[2, 9:] = False, False
    example = SimpleNamespace(
        prompt_ids=jnp.asarray(ids[:, :5]),
        completion_ids=jnp.asarray(ids[:, 5:]),
        prompt_mask=jnp.asarray(valid[:, :5]),
        completion_mask=jnp.asarray(valid[:, 5:]),
    )
    found = batch_entropies(loaded.model, loaded.mesh, example, tags, 3)
    response = valid & (np.arange(11) >= 5)
    logits = run(loaded.model, jnp.asarray(ids), jnp.asarray(valid))[:, :-1]
    wanted = losses.phase_entropy(
        logits, jnp.asarray(ids[:, 1:]), jnp.asarray(response[:, 1:]), tags
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    assert np.isnan(batch_entropies(loaded.model, loaded.mesh, example, tags, 0)).all()


def test_a_learner_without_the_hook_is_refused(monkeypatch):
    from types import SimpleNamespace

    from reasoning.e2c.llm import rl

    monkeypatch.setattr(rl.extra, "load", lambda name: SimpleNamespace(GRPOLearner=object))
    with pytest.raises(UserError, match="install 'google-tunix"):
        rl.weighted_learner(RLTraining(), (1, 2))
