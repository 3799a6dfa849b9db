"""Inputs and sums of the layers of Flax (Linen and NNX), read from a call of the layer."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from reasoning.compositionality.prune.kernels import layout_of, split
from reasoning.compositionality.prune.moments import Activation
from reasoning.compositionality.prune.patches import patches, window_of

SAME = 1e-2
"""Share of the variance of sums that rounding, as of bfloat16, may leave unexplained."""


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
    if isinstance(module, nn.Einsum | nnx.Einsum):
        return None
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


def agrees(read: Activation, kernel: jax.Array) -> bool:
    """True if the sums are the inputs times the kernel, plus a constant per unit.

    A layer of another library may hold its kernel transposed, or change it before it multiplies
    (weight norm), which shapes alone do not show. Under a trace nothing is known, and it is True.
    """
    arrays = (read.inputs, read.before, kernel)
    if any(isinstance(a, jax.core.Tracer) for a in arrays):
        return True
    inputs, before, weights = (np.asarray(a, np.float32) for a in arrays)
    shape = (*inputs.shape[:-2], inputs.shape[-1], before.shape[-1])
    parts = np.asarray(split(weights, layout_of("", weights.shape, shape)))
    left = before - inputs @ parts.reshape(shape)
    return float(left.var(-2).sum()) <= SAME * float(before.var(-2).sum()) + 1e-12


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
