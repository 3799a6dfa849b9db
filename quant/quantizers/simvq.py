"""SimVQ: a frozen random codebook seen through one learned linear map, so that every code moves
with every step (Zhu et al. 2024).
"""

from dataclasses import dataclass
from typing import Unpack

import jax
import jax.numpy as jnp

from quant.codebooks.nearest import Way, nearest
from quant.codebooks.rows import lookup
from quant.codebooks.straight_through import Wrapper, wrap_rows
from quant.codebooks.updates import check_sizes
from quant.errors import require_one_of
from quant.quantizers.inputs import check_sample
from quant.quantizers.interface import Batch, Found, Options, call, decoding, encode_by
from quant.types import Quantized


@dataclass(frozen=True)
class SimVQConfig:
    """A SimVQ quantizer. Static under jit."""

    num_codes: int
    """Number K of codes."""
    dim: int
    """Features D of input, output and codes."""
    frozen_dim: int | None = None
    """Features of the frozen codes; D if absent."""
    commitment: float = 0.25
    """Weight of the mean squared distance that pulls embeddings to codes, times `codebook_weight`.
    """
    codebook_weight: float = 1.0
    """Weight of the one that pulls codes to embeddings."""
    wrapper: Wrapper = "rotation"
    """Gradient wrapper: the way gradients pass the choice. They never reach the map this way."""
    way: Way = "auto"
    """Way of the search, see `nearest`."""

    def __post_init__(self):
        check_sizes(self.num_codes, self.dim)
        require_one_of("wrapper", self.wrapper, Wrapper)
        require_one_of("way", self.way, Way)


def init(key: jax.Array, config: SimVQConfig, sample: jax.Array | None = None) -> tuple[dict, dict]:
    """params "map" `[F, D]`, normal with standard deviation F^-1/2; state "frozen" `[K, F]`, the
    same.
    """
    sample = check_sample(sample, config.dim)
    key_map, key_frozen = jax.random.split(key)
    features = config.frozen_dim or config.dim

    def draw(key, rows, columns):
        return jax.random.normal(key, (rows, columns), jnp.float32) * features**-0.5

    return {"map": draw(key_map, features, config.dim)}, {
        "frozen": draw(key_frozen, config.num_codes, features)
    }


def codes_of(params: dict, state: dict) -> jax.Array:
    """The codes, float32 `[K, D]`."""
    return jnp.einsum(
        "kf,fd->kd", jax.lax.stop_gradient(state["frozen"]), params["map"], precision="highest"
    )


def quantize(
    params: dict, state: dict, x: jax.Array, config: SimVQConfig, **options: Unpack[Options]
) -> tuple[Quantized, dict]:
    """Replace every row by its nearest code, which is a frozen one behind a learned map.

    Args:
      params: from `init`; the loss "codebook" moves the map.
      state: from `init`: the frozen codes. It never changes.
      x: float `[..., D]`, any dtype; the search is in float32.
      config: the same as at `init`.
      **options: see `Options`; the key is used in training where the wrapper is "diveq".

    Returns:
      A `Quantized` with losses "commitment" and "codebook", metrics "perplexity", "usage" and
      "distance"; and the state.

    Raises:
      QuantError: as `interface.call`.
    """
    return call(_mapped, params, state, x, config, options)


def _mapped(params: dict, state: dict, batch: Batch, config: SimVQConfig) -> tuple[Found, dict]:
    codes = codes_of(params, state)
    index, distance = nearest(batch.z, codes, "l2", config.way)
    q = codes[index]
    stop = jax.lax.stop_gradient
    losses = {
        "commitment": config.codebook_weight
        * config.commitment
        * batch.mean((batch.z - stop(q)) ** 2),
        "codebook": config.codebook_weight * batch.mean((stop(batch.z) - q) ** 2),
    }
    value = q
    if batch.train:
        value = wrap_rows(config.wrapper, batch.z, stop(q), batch.key, batch.axis_name)
    metrics = batch.usage(index, config.num_codes) | {"distance": batch.mean(distance)}
    return Found(value, index, losses, metrics), state


encode = encode_by(quantize)
"""`encode(params, state, x, config)`: indices only, int32 `[...]`."""


@decoding
def decode(params: dict, state: dict, indices: jax.Array, config: SimVQConfig) -> jax.Array:
    """Codes of indices, float32 `[..., D]`; NaN for indices outside 0..K-1.

    Args:
      params: from `init`: the map.
      state: from `init`: the frozen codes, before the map.
      indices: int32 `[...]`.
      config: the same as at `init`.
    """
    return lookup(codes_of(params, state), indices)
