"""Gumbel-VQ: the encoder says the probability of every code, a relaxed draw mixes them (Jang et al.
2017; Ramesh et al. 2021).
"""

from dataclasses import dataclass
from typing import Unpack

import jax
import jax.numpy as jnp

from quant.codebooks.init import Init, initial_codes
from quant.codebooks.soft_assignment import entropy, relaxed_rows, warmth
from quant.codebooks.updates import check_sizes
from quant.errors import require, require_one_of
from quant.estimators.sample import safe_log_softmax
from quant.quantizers.inputs import check_sample
from quant.quantizers.interface import Batch, Found, SoftOptions, call_soft, decode_codes, encode_by
from quant.types import Quantized


@dataclass(frozen=True)
class GumbelVQConfig:
    """A Gumbel-VQ quantizer. Static under jit."""

    num_codes: int
    """Number K of codes."""
    dim: int
    """Features D of the input and of a code."""
    beta: float = 5e-4
    """Weight of the mean KL of a row's probabilities against the uniform ones, in nats."""
    temperature: float = 1.0
    """Temperature of the relaxed choice, if `quantize` is not given one; it is usually lowered in
    training.
    """
    hard: bool = False
    """Choose one code in training too, straight-through."""
    init: Init = "normal"
    """Initial codes."""

    def __post_init__(self):
        check_sizes(self.num_codes, self.dim)
        require_one_of("init", self.init, Init)
        require(self.temperature > 0, "temperature must be above 0")


def init(
    key: jax.Array, config: GumbelVQConfig, sample: jax.Array | None = None
) -> tuple[dict, dict]:
    """params "codes" `[K, D]`, "weight" `[D, K]` and "bias" `[K]` of the linear map to logits; no
    state.
    """
    sample = check_sample(sample, config.dim)
    key_codes, key_weight = jax.random.split(key)
    lecun_normal = jax.nn.initializers.lecun_normal()
    return {
        "codes": initial_codes(key_codes, config.init, config.num_codes, config.dim, sample),
        "weight": lecun_normal(key_weight, (config.dim, config.num_codes), jnp.float32),
        "bias": jnp.zeros(config.num_codes, jnp.float32),
    }, {}


def log_posterior(params: dict, x: jax.Array, config: GumbelVQConfig) -> jax.Array:
    """log of the probabilities of the codes, float32 `[N, K]`, of rows `[N, D]`."""
    logits = (
        jnp.einsum("nd,dk->nk", x.astype(jnp.float32), params["weight"], precision="highest")
        + params["bias"][None]
    )
    return safe_log_softmax(logits)


def quantize(
    params: dict, state: dict, x: jax.Array, config: GumbelVQConfig, **options: Unpack[SoftOptions]
) -> tuple[Quantized, dict]:
    """A mix of codes in training, the most probable in evaluation.

    Args:
      params: from `init`; gradients reach codes, weight and bias.
      state: empty.
      x: float `[..., D]`.
      config: the same as at `init`.
      **options: see `SoftOptions`. Training needs a key, for the choice.

    Returns:
      A `Quantized` with loss "kl"; metrics "perplexity" and "usage" of the most probable codes and
      "entropy_row"; and the state.

    Raises:
      QuantError: as `interface.call`; training without a key.
    """
    return call_soft(_mix, params, state, x, config, options)


def _mix(params: dict, state: dict, batch: Batch, config: GumbelVQConfig) -> tuple[Found, dict]:
    log_q = log_posterior(params, batch.z, config)
    index = log_q.argmax(-1).astype(jnp.int32)
    metrics = batch.usage(index, config.num_codes)
    losses, value = {}, params["codes"][index]
    if batch.train:
        chosen = relaxed_rows(
            batch.row_keys(), log_q, warmth(batch.temperature, config), config.hard
        )
        value = chosen @ params["codes"]
        metrics["entropy_row"] = batch.mean(entropy(log_q))
        losses["kl"] = config.beta * batch.mean(jnp.log(config.num_codes) - entropy(log_q))
    return Found(value, index, losses, metrics), state


encode = encode_by(quantize)
"""`encode(params, state, x, config)`: the most probable codes, int32 `[...]`."""


decode = decode_codes
"""`decode(params, state, indices, config)`: codes of indices, float32 `[..., D]`; NaN for indices
outside 0..K-1.
"""
