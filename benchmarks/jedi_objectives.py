"""Objectives of the world model that the ablation compares: the library's denoising loss with one
more term, other weights, or another context.

Each is composed from the building blocks of `jaxrl/jedi/learn/world_model.py`; the formulas are for
N vectors with weights and know nothing of the agent. They apply to the C channels at every position
of the map by itself, because a latent sees its own square of the frame only, and are averaged over
the positions. Our choice.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.diffusion.loss import DenoisingSteps
from jaxrl.diffusion.precondition import combine, conditioners, network_target
from jaxrl.jedi.agent import AgentState
from jaxrl.jedi.learn.reward_end import open_loop
from jaxrl.jedi.learn.world_model import (
    batch_std,
    denoising_steps,
    encode_context,
    encode_targets,
    frozen_reward_end_loss,
)
from jaxrl.jedi.nets.encoder import fix_scale
from jaxrl.nn.encoder import RMS
from jaxrl.replay.segment import Segment
from jaxrl.train.parallel import example_keys, masked_mean

Outcome = tuple[jax.Array, tuple[dict[str, jax.Array], jax.Array]]
"""Loss, metrics, and the running variance of change `[h, w, C]`."""
Objective = Callable[..., Outcome]
"""`(params, state, batch, key, change) -> Outcome`, with the running variance of change before the
update; the first four as for `jaxrl.jedi.learn.world_model.jedi_loss`.
"""

VICREG_WEIGHT = 0.05
SIGREG_WEIGHT = 0.05
BARLOW_WEIGHT = 0.05
"""Weights of the added terms, next to a denoising loss of about 0.1. Our choice, not tuned."""
DIRECTIONS = 32
"""Random directions of SIGReg per update."""
CHANGE_DECAY = 0.99
"""Decay of the running variance of change, per update."""
LEAST_CHANGE = 0.1
"""Share of the mean variance of change that is added to each before it divides."""


# ---- formulas for N vectors


def covariance_loss(x: jax.Array, weight: jax.Array) -> jax.Array:
    """Mean squared covariance of different dimensions, times D: VICReg (arXiv 2105.04906, equations
    3 and 4), `c(X) = 1/D sum_{i != j} Cov(X)_ij^2`.

    Args:
      x: `[N, D]`.
      weight: `[N]`, 1 for the vectors that count, 0 for others.
    """
    count = weight.sum()
    x = (x - _mean(x, weight)[None]) * weight[:, None]
    covariance = x.T @ x / jnp.maximum(count - 1, 1)
    return (jnp.square(covariance).sum() - jnp.square(jnp.diag(covariance)).sum()) / x.shape[1]


def sigreg_loss(x: jax.Array, weight: jax.Array, directions: jax.Array) -> jax.Array:
    """Distance of the vectors from N(0, I) by the characteristic function of their projections.

    SIGReg of LeJEPA (arXiv 2511.08544, section 4, the Epps-Pulley statistic), also in LeWorldModel
    (arXiv 2603.19312):

      mean over directions a of  N int |1/N sum_n exp(i t a.x_n) - exp(-t^2/2)|^2 exp(-t^2/2) dt,

    by the trapezoid rule on 17 points from -5 to 5.

    Args:
      x: `[N, D]`.
      weight: `[N]`, 1 for the vectors that count, 0 for others.
      directions: unit vectors `[A, D]`.
    """
    t = jnp.linspace(-5.0, 5.0, 17)
    angle = (x @ directions.T)[..., None] * t[None, None]  # [N, A, 17]
    real, imaginary = _mean(jnp.cos(angle), weight), _mean(jnp.sin(angle), weight)
    normal = jnp.exp(-jnp.square(t) / 2)
    distance = jnp.square(real - normal[None]) + jnp.square(imaginary)
    return weight.sum() * jnp.trapezoid(distance * normal[None], dx=10 / 16).mean()


def barlow_loss(
    x: jax.Array, y: jax.Array, weight: jax.Array, off_diagonal: float = 5e-3
) -> jax.Array:
    """Distance of the cross-correlation of two views from the identity: Barlow Twins (arXiv
    2103.03230, equations 1 and 2), `1/D [sum_i (1 - C_ii)^2 + lambda sum_{i != j} C_ij^2]`; between
    predicted and target latents as in R2-Dreamer (arXiv 2603.18202). Divided by D: our choice.

    Args:
      x, y: `[N, D]` each.
      weight: `[N]`, 1 for the vectors that count, 0 for others.
      off_diagonal: lambda, the value of Barlow Twins.
    """
    count = jnp.maximum(weight.sum(), 1)
    correlation = (standardized(x, weight) * weight[:, None]).T @ standardized(y, weight) / count
    diagonal = jnp.diag(correlation)
    others = jnp.square(correlation).sum() - jnp.square(diagonal).sum()
    return (jnp.square(1 - diagonal).sum() + off_diagonal * others) / x.shape[1]


def standardized(x: jax.Array, weight: jax.Array) -> jax.Array:
    """`x [N, D]` with mean 0 and variance 1 in each dimension, over the vectors of weight 1; where
    almost nothing varies it stays small.
    """
    x = x - _mean(x, weight)[None]
    return x * jax.lax.rsqrt(_mean(jnp.square(x), weight) + 1e-4)[None]


def _mean(x, weight):
    """Weighted mean over the first axis."""
    return jnp.tensordot(weight, x, 1) / jnp.maximum(weight.sum(), 1)


def by_position(formula: Callable, *maps: jax.Array) -> jax.Array:
    """Mean over positions of `formula` of the vectors there; maps `[N, h, w, C]`."""
    vectors = [m.reshape(len(m), -1, m.shape[-1]) for m in maps]
    return jax.vmap(formula, in_axes=1)(*vectors).mean()


# ---- objectives


class Parts(NamedTuple):
    """Building blocks of the objectives, for a batch of B segments."""

    z: jax.Array
    """`[B, n, h, w, C]`, context latents, with gradient."""
    targets: jax.Array
    """`[B, S, h, w, C]`."""
    steps: DenoisingSteps
    """Axes `[S, B, ...]`."""
    real: jax.Array
    """bool `[S, B]`, the steps that count."""
    others: jax.Array
    """Weighted sum of the terms besides denoising: hinge, rewards and ends."""
    metrics: dict[str, jax.Array]


def parts_of(params, state: AgentState, batch: Segment, key: jax.Array) -> Parts:
    """Compute latents, denoising steps and the terms that all objectives share; arguments as
    `jaxrl.jedi.learn.world_model.jedi_loss`, but there is a target for each of the batch's rows
    behind the context.
    """
    spec, learning = state.spec, state.spec.config.world_model
    n = spec.config.context
    z = encode_context(spec, params, batch.window(0, n))
    targets = encode_targets(state, params, batch.window(n, batch.action.shape[1]))
    keys = example_keys(key, len(z))
    steps, real = denoising_steps(spec, params["denoiser"], z, targets, batch, keys)
    std = batch_std(z, batch.frame_mask[:, :n])
    hinge = jax.nn.relu(learning.hinge_floor - std).mean()
    others, metrics = learning.hinge_weight * hinge, {"latent_std": std.mean()}
    if learning.reward_end_gradient > 0:
        shared = frozen_reward_end_loss(state, z, targets, batch)
        others = others + learning.reward_end_gradient * shared
        metrics["reward_end"] = shared
    return Parts(z, targets, steps, real, others, metrics)


def denoising_of(parts: Parts) -> jax.Array:
    """Mean denoising error, as in the library."""
    return masked_mean(parts.steps.loss, parts.real, axis=1).mean()


def _outcome(parts: Parts, denoising, added, change) -> Outcome:
    """Loss and metrics from the denoising term and an added one."""
    loss = denoising + parts.others + added
    metrics = {"loss": loss, "denoising": denoising_of(parts), "added": added}
    return loss, (parts.metrics | metrics, change)


def plain(params, state: AgentState, batch: Segment, key: jax.Array, change: jax.Array) -> Outcome:
    """The library's objective; arguments as `Objective`."""
    parts = parts_of(params, state, batch, key)
    return _outcome(parts, denoising_of(parts), jnp.zeros(()), change)


def context_vectors(parts: Parts, batch: Segment) -> tuple[jax.Array, jax.Array]:
    """Context latents of unit RMS `[B n, h, w, C]`, and the weight `[B n]` of each."""
    seen = batch.frame_mask[:, : parts.z.shape[1]]
    return parts.z.reshape(-1, *parts.z.shape[2:]) / RMS, seen.reshape(-1).astype(jnp.float32)


def vicreg(params, state: AgentState, batch: Segment, key: jax.Array, change: jax.Array) -> Outcome:
    """Denoising, and no covariance of the context latents' channels; arguments as `Objective`."""
    parts = parts_of(params, state, batch, key)
    z, weight = context_vectors(parts, batch)
    added = by_position(lambda x: covariance_loss(x, weight), z)
    return _outcome(parts, denoising_of(parts), VICREG_WEIGHT * added, change)


def sigreg(params, state: AgentState, batch: Segment, key: jax.Array, change: jax.Array) -> Outcome:
    """Denoising, and context latents that are normally distributed; arguments as `Objective`."""
    parts = parts_of(params, state, batch, key)
    z, weight = context_vectors(parts, batch)
    directions = jax.random.normal(jax.random.fold_in(key, 1), (DIRECTIONS, z.shape[-1]))
    directions = directions / jnp.linalg.norm(directions, axis=-1, keepdims=True)
    added = by_position(lambda x: sigreg_loss(x, weight, directions), z)
    return _outcome(parts, denoising_of(parts), SIGREG_WEIGHT * added, change)


def barlow(params, state: AgentState, batch: Segment, key: jax.Array, change: jax.Array) -> Outcome:
    """Denoising, and denoised latents that correlate with their targets, each channel with its own
    only; arguments as `Objective`.
    """
    parts = parts_of(params, state, batch, key)
    steps, config = parts.steps, state.spec.config
    denoised = combine(steps.output, steps.noisy, conditioners(steps.sigma, config.edm))
    found = fix_scale(config.encoder, denoised)
    target = jnp.moveaxis(parts.targets, 1, 0)
    weight = parts.real.reshape(-1).astype(jnp.float32)
    flat = [a.reshape(-1, *a.shape[2:]) for a in (found, target)]
    added = by_position(lambda x, y: barlow_loss(x, y, weight), *flat)
    return _outcome(parts, denoising_of(parts), BARLOW_WEIGHT * added, change)


def running_change(parts: Parts, change: jax.Array) -> jax.Array:
    """Running variance `[h, w, C]` of the difference of successive latents, after this batch; no
    gradient.
    """
    z = jnp.concatenate([parts.z[:, -1:], parts.targets], axis=1)
    now = jnp.square(jnp.moveaxis(jnp.diff(z, axis=1), 1, 0))
    real = jnp.broadcast_to(parts.real[..., None, None, None], now.shape)
    now = masked_mean(now, real, axis=(0, 1))
    return jax.lax.stop_gradient(CHANGE_DECAY * change + (1 - CHANGE_DECAY) * now)


def weighted_denoising(state: AgentState, parts: Parts, weight: jax.Array) -> jax.Array:
    """Mean denoising error, position and channel weighted by `weight [h, w, C]`."""
    steps = parts.steps
    clean = jnp.moveaxis(parts.targets, 1, 0)
    c = conditioners(steps.sigma, state.spec.config.edm)
    error = jnp.square(steps.output - network_target(clean, steps.noisy, c))
    loss = (error * weight[None, None]).mean((-3, -2, -1))
    return masked_mean(loss, parts.real, axis=1).mean()


def change_weighted(
    params, state: AgentState, batch: Segment, key: jax.Array, change: jax.Array
) -> Outcome:
    """Denoising, in which what moves often counts more: weights (v + mean v) / (2 mean v) by the
    running variance of change v; arguments as `Objective`. Our choice.
    """
    parts = parts_of(params, state, batch, key)
    change = running_change(parts, change)
    weight = (change + change.mean()) / (2 * change.mean() + 1e-8)
    return _outcome(parts, weighted_denoising(state, parts, weight), jnp.zeros(()), change)


def change_normalized(
    params, state: AgentState, batch: Segment, key: jax.Array, change: jax.Array
) -> Outcome:
    """Denoising relative to a world that stands still: weights in proportion to 1 / (v + 0.1 mean
    v), of mean 1, by the running variance of change v; arguments as `Objective`. Our choice.
    """
    parts = parts_of(params, state, batch, key)
    change = running_change(parts, change)
    weight = 1 / (change + LEAST_CHANGE * change.mean() + 1e-8)
    weight = weight / weight.mean()
    return _outcome(parts, weighted_denoising(state, parts, weight), jnp.zeros(()), change)


def sampled_context(
    params, state: AgentState, batch: Segment, key: jax.Array, change: jax.Array
) -> Outcome:
    """Denoising, the first target behind encoded latents and each later one behind latents that the
    sampler made of those before it, from pure noise; arguments as `Objective`.

    The library's autoregressive steps put the denoised target into the context instead, which at
    low noise levels is the target itself.
    """
    n, count = state.spec.config.context, state.spec.config.world_model.autoregressive_steps
    parts = parts_of(params, state, batch.window(0, n + 1), key)
    targets = encode_targets(state, params, batch.window(n, n + count))
    everything = jax.lax.stop_gradient(jnp.concatenate([parts.z, targets], axis=1))
    rolled = open_loop(state, everything, batch, jax.random.split(key, len(targets)))
    later = range(1, count)
    windows = [batch.window(i, i + n + 1) for i in later]
    steps, real = denoising_steps(
        state.spec,
        params["denoiser"],
        jax.lax.stop_gradient(jnp.concatenate([rolled[:, i : i + n] for i in later])),
        jnp.concatenate([targets[:, i : i + 1] for i in later]),
        jax.tree.map(lambda *a: jnp.concatenate(a), *windows),
        jax.random.split(jax.random.fold_in(key, 1), len(later) * len(targets)),
    )
    behind_sampled = masked_mean(steps.loss, real)
    denoising = (denoising_of(parts) + (count - 1) * behind_sampled) / count
    return _outcome(parts, denoising, jnp.zeros(()), change)
