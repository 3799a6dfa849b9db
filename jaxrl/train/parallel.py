"""Devices: the only file that knows of them.

A training step is written once, `step(state, batch, key, axis_name=None) -> (state, metrics)`, and becomes a program on N devices in
two forms: `jit` with the batch axis sharded over a mesh (the default), or `pmap` with a named axis. For both to equal the
single-device step on the whole batch,
  * random numbers are drawn per example, from keys made by `example_keys` (never one draw for a whole batch);
  * statistics and losses over the batch go through `mean` and `masked_mean` with the `axis_name` they were given;
  * gradients go through `mean` before the optimiser.
"""

import functools
import os
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXIS = "data"
"""Name of the batch axis over devices."""


def example_keys(key: jax.Array, count: int, axis_name: str | None = None) -> jax.Array:
    """One key per example of the local batch, `[count]`; example i of the global batch gets the same key on any device count."""
    offset = 0 if axis_name is None else jax.lax.axis_index(axis_name) * count
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(offset + jnp.arange(count))


def mean(tree, axis_name: str | None = None):
    """Mean over devices (identity on one)."""
    return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


def total(tree, axis_name: str | None = None):
    """Sum over devices (identity on one)."""
    return tree if axis_name is None else jax.lax.psum(tree, axis_name)


def masked_mean(x: jax.Array, mask: jax.Array, axis=None, axis_name: str | None = None) -> jax.Array:
    """Mean of `x` where `mask` (same shape) is true, over `axis` and devices; 0 where nothing is."""
    weight = mask.astype(x.dtype)
    return total((x * weight).sum(axis), axis_name) / jnp.maximum(total(weight.sum(axis), axis_name), 1)
