"""SQ-VAE: stochastic quantization with a learned variance that anneals itself (Takida et al. 2022),
GM-VQ's main baseline.
"""

from dataclasses import dataclass
from typing import Unpack

import jax
import jax.numpy as jnp

from quant.codebooks.extremes import LARGEST_APART, bounded
from quant.codebooks.init import Init, initial_codes
from quant.codebooks.soft_assignment import entropy, relaxed_rows, squared_distances, warmth
from quant.codebooks.updates import check_sizes
from quant.errors import require, require_one_of
from quant.estimators.sample import safe_log_softmax
from quant.quantizers.inputs import check_sample
from quant.quantizers.interface import Batch, Found, SoftOptions, call_soft, decode_codes, encode_by
from quant.types import Quantized


@dataclass(frozen=True)
class SQVAEConfig:
    """An SQ-VAE quantizer (Gaussian, one variance for all). Static under jit."""

    num_codes: int
    """Number K of codes."""
    dim: int
    """Features D of the input, the output and the codes."""
    weight: float = 1.0
    """Weight of both losses, which are means over rows: with the paper's reconstruction term (see
    `reconstruction_loss`), which is a sum over an image, give the number of rows of an image.
    """
    log_variance: float = 2.995732
    """Initial logarithm of the variance (log 20, as in the authors' code). It should let a row tell
    codes apart: where embeddings lie close together or have few features, too large a start makes
    all codes alike, for good.
    """
    temperature: float = 1.0
    """Temperature of the relaxed choice, if `quantize` is not given one. The authors' is exp(-1e-5
    step).
    """
    init: Init = "normal"
    """Initial codes."""

    def __post_init__(self):
        check_sizes(self.num_codes, self.dim)
        require_one_of("init", self.init, Init)
        require(self.temperature > 0, "temperature must be above 0")


def init(key: jax.Array, config: SQVAEConfig, sample: jax.Array | None = None) -> tuple[dict, dict]:
    """params "codes" `[K, D]` and "log_variance", a scalar; no state."""
    sample = check_sample(sample, config.dim)
    codes = initial_codes(key, config.init, config.num_codes, config.dim, sample)
    return {"codes": codes, "log_variance": jnp.float32(config.log_variance)}, {}


def reconstruction_loss(squared_error: jax.Array, size: int) -> jax.Array:
    """size / 2 * log of the mean squared error: the likelihood with the variance that fits best
    (the authors' arELBO).

    Args:
      squared_error: mean over pixels and images, above 0.
      size: numbers in an image.
    """
    return 0.5 * size * jnp.log(squared_error)


def near(a: jax.Array) -> jax.Array:
    """float32 of `a`, within what a squared distance over the variance bears."""
    return bounded(a, LARGEST_APART)


def log_posterior(params: dict, x: jax.Array, config: SQVAEConfig) -> jax.Array:
    """log of the probabilities that a code is chosen with, float32 `[N, K]`, of rows `[N, D]`."""
    x, codes = near(x), near(params["codes"])
    return safe_log_softmax(-0.5 * jnp.exp(-params["log_variance"]) * squared_distances(x, codes))


def quantize(
    params: dict, state: dict, x: jax.Array, config: SQVAEConfig, **options: Unpack[SoftOptions]
) -> tuple[Quantized, dict]:
    """A relaxed code in training, the nearest in evaluation.

    Args:
      params: from `init`; gradients reach the codes and the variance.
      state: empty.
      x: float `[..., D]`.
      config: the same as at `init`.
      **options: see `SoftOptions`. Training needs a key, for the choice.

    Returns:
      A `Quantized` with losses "entropy" (minus the entropy of the choice) and "distance" (squared,
      over twice the variance); metrics "perplexity", "usage", "entropy_row", "variance"; and the
      state.

    Raises:
      QuantError: as `interface.call`; training without a key.
    """
    return call_soft(_relax, params, state, x, config, options)


def _relax(params: dict, state: dict, batch: Batch, config: SQVAEConfig) -> tuple[Found, dict]:
    log_q = log_posterior(params, batch.z, config)
    index = log_q.argmax(-1).astype(jnp.int32)
    metrics = batch.usage(index, config.num_codes) | {"variance": jnp.exp(params["log_variance"])}
    losses, value = {}, params["codes"][index]
    if batch.train:
        chosen = relaxed_rows(batch.row_keys(), log_q, warmth(batch.temperature, config))
        value = chosen @ params["codes"]
        metrics["entropy_row"] = batch.mean(entropy(log_q))
        precision = 0.5 * jnp.exp(-params["log_variance"])
        losses["entropy"] = -config.weight * metrics["entropy_row"]
        losses["distance"] = (
            config.weight * precision * batch.mean(((near(batch.z) - near(value)) ** 2).sum(-1))
        )
    return Found(value, index, losses, metrics), state


encode = encode_by(quantize)
"""`encode(params, state, x, config)`: the nearest codes, int32 `[...]`."""


decode = decode_codes
"""`decode(params, state, indices, config)`: codes of indices, float32 `[..., D]`; NaN for indices
outside 0..K-1.
"""
