"""Checks that every reader of another library's files ends with."""

import numpy as np

from jaxrl.app.errors import UserError
from sae.transcoders.model import Params, TranscoderConfig

Read = tuple[Params, TranscoderConfig]


def fitting(params: Params, config: TranscoderConfig) -> Read:
    """Return both as they are, if the arrays have the shapes of the configuration, finite numbers,
    and as many active latents as there can be.

    Raises:
      UserError: naming what does not fit; it would otherwise be stretched without a word, or fail
        at the first use.
    """
    d, e, f = config.d_in, config.d_out, config.latents
    shapes = {
        "W_enc": [(d, f)],
        "b_enc": [(f,)],
        "W_dec": [(f, e)],
        "b_dec": [(e,)],
        "W_skip": [(d, e)],
        "threshold": [(f,), ()],
        "gate_scale": [(f,)],
        "gate_bias": [(f,)],
    }
    for name, wanted in shapes.items():
        if name not in params:
            continue
        if params[name].shape not in wanted:
            raise UserError(
                f"{name} of this transcoder has shape {params[name].shape}, but its configuration "
                f"wants {' or '.join(map(str, wanted))}: write or download it again"
            )
        if not np.isfinite(np.asarray(params[name], np.float32)).all():
            raise UserError(
                f"{name} of this transcoder holds NaN or infinite numbers: write or download it "
                "again"
            )
    whole = config.k == int(config.k) or config.activation == "batchtopk"
    if not (0 < config.k <= max(f, d) and whole):
        raise UserError(
            f"k of this transcoder is {config.k:g}: it should be a whole number from 1 to {f}"
        )
    return params, config
