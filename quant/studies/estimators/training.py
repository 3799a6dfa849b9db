"""Many trainings in one program: every setting and seed at once, by vmap."""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxrl.train.progress import Progress
from quant.studies.estimators.config import Training
from quant.studies.estimators.tasks import Task


class Runs(NamedTuple):
    """Results, for S seeds and R settings."""

    test_loss: np.ndarray
    """float32 `[S, R]`: mean over test examples and draws after the last update."""
    train_loss: np.ndarray
    """float32 `[S, R]`: mean over the last of ten pieces of the training."""
    parts: dict[str, np.ndarray]
    """float32 `[S, R]` each: numbers that the task reports in addition to its test loss."""
    params: dict
    """Trees of arrays `[S, R, ...]`."""


SEGMENTS = 10
"""Pieces that a training is cut into, for the progress bar."""


def optimizer(training: Training) -> optax.GradientTransformation:
    """The one that a configuration names."""
    return {"adam": optax.adam, "sgd": optax.sgd}[training.optimizer](training.learning_rate)


def train_runs(
    task: Task, make: Callable, settings, seeds: range, test_draws: int, what: str = ""
) -> Runs:
    """Train every setting with every seed, all in one program.

    Settings share the initial parameters, batches and random numbers of a seed, so that they are
    compared in pairs.

    Args:
      task: what to train.
      make: from one setting, an estimator.
      settings: a tree of arrays `[R, ...]`.
      seeds: one number per independent training.
      test_draws: draws per test example.
      what: for the progress bar.
    """
    training, count = task.training, jax.tree.leaves(settings)[0].shape[0]
    keys = jax.vmap(jax.random.key)(jnp.array(list(seeds)))
    train, test = jax.device_put(task.train), jax.device_put(task.test)
    state, segment = _start(task, keys, count), _segment(task, make)
    cuts = np.linspace(0, training.steps, min(SEGMENTS, training.steps) + 1).astype(int)
    with Progress(what or task.name, training.steps) as bar:
        for first, last in itertools.pairwise(cuts):
            state, loss = segment(state, keys, settings, train, jnp.arange(first, last))
            bar.advance(int(last - first), loss=float(np.nanmedian(loss)))
    test_loss, parts = _tester(task, make, test_draws)(state[0], keys, settings, test)
    return Runs(np.asarray(test_loss), np.asarray(loss), jax.tree.map(np.asarray, parts), state[0])


@functools.lru_cache(maxsize=4)
def _initializer(init):
    """One program per task, for every estimator."""
    return jax.jit(jax.vmap(lambda key: init(jax.random.fold_in(key, 0))))


def _start(task, keys, count):
    """`(params, optimizer's state)` of all runs, `[S, R, ...]`: one initialization per seed,
    repeated.
    """
    params = _initializer(task.init)(keys)

    def repeat(a):
        return jnp.repeat(a[:, None], count, axis=1)

    return jax.jit(lambda p: jax.tree.map(repeat, (p, jax.vmap(optimizer(task.training).init)(p))))(
        params
    )


def _segment(task, make):
    """A program for some updates of all runs; it returns the mean training loss `[S, R]`."""
    update = optimizer(task.training).update

    def one(state, key, setting, data, numbers):
        def step(state, number):
            params, inner = state
            rows, draw = jax.random.split(jax.random.fold_in(jax.random.fold_in(key, 1), number))
            chosen = jax.random.randint(rows, (task.training.batch,), 0, data[0].shape[0])
            batch = tuple(a[chosen] for a in data)
            (loss, _), gradient = jax.value_and_grad(task.loss, has_aux=True)(
                params, batch, draw, make(setting)
            )
            change, inner = update(gradient, inner, params)
            return (optax.apply_updates(params, change), inner), loss

        state, losses = jax.lax.scan(step, state, numbers)
        return state, losses.mean()

    return jax.jit(_over_all(one, (None, None)), donate_argnums=0)


def _tester(task, make, draws):
    """A program for the test loss and its parts of all runs, one run after the other."""

    def one(params, key, setting, data):
        keys = jax.random.split(jax.random.fold_in(key, 2), draws)
        results = jax.lax.map(lambda k: task.test_loss(params, data, k, make(setting)), keys)
        return jax.tree.map(lambda a: a.mean(0), results)

    def all_(params, keys, settings, data):
        def per_seed(p, k):
            return jax.lax.map(lambda both: one(both[0], k, both[1], data), (p, settings))

        return jax.lax.map(lambda both: per_seed(*both), (params, keys))

    return jax.jit(all_)


def _over_all(function, shared):
    """vmap over runs `[S, R]` of state, seeds `[S]` of keys, and settings `[R]`."""
    inner = jax.vmap(function, in_axes=(0, None, 0, *shared))
    return jax.vmap(inner, in_axes=(0, 0, None, *shared))
