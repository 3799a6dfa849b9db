"""Finite scalar quantization: every feature is rounded to one of a few levels, and no codebook is
learned (Mentzer et al. 2023).
"""

import math
from dataclasses import dataclass
from typing import Literal, Unpack

import jax
import jax.numpy as jnp

from quant.codebooks.straight_through import exactly
from quant.errors import require, require_one_of, require_whole, tuple_field
from quant.quantizers.inputs import check_sample
from quant.quantizers.interface import Batch, Found, Options, call, decoding, encode_by
from quant.types import Quantized


@dataclass(frozen=True)
class FSQConfig:
    """A finite scalar quantizer. Static under jit."""

    levels: tuple[int, ...]
    """Levels of every feature, each at least 2; their product is the number of codes."""
    symmetric: bool = False
    """Levels evenly spread over -1..1 also where their number is even (zero is then no level)."""
    squash: Literal["tanh", "clip"] = "tanh"
    """Function that brings features into -1..1; "clip" is the identity in between, for inputs that
    are bounded already.
    """
    flat: bool = True
    """One index per row. Without, indices are the level of every feature, `[..., D]`, which any
    number of codes allows, such as (4,) * 16.
    """
    count_limit: int = 2**20
    """Codes up to which usage is counted; beyond, metrics would need an array of that length."""

    def __post_init__(self):
        for level in tuple_field(self, "levels", "a number for every feature, such as (8, 5, 5)"):
            require_whole("a number of levels", level)
        # Small integers of NumPy would overflow in the product.
        object.__setattr__(self, "levels", tuple(int(level) for level in self.levels))
        low = [level for level in self.levels if level < 2]
        require(not low, f"levels {self.levels} contains {low}: a feature needs at least 2 levels")
        require_one_of("squash", self.squash, Literal["tanh", "clip"])
        size = math.prod(self.levels)
        require(
            size < 2**31 or not self.flat,
            f"levels {self.levels} make {size} codes, more than int32 indices can tell apart: "
            "split the features, or set flat=False",
        )

    @property
    def index_axes(self) -> int:
        """Axes of a row's indices."""
        return int(not self.flat)

    @property
    def num_codes(self) -> int:
        """Product of the levels."""
        return math.prod(self.levels)

    @property
    def dim(self) -> int:
        """Features."""
        return len(self.levels)


def init(key: jax.Array, config: FSQConfig, sample: jax.Array | None = None) -> tuple[dict, dict]:
    """No parameters and no state."""
    sample = check_sample(sample, config.dim)
    return {}, {}


def bound(x: jax.Array, config: FSQConfig) -> jax.Array:
    """Features `[..., D]` squashed so that rounding gives exactly the levels, still in units of a
    level.
    """
    levels = _along(config.levels, x)
    clip = config.squash == "clip"
    squash = _clipped if clip else jnp.tanh
    if config.symmetric:
        return (levels - 1) * (squash(x) + 1) / 2
    half = (levels - 1) * (1 + 1e-3) / 2
    offset = jnp.where(levels % 2 == 0, 0.5, 0.0)
    shift = offset / half if clip else jnp.arctanh(offset / half)
    return squash(x + shift) * half - offset


def _clipped(x: jax.Array) -> jax.Array:
    return jnp.clip(x, -1, 1)


def quantize(
    params: dict, state: dict, x: jax.Array, config: FSQConfig, **options: Unpack[Options]
) -> tuple[Quantized, dict]:
    """Round every feature; the gradient goes straight through the rounding, not through the
    squashing.

    Args:
      params, state: empty, as from `init`.
      x: float `[..., D]`.
      config: levels.
      **options: see `Options`; key and train change nothing.

    Returns:
      A `Quantized` with values in -1..1 and no losses, and the state.

    Raises:
      QuantError: another number of features.
    """
    return call(_round, params, state, x, config, options)


def _round(params: dict, state: dict, batch: Batch, config: FSQConfig) -> tuple[Found, dict]:
    bounded = bound(batch.z, config)
    steps = _steps(bounded, config)
    levels = _along(config.levels, batch.z)
    # Straight through the rounding: the derivative of the squashing stays, in units of the output.
    carrier = bounded * (2 / (levels - 1)) if config.symmetric else bounded / (levels // 2)
    value = exactly(_values(steps, config), carrier)
    index = steps.astype(jnp.int32)
    if not config.flat:
        return Found(value, index, {}, {}), state
    index = (index * _basis(config)[None]).sum(-1, dtype=jnp.int32)
    counted = config.num_codes <= config.count_limit
    return Found(value, index, {}, batch.usage(index, config.num_codes) if counted else {}), state


encode = encode_by(quantize)
"""`encode(params, state, x, config)`: indices only, int32 `[...]`."""


@decoding
def decode(params: dict, state: dict, indices: jax.Array, config: FSQConfig) -> jax.Array:
    """Values of indices, float32 `[..., D]`; NaN for indices outside 0..num_codes-1.

    Args:
      params: empty, as from `init`.
      state: empty, as from `init`.
      indices: int32 `[...]`, or `[..., D]`, the level of every feature, if not `config.flat`.
      config: the same as at `init`.
    """
    if not config.flat:
        require(
            indices.shape[-1:] == (config.dim,),
            f"indices have shape {indices.shape}: their last axis must be {config.dim} features",
        )
        steps = indices.astype(jnp.float32)
        known = (steps >= 0) & (steps < _along(config.levels, steps))
        return jnp.where(known, _values(steps, config), jnp.nan)
    known = (indices >= 0) & (indices < config.num_codes)
    levels = jnp.asarray(config.levels, jnp.int32).reshape(*[1] * indices.ndim, -1)
    basis = _basis(config).reshape(levels.shape)
    steps = (jnp.where(known, indices, 0)[..., None] // basis) % levels
    return jnp.where(known[..., None], _values(steps.astype(jnp.float32), config), jnp.nan)


def _steps(bounded: jax.Array, config: FSQConfig) -> jax.Array:
    """Number of the level, 0..L-1, as floats. Halves round to even, in the symmetric form up."""
    levels = _along(config.levels, bounded)
    steps = jnp.floor(bounded + 0.5) if config.symmetric else jnp.round(bounded) + levels // 2
    return jnp.clip(
        steps, 0, levels - 1
    )  # with a thousand levels the squashing reaches beyond the last one


def _values(steps: jax.Array, config: FSQConfig) -> jax.Array:
    """Levels as numbers in -1..1.

    Whole numbers are divided last: the ends are then exactly -1 and 1, and every program that
    computes a level gives the same bits.
    """
    levels = _along(config.levels, steps)
    if config.symmetric:
        return (2 * steps - (levels - 1)) / (levels - 1)
    return (steps - levels // 2) / (levels // 2)


def _along(levels: tuple[int, ...], x: jax.Array) -> jax.Array:
    """The levels as floats, shaped to go with `x`."""
    return jnp.asarray(levels, jnp.float32).reshape(*[1] * (x.ndim - 1), -1)


def _basis(config: FSQConfig) -> jax.Array:
    """Weight of each feature's level in the index: the first feature runs
    fastest.
    """
    return jnp.asarray([math.prod(config.levels[:i]) for i in range(config.dim)], jnp.int32)
