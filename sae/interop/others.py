"""Reading two more layouts: OpenAI's sparse_autoencoder and Gemma Scope's params.npz. Both are
autoencoders.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from sae.interop.checks import fitting
from sae.interop.safetensors import refuse_missing, refuse_others
from sae.transcoders.model import Params, TranscoderConfig


def from_openai(arrays: Mapping[str, Any], k: int | None = None) -> tuple[Params, TranscoderConfig]:
    """Read a state dictionary with pre_bias [D], encoder.weight [F, D], latent_bias [F] and
    decoder.weight [D, F].

    Its TopK models see every row with its mean taken off and divided by its standard deviation, and
    multiply and add both afterwards; that is left to the caller.

    Args:
      arrays: by their names; "activation" ("ReLU" or "TopK") and "activation_state_dict" may be
        among them.
      k: active latents of an example; None: what the dictionary says, ReLU if it says nothing.

    Raises:
      UserError: another activation, TopK without its k, or arrays that are not read here.
    """
    named = str(arrays.get("activation", "ReLU" if k is None else "TopK"))
    if named not in ("ReLU", "TopK"):
        raise UserError(f"the activation {named!r} of this autoencoder is not read here")
    k = k or (arrays.get("activation_state_dict") or {}).get("k")
    if named == "TopK" and k is None:
        raise UserError("this TopK autoencoder names no k: give it as from_openai(arrays, k)")
    own = ("encoder.weight", "decoder.weight", "pre_bias", "latent_bias")
    refuse_others(arrays, (*own, "activation", "activation_state_dict", "stats_last_nonzero"))
    refuse_missing(arrays, own)
    params = {
        "W_enc": jnp.asarray(arrays["encoder.weight"].T),
        "b_enc": jnp.asarray(arrays["latent_bias"]),
        "W_dec": jnp.asarray(arrays["decoder.weight"].T),
        "b_dec": jnp.asarray(arrays["pre_bias"]),
    }
    d, latents = params["W_enc"].shape
    kind = ("topk", int(k)) if named == "TopK" and k else ("relu", latents)
    return fitting(params, TranscoderConfig(d, d, latents, *kind, centered=True))


def from_gemma_scope(
    arrays: Mapping[str, np.ndarray], transcoder: bool = False
) -> tuple[Params, TranscoderConfig]:
    """Read params.npz with W_enc [D, F], b_enc, W_dec [F, E], b_dec and threshold [F]; b_dec is not
    subtracted from the input.

    Raises:
      UserError: other arrays are there, such as those of an affine path.
    """
    names = ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")
    refuse_others(arrays, names)
    refuse_missing(arrays, names)
    params = {name: jnp.asarray(arrays[name]) for name in names}
    (d, latents), width = params["W_enc"].shape, params["W_dec"].shape[1]
    return fitting(params, TranscoderConfig(d, width, latents, "jumprelu", latents))
