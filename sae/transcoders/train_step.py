"""One training step of one transcoder, as a pure function that an ensemble vmaps.

Gradient, its part along the decoder's rows removed, clipped, Adam, rows of the decoder brought back
to length 1, thresholds and counters renewed: the order of dictionary-learning and of OpenAI's
sparse_autoencoder. Our choice: thresholds of JumpReLU stay at 0 or above, below which latents in
training would be negative and latents in use not.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sae.transcoders import losses, model
from sae.transcoders.losses import LossConfig, Parts
from sae.transcoders.model import Params, TranscoderConfig


@dataclass(frozen=True)
class LearnConfig:
    """The optimizer, and what is kept next to the parameters."""

    learning_rate: float = 0.0
    """Step size after warm-up; 0: 2e-4 sqrt(2^14 / F), the rule of sparsify and
    dictionary-learning.
    """
    warmup: int = 1000
    """Updates of linear warm-up from 0."""
    decay: float = 0.2
    """Last share of all updates over which the step size falls to its end."""
    decay_form: Literal["linear", "cosine"] = "linear"
    """linear: to 0. cosine: to a hundredth, as in the code of Matryoshka transcoders."""
    beta1: float = 0.9
    """Decay of the first moment."""
    beta2: float = 0.999
    """Decay of the second moment."""
    epsilon: float = 1e-8
    """Number added to the root of the second moment."""
    weight_decay: float = 0.0
    """Decoupled decay of all parameters, times the step size."""
    clip_norm: float = 1.0
    """Largest global norm of the gradient."""
    unit_rows: bool = False
    """Keep the rows of W_dec at length 1, so that latents are in units of y. Free rows leave less
    variance unexplained (see docs/lab/sae.md).
    """
    dead_after: int = 100_000
    """Examples without an activation after which a latent counts as dead. Our choice; the peers
    wait for ten million tokens.
    """
    threshold_decay: float = 0.99
    """Decay of the moving average of the smallest activation that was kept."""
    threshold_start: int = 0
    """Updates before the first value of that average."""
    threshold_from_zero: bool = False
    """The average starts at 0 (SAELens) instead of its first value (dictionary-learning)."""
    step: Literal["auto", "sparse", "dense"] = "auto"
    """sparse: gradients on active latents alone (topk, batchtopk). dense: by products with all
    latents. auto: the one measured to be quicker; the numbers agree to rounding.
    """


class Setting(NamedTuple):
    """Everything about training that is known when the step is compiled."""

    transcoder: TranscoderConfig
    loss: LossConfig
    learn: LearnConfig


MOST_SILENT = 2**30
"""Largest count of examples without an activation, so that it never overflows."""


class MemberHParams(NamedTuple):
    """Hyperparameters that may differ between the members of an ensemble; scalars that may be
    traced.
    """

    k: jax.Array | None
    """float32: see `TranscoderConfig.k`. None: the configuration's, which is known when the step is
    compiled and so faster.
    """
    learning_rate: jax.Array
    """float32: after warm-up."""
    l1: jax.Array | None = None
    """float32: see `LossConfig.l1`. None: the configuration's."""
    width: jax.Array | None = None
    """int32: only the first so many latents exist. None: all."""
    inputs: jax.Array | None = None
    """float32 `[D]`: x is multiplied by it; 0 hides a feature (a modality, say) from the member.
    None: nothing is hidden.
    """


class Learner(NamedTuple):
    """Everything that training changes."""

    params: Params
    opt_state: optax.OptState
    updates: jax.Array
    """int32: updates so far."""
    silent: jax.Array
    """int32 `[F]`: examples since each latent was last active."""
    threshold: jax.Array
    """float32: average of the smallest kept activation; -1 before the first."""


def hparams(config: TranscoderConfig, loss: LossConfig, learn: LearnConfig) -> MemberHParams:
    """Hyperparameters of one member; what the configurations say is left to them."""
    del loss  # its weight of L1 is known when the step is compiled
    rate = learn.learning_rate or 2e-4 * (2**14 / config.latents) ** 0.5
    return MemberHParams(None, jnp.float32(rate))


def optimizer(learn: LearnConfig) -> optax.GradientTransformation:
    """Clipping and Adam; the step size, which may differ between members, is multiplied
    on later.
    """
    adam = optax.scale_by_adam(learn.beta1, learn.beta2, learn.epsilon)
    decay = (
        optax.add_decayed_weights(learn.weight_decay) if learn.weight_decay else optax.identity()
    )
    return optax.chain(optax.clip_by_global_norm(learn.clip_norm), adam, decay)


def start(params: Params, learn: LearnConfig) -> Learner:
    """A learner before its first update; its parameters are copies."""
    params = jax.tree.map(lambda a: jnp.array(a, copy=True), params)
    if learn.unit_rows:
        params |= {"W_dec": model.unit(params["W_dec"])}
    silent = jnp.zeros(params["W_dec"].shape[-2], jnp.int32)
    first = jnp.float32(0 if learn.threshold_from_zero else -1)
    return Learner(params, optimizer(learn).init(params), jnp.int32(0), silent, first)


def rate_factor(updates: jax.Array, total: int, learn: LearnConfig) -> jax.Array:
    """Share of the full step size at update `updates` (from 0) of `total`: warm-up,
    plateau, decay.
    """
    warm = jnp.minimum(updates / learn.warmup, 1.0) if learn.warmup else jnp.float32(1)
    span = learn.decay * total
    if not span:
        return warm
    left = jnp.clip((total - updates) / span, 0.0, 1.0)
    cosine = 0.01 + 0.99 * 0.5 * (1 - jnp.cos(jnp.pi * left))
    return warm * (cosine if learn.decay_form == "cosine" else left)


def without_parallel(rows: jax.Array, grads: jax.Array) -> jax.Array:
    """Gradients of rows `[F, E]` without their parts along the rows, which a renormalisation would
    undo anyway.
    """
    direction = model.unit(rows)
    return grads - (grads * direction).sum(-1, keepdims=True) * direction


def update(
    learner: Learner,
    hparam: MemberHParams,
    x: jax.Array,
    y: jax.Array,
    config: TranscoderConfig,
    loss: LossConfig,
    learn: LearnConfig,
    total: int,
) -> tuple[Learner, Parts]:
    """One update on a batch.

    Args:
      learner, hparam: see the classes; arrays, so that a leading axis of members can be vmapped
        over.
      x: `[B, D]`, y: `[B, E]`.
      config, loss, learn, total (all updates of the run): static.

    Returns:
      The next learner, and the terms of the loss before the update.
    """
    if hparam.inputs is not None:
        x = x * hparam.inputs[None]
    active = None if hparam.width is None else jnp.arange(config.latents) < hparam.width

    def silent(fired):
        return jnp.where(fired, 0, jnp.minimum(learner.silent, MOST_SILENT) + x.shape[0])

    def dead(fired):
        silent_long = silent(fired) >= learn.dead_after
        return silent_long if active is None else silent_long & active

    given = losses.Given(hparam.k, hparam.l1, active)
    setting = losses.Setting(config, loss, learn.step)
    grads, found = losses.gradients(learner.params, (x, y), dead, setting, given)
    if learn.unit_rows:
        grads |= {"W_dec": without_parallel(learner.params["W_dec"], grads["W_dec"])}
    steps, opt_state = optimizer(learn).update(grads, learner.opt_state, learner.params)
    size = -hparam.learning_rate * rate_factor(learner.updates, total, learn)
    params = jax.tree.map(lambda p, s: p + size * s, learner.params, steps)
    if learn.unit_rows:
        params |= {"W_dec": model.unit(params["W_dec"])}
    if "threshold" in params:
        params |= {"threshold": jnp.maximum(params["threshold"], 0.0)}
    threshold = next_threshold(learner.threshold, found.floor, learner.updates, learn)
    return Learner(params, opt_state, learner.updates + 1, silent(found.fired), threshold), found


def next_threshold(
    average: jax.Array, floor: jax.Array, updates: jax.Array, learn: LearnConfig
) -> jax.Array:
    """The moving average with the smallest kept activation of this batch; unchanged where nothing
    was active.

    Args:
      average: scalar before; below 0: no value yet.
      floor: scalar, the smallest activation that was kept in this batch; 0: nothing was active.
      updates: int32 scalar, updates before this one.
      learn: `threshold_decay` and `threshold_start` are read.
    """
    mixed = learn.threshold_decay * average + (1 - learn.threshold_decay) * floor
    renewed = jnp.where(average < 0, floor, mixed)
    return jnp.where((updates >= learn.threshold_start) & (floor > 0), renewed, average)


def trained(learner: Learner, hparam: MemberHParams, config: TranscoderConfig) -> Params:
    """Parameters for use: with the threshold that batchtopk compares with, the member's own k (if a
    hparam says it), and what the hparams hide set to zero.
    """
    params = dict(learner.params)
    if hparam.width is not None:
        active = (jnp.arange(config.latents) < hparam.width).astype(jnp.float32)
        params["W_enc"] = params["W_enc"] * active[None]
        params["b_enc"] = params["b_enc"] * active
        params["W_dec"] = params["W_dec"] * active[:, None]
    if hparam.inputs is not None:
        for name in {"W_enc", "W_skip"} & set(params):
            params[name] = params[name] * hparam.inputs[:, None]
    if config.activation == "batchtopk":
        params["threshold"] = jnp.maximum(learner.threshold, 0.0)
    if (
        hparam.k is not None
        and config.activation in ("topk", "batchtopk", "step")
        and not config.block_ks
    ):
        params["k"] = hparam.k
    return params


class Scaling(NamedTuple):
    """Scaling of x and y to a common size: `(x - shift_x) * scale_x`, `y * scale_y`."""

    shift_x: jax.Array
    """`[D]`: the mean."""
    scale_x: jax.Array
    """Scalar: afterwards the mean squared length of x is D."""
    scale_y: jax.Array
    """Scalar: likewise E, of y minus its mean."""


def scaling(x: jax.Array, y: jax.Array, centered: bool = False) -> Scaling:
    """Measured on rows `[N, D]` and `[N, E]`; `centered` transcoders subtract b_dec themselves, so
    x and y keep their size.
    """
    if centered:
        return Scaling(jnp.zeros(x.shape[-1]), jnp.float32(1), jnp.float32(1))
    middle = x.mean(0)

    def size(a, width):
        return jnp.sqrt(width / jnp.maximum(jnp.square(a - per_mean(a)).sum(-1).mean(), 1e-12))

    return Scaling(middle, size(x, x.shape[-1]), size(y, y.shape[-1]))


def per_mean(a: jax.Array) -> jax.Array:
    """The mean row of `[N, D]`, as `[1, D]`."""
    return a.mean(0, keepdims=True)


def fold_scaling(params: Params, scale: Scaling, rescale: bool = False) -> Params:
    """A transcoder of raw x and y from one of scaled ones: the same latents, without the scaling.

    `rescale` is the configuration's: a threshold is then in units of the rows of W_dec, whose
    lengths change.
    """
    folded = dict(params)
    folded["W_enc"] = params["W_enc"] * scale.scale_x
    folded["b_enc"] = params["b_enc"] - scale.shift_x @ folded["W_enc"]
    folded["W_dec"] = params["W_dec"] / scale.scale_y
    folded["b_dec"] = params["b_dec"] / scale.scale_y
    if "gate_bias" in params:  # magnitudes use the encoder's directions without b_enc
        folded["gate_bias"] = params["gate_bias"] - (scale.shift_x @ folded["W_enc"]) * jnp.exp(
            params["gate_scale"]
        )
    if "threshold" in params and rescale:
        folded["threshold"] = params["threshold"] / scale.scale_y
    if "W_skip" in params:
        folded["W_skip"] = params["W_skip"] * scale.scale_x / scale.scale_y
        folded["b_dec"] = folded["b_dec"] - scale.shift_x @ folded["W_skip"]
    if "levels" in params:
        folded["levels"] = jax.tree.map(lambda a: a / scale.scale_y, params["levels"])
    return folded
