"""A Llama in two halves, around the perceptron of one block: what that reads and writes, and what
the model says when something else is written in its place.

The published layout (config.json, *.safetensors, tokenizer.json), as `python -m reasoning.e2c fetch
smollm2` makes it. Plain functions of arrays; a hook would have to change a module in use.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from sae.interop.safetensors import read_safetensors

BLOCK = {
    "norm": "input_layernorm.weight",
    "q": "self_attn.q_proj.weight",
    "k": "self_attn.k_proj.weight",
    "v": "self_attn.v_proj.weight",
    "o": "self_attn.o_proj.weight",
    "mlp_norm": "post_attention_layernorm.weight",
    "gate": "mlp.gate_proj.weight",
    "up": "mlp.up_proj.weight",
    "down": "mlp.down_proj.weight",
}
"""Weights of a block by our names, and the published ones."""


class Sizes(NamedTuple):
    """Numbers that are known when a program is compiled."""

    layers: int
    heads: int
    pairs: int
    """Heads of keys and values."""
    width: int
    """Features of a head."""
    epsilon: float
    theta: float


class Llama(NamedTuple):
    """A model that was read."""

    sizes: Sizes
    weights: dict[str, Any]
    """embed `[V, D]`, head `[V, D]`, norm `[D]`, and blocks, each weight stacked `[L, ...]`."""


def read(folder: str | Path) -> Llama:
    """Read a checkpoint of the Llama family.

    Raises:
      UserError: it is not there, or has parts that are not computed here.
    """
    folder = Path(folder).expanduser()
    try:
        stored = json.loads((folder / "config.json").read_text())
        files = sorted(folder.glob("*.safetensors"))
        tensors = {name: a for file in files for name, a in read_safetensors(file).items()}
        heads = stored["num_attention_heads"]
        sizes = Sizes(
            stored["num_hidden_layers"],
            heads,
            stored.get("num_key_value_heads") or heads,
            stored.get("head_dim") or stored["hidden_size"] // heads,
            float(stored["rms_norm_eps"]),
            float(stored.get("rope_theta") or 10_000),
        )
        _check(stored, folder)
        blocks = {
            ours: np.stack([tensors[f"model.layers.{n}.{name}"] for n in range(sizes.layers)])
            for ours, name in BLOCK.items()
        }
        embed = tensors["model.embed_tokens.weight"]
        head = embed if stored.get("tie_word_embeddings") else tensors["lm_head.weight"]
        weights = {
            "embed": embed,
            "head": head,
            "norm": tensors["model.norm.weight"],
            "blocks": blocks,
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{folder} holds no complete Llama checkpoint ({type(error).__name__}: {error}): name "
            "a folder with config.json, *.safetensors and tokenizer.json"
        ) from None
    return Llama(sizes, jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), weights))


def _check(stored: dict[str, Any], folder: Path) -> None:
    """Refuse what would be computed wrongly in silence."""
    wanted = {
        "model_type": ("llama",),
        "hidden_act": ("silu",),
        "rope_scaling": (None,),
        "attention_bias": (None, False),
        "mlp_bias": (None, False),
    }
    for name, values in wanted.items():
        if stored.get(name) not in values:
            raise UserError(
                f"{folder / 'config.json'} says {name} {stored.get(name)!r}: only "
                f"{values[-1]!r} is computed here"
            )


def mlp_of(block: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """The perceptron of a block, `[..., D]` to `[..., D]`."""
    return (jax.nn.silu(x @ block["gate"].T) * (x @ block["up"].T)) @ block["down"].T


def _norm(x, scale, sizes):
    length = jnp.square(x).mean(-1, keepdims=True)
    return x * jax.lax.rsqrt(length + sizes.epsilon) * scale[None, None]


def _rotate(x, sizes):
    """Rotary positions of `[B, T, H, W]`, by halves as the published weights want it."""
    half = sizes.width // 2
    angles = jnp.outer(jnp.arange(x.shape[1]), sizes.theta ** (-jnp.arange(half) / half))
    cos, sin = (turn(angles)[None, :, None] for turn in (jnp.cos, jnp.sin))
    a, b = x[..., :half], x[..., half:]
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def _attended(block, h, sizes):
    """The residual stream `[B, T, D]` after a block's attention."""
    batch, length, _ = h.shape
    x = _norm(h, block["norm"], sizes)

    def split(name, heads):
        return (x @ block[name].T).reshape(batch, length, heads, sizes.width)

    q, k = _rotate(split("q", sizes.heads), sizes), _rotate(split("k", sizes.pairs), sizes)
    mixed = jax.nn.dot_product_attention(q, k, split("v", sizes.pairs), is_causal=True)
    return h + mixed.reshape(batch, length, -1) @ block["o"].T


def _through(blocks, h, sizes):
    def block_of(h, block):
        h = _attended(block, h, sizes)
        return h + mlp_of(block, _norm(h, block["mlp_norm"], sizes)), None

    return jax.lax.scan(block_of, h, blocks)[0]


def before(model: Llama, tokens: jax.Array, layer: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Read tokens `[B, T]` up to the perceptron of block `layer`.

    Returns:
      `(h, x, y)`, all `[B, T, D]`: the residual stream before the perceptron, its input, and its
      output.
    """
    sizes, weights = model
    first = jax.tree.map(lambda a: a[:layer], weights["blocks"])
    here = jax.tree.map(lambda a: a[layer], weights["blocks"])
    h = _attended(here, _through(first, weights["embed"][tokens], sizes), sizes)
    x = _norm(h, here["mlp_norm"], sizes)
    return h, x, mlp_of(here, x)


def nats_after(model: Llama, tokens: jax.Array, h: jax.Array, y: jax.Array, layer: int):
    """Cross-entropy of the next tokens, nats per token, when block `layer` writes y.

    Args:
      model: the whole model.
      tokens: int `[B, T]`.
      h: `[B, T, D]`, the residual stream before the perceptron.
      y: `[B, T, D]`, in place of the perceptron's output.
      layer: number of the block.
    """
    sizes, weights = model
    rest = jax.tree.map(lambda a: a[layer + 1 :], weights["blocks"])
    h = _norm(_through(rest, h + y, sizes), weights["norm"], sizes)[:, :-1]
    logits = h @ weights["head"].T
    right = jnp.take_along_axis(logits, tokens[:, 1:, None], -1)[..., 0]
    return (jax.nn.logsumexp(logits, -1) - right).mean()
