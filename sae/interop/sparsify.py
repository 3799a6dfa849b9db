"""sparsify (1.3): a folder with cfg.json and sae.safetensors. Top-k or GroupMax; its transcoders
map a width to the same width.

A narrower d_out is padded with outputs that are always 0, which is exact on the others.
"""

import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.files import write_atomic
from sae.interop.checks import fitting
from sae.interop.safetensors import kept, read_safetensors, refuse, refuse_others, write_safetensors
from sae.transcoders.model import Params, TranscoderConfig


def reason_against(config: TranscoderConfig) -> str | None:
    """Why this layout cannot say what such a transcoder computes; None where it can."""
    if config.activation not in ("topk", "groupmax") or config.block_ks or config.separate:
        return (
            "sparsify knows topk and groupmax, not "
            f"{config.activation}{' by blocks' if config.block_ks else ''}"
        )
    if config.rescale:
        return "sparsify compares bare pre-activations, without the lengths of decoder rows"
    if config.d_out > config.d_in:
        return (
            f"sparsify's transcoders are square; {config.d_in} features cannot become "
            f"{config.d_out}"
        )
    return None


def tensors(
    params: Params, config: TranscoderConfig
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays under sparsify's names, and its configuration.

    Raises:
      UserError: see `reason_against`.
    """
    refuse(reason_against(config))

    def wide(a):
        return np.pad(kept(a), [(0, 0)] * (np.ndim(a) - 1) + [(0, config.d_in - config.d_out)])

    arrays = {
        "encoder.weight": kept(params["W_enc"]).T.copy(),
        "encoder.bias": kept(params["b_enc"]),
        "W_dec": wide(params["W_dec"]),
        "b_dec": wide(params["b_dec"]),
    }
    if config.skip:
        arrays["W_skip"] = wide(params["W_skip"]).T.copy()
    named = {
        "activation": config.activation,
        "expansion_factor": 32,
        "normalize_decoder": True,
        "num_latents": config.latents,
        "k": int(config.k),
        "multi_topk": False,
        "skip_connection": config.skip,
        "transcode": not config.centered,
        "d_in": config.d_in,
    }
    return arrays, named


def write(
    params: Params, config: TranscoderConfig, folder: Path, metadata: dict[str, Any] | None = None
) -> None:
    """Write cfg.json and sae.safetensors.

    Arguments and errors as `saelens.write`; the layout has no place for metadata, which is not
    written.
    """
    arrays, named = tensors(params, config)
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "sae.safetensors", arrays)
    write_atomic(folder / "cfg.json", json.dumps(named) + "\n")


def from_tensors(
    arrays: dict[str, np.ndarray], named: dict[str, Any]
) -> tuple[Params, TranscoderConfig]:
    """The inverse of `tensors`, with square outputs."""
    turned = {"encoder.weight": "W_enc", "W_skip": "W_skip"}
    refuse_others(arrays, (*turned, "encoder.bias", "W_dec", "b_dec"))
    if named.get("signed"):
        raise UserError(
            "signed = true of an old sparsify, which keeps the largest absolute values, is not "
            "read here"
        )
    if named.get("activation", "topk") not in ("topk", "groupmax"):
        raise UserError(f"the activation {named['activation']!r} of sparsify is not read here")
    params = {turned[name]: jnp.asarray(a.T) for name, a in arrays.items() if name in turned}
    params |= {
        "b_enc": jnp.asarray(arrays["encoder.bias"]),
        "W_dec": jnp.asarray(arrays["W_dec"]),
        "b_dec": jnp.asarray(arrays["b_dec"]),
    }
    kind, latents = named.get("activation", "topk"), params["b_enc"].size
    if named.get("skip_connection", "W_skip" in params) != ("W_skip" in params):
        raise UserError("skip_connection of cfg.json and the arrays (W_skip) contradict each other")
    if named.get("num_latents") not in (None, 0, latents):
        raise UserError(
            f"num_latents is {named['num_latents']}, but the arrays have {latents}: write or "
            "download them again"
        )
    config = TranscoderConfig(
        named["d_in"],
        named["d_in"],
        latents,
        kind,
        float(named["k"]),
        "W_skip" in params,
        not named.get("transcode", False),
    )
    return fitting(params, config)


def read(folder: Path) -> tuple[Params, TranscoderConfig]:
    """A coder of sparsify.

    Raises:
      UserError: files are missing or damaged.
    """
    try:
        return from_tensors(
            read_safetensors(folder / "sae.safetensors", widen=False),
            json.loads((folder / "cfg.json").read_text()),
        )
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is missing: {folder} is no folder of sparsify") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{folder} is damaged, or of another layout than sparsify's ({error!r}): write or "
            "download it again"
        ) from None
