"""SimVQ: a frozen random codebook seen through one learned linear map, so that every code moves
with every step (Zhu et al. 2024).
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxrl.train.parallel import masked_mean
from quant.codebooks.extremes import bounded, narrowed
from quant.codebooks.nearest import Way, nearest
from quant.codebooks.rows import flatten
from quant.codebooks.straight_through import Wrapper, wrap_rows
from quant.codebooks.updates import check_sizes, count_rows, usage_metrics
from quant.errors import require
from quant.types import Quantized


@dataclass(frozen=True)
class SimVQConfig:
    """A SimVQ quantizer. Static under jit."""

    num_codes: int
    """K."""
    dim: int
    """D, features of input, output and codes."""
    frozen_dim: int | None = None
    """Features of the frozen codes; D if absent."""
    commitment: float = 0.25
    """Weight of the mean squared distance that pulls embeddings to codes, times `codebook_weight`.
    """
    codebook_weight: float = 1.0
    """Weight of the one that pulls codes to embeddings."""
    wrapper: Wrapper = "rotation"
    """How gradients pass the choice; they never reach the map this way."""
    way: Way = "auto"
    """See `nearest`."""

    def __post_init__(self):
        check_sizes(self.num_codes, self.dim)


def init(key: jax.Array, config: SimVQConfig, sample: jax.Array | None = None) -> tuple[dict, dict]:
    """params "map" `[F, D]`, normal with standard deviation F^-1/2; state "frozen" `[K, F]`, the
    same.
    """
    key_map, key_frozen = jax.random.split(key)
    features = config.frozen_dim or config.dim

    def draw(key, rows, columns):
        return jax.random.normal(key, (rows, columns)) * features**-0.5

    return {"map": draw(key_map, features, config.dim)}, {
        "frozen": draw(key_frozen, config.num_codes, features)
    }


def codes_of(params: dict, state: dict) -> jax.Array:
    """The codes, float32 `[K, D]`."""
    return jnp.einsum(
        "kf,fd->kd", jax.lax.stop_gradient(state["frozen"]), params["map"], precision="highest"
    )


def quantize(
    params: dict,
    state: dict,
    x: jax.Array,
    config: SimVQConfig,
    *,
    key: jax.Array | None = None,
    train: bool = True,
    mask: jax.Array | None = None,
    axis_name: str | None = None,
) -> tuple[Quantized, dict]:
    """As `vq.quantize`, with losses "commitment" and "codebook"; the state never changes."""
    require(
        x.shape[-1:] == (config.dim,),
        f"x has shape {x.shape}: its last axis must have the quantizer's {config.dim} features",
    )
    rows, usable = flatten(x, mask)
    # In float32 also for narrow inputs: the square of 300 overflows float16.
    z = bounded(jnp.where(usable[:, None], rows, 0))
    codes = codes_of(params, state)
    index, distance = nearest(z, codes, "l2", config.way)
    q = codes[index]

    def over(a):
        return masked_mean(
            a.astype(jnp.float32), jnp.broadcast_to(usable[:, None], a.shape), None, axis_name
        )

    stop = jax.lax.stop_gradient
    losses = {
        "commitment": config.codebook_weight * config.commitment * over((z - stop(q)) ** 2),
        "codebook": config.codebook_weight * over((stop(z) - q) ** 2),
    }
    value = wrap_rows(config.wrapper, z, stop(q), key, axis_name) if train else q
    metrics = usage_metrics(count_rows(index, config.num_codes, usable, axis_name))
    metrics["distance"] = masked_mean(distance, usable, None, axis_name)
    out = jnp.where(usable[:, None], narrowed(value, x.dtype), rows).reshape(x.shape)
    index = jnp.where(usable, index, -1).reshape(x.shape[:-1])
    return Quantized(out, index, losses, stop(metrics)), state


def encode(params: dict, state: dict, x: jax.Array, config: SimVQConfig) -> jax.Array:
    """Indices only, int32 `[...]`."""
    return quantize(params, state, x, config, train=False)[0].indices


def decode(params: dict, state: dict, indices: jax.Array, config: SimVQConfig) -> jax.Array:
    """Codes of indices, float32 `[..., D]`; NaN for indices outside 0..K-1."""
    known = jnp.where(indices < 0, config.num_codes, indices)
    return jnp.take(codes_of(params, state), known, axis=0, mode="fill")
