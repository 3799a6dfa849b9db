"""SAELens (6.54): a folder with cfg.json and sae_weights.safetensors. Its transcoders are ReLU or
JumpReLU; its autoencoders also TopK and gated.

ReLU is "transcoder", JumpReLU and BatchTopK with its threshold are "jumprelu_transcoder" (with
"skip" for an affine path), all exactly. A transcoder that keeps the k largest of each example has
no place there.
"""

import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.files import write_atomic
from sae.interop.checks import fitting
from sae.interop.safetensors import kept, read_safetensors, refuse_others, write_safetensors
from sae.transcoders import model
from sae.transcoders.model import Params, TranscoderConfig

NAMES = {
    ("relu", False): "transcoder",
    ("relu", True): "skip_transcoder",
    ("jumprelu", False): "jumprelu_transcoder",
    ("jumprelu", True): "jumprelu_skip_transcoder",
}
AUTOENCODERS = {
    "relu": "standard",
    "jumprelu": "jumprelu",
    "topk": "topk",
    "gated": "gated",
    "pursuit": "matching_pursuit",
}
GATED = {"b_enc": "b_gate", "gate_scale": "r_mag", "gate_bias": "b_mag"}
"""Our names of a gated autoencoder's arrays, and theirs."""


def reason_against(config: TranscoderConfig) -> str | None:
    """Why this layout cannot say what such a transcoder computes; None where it can."""
    if config.activation in ("groupmax", "step") or (
        config.activation == "gated" and not config.centered
    ):  # matching pursuit, which is never trained here, goes back as it came
        return f"SAELens has no transcoder with the activation {config.activation}"
    if config.separate or config.block_ks:
        return "SAELens has no transcoder with a decoder or a k per block"
    if config.activation == "topk" and not config.centered:
        return "SAELens has no transcoder that keeps the k largest latents of each example"
    if config.centered and config.skip:
        return "SAELens has no autoencoder with an affine path"
    return None


def tensors(
    params: Params, config: TranscoderConfig, metadata: dict[str, Any] | None = None
) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays under SAELens' names, and its configuration.

    Raises:
      UserError: see `reason_against`.
    """
    reason = reason_against(config)
    if reason:
        raise UserError(
            f"{reason}: export another format, or allow calibrated thresholds with --approximate "
            "True"
        )
    kind = "jumprelu" if config.activation == "batchtopk" else config.activation
    if config.rescale:
        params = model.fold_norms(params, rescale=True)
    names = {name: name for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
    names |= GATED if kind == "gated" else {}
    arrays = {theirs: kept(params[name]) for name, theirs in names.items()}
    dtype = arrays["W_dec"].dtype
    if kind == "jumprelu":
        arrays["threshold"] = np.broadcast_to(
            np.asarray(params["threshold"], dtype), arrays["b_enc"].shape
        ).copy()
    if config.skip:
        arrays["W_skip"] = kept(params["W_skip"]).T.copy()
    named = {
        "d_in": config.d_in,
        "d_sae": config.latents,
        "dtype": dtype.name,
        "device": "cpu",
        "apply_b_dec_to_input": config.centered,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": metadata or {},
    }
    if kind == "pursuit":
        arrays = {name: arrays[name] for name in ("W_dec", "b_dec")}
        named |= {
            "architecture": AUTOENCODERS[kind],
            "residual_threshold": float(params["residual"]),
            "max_iterations": int(config.k),
            "stop_on_duplicate_support": bool(params["until_stable"]),
        }
    elif config.centered:
        named |= {"architecture": AUTOENCODERS[kind]}
        if kind == "topk":
            named |= {"k": int(config.k), "rescale_acts_by_decoder_norm": False}
    else:
        named |= {"d_out": config.d_out, "architecture": NAMES[kind, config.skip]}
    return arrays, named


def write(
    params: Params, config: TranscoderConfig, folder: Path, metadata: dict[str, Any] | None = None
) -> None:
    """Write cfg.json and sae_weights.safetensors.

    Args:
      params: of one transcoder.
      config: its shape.
      folder: made if it does not exist.
      metadata: entries for cfg.json's metadata; JSON-ready.

    Raises:
      UserError: the layout has no place for such a transcoder.
    """
    arrays, named = tensors(params, config, metadata)
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "sae_weights.safetensors", arrays)
    write_atomic(folder / "cfg.json", json.dumps(named, indent=1) + "\n")


def read(folder: Path) -> tuple[Params, TranscoderConfig]:
    """A transcoder or autoencoder of SAELens.

    Raises:
      UserError: files are missing, or of an architecture that is not read here.
    """
    try:
        named = json.loads((folder / "cfg.json").read_text())
        arrays = read_safetensors(folder / "sae_weights.safetensors", widen=False)
        return from_tensors(arrays, named)
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is missing: {folder} is no folder of SAELens") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{folder} is damaged, or of another layout than SAELens's ({error!r}): write or "
            "download it again"
        ) from None


def from_tensors(
    arrays: dict[str, np.ndarray], named: dict[str, Any]
) -> tuple[Params, TranscoderConfig]:
    """The inverse of `tensors`.

    Raises:
      UserError: an architecture or option that is not read here.
    """
    named = as_since_six(named)
    architecture = named.get("architecture")
    kinds = {name: kind for (kind, _), name in NAMES.items()} | {
        name: kind for kind, name in AUTOENCODERS.items()
    }
    if architecture not in kinds:
        raise UserError(
            f"architecture {architecture!r} of SAELens is not read here; {', '.join(kinds)} are"
        )
    for option in ("normalize_activations", "reshape_activations"):
        if named.get(option, "none") != "none":
            raise UserError(
                f"{option} = {named[option]!r} of SAELens is not read here: fold it into the "
                "weights first"
            )
    if kinds[architecture] == "pursuit":
        return _pursuit(arrays, named)
    if kinds[architecture] == "gated":
        ours = {theirs: name for name, theirs in GATED.items()}
        arrays = {ours.get(name, name): a for name, a in arrays.items()}
    wanted = ("W_enc", "b_enc", "W_dec", "b_dec")
    wanted += ("gate_scale", "gate_bias") if kinds[architecture] == "gated" else ()
    missing = [name for name in wanted if name not in arrays]
    missing += (
        ["threshold"] if kinds[architecture] == "jumprelu" and "threshold" not in arrays else []
    )
    if np.all(arrays.get("scaling_factor", 1.0) == 1):  # of old files, where it scales nothing
        arrays = {name: a for name, a in arrays.items() if name != "scaling_factor"}
    more = ("threshold",) if kinds[architecture] == "jumprelu" else ()
    more += ("W_skip",) if architecture in (NAMES["relu", True], NAMES["jumprelu", True]) else ()
    refuse_others(arrays, (*wanted, *more))
    if missing or arrays["W_enc"].shape != (named.get("d_in"), named.get("d_sae")):
        raise UserError(
            f"the arrays do not fit their cfg.json (missing: {', '.join(missing) or 'none'}): "
            "write or download them again"
        )
    params = {name: jnp.asarray(a.T if name == "W_skip" else a) for name, a in arrays.items()}
    config = TranscoderConfig(
        named["d_in"],
        named.get("d_out", named["d_in"]),
        named["d_sae"],
        kinds[architecture],
        float(named.get("k", named["d_sae"])),
        "W_skip" in params,
        bool(named.get("apply_b_dec_to_input", architecture in AUTOENCODERS.values())),
        kinds[architecture] == "topk" and bool(named.get("rescale_acts_by_decoder_norm", False)),
    )
    return fitting(params, config)


def as_since_six(named: dict[str, Any]) -> dict[str, Any]:
    """The configuration as SAELens 6 would have written it. Until then TopK was an activation of
    the standard architecture, which was not named at first, and three fields had other values.

    Raises:
      UserError: an activation that has no architecture, or latents that are scaled afterwards.
    """
    metadata = named.get("metadata") or {}
    version = str(named.get("sae_lens_version") or metadata.get("sae_lens_version") or "0")
    found = dict(named)
    if found.get("finetuning_scaling_factor"):
        raise UserError(
            "finetuning_scaling_factor of SAELens is not read here: multiply the rows of W_dec by "
            "scaling_factor first"
        )
    whole = version.partition(".")[0]
    if whole.isdigit() and int(whole) < 6:
        activation = found.get("activation_fn_str") or found.get("activation_fn") or "relu"
        if activation == "topk":
            found["architecture"] = "topk"
            found.setdefault("k", (found.get("activation_fn_kwargs") or {}).get("k"))
        elif activation != "relu":
            raise UserError(
                f"the activation {activation!r} of an old SAELens is not read here; relu and topk "
                "are"
            )
        found.setdefault("architecture", "standard")
        hook = str(found.get("hook_name") or found.get("hook_point") or "")
        found.setdefault("reshape_activations", "hook_z" if "hook_z" in hook else "none")
        if found.get("normalize_activations") in (None, False):
            found["normalize_activations"] = "none"
    if found.get("architecture") == "topk" and not found.get("k"):
        raise UserError("cfg.json of this TopK autoencoder names no k: write or download it again")
    return found


def _pursuit(arrays, named):
    """An autoencoder of matching pursuit: encoder and decoder are one, and b_dec counts only where
    it is subtracted, too.
    """
    d, latents = named.get("d_in"), named.get("d_sae")
    if "W_dec" not in arrays or "b_dec" not in arrays or arrays["W_dec"].shape != (latents, d):
        raise UserError(
            "the arrays do not fit their cfg.json (W_dec and b_dec): write or download them again"
        )
    rows, centered = jnp.asarray(arrays["W_dec"]), bool(named.get("apply_b_dec_to_input", True))
    bias = jnp.asarray(arrays["b_dec"])
    params = {
        "W_enc": rows.T,
        "b_enc": jnp.zeros(latents, rows.dtype),
        "W_dec": rows,
        "b_dec": bias if centered else jnp.zeros_like(bias),
        "residual": jnp.asarray(float(named.get("residual_threshold", 1e-2))),
        "until_stable": jnp.asarray(bool(named.get("stop_on_duplicate_support", True))),
    }
    most = float(named.get("max_iterations") or d)
    return fitting(params, TranscoderConfig(d, d, latents, "pursuit", most, centered=centered))
