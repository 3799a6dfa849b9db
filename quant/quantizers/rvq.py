"""Residual quantization: every level quantizes what the levels before left over (SoundStream,
Zeghidour et al. 2021).
"""

from dataclasses import dataclass
from typing import Any, Unpack

import jax
import jax.numpy as jnp

from quant.codebooks.extremes import varying_like
from quant.errors import require, require_whole
from quant.quantizers import vq
from quant.quantizers.inputs import check_levels, check_sample
from quant.quantizers.interface import Batch, Found, Options, call, decoding, encode_by
from quant.quantizers.vq import VQConfig, VQState
from quant.types import Params, Quantized


@dataclass(frozen=True)
class ResidualConfig:
    """Several vector quantizers in a row. Static under jit."""

    level: VQConfig
    """Configuration of each level (one head)."""
    levels: int
    """Number Q of levels."""
    dropout: bool = False
    """In training, every row keeps a random number of levels, 1..Q; needs a key. What is left out
    has index -1.
    """
    share: bool = False
    """One codebook for all levels."""
    straight_through_all: bool = False
    """Each level passes the whole gradient on, so that x gets Q times as much (as
    vector-quantize-pytorch does), not once.
    """

    def __post_init__(self):
        require(
            isinstance(self.level, VQConfig),
            f"level is {self.level!r}: give a VQConfig; StackConfig takes any quantizers",
        )
        require(
            isinstance(self.dropout, bool),
            f"dropout is {self.dropout!r}: it is True or False here, while StackConfig takes a "
            "DepthDropout",
        )
        require_whole("levels", self.levels)
        require(self.levels >= 1, f"levels is {self.levels}: at least one")
        require(
            self.level.heads == 1,
            "levels have one head each: put heads outside, on parts of the features",
        )
        require(
            not (self.share and self.level.update == "gradient"),
            "a shared codebook needs update='ema'",
        )

    @property
    def dim(self) -> int:
        """D, features of the input and the output."""
        return self.level.dim

    @property
    def index_axes(self) -> int:
        """Axes of a row's indices."""
        return 1

    @property
    def num_codes(self) -> int:
        """K of every level."""
        return self.level.num_codes


def init(
    key: jax.Array, config: ResidualConfig, sample: jax.Array | None = None
) -> tuple[dict[str, Any], VQState]:
    """Parameters and state of `vq.init`, stacked over the levels (one entry if shared). With a
    sample, each level begins on what the levels before leave of it.
    """
    sample = check_sample(sample, config.dim)
    made, rest = [], sample
    for level_key in jax.random.split(key, 1 if config.share else config.levels):
        made.append(vq.init(level_key, config.level, rest))
        if rest is not None:
            rest = rest - vq.quantize(*made[-1], rest, config.level, train=False)[0].quantized
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *made)


def quantize(
    params: Params, state: VQState, x: jax.Array, config: ResidualConfig, **options: Unpack[Options]
) -> tuple[Quantized, VQState]:
    """Quantize by the sum of the levels' codes, each the nearest to what the levels before leave.

    The levels are one scan: compile time does not grow with their number.

    Args:
      params: from `init`, stacked over the levels; gradients reach them as in `vq.quantize`.
      state: from `init` or the last step, stacked over the levels.
      x: float `[..., D]`.
      config: the same as at `init`.
      **options: see `Options`. Restart, DiVeQ, drawn codes and dropout use the key, in training.

    Returns:
      A `Quantized` with indices `[..., levels]`; losses and metrics are means over the levels, and
      "error_<l>" is the mean squared error that is left after level l (0..Q-1); and the state.

    Raises:
      QuantError: as `interface.call`; a missing key.
    """
    return call(_levels, params, state, x, config, options)


def _levels(
    params: dict[str, Any], state: VQState, batch: Batch, config: ResidualConfig
) -> tuple[Found, VQState]:
    draws = config.dropout or config.level.restart is not None
    require(
        not (batch.train and draws) or batch.key is not None,
        "dropout draws depths and restart draws rows: give quantize a key",
    )
    keyed, usable = batch.key is not None, batch.usable
    key_depth, key_levels = jax.random.split(batch.key if keyed else jax.random.key(0))
    depth = jnp.full(usable.shape[0], config.levels, jnp.int32)
    if batch.train and config.dropout:
        keys = batch.replace(key=key_depth).row_keys()
        depth = jax.vmap(lambda k: jax.random.randint(k, (), 1, config.levels + 1))(keys)

    def level(carry, inputs):
        rest, summed, shared = carry
        number, params, own, key = inputs
        kept = usable & (number < depth)
        out, after = vq.quantize(
            params,
            shared if config.share else own,
            rest,
            config.level,
            key=key if keyed else None,
            train=batch.train,
            mask=kept,
            axis_name=batch.axis_name,
        )
        value = jnp.where(kept[:, None], out.quantized, 0)
        rest = jnp.where(kept[:, None], rest - jax.lax.stop_gradient(value), rest)
        error = jax.lax.stop_gradient(batch.mean(jnp.where(usable[:, None], rest, 0) ** 2))
        # Each level is straight-through on its residual, and every residual passes the gradient of
        # x: together they would pass it Q times, unless the levels after the first only add their
        # value.
        once = not config.straight_through_all and config.level.wrapper == "straight_through"
        summed = summed + jnp.where(once & (number > 0), jax.lax.stop_gradient(value), value)
        ended = (out.indices, out.losses, out.metrics | {"error": error})
        return (rest, summed, after if config.share else shared), (
            ended,
            None if config.share else after,
        )

    whole, numbers = batch.z, jnp.arange(config.levels)
    nothing = varying_like(jnp.zeros_like(whole), whole)
    keys = jax.random.split(key_levels, config.levels)
    if config.share:
        shared = jax.tree.map(lambda a: a[0], state)
        each = jax.tree.map(lambda a: jnp.broadcast_to(a, (config.levels, *a.shape[1:])), params)
        (_, out, after), ((index, losses, metrics), _) = jax.lax.scan(
            level, (whole, nothing, shared), (numbers, each, None, keys)
        )
        after = jax.tree.map(lambda a: a[None], after)
    else:
        (_, out, _), ((index, losses, metrics), after) = jax.lax.scan(
            level, (whole, nothing, None), (numbers, params, state, keys)
        )
    left = metrics.pop("error")
    losses, metrics = jax.tree.map(lambda values: values.mean(0), (losses, metrics))
    errors = {f"error_{number}": left[number] for number in range(config.levels)}
    return Found(out, index.T, losses, metrics | errors), after


encode = encode_by(quantize)
"""`encode(params, state, x, config)`: indices only, int32 `[..., levels]`."""


@decoding
def decode(
    params: dict[str, Any], state: VQState, indices: jax.Array, config: ResidualConfig
) -> jax.Array:
    """The sum of the codes, float32 `[..., D]`; levels with index -1 add nothing.

    Args:
      params: from `init`, stacked over the levels.
      state: from `init` or the last step, stacked over the levels.
      indices: int32 `[..., n]` of the first n levels, n at most `config.levels`.
      config: the same as at `init`.

    Raises:
      QuantError: more levels than there are.
    """
    check_levels(indices, config.levels)

    def pick(tree, number):
        return jax.tree.map(lambda a: a[0 if config.share else number], tree)

    total = 0.0
    for number in range(indices.shape[-1]):
        index = indices[..., number]
        present = index != -1
        value = vq.decode(
            pick(params, number), pick(state, number), jnp.where(present, index, 0), config.level
        )
        total = total + jnp.where(present[..., None], value, 0)
    return total
