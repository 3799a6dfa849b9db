"""Discrete representations: quantizers, gradient estimators, their diagnostics, and the studies
they exist for.

Quantizers are rooms of pure functions with one shape: `init(key, config, sample)`,
`quantize(params, state, x, config, ...)`, `encode`,
`decode`, all giving and taking `Quantized`:

  vq                 nearest of K learned codes (EMA or gradient; heads, projection, restart, affine, masks)
  residual           several of them on what is left
  scalar             FSQ: rounding
  lookup_free        LFQ and BSQ: signs
  simvq              a frozen codebook behind a learned map
  random_projection  labels without learning
  gmvq, sqvae        stochastic codes by distance
  gumbel_vq          stochastic codes by logits
  modules            any of them as a Flax module

Beside them: `nearest`, `initialize`, `gradients`, `estimators`, `oracle`, `fidelity`,
`diagnostics`, `interop`, `presets`.
"""

from quant.codebooks.updates import Restart
from quant.errors import QuantError
from quant.quantizers.fsq import FSQConfig
from quant.quantizers.gmvq import GMVQConfig
from quant.quantizers.gumbel_vq import GumbelVQConfig
from quant.quantizers.lfq import LFQConfig
from quant.quantizers.random_projection import RandomProjectionConfig
from quant.quantizers.rvq import ResidualConfig
from quant.quantizers.simvq import SimVQConfig
from quant.quantizers.sqvae import SQVAEConfig
from quant.quantizers.vq import VQConfig
from quant.types import Quantized

__all__ = [
    "FSQConfig",
    "GMVQConfig",
    "GumbelVQConfig",
    "LFQConfig",
    "QuantError",
    "Quantized",
    "RandomProjectionConfig",
    "ResidualConfig",
    "Restart",
    "SQVAEConfig",
    "SimVQConfig",
    "VQConfig",
]
