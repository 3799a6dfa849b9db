"""Reading two more layouts: OpenAI's sparse_autoencoder and Gemma Scope's params.npz. Both are
autoencoders.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from sae.transcoders.model import Params, TranscoderConfig


def from_openai(arrays: Mapping[str, np.ndarray], k: int = 32) -> tuple[Params, TranscoderConfig]:
    """Read a state dictionary with pre_bias [D], encoder.weight [F, D], latent_bias [F] and
    decoder.weight [D, F].
    """
    params = {
        "W_enc": jnp.asarray(arrays["encoder.weight"].T),
        "b_enc": jnp.asarray(arrays["latent_bias"]),
        "W_dec": jnp.asarray(arrays["decoder.weight"].T),
        "b_dec": jnp.asarray(arrays["pre_bias"]),
    }
    d, latents = params["W_enc"].shape
    return params, TranscoderConfig(d, d, latents, "topk", k, centered=True)


def from_gemma_scope(
    arrays: Mapping[str, np.ndarray], transcoder: bool = False
) -> tuple[Params, TranscoderConfig]:
    """Read params.npz with W_enc [D, F], b_enc, W_dec [F, E], b_dec and threshold [F]; b_dec is not
    subtracted from the input.
    """
    params = {
        name: jnp.asarray(arrays[name])
        for name in ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")
    }
    (d, latents), width = params["W_enc"].shape, params["W_dec"].shape[1]
    return params, TranscoderConfig(d, width, latents, "jumprelu", latents)
