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

from quant.codebook import Restart
from quant.errors import QuantError
from quant.gmvq import GMVQConfig
from quant.gumbel_vq import GumbelVQConfig
from quant.lookup_free import LFQConfig
from quant.random_projection import RandomProjectionConfig
from quant.residual import ResidualConfig
from quant.scalar import FSQConfig
from quant.simvq import SimVQConfig
from quant.sqvae import SQVAEConfig
from quant.types import Quantized
from quant.vq import VQConfig

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
