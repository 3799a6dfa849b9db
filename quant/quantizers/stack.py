"""Residual quantization with any quantizers: each level quantizes what the levels before left over
(residual FSQ, residual LFQ, residual SimVQ, or a mix). `rvq` is the quicker form for equal VQ
levels.
"""

from dataclasses import dataclass
from typing import Any, Unpack

import jax
import jax.numpy as jnp

from quant.errors import require, tuple_field
from quant.quantizers.dispatch import functions_of, index_axes
from quant.quantizers.dropout import DepthDropout, draw_depths
from quant.quantizers.grouped import mean_by_name
from quant.quantizers.inputs import check_levels, check_sample
from quant.quantizers.interface import Batch, Found, Options, call, decoding, encode_by
from quant.types import Params, Quantized


@dataclass(frozen=True)
class StackConfig:
    """Quantizers in a row. Static under jit."""

    levels: tuple[Any, ...]
    """Configuration of each level, all of the same `dim`, each with one index per row."""
    scales: tuple[float | tuple[float, ...], ...] | None = None
    """Step of each level: its input is divided by it and its output multiplied, a number or one per
    feature. Bounded quantizers (FSQ) need smaller steps from level to level; see `residual_fsq`.
    """
    dropout: DepthDropout | None = None
    """In training, rows keep only their first levels; needs a key."""
    soft_clamp: tuple[float, ...] | None = None
    """Bounds c of the input, which becomes c tanh(x / c)."""

    def __post_init__(self):
        for config in tuple_field(self, "levels", "a configuration for each"):
            functions_of(config)
        require(
            self.dropout is None or isinstance(self.dropout, DepthDropout),
            f"dropout is {self.dropout!r}: give a DepthDropout",
        )
        dims = {level.dim for level in self.levels}
        require(len(dims) == 1, f"levels have {sorted(dims)} features: they must agree")
        require(
            not any(index_axes(level) for level in self.levels),
            "levels have one index per row: put heads outside, in a GroupedConfig",
        )
        require(
            self.scales is None or len(self.scales) == len(self.levels),
            f"scales has {len(self.scales or ())} entries for {len(self.levels)} levels",
        )

    @property
    def dim(self) -> int:
        """D, features of the input and the output."""
        return self.levels[0].dim

    @property
    def index_axes(self) -> int:
        """Axes of a row's indices."""
        return 1

    @property
    def num_codes(self) -> int:
        """Largest number of codes of a level."""
        return max(level.num_codes for level in self.levels)


def residual_fsq(levels: tuple[int, ...], depth: int) -> StackConfig:
    """Residual FSQ as in vector-quantize-pytorch: symmetric levels, the input softly clamped, the
    step of level l divided by levels^l.
    """
    from quant.quantizers.fsq import FSQConfig

    fsq = FSQConfig(tuple(levels), symmetric=True, squash="clip")
    scales = tuple(tuple(float(n) ** -number for n in levels) for number in range(depth))
    return StackConfig((fsq,) * depth, scales, soft_clamp=tuple(1 + 1 / (n - 1) for n in levels))


def init(
    key: jax.Array, config: StackConfig, sample: jax.Array | None = None
) -> tuple[dict[str, Any], tuple]:
    """Parameters {"level_<l>": ...} and a tuple of states. With a sample, each level begins on what
    the levels before leave of it.
    """
    sample = check_sample(sample, config.dim)
    params, states, rest = {}, [], sample
    if rest is not None:
        rest = _clamped(rest.astype(jnp.float32), config)
    for number, level in enumerate(config.levels):
        functions = functions_of(level)
        scale = _scale(config, number, 2 if rest is None else rest.ndim)
        made, state = functions.init(
            jax.random.fold_in(key, number), level, None if rest is None else rest / scale
        )
        params |= {f"level_{number}": made} if made else {}
        states.append(state)
        if rest is not None:
            out, _ = functions.quantize(made, state, rest / scale, level, train=False)
            rest = rest - scale * out.quantized
    return params, tuple(states)


def quantize(
    params: Params, state: tuple, x: jax.Array, config: StackConfig, **options: Unpack[Options]
) -> tuple[Quantized, tuple]:
    """The sum of the levels' values, each straight-through on its residual; the gradient of the
    first level alone reaches x, so that x gets it once.

    Args:
      params: from `init`, with an entry for each level that has parameters.
      state: states of the levels, from `init` or the last step.
      x: float `[..., D]`.
      config: the same as at `init`.
      **options: see `Options`; dropout needs a key in training, as do levels that draw.

    Returns:
      A `Quantized` with indices `[..., levels]` (-1 where a level was dropped), losses and metrics
      the means over the levels that have them, and "error_<l>", the mean squared error left after
      level l; and the states.

    Raises:
      QuantError: as `interface.call`; a missing key.
    """
    return call(_levels, params, state, x, config, options)


def _levels(
    params: dict[str, Any], state: tuple, batch: Batch, config: StackConfig
) -> tuple[Found, tuple]:
    stop = jax.lax.stop_gradient
    keys = [None] * len(config.levels)
    depth = jnp.full(batch.usable.shape, len(config.levels), jnp.int32)
    require(
        batch.key is not None or not (batch.train and config.dropout),
        "dropout draws depths: give quantize a key",
    )
    if batch.key is not None:
        key_depth, key_levels = jax.random.split(batch.key)
        keys = list(jax.random.split(key_levels, len(config.levels)))
        if batch.train and config.dropout:
            depth = draw_depths(batch.replace(key=key_depth), config.dropout, len(config.levels))
    rest = whole = _clamped(batch.z, config)
    summed, index, errors, after = jnp.zeros_like(whole), [], {}, []
    losses, metrics = [], []
    for number, level in enumerate(config.levels):
        kept, scale = batch.usable & (number < depth), _scale(config, number)
        out, own = functions_of(level).quantize(
            params.get(f"level_{number}", {}),
            state[number],
            rest / scale,
            level,
            key=keys[number],
            train=batch.train,
            mask=kept,
            axis_name=batch.axis_name,
        )
        value = jnp.where(kept[:, None], scale * out.quantized, 0)
        rest = rest - stop(value)
        summed = summed + (value if number == 0 else stop(value))
        index.append(out.indices)
        left = jnp.where(batch.usable[:, None], rest, 0) ** 2
        errors[f"error_{number}"] = batch.mean(left)
        losses.append(out.losses)
        metrics.append(out.metrics)
        after.append(own)
    return Found(
        summed, jnp.stack(index, -1), mean_by_name(losses), mean_by_name(metrics) | errors
    ), tuple(after)


def _scale(config: StackConfig, number: int, axes: int = 2) -> jax.Array:
    """Scale of a level, shaped to go with an array of so many axes."""
    scale = jnp.asarray(1.0 if config.scales is None else config.scales[number], jnp.float32)
    return scale.reshape(*[1] * (axes - 1), -1)


def _clamped(x: jax.Array, config: StackConfig) -> jax.Array:
    if config.soft_clamp is None:
        return x
    bounds = jnp.asarray(config.soft_clamp, jnp.float32).reshape(*[1] * (x.ndim - 1), -1)
    return bounds * jnp.tanh(x / bounds)


encode = encode_by(quantize)
"""`encode(params, state, x, config)`: indices only, int32 `[..., levels]`."""


@decoding
def decode(params: dict, state: tuple, indices: jax.Array, config: StackConfig) -> jax.Array:
    """The sum of the levels' values, float32 `[..., D]`; levels with index -1 add nothing.

    Args:
      params: from `init`, with an entry for each level that has parameters.
      state: states of the levels, in their order.
      indices: int32 `[..., n]` of the first n levels.
      config: the same as at `init`.

    Raises:
      QuantError: more levels than there are.
    """
    check_levels(indices, len(config.levels))
    total = 0.0
    for number, level in enumerate(config.levels[: indices.shape[-1]]):
        index = indices[..., number]
        present = index != -1
        value = functions_of(level).decode(
            params.get(f"level_{number}", {}), state[number], jnp.where(present, index, 0), level
        )
        value = value * _scale(config, number, value.ndim)
        total = total + jnp.where(present[..., None], value, 0)
    return total
