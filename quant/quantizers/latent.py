"""Latent quantization: every feature takes the nearest of a few values that are learned, feature by
feature (Hsu et al. 2023, "Disentanglement via latent quantization").
"""

import math
from dataclasses import dataclass
from typing import Unpack

import jax
import jax.numpy as jnp

from quant.codebooks.straight_through import exactly
from quant.errors import require, require_whole, tuple_field
from quant.quantizers.inputs import check_sample
from quant.quantizers.interface import Batch, Found, Options, call, decoding, encode_by
from quant.types import Quantized


@dataclass(frozen=True)
class LatentConfig:
    """A latent quantizer. Static under jit."""

    levels: tuple[int, ...]
    """Values of every feature; their product is the number of codes."""
    commitment: float = 0.1
    """Weight of the mean squared distance that pulls features to values."""
    codebook_weight: float = 0.1
    """Weight of the one that pulls values to features."""

    def __post_init__(self):
        for level in tuple_field(self, "levels", "a number of values for every feature"):
            require_whole("a number of values", level)
        require(
            min(self.levels) >= 1,
            f"levels is {self.levels}: give a number of values, at least 1, for every feature",
        )
        require(
            self.num_codes < 2**31,
            f"levels {self.levels} make more codes than int32 indices can tell apart",
        )

    @property
    def dim(self) -> int:
        """Features."""
        return len(self.levels)

    @property
    def num_codes(self) -> int:
        """Product of the levels."""
        return math.prod(self.levels)


def init(
    key: jax.Array, config: LatentConfig, sample: jax.Array | None = None
) -> tuple[dict, dict]:
    """params "values" `[D, L]`, evenly spaced in -1/2..1/2, L the largest number of values; no
    state.
    """
    sample = check_sample(sample, config.dim)
    rows = [
        jnp.pad(
            jnp.linspace(-0.5, 0.5, n, dtype=jnp.float32) if n > 1 else jnp.zeros(1, jnp.float32),
            (0, max(config.levels) - n),
        )
        for n in config.levels
    ]
    return {"values": jnp.stack(rows)}, {}


def quantize(
    params: dict, state: dict, x: jax.Array, config: LatentConfig, **options: Unpack[Options]
) -> tuple[Quantized, dict]:
    """The nearest value of every feature; the gradient goes straight through.

    Args:
      params: from `init`; the loss "codebook" moves the values.
      state: empty.
      x: float `[..., D]`.
      config: the same as at `init`.
      **options: see `Options`; the key is not used.

    Returns:
      A `Quantized` with losses "commitment" and "codebook", metrics "perplexity", "usage" and
      "distance"; and the state.

    Raises:
      QuantError: as `interface.call`.
    """
    return call(_values, params, state, x, config, options)


def _values(params: dict, state: dict, batch: Batch, config: LatentConfig) -> tuple[Found, dict]:
    known = jnp.arange(max(config.levels))[None] < jnp.asarray(config.levels)[:, None]
    far = jnp.abs(batch.z[..., None] - params["values"][None])
    steps = jnp.where(known[None], far, jnp.inf).argmin(-1)
    q = _taken(params["values"], steps)
    stop, z = jax.lax.stop_gradient, batch.z
    losses = {
        "commitment": config.commitment * batch.mean((z - stop(q)) ** 2),
        "codebook": config.codebook_weight * batch.mean((stop(z) - q) ** 2),
    }
    index = (steps.astype(jnp.int32) * _basis(config)[None]).sum(-1, dtype=jnp.int32)
    metrics = {"distance": batch.mean((z - q) ** 2)} | batch.usage(index, config.num_codes)
    return Found(exactly(q, z) if batch.train else q, index, losses, metrics), state


encode = encode_by(quantize)
"""`encode(params, state, x, config)`: indices only, int32 `[...]`; the first feature runs fastest.
"""


@decoding
def decode(params: dict, state: dict, indices: jax.Array, config: LatentConfig) -> jax.Array:
    """Values of indices, float32 `[..., D]`; NaN for indices outside 0..num_codes-1.

    Args:
      params: from `init`: the values of every feature.
      state: empty.
      indices: int32 `[...]`.
      config: the same as at `init`.
    """
    known = (indices >= 0) & (indices < config.num_codes)
    levels = jnp.asarray(config.levels, jnp.int32)
    flat = jnp.where(known, indices, 0).reshape(-1, 1)
    steps = (flat // _basis(config)[None]) % levels[None]
    value = _taken(params["values"], steps).reshape(*indices.shape, config.dim)
    return jnp.where(known[..., None], value, jnp.nan)


def _taken(values: jax.Array, steps: jax.Array) -> jax.Array:
    """Value `[N, D]` of every row and feature."""
    return jax.vmap(lambda own, step: own[step], in_axes=(0, 1), out_axes=1)(values, steps)


def _basis(config: LatentConfig) -> jax.Array:
    return jnp.asarray([math.prod(config.levels[:i]) for i in range(config.dim)], jnp.int32)
