"""Loading Qwen3 and Llama checkpoints in the published layout into Tunix models, with tags and, if
asked for, LoRA.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh

from jaxrl.app.errors import UserError, first_line
from reasoning.e2c.format import TAGS
from reasoning.e2c.llm import extra, rope
from reasoning.e2c.llm.config import LocalModel
from reasoning.e2c.llm.tags import add_tags, check_tags, missing_tags, set_pad, tag_ids

ADAPTED = ".*(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
"""Layers with LoRA adapters."""
USUAL = {
    "attention_bias": False,
    "mlp_bias": False,
    "use_sliding_window": False,
    "hidden_act": "silu",
    "quantization_config": None,
}
"""Fields of config.json whose other values would be computed wrongly, and nothing would say so."""


@dataclass(frozen=True)
class Loaded:
    """A model, ready to be asked or trained."""

    model: Any
    """A Tunix (flax.nnx) module."""
    config: Any
    """Its sizes."""
    tokenizer: Any
    """Tokenizer with the tags."""
    mesh: Mesh
    tags: dict[str, int]
    """Ids."""
    untrained_tags: bool = False
    """The tags' rows were begun at loading (`put_tags`), and only adapters are trained."""


def load_model(local: LocalModel) -> Loaded:
    """Everything from a folder of this machine; nothing is downloaded.

    Raises:
      UserError: a folder or file is missing, the family is not supported, the devices do not
        suffice, or tags are missing.
    """
    folder = check_folder(local)
    tokenizer, pieces = load_tokenizer(folder), {}
    if missing_tags(tokenizer):
        if not local.add_tags:
            tag_ids(tokenizer)
        pieces = {tag: tokenizer.encode(tag, add_special_tokens=False) for tag in TAGS}
        add_tags(tokenizer)
    set_pad(tokenizer)  # before the template is dropped: the vocabulary must not depend on it
    if not local.chat:
        tokenizer.chat_template = None
    untrained = bool(pieces and local.lora_rank)
    sizes, mesh = model_config(folder, local), make_mesh(local)
    library = _library(sizes["family"])
    params = extra.load(f"tunix.models.{library}.params")
    module = extra.load(f"tunix.models.{library}.model")
    config = module.ModelConfig(**sizes["config"])
    rope.install(module, sizes["rope"])
    with mesh:
        model = params.create_model_from_safe_tensors(
            str(folder), config, mesh, jnp.dtype(local.dtype)
        )
        model, config = with_rows(model, config, len(tokenizer))
        if pieces:
            put_tags(model, tag_ids(tokenizer), pieces)
        model = with_lora(model, local, mesh) if local.lora_rank else model
        if local.trained is not None:
            put_trained(model, local, tag_ids(tokenizer), untrained)
    return Loaded(model, config, tokenizer, mesh, tag_ids(tokenizer), untrained)


def check_folder(local: LocalModel) -> Path:
    """The folder, if it holds a checkpoint.

    Raises:
      UserError: naming what is missing.
    """
    if local.path is None:
        raise UserError("no model was named: give the folder of a checkpoint with --model.path")
    folder = Path(local.path).expanduser().resolve()
    if not (folder / "config.json").is_file():
        raise UserError(
            f"{folder} holds no config.json: name the folder of a Qwen3 or Llama checkpoint "
            "(nothing is downloaded)"
        )
    if not list(folder.glob("*.safetensors")):
        raise UserError(
            f"{folder} holds no *.safetensors: name the folder of a complete checkpoint"
        )
    return folder


def load_tokenizer(folder: Path) -> Any:
    """The folder's tokenizer.

    Raises:
      UserError: there is none, or it cannot be read.
    """
    transformers = extra.load("transformers")
    if not any(
        (folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")
    ):
        raise UserError(
            f"{folder} holds no tokenizer: copy tokenizer.json and tokenizer_config.json of the "
            "checkpoint there"
        )
    try:
        return transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"the tokenizer in {folder} cannot be read ({first_line(error)}): copy "
            "tokenizer.json and tokenizer_config.json there"
        ) from None


def model_config(folder: Path, local: LocalModel) -> dict[str, Any]:
    """{"family", "config", "rope"}: sizes for Tunix's ModelConfig, from the published config.json.

    Raises:
      UserError: another family, or a field is missing.
    """
    stored = json.loads((folder / "config.json").read_text())
    kind = stored.get("model_type")
    family = kind if local.family == "auto" else local.family
    if kind in ("qwen3", "llama") and kind != family:
        raise UserError(
            f"{folder / 'config.json'} says model_type {kind!r}, and the family asked for is "
            f"{family!r}: leave --model.family at auto"
        )
    if family not in ("qwen3", "llama"):
        raise UserError(
            f"{folder / 'config.json'} says model_type {family!r}: only qwen3 and llama are loaded"
        )
    if other := [name for name, usual in USUAL.items() if (stored.get(name) or usual) != usual]:
        raise UserError(
            f"{folder / 'config.json'} says {other[0]} {stored[other[0]]!r:.60}, which is not "
            "supported: choose a plain checkpoint (no biases, not quantized)"
        )
    try:
        heads = stored["num_attention_heads"]
        sizes = {
            "num_layers": stored["num_hidden_layers"],
            "vocab_size": stored["vocab_size"],
            "embed_dim": stored["hidden_size"],
            "hidden_dim": stored["intermediate_size"],
            "num_heads": heads,
            "num_kv_heads": stored.get("num_key_value_heads", heads),
            "head_dim": stored.get("head_dim") or stored["hidden_size"] // heads,
            "rope_theta": int(rope.read_rope(stored).theta),
            "norm_eps": stored["rms_norm_eps"],
        }
    except KeyError as error:
        raise UserError(
            f"{folder / 'config.json'} has no {error.args[0]}: it is no {family} configuration"
        ) from None
    tied = "use_tied_embedding" if family == "qwen3" else "weight_tying"
    return {
        "family": family,
        "config": sizes | {tied: bool(stored.get("tie_word_embeddings", False))},
        "rope": rope.read_rope(stored),
    }


def _library(family: str) -> str:
    return {"qwen3": "qwen3", "llama": "llama3"}[family]


def abstract_model(folder: Path) -> Any:
    """The model that a config.json describes, by shapes alone: no weights are read or made.

    Raises:
      UserError: another family, or a field is missing.
    """
    nnx = extra.load("flax.nnx")
    sizes = model_config(folder, LocalModel())
    module = extra.load(f"tunix.models.{_library(sizes['family'])}.model")
    make = {"qwen3": "Qwen3", "llama": "Llama3"}[sizes["family"]]
    config = module.ModelConfig(**sizes["config"])
    return nnx.eval_shape(lambda: getattr(module, make)(config, rngs=nnx.Rngs(params=0)))


def make_mesh(local: LocalModel) -> Mesh:
    """Devices in the shape (fsdp, tp).

    Raises:
      UserError: there are too few.
    """
    needed = int(np.prod(local.mesh))
    if needed > jax.device_count():
        raise UserError(
            f"the mesh {local.mesh} needs {needed} devices, but there are {jax.device_count()}: "
            "choose a smaller --model.mesh"
        )
    return jax.make_mesh(
        local.mesh, ("fsdp", "tp"), axis_types=(AxisType.Auto,) * 2, devices=jax.devices()[:needed]
    )


def with_rows(model: Any, config: Any, rows: int) -> tuple[Any, Any]:
    """The model with at least `rows` rows of embeddings: `(model, config)`.

    Published Qwen3 checkpoints have spare rows, and stay as they are. New rows are the mean of the
    others. Our choice.
    """
    if rows <= config.vocab_size:
        return model, config
    nnx = extra.load("flax.nnx")

    def grown(table, axis):
        return jnp.concatenate(
            [table, jnp.repeat(table.mean(axis, keepdims=True), rows - config.vocab_size, axis)],
            axis,
        )

    embedding = model.embedder.input_embedding
    embedding.set_value(grown(embedding.get_value(), 0))
    if hasattr(model, "lm_head"):
        head = model.lm_head.w
        head.set_value(grown(head.get_value(), 1))
    # Llama's configuration is frozen, Qwen3's is not: a new one serves both, and the model's own
    # must be the same, since its sampler and its heads read sizes from there.
    config = dataclasses.replace(config, vocab_size=rows)
    if getattr(model, "config", None) is not None:
        model.config = config
    nnx.split(model)
    return model, config


def put_tags(model: Any, ids: dict[str, int], pieces: dict[str, list[int]]) -> None:
    """Begin each new tag at the mean of the tokens that it was written with before, and fixed
    noise as large as a row.

    Four equal rows could not be distinguished, read or written, wherever the table is not trained
    (LoRA). And of a mean alone the logit is a mean of logits: one of its tokens always has a larger
    one, so that a greedy response could never hold the tag. Our choice.

    Args:
      model: with a row for every tag.
      ids: of the tags.
      pieces: the tokens of each tag before it became one.
    """

    def begun(table, axis):
        for number, (tag, parts) in enumerate(pieces.items()):
            own = jnp.take(table, jnp.asarray(parts), axis)
            mean = own.mean(axis)
            noise = np.random.default_rng(number).normal(size=mean.shape)
            at = (ids[tag],) if axis == 0 else (slice(None), ids[tag])
            table = table.at[at].set(mean + own.std() * jnp.asarray(noise, mean.dtype))
        return table

    embedding = model.embedder.input_embedding
    embedding.set_value(begun(embedding.get_value(), 0))
    if hasattr(model, "lm_head"):
        head = model.lm_head.w
        head.set_value(begun(head.get_value(), 1))


def with_lora(model: Any, local: LocalModel, mesh: Mesh) -> Any:
    """With adapters on attention and perceptrons; only they are trained."""
    qwix = extra.load("qwix")
    provider = qwix.LoraProvider(module_path=ADAPTED, rank=local.lora_rank, alpha=local.lora_alpha)
    with mesh:
        return qwix.apply_lora_to_model(model, provider, **model.get_model_input())


def put_trained(
    model: Any, local: LocalModel, tags: dict[str, int], untrained: bool = False
) -> None:
    """Put the weights of a run's last checkpoint into the model.

    Args:
      model: is changed.
      local: names the run.
      tags: ids in this tokenizer.
      untrained: the tags' rows were begun at loading, and the run holds adapters only.

    Raises:
      UserError: the run has no checkpoint, other tags, or weights of another shape.
    """
    run = Path(local.trained).expanduser().resolve()
    check_tags(run, tags, untrained)
    folder = next(
        (f for f in (run / "checkpoints" / "actor", run / "checkpoints") if f.is_dir()), None
    )
    if folder is None:
        raise UserError(f"{run} holds no checkpoints: train there first")
    store = extra.load("tunix.sft.checkpoint_manager").CheckpointManager(str(folder))
    try:
        step, _ = store.maybe_restore(model, restore_only_lora_params=bool(local.lora_rank))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"the checkpoint in {run} does not fit this model ({first_line(error)}): name "
            "the same path and lora-rank"
        ) from None
    finally:
        store.close()
    if not step:
        raise UserError(f"{run} holds no checkpoint yet: train there first")
