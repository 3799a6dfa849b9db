"""Random-projection quantizer: labels for self-supervised learning from a codebook that never
learns (BEST-RQ, Chiu et al. 2022).
"""

from dataclasses import dataclass
from typing import Unpack

import jax
import jax.numpy as jnp

from quant.codebooks.nearest import Way, nearest, unit
from quant.codebooks.rows import from_books, to_books
from quant.codebooks.updates import check_sizes
from quant.errors import require, require_one_of
from quant.quantizers.inputs import check_sample
from quant.quantizers.interface import Batch, Found, Options, call, decoding, encode_by
from quant.types import Quantized


@dataclass(frozen=True)
class RandomProjectionConfig:
    """A random-projection quantizer. Static under jit."""

    num_codes: int
    """Number K of codes, of every head."""
    dim: int
    """Features D of the input."""
    code_dim: int = 16
    """Features of a code."""
    heads: int = 1
    """Number of codebooks, each behind a projection of its own."""
    way: Way = "auto"
    """Way of the search, see `nearest`."""

    def __post_init__(self):
        check_sizes(self.num_codes, self.dim)
        require(
            self.heads >= 1 and self.code_dim >= 1,
            f"heads is {self.heads}, code_dim {self.code_dim}: at least one each",
        )
        require_one_of("way", self.way, Way)

    @property
    def index_axes(self) -> int:
        """Axes of a row's indices."""
        return int(self.heads > 1)


def init(
    key: jax.Array, config: RandomProjectionConfig, sample: jax.Array | None = None
) -> tuple[dict, dict]:
    """No parameters; state "projection" `[D, heads * code_dim]` (Glorot uniform) and "codes"
    `[heads, K, code_dim]` of length one.
    """
    sample = check_sample(sample, config.dim)
    key_projection, key_codes = jax.random.split(key)
    limit = (6 / (config.dim + config.code_dim)) ** 0.5
    projection = jax.random.uniform(
        *(key_projection, (config.dim, config.heads * config.code_dim)),
        *(jnp.float32, -limit, limit),
    )
    sizes = (config.heads, config.num_codes, config.code_dim)
    codes = unit(jax.random.normal(key_codes, sizes, jnp.float32))
    return {}, {"projection": projection, "codes": codes}


def quantize(
    params: dict,
    state: dict,
    x: jax.Array,
    config: RandomProjectionConfig,
    **options: Unpack[Options],
) -> tuple[Quantized, dict]:
    """Labels by the nearest code (cosine) of each projection. The input should be normalized
    before.

    Args:
      params: empty, as from `init`: nothing learns.
      state: from `init`; never changes.
      x: float `[..., D]`.
      config: the same as at `init`.
      **options: see `Options`; the key is not used.

    Returns:
      A `Quantized` whose "quantized" are the codes, `[..., heads * code_dim]`, with no gradient at
      all, and 0 where masked; no losses.

    Raises:
      QuantError: as `interface.call`.
    """
    return call(_labels, params, state, x, config, options)


def _labels(
    params: dict, state: dict, batch: Batch, config: RandomProjectionConfig
) -> tuple[Found, dict]:
    clean = jax.lax.stop_gradient(batch.z)
    z = jnp.matmul(clean, state["projection"], precision="highest")
    z = to_books(z, config.heads, config.heads)
    index, _ = jax.vmap(lambda a, c: nearest(a, c, "cosine", config.way))(z, state["codes"])
    metrics = jax.tree.map(jnp.mean, jax.vmap(lambda i: batch.usage(i, config.num_codes))(index))
    index = from_books(index[..., None], config.heads)
    index = index if config.heads > 1 else index[:, 0]
    value = jax.lax.stop_gradient(decode(params, state, index, config))
    return Found(value, index, {}, metrics, otherwise=jnp.zeros_like(value)), state


encode = encode_by(quantize)
"""`encode(params, state, x, config)`: indices only: int32 `[...]`, or `[..., heads]` if there are
several.
"""


@decoding
def decode(
    params: dict, state: dict, indices: jax.Array, config: RandomProjectionConfig
) -> jax.Array:
    """Codes of indices, float32 `[..., heads * code_dim]`; NaN for indices outside 0..K-1.

    Args:
      params: empty.
      state: from `init`: projection and codes.
      indices: int32 `[...]`, or `[..., heads]` if there are several.
      config: the same as at `init`.
    """
    require(
        config.heads == 1 or indices.shape[-1:] == (config.heads,),
        f"indices have shape {indices.shape}: their last axis must be the {config.heads} heads",
    )
    leading = indices.shape if config.heads == 1 else indices.shape[:-1]
    rows = jnp.where(indices < 0, config.num_codes, indices).reshape(-1, config.heads)
    take = jax.vmap(lambda c, i: jnp.take(c, i, axis=0, mode="fill"))
    return from_books(take(state["codes"], rows.T), config.heads).reshape(*leading, -1)
