"""Lookup-free and binary spherical quantization: one bit per feature (Yu et al. 2023; Zhao et al.
2024).
"""

from dataclasses import dataclass
from typing import Unpack

import jax
import jax.numpy as jnp

from jaxrl.train.parallel import masked_mean
from quant.codebooks.extremes import xlogx
from quant.codebooks.nearest import unit
from quant.codebooks.straight_through import exactly
from quant.errors import require, require_whole
from quant.quantizers.inputs import check_sample
from quant.quantizers.interface import Batch, Found, Options, call, decoding, encode_by
from quant.types import Quantized

EXACT_BITS = 14
"""Features up to which the entropy of the mean assignment is exact; it takes 2^D numbers per row.
"""


@dataclass(frozen=True)
class LFQConfig:
    """A lookup-free quantizer. Static under jit."""

    dim: int
    """Features D, the bits of a code."""
    spherical: bool = False
    """Rows and codes have length one (binary spherical quantization); else codes are +-1 per
    feature.
    """
    scale: float = 1.0
    """Factor of codes (and, if spherical, of rows)."""
    commitment: float = 0.0
    """Weight of the mean squared distance to the code."""
    entropy: float = 0.1
    """Weight of: mean entropy of the soft assignment of each row, minus `diversity` times the
    entropy of the mean assignment.
    """
    diversity: float = 1.0
    """Factor of the entropy of the mean assignment in `entropy`."""
    inverse_temperature: float = 100.0
    """Sharpness of the soft assignment softmax(2 x.c / temperature)."""
    count_limit: int = 2**20
    """Largest number of codes for which usage is counted."""

    def __post_init__(self):
        require_whole("dim", self.dim)
        require(1 <= self.dim <= 30, f"dim is {self.dim}: int32 indices hold 1 to 30 bits")
        for name in ("inverse_temperature", "scale"):
            value = getattr(self, name)
            require(0 < value < float("inf"), f"{name} is {value}: it must be above 0, and finite")

    @property
    def num_codes(self) -> int:
        """2^D."""
        return 2**self.dim

    @property
    def size(self) -> float:
        """Absolute value of a bit on the way out."""
        return self.scale * (self.dim**-0.5 if self.spherical else 1.0)


def init(key: jax.Array, config: LFQConfig, sample: jax.Array | None = None) -> tuple[dict, dict]:
    """No parameters and no state."""
    sample = check_sample(sample, config.dim)
    return {}, {}


def quantize(
    params: dict, state: dict, x: jax.Array, config: LFQConfig, **options: Unpack[Options]
) -> tuple[Quantized, dict]:
    """Take the sign of every feature; the gradient goes straight through.

    Args:
      params, state: empty, as from `init`.
      x: float `[..., D]`.
      config: options of the quantizer.
      **options: see `Options`; the key is not used, and without train there are no losses.

    Returns:
      A `Quantized` with losses "commitment" and "entropy" (those with a weight), metrics
      "perplexity", "usage", "row_entropy" and "mean_entropy" (nats; the latter of the mean
      assignment, above `EXACT_BITS` features as if bits were independent); and the state.

    Raises:
      QuantError: another number of features.
    """
    return call(_signs, params, state, x, config, options)


def _signs(params: dict, state: dict, batch: Batch, config: LFQConfig) -> tuple[Found, dict]:
    z = config.scale * unit(batch.z) if config.spherical else batch.z
    bits = z > 0
    q = _values(bits, config)
    index = (bits.astype(jnp.int32) << _places(config)[None]).sum(-1, dtype=jnp.int32)
    losses, metrics = {}, {}
    if config.num_codes <= config.count_limit:
        metrics = batch.usage(index, config.num_codes)
    if batch.train and config.commitment:
        losses["commitment"] = config.commitment * batch.mean((z - q) ** 2)
    if batch.train and config.entropy:
        each, whole = entropies(z, batch.usable, config, batch.axis_name)
        losses["entropy"] = config.entropy * (each - config.diversity * whole)
        metrics |= {"row_entropy": each, "mean_entropy": whole}
    return Found(exactly(q, z), index, losses, metrics), state


def entropies(
    z: jax.Array, usable: jax.Array, config: LFQConfig, axis_name: str | None = None
) -> tuple[jax.Array, jax.Array]:
    """Mean entropy of the rows' soft assignments, and entropy of their mean, in nats.

    The soft assignment of a row is a product over its bits, so its entropy is the sum of theirs,
    without 2^D numbers. The mean over rows is no product: up to `EXACT_BITS` features it is built,
    above it is taken for one.

    Args:
      z: float32 `[N, D]`, rows as the losses see them.
      usable: bool `[N]`, rows that count.
      config: `inverse_temperature` and the size of a bit are read.
      axis_name: devices that hold the other rows.
    """
    # softmax over all codes of 2 x.c / temperature: a bit is one with probability sigmoid(4 x size
    # / temperature).
    logits = 4 * config.inverse_temperature * config.size * z
    each = masked_mean(_bit_entropy(logits).sum(-1), usable, None, axis_name)

    def weight(a):
        return jnp.broadcast_to(usable[:, None], a.shape)

    if config.dim > EXACT_BITS:
        share = masked_mean(jax.nn.sigmoid(logits), weight(logits), 0, axis_name)
        return each, -(xlogx(share) + xlogx(1 - share)).sum()
    soft = jax.vmap(_all_codes)(logits)
    share = masked_mean(soft, weight(soft), 0, axis_name)
    return each, -xlogx(share).sum()


encode = encode_by(quantize)
"""`encode(params, state, x, config)`: indices only, int32 `[...]`; the first feature is the highest
bit.
"""


@decoding
def decode(params: dict, state: dict, indices: jax.Array, config: LFQConfig) -> jax.Array:
    """Values of indices, float32 `[..., D]`; NaN for indices outside 0..2^D-1.

    Args:
      params: empty, as from `init`.
      state: empty, as from `init`.
      indices: int32 `[...]`.
      config: the same as at `init`.
    """
    known = (indices >= 0) & (indices < config.num_codes)
    bits = (indices[..., None] >> _places(config).reshape(*[1] * indices.ndim, -1)) & 1
    return jnp.where(known[..., None], _values(bits == 1, config), jnp.nan)


def _values(bits: jax.Array, config: LFQConfig) -> jax.Array:
    size = jnp.float32(config.size)
    return jnp.where(bits, size, -size)


def _places(config: LFQConfig) -> jax.Array:
    return jnp.arange(config.dim - 1, -1, -1, dtype=jnp.int32)


def _bit_entropy(logits: jax.Array) -> jax.Array:
    """Entropy of a bit that is one with probability sigmoid(logits)."""
    p = jax.nn.sigmoid(logits)
    return -(p * jax.nn.log_sigmoid(logits) + (1 - p) * jax.nn.log_sigmoid(-logits))


def _all_codes(logits: jax.Array) -> jax.Array:
    """Probabilities of all 2^D codes of one row, in the order of their indices."""
    soft = jnp.ones(1, jnp.float32)
    for bit in range(logits.shape[0]):
        one = jax.nn.sigmoid(logits[bit])
        soft = (soft[:, None] * jnp.stack([1 - one, one])[None]).reshape(-1)
    return soft
