"""Training of many masked networks at once: one flat axis of cells, one program for all depths,
masks and lengths.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from reasoning.compositionality import network
from reasoning.compositionality.targets.graph import Target
from reasoning.compositionality.targets.samples import Corner, Examples, examples

FLOOR = 0.05
"""Share of the learning rate that is left at the end of a phase."""


class Cells(NamedTuple):
    """C networks on a flat axis. A pytree."""

    params: network.Params
    """`[C, ...]`."""
    masks: network.Masks
    """`[C, ...]`."""
    depth: jax.Array
    """int32 `[C]`."""
    which: jax.Array
    """Number of a cell's seed, int32 `[C]`."""


class Task(NamedTuple):
    """Data of a training; hashable, so that it is static under jit."""

    target: Target
    """Function that is learned."""
    batch: int
    """Examples per update and seed."""
    corner: Corner | None
    """Corner withheld from the data; None: none."""


class Phase(NamedTuple):
    """One stretch of updates; scalars that may be traced, so one program serves all lengths."""

    first: jax.Array | int
    """Number of the first batch: another phase sees other data."""
    steps: jax.Array | int
    """Updates."""
    rate: jax.Array | float
    """Learning rate at the beginning."""
    l1: jax.Array | float
    """Penalty on weights, 0 for none."""


@functools.partial(jax.jit, static_argnames="shape")
def begin(keys: jax.Array, which: jax.Array, depth: jax.Array, shape: network.Shape) -> Cells:
    """Dense networks at their initial weights, one stream of random numbers per seed.

    Args:
      keys: PRNG keys, one per seed, `[S]`.
      which: int32 `[C]`, the seed of each cell, below S.
      depth: int32 `[C]`, hidden layers in use.
      shape: sizes of the networks; static under jit.
    """
    params = jax.vmap(lambda k: network.init(jax.random.fold_in(k, 0), shape))(keys)
    masks = jax.tree.map(lambda a: jnp.broadcast_to(a, (len(which), *a.shape)), network.full(shape))
    return Cells(jax.tree.map(lambda a: a[which], params), masks, depth, which)


def batch_of(task: Task, keys: jax.Array, step: jax.Array) -> Examples:
    """A fresh batch for every seed: `[S, B, n]` and `[S, B, m]`."""

    def draw(key):
        own = jax.random.fold_in(jax.random.fold_in(key, 1), step)
        return examples(task.target, own, task.batch, without=task.corner)

    return jax.vmap(draw)(keys)


def batch_of_all(task: Task, keys: jax.Array, which: jax.Array, step: jax.Array) -> Examples:
    """The fresh batch of every network, with the examples on the last axis: `[C, n, B]` and
    `[C, m, B]`.

    Args:
      task: what is learned.
      keys: PRNG keys, one per seed, `[S]`.
      which: int32 `[C]`, the seed of each network; those of one seed see the same batch.
      step: number of the batch.
    """
    data = batch_of(task, keys, step)
    return Examples(*(jnp.swapaxes(part, 1, 2)[which] for part in data))


def loss(
    params: network.Params,
    masks: network.Masks,
    depth: jax.Array,
    data: Examples,
    l1: jax.Array | float = 0.0,
) -> jax.Array:
    """Mean squared error of one network, plus an L1 penalty on its weights.

    Args:
      params: parameters, which are differentiated.
      masks: like the weights, 0 where they are pruned.
      depth: int, hidden layers in use.
      data: inputs and outputs of one batch.
      l1: coefficient of the penalty, 0 for none.
    """
    weights = network.masked(params, masks)
    error = ((network.outputs(weights, data.x, depth) - data.y) ** 2).mean()
    return error + l1 * sum(jnp.abs(weights[name]).sum() for name in network.WEIGHTS)


def sum_of_losses(
    params: network.Params,
    masks: network.Masks,
    depth: jax.Array,
    data: Examples,
    l1: jax.Array | float = 0.0,
) -> jax.Array:
    """Sum over many networks of their `loss`: its gradient holds the gradient of each.

    Arguments as `loss`, for C networks: a leading axis `[C, ...]` on parameters, masks and depth,
    and the examples on the last axis of the data, `[C, n, B]` and `[C, m, B]`.
    """
    weights = jax.vmap(network.masked)(params, masks)
    error = ((network.outputs_of_all(weights, data.x, depth) - data.y) ** 2).mean((1, 2)).sum()
    return error + l1 * sum(jnp.abs(weights[name]).sum() for name in network.WEIGHTS)


@functools.partial(jax.jit, static_argnames="task", donate_argnames="params")
def train(
    params: network.Params, cells: Cells, keys: jax.Array, phase: Phase, task: Task
) -> network.Params:
    """Train by Adam with a cosine to 5 %, from fresh moments.

    Args:
      params: `[C, ...]`, donated; pruned weights stay zero, since their gradients are.
      cells: masks, depths and seeds (its own params are not read).
      keys: of all seeds, `[S]`.
      phase: how long and how fast.
      task: what is learned.

    Returns:
      Trained params, `[C, ...]`.
    """
    moments = optax.scale_by_adam()
    params = jax.vmap(network.masked)(params, cells.masks)

    def update(step, state):
        params, adam = state
        mine = batch_of_all(task, keys, cells.which, phase.first + step)
        grads = jax.grad(sum_of_losses)(params, cells.masks, cells.depth, mine, phase.l1)
        direction, adam = moments.update(grads, adam)
        cosine = 0.5 * (1 + jnp.cos(jnp.pi * step / phase.steps))
        now = phase.rate * (FLOOR + (1 - FLOOR) * cosine)
        return jax.tree.map(lambda p, d: p - now * d, params, direction), adam

    return jax.lax.fori_loop(0, phase.steps, update, (params, moments.init(params)))[0]


@functools.partial(jax.jit, static_argnames="task")
def gradients(cells: Cells, keys: jax.Array, step: jax.Array, task: Task) -> network.Params:
    """Dense gradients of one batch, also of pruned weights.

    Args:
      cells: C networks.
      keys: PRNG keys, one per seed, `[S]`.
      step: int, number of the batch.
      task: data of the training; static under jit.

    Returns:
      Like the parameters, `[C, ...]`.
    """
    data = batch_of(task, keys, step)
    weights = jax.vmap(network.masked)(cells.params, cells.masks)
    everything = jax.tree.map(jnp.ones_like, cells.masks)
    return jax.vmap(jax.grad(loss))(
        weights, everything, cells.depth, Examples(data.x[cells.which], data.y[cells.which])
    )
