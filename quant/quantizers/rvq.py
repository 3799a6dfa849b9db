"""Residual quantization: every level quantizes what the levels before left over (SoundStream,
Zeghidour et al. 2021).
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.train.parallel import example_keys, masked_mean
from quant.codebooks.extremes import bounded, narrowed, varying_like
from quant.codebooks.rows import flatten
from quant.errors import require
from quant.quantizers import vq
from quant.quantizers.vq import VQConfig, VQState
from quant.types import Quantized


@dataclass(frozen=True)
class ResidualConfig:
    """Several vector quantizers in a row. Static under jit."""

    level: VQConfig
    """Each of them (one head)."""
    levels: int
    """Q, how many."""
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
    def num_codes(self) -> int:
        """K of every level."""
        return self.level.num_codes


def init(
    key: jax.Array, config: ResidualConfig, sample: jax.Array | None = None
) -> tuple[dict[str, Any], VQState]:
    """Parameters and state of `vq.init`, stacked over the levels (one entry if shared). With a
    sample, each level begins on what the levels before leave of it.
    """
    made, rest = [], sample
    for level_key in jax.random.split(key, 1 if config.share else config.levels):
        made.append(vq.init(level_key, config.level, rest))
        if rest is not None:
            rest = rest - vq.quantize(*made[-1], rest, config.level, train=False)[0].quantized
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *made)


def quantize(
    params: dict[str, Any],
    state: VQState,
    x: jax.Array,
    config: ResidualConfig,
    *,
    key: jax.Array | None = None,
    train: bool = True,
    mask: jax.Array | None = None,
    axis_name: str | None = None,
) -> tuple[Quantized, VQState]:
    """The sum of the levels' codes.

    The levels are one scan: compile time does not grow with their number.

    Args, returns and errors: as `vq.quantize`. Indices are `[..., levels]`, losses the means over
      the levels; metrics are means too,
    and "error_<l>" the mean squared error that is left after level l (0..Q-1).
    """
    draws = config.dropout or config.level.restart is not None
    require(
        not (train and draws) or key is not None,
        "dropout draws depths and restart draws rows: give quantize a key",
    )
    keyed = key is not None
    rows, usable = flatten(x, mask)
    key_depth, key_levels = jax.random.split(jax.random.key(0) if key is None else key)
    depth = jnp.full(rows.shape[0], config.levels)
    if train and config.dropout:
        keys = example_keys(key_depth, rows.shape[0], axis_name)
        depth = jax.vmap(lambda k: jax.random.randint(k, (), 1, config.levels + 1))(keys)

    def level(carry, inputs):
        rest, summed, shared = carry
        number, params, own, key = inputs
        kept = usable & (number < depth)
        before = shared if config.share else own
        out, after = vq.quantize(
            params,
            before,
            rest,
            config.level,
            key=key if keyed else None,
            train=train,
            mask=kept,
            axis_name=axis_name,
        )
        value = jnp.where(kept[:, None], out.quantized, 0)
        rest = jnp.where(kept[:, None], rest - jax.lax.stop_gradient(value), rest)
        left = jnp.where(usable[:, None], rest, 0) ** 2
        error = masked_mean(left.mean(1), usable, None, axis_name)
        # Each level is straight-through on its residual, and every residual passes the gradient of
        # x: together they would pass it Q times, unless the levels after the first only add their
        # value.
        once = not config.straight_through_all and config.level.wrapper == "straight_through"
        summed = summed + jnp.where(once & (number > 0), jax.lax.stop_gradient(value), value)
        ended = (out.indices, out.losses, out.metrics | {"error": jax.lax.stop_gradient(error)})
        return (rest, summed, after if config.share else shared), (
            ended,
            None if config.share else after,
        )

    whole = bounded(rows)
    numbers = jnp.arange(config.levels)
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
    out = jnp.where(usable[:, None], narrowed(out, x.dtype), rows).reshape(x.shape)
    errors = {f"error_{number}": metrics["error"][number] for number in range(config.levels)}
    metrics = {name: values.mean(0) for name, values in metrics.items() if name != "error"} | errors
    index = index.T.reshape(*x.shape[:-1], config.levels)
    return Quantized(
        out, index, {name: values.mean(0) for name, values in losses.items()}, metrics
    ), after


def encode(
    params: dict[str, Any], state: VQState, x: jax.Array, config: ResidualConfig
) -> jax.Array:
    """Indices only, int32 `[..., levels]`."""
    return quantize(params, state, x, config, train=False)[0].indices


def decode(
    params: dict[str, Any], state: VQState, indices: jax.Array, config: ResidualConfig
) -> jax.Array:
    """The sum of the codes, float32 `[..., D]`; levels with index -1 add nothing.

    Raises:
      QuantError: more levels than there are.
    """
    require(
        indices.shape[-1] <= config.levels,
        f"indices have {indices.shape[-1]} levels, the quantizer {config.levels}",
    )

    def pick(tree, number):
        return jax.tree.map(lambda a: a[0 if config.share else number], tree)

    total = 0.0
    for number in range(indices.shape[-1]):
        index = indices[..., number]
        value = vq.decode(
            pick(params, number), pick(state, number), jnp.maximum(index, 0), config.level
        )
        total = total + jnp.where((index >= 0)[..., None], value, 0)
    return total
