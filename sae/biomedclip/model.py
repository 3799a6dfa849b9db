"""The whole model as pure functions: embeddings of length 1, and loading what `convert` wrote."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxrl.app.errors import UserError
from jaxrl.app.files import write_atomic
from jaxrl.train.config import from_dict
from sae.arrays import read_arrays, write_arrays
from sae.biomedclip.bert import TextTower
from sae.biomedclip.config import ClipConfig
from sae.biomedclip.vit import VisionTower

Params = dict[str, Any]


def init(key: jax.Array, config: ClipConfig) -> Params:
    """Random parameters `{"visual", "text", "logit_scale"}`."""
    seen, read = jax.random.split(key)
    pixels = jnp.zeros((1, config.vision.size, config.vision.size, 3))
    tokens = jnp.zeros((1, config.text.context), jnp.int32)
    return {
        "visual": VisionTower(config.vision).init(seen, pixels)["params"],
        "text": TextTower(config.text).init(read, tokens)["params"],
        "logit_scale": jnp.log(1 / 0.07),
    }


def image_features(params: Params, pixels: jax.Array, config: ClipConfig) -> jax.Array:
    """Normalized pixels `[..., H, W, 3] -> [..., features]`, as the tower leaves them."""
    return VisionTower(config.vision).apply({"params": params["visual"]}, pixels)


def text_features(params: Params, tokens: jax.Array, config: ClipConfig) -> jax.Array:
    """Token numbers `[..., T] -> [..., features]`, as the tower leaves them."""
    return TextTower(config.text).apply({"params": params["text"]}, tokens)


def of_length_one(features: jax.Array) -> jax.Array:
    """`[..., D]` divided by their lengths, as embeddings are used."""
    return features / jnp.linalg.norm(features, axis=-1, keepdims=True)


def similarity(params: Params, image: jax.Array, text: jax.Array) -> jax.Array:
    """Logits `[B, T]` of every image for every text, from raw features: `exp(logit_scale) *
    cosine`.
    """
    return jnp.exp(params["logit_scale"]) * of_length_one(image) @ of_length_one(text).T


def save(params: Params, config: dict[str, Any], folder: Path) -> None:
    """model.npz and config.json; the latter last, so that a folder with one is whole."""
    write_arrays(
        folder / "model.npz", {"/".join(path): a for path, a in flatten_dict(params).items()}
    )
    write_atomic(folder / "config.json", json.dumps(config, indent=2) + "\n")


def load(folder: str | Path) -> tuple[Params, ClipConfig]:
    """Load what `convert` wrote.

    Raises:
      UserError: it is not there, damaged, or does not fit its own sizes.
    """
    folder = Path(folder)
    try:
        config = from_dict(ClipConfig, json.loads((folder / "config.json").read_text()))
        params = unflatten_dict(
            {
                tuple(name.split("/")): jnp.asarray(a)
                for name, a in read_arrays(folder / "model.npz").items()
            }
        )
    except FileNotFoundError as error:
        raise UserError(
            f"there is no converted model in {folder} ({error.filename} is missing): "
            f"python -m sae.biomedclip.convert --from FILES --to {folder}"
        ) from None
    except (ValueError, OSError) as error:
        raise UserError(f"the model in {folder} is damaged ({error}): convert it again") from None
    wanted = flatten_dict(jax.eval_shape(lambda: init(jax.random.key(0), config)))
    found = flatten_dict(params)
    wrong = [
        path
        for path in set(wanted) | set(found)
        if getattr(wanted.get(path), "shape", 0) != getattr(found.get(path), "shape", 1)
    ]
    if wrong:
        raise UserError(
            f"the model in {folder} does not fit its config.json at {'/'.join(sorted(wrong)[0])}: "
            "convert it again"
        )
    return params, config
