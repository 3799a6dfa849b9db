"""Inputs and sums of the layers of Flax (Linen and NNX), read from a call of the layer."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from reasoning.compositionality.prune.moments import Activation
from reasoning.compositionality.prune.patches import patches, window_of


def read_call(
    module: Any, x: jax.Array, z: jax.Array, kernel: tuple[int, ...]
) -> Activation | None:
    """Rows that a kernel is multiplied with, and the sums that come out.

    Args:
      module: the layer.
      x: its input, `[..., C]`.
      z: its output, before any activation.
      kernel: shape of its kernel.

    Returns:
      `[N, I]` and `[N, J]`, with a leading axis of groups for grouped convolutions; None for
      layers whose inputs are not known here.
    """
    x, z = x.astype(jnp.float32), z.astype(jnp.float32)
    if isinstance(module, nn.DenseGeneral | nnx.LinearGeneral):
        return _general(module, x, z, kernel)
    if len(kernel) == 2 and x.shape[-1] == kernel[0] and z.shape[-1] == kernel[1]:
        return Activation(x.reshape(-1, kernel[0]), z.reshape(-1, kernel[1]))
    window = window_of(module, kernel[:-2])
    if window is None or x.shape[-1] != kernel[-2] * window.groups:
        return None
    rows, sums = patches(x, kernel[:-2], window), z.reshape(-1, kernel[-1])
    if window.groups > 1:
        sums = jnp.moveaxis(sums.reshape(len(sums), window.groups, -1), 1, 0)
    return Activation(rows, sums) if rows.shape[-2] == sums.shape[-2] else None


def _general(module, x, z, kernel) -> Activation | None:
    """Attention projections and other linear layers over several axes."""
    linen = isinstance(module, nn.DenseGeneral)
    if module.batch_dims if linen else module.batch_axis:
        return None
    axes = (module.axis,) if isinstance(module.axis, int) else tuple(module.axis)
    count = len(axes)
    inputs, units = math.prod(kernel[:count]), math.prod(kernel[count:])
    x = jnp.moveaxis(x, axes, range(-count, 0))
    return Activation(x.reshape(-1, inputs), z.reshape(-1, units))
