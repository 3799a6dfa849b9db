"""Discrete representations: quantizers, gradient estimators, their diagnostics, and the studies
they exist for.

Quantizers are modules of pure functions with one shape: `init(key, config, sample)`,
`quantize(params, state, x, config, ...)`, `encode`, `decode`, all giving and taking `Quantized`:

  vq                 nearest of K learned codes (EMA or gradient; heads, projection, restart,
                     affine, masks)
  rvq                several of them on what is left
  fsq                finite scalar quantization: rounding
  lfq                LFQ and BSQ: signs
  simvq              a frozen codebook behind a learned map
  random_projection  labels without learning
  gmvq, sqvae        stochastic codes by distance
  gumbel_vq          stochastic codes by logits
  flax_module        any of them as a Flax module

Folders: `quantizers`, `codebooks` (search, updates, init, regularizers), `estimators` (gradients
through discrete choices; `exact`, `bias_variance`), `diagnostics`, `models`, `data`, `studies`.
"""

from quant.codebooks.updates import Restart
from quant.errors import QuantError
from quant.old_names import attribute, install
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

install()
__getattr__ = attribute

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
