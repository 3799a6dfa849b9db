"""Parts of all quantizers with a soft choice: distances to all codes, relaxed samples, and the mean
posterior over rows and devices.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.train.parallel import total
from quant.codebooks.extremes import SMALLEST, bounded, narrowed
from quant.codebooks.nearest import typical
from quant.codebooks.rows import flatten
from quant.errors import require
from quant.types import Quantized


class Opened(NamedTuple):
    """An input `[..., L]` as rows."""

    rows: jax.Array
    """`[N, L]`, as they came."""
    usable: jax.Array
    """bool `[N]`."""
    z: jax.Array
    """float32 `[N, L]`, zero where not usable."""


def opened(
    x: jax.Array, features: int, mask: jax.Array | None, key: jax.Array | None, train: bool
) -> Opened:
    """Rows of an input.

    Raises:
      QuantError: another number of features; training without a key; a mask of another shape.
    """
    require(
        x.shape[-1:] == (features,),
        f"x has shape {x.shape}: its last axis must have the quantizer's {features} features",
    )
    require(not train or key is not None, "training draws codes: give quantize a key")
    rows, usable = flatten(x, mask)
    return Opened(rows, usable, bounded(jnp.where(usable[:, None], rows, 0)))


def closed(
    value: jax.Array, index: jax.Array, x: jax.Array, of: Opened, losses: dict, metrics: dict
) -> Quantized:
    """The result in the shape and dtype of `x`; rows that are not usable keep their value and get
    index -1.
    """
    value = jnp.where(of.usable[:, None], narrowed(value, x.dtype), of.rows).reshape(x.shape)
    index = jnp.where(of.usable, index, -1).reshape(x.shape[:-1])
    return Quantized(value, index, losses, jax.lax.stop_gradient(metrics))


def squared_distances(x: jax.Array, codes: jax.Array) -> jax.Array:
    """|x - e|^2 of every row and code, float32 `[N, K]`, without an N x K x D array; never below 0.
    Both are measured from a typical code, so that digits are not lost where all lie far from 0.
    """
    center = typical(codes)
    x, codes = x.astype(jnp.float32) - center, codes.astype(jnp.float32) - center
    product = jnp.einsum("nd,kd->nk", x, codes, precision="highest")
    return jnp.maximum((x**2).sum(1)[:, None] - 2 * product + (codes**2).sum(1)[None], 0)


def variance_around(codes: jax.Array, rows: jax.Array) -> jax.Array:
    """Mean squared distance of a feature of `rows [N, L]` to that of the nearest of `codes [K, L]`,
    above 0.
    """
    return jnp.maximum(squared_distances(rows, codes).min(1).mean() / codes.shape[1], 1e-8)


def relaxed_choice(
    key: jax.Array, logits: jax.Array, temperature: jax.Array | float, hard: bool = False
) -> jax.Array:
    """Gumbel-softmax sample of every row, `[N, K]`; if `hard`, the one-hot of its largest entry,
    straight-through.
    """
    soft = jax.nn.softmax((logits + jax.random.gumbel(key, logits.shape)) / temperature, -1)
    if not hard:
        return soft
    one = jax.nn.one_hot(soft.argmax(-1), logits.shape[-1])
    return jax.lax.stop_gradient(one - soft) + soft


def mean_posterior(log_q: jax.Array, usable: jax.Array, axis_name: str | None = None) -> jax.Array:
    """log of the mean of `exp(log_q)` over usable rows of all devices, `[N, K] -> [K]`; uniform if
    there are none.
    """
    count = total(usable.sum().astype(jnp.float32), axis_name)
    masked = jnp.where(usable[:, None], log_q, -jnp.inf)
    top = jax.lax.stop_gradient(jnp.where(usable[:, None], log_q, -1e30).max(0))
    top = top if axis_name is None else jax.lax.pmax(top, axis_name)
    summed = total(jnp.exp(masked - top[None]).sum(0), axis_name)
    mean = top + jnp.log(jnp.maximum(summed, SMALLEST)) - jnp.log(jnp.maximum(count, 1))
    return jnp.where(count > 0, mean, -jnp.log(log_q.shape[1]))


def entropy(log_p: jax.Array) -> jax.Array:
    """Entropy in nats over the last axis, of log-probabilities."""
    safe = jnp.maximum(log_p, -80)
    return -jnp.sum(jnp.where(log_p > -80, jnp.exp(safe) * safe, 0), -1)
