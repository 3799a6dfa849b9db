"""dictionary-learning (0.1): the arrays of its ae.pt as .npz, and config.json. Autoencoders only:
ReLU, gated, top-k, batch top-k and JumpReLU.

Its JumpReLU autoencoder does not subtract b_dec from the input; where ours does, b_enc takes that
over.

ae.pt itself is read without PyTorch. It is not written; with PyTorch at hand, `torch.save({k:
torch.tensor(v) for k, v in numpy.load("ae.npz").items()}, "ae.pt")` turns the one into the other.
"""

import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.files import write_atomic
from sae.arrays import read_arrays, write_arrays
from sae.biomedclip.torch_file import read_torch
from sae.interop.checks import fitting
from sae.interop.safetensors import kept, refuse, refuse_others
from sae.transcoders.model import Params, TranscoderConfig

CLASSES = {
    "topk": "AutoEncoderTopK",
    "batchtopk": "BatchTopKSAE",
    "jumprelu": "JumpReluAutoEncoder",
    "relu": "AutoEncoder",
    "gated": "GatedAutoEncoder",
}
LINEAR = {
    "topk": {"encoder.bias": "b_enc", "b_dec": "b_dec"},
    "batchtopk": {"encoder.bias": "b_enc", "b_dec": "b_dec"},
    "relu": {"encoder.bias": "b_enc", "bias": "b_dec"},
    "gated": {
        "gate_bias": "b_enc",
        "decoder_bias": "b_dec",
        "r_mag": "gate_scale",
        "mag_bias": "gate_bias",
    },
}
"""Their names of what is not a matrix, and ours, where encoder and decoder are linear layers."""


def reason_against(config: TranscoderConfig) -> str | None:
    """Why this layout cannot say what such a transcoder computes; None where it can."""
    square = config.d_in == config.d_out and config.activation == "jumprelu"
    if not (config.centered or square) or config.skip:
        return "dictionary-learning has autoencoders only, no transcoders"
    if config.activation not in CLASSES or config.block_ks or config.separate or config.rescale:
        return f"dictionary-learning has no such autoencoder ({config.activation})"
    return None


def tensors(
    params: Params, config: TranscoderConfig
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays under its names, and its configuration.

    Errors as `saelens.tensors`.
    """
    refuse(reason_against(config))

    def plain(name):
        array = kept(params[name])  # .npz has no bfloat16
        return array.astype(np.float32) if array.dtype.name == "bfloat16" else array

    if config.activation == "jumprelu":
        arrays = {name: plain(name) for name in ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")}
        if config.centered:
            arrays["b_enc"] = arrays["b_enc"] - arrays["b_dec"] @ arrays["W_enc"]
    else:
        arrays = {
            "encoder.weight": plain("W_enc").T.copy(),
            "decoder.weight": plain("W_dec").T.copy(),
            **{theirs: plain(ours) for theirs, ours in LINEAR[config.activation].items()},
        }
        if config.activation in ("topk", "batchtopk"):
            arrays["k"] = np.array(int(config.k))
            arrays["threshold"] = np.asarray(params.get("threshold", -1.0), np.float32)
    named = {
        "trainer": {
            "dict_class": CLASSES[config.activation],
            "activation_dim": config.d_in,
            "dict_size": config.latents,
            "k": int(config.k),
        }
    }
    return arrays, named


def write(
    params: Params, config: TranscoderConfig, folder: Path, metadata: dict[str, Any] | None = None
) -> None:
    """Write ae.npz and config.json.

    Arguments and errors as `saelens.write`; the metadata is an entry of config.json.
    """
    arrays, named = tensors(params, config)
    write_arrays(folder / "ae.npz", arrays)
    write_atomic(
        folder / "config.json", json.dumps(named | {"metadata": metadata or {}}, indent=1) + "\n"
    )


def from_tensors(
    arrays: dict[str, np.ndarray], named: dict[str, Any]
) -> tuple[Params, TranscoderConfig]:
    """The inverse of `tensors`.

    Raises:
      UserError: another class of dictionary.
    """
    kinds, found = (
        {name: kind for kind, name in CLASSES.items()},
        named.get("trainer", named).get("dict_class"),
    )
    if found not in kinds:
        raise UserError(f"dictionary class {found!r} is not read here; {', '.join(kinds)} are")
    kind = kinds[found]
    matrices = ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")
    if kind != "jumprelu":
        matrices = ("encoder.weight", "decoder.weight", *LINEAR[kind])
    refuse_others(arrays, (*matrices, *(("k", "threshold") if kind.endswith("topk") else ())))
    k = arrays.get("k", named.get("trainer", named).get("k"))  # older files have it in config.json
    if kind.endswith("topk") and k is None:
        raise UserError(
            "neither the arrays nor config.json of this TopK autoencoder name its k: write or "
            "download it again"
        )
    if kind == "jumprelu":
        params = {name: jnp.asarray(a) for name, a in arrays.items()}
    else:
        params = {
            "W_enc": jnp.asarray(arrays["encoder.weight"].T),
            "W_dec": jnp.asarray(arrays["decoder.weight"].T),
            **{ours: jnp.asarray(arrays[theirs]) for theirs, ours in LINEAR[kind].items()},
        }
    if kind == "batchtopk":
        params["threshold"] = jnp.asarray(arrays["threshold"], jnp.float32)
    d, latents = params["W_enc"].shape
    config = TranscoderConfig(
        d,
        d,
        latents,
        kind,
        float(latents if k is None or not kind.endswith("topk") else k),
        centered=kind != "jumprelu",
    )
    return fitting(params, config)


def read(folder: Path) -> tuple[Params, TranscoderConfig]:
    """An autoencoder of dictionary-learning, from ae.npz or ae.pt.

    Raises:
      UserError: files are missing or damaged.
    """
    try:
        named = json.loads((folder / "config.json").read_text())
        if (folder / "ae.npz").is_file():
            return from_tensors(read_arrays(folder / "ae.npz"), named)
        return from_tensors(read_torch(folder / "ae.pt"), named)
    except FileNotFoundError as error:
        raise UserError(
            f"{error.filename} is missing: {folder} is no folder of dictionary-learning"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{folder} is damaged, or of another layout than dictionary-learning's ({error!r}): "
            "write it again"
        ) from None
