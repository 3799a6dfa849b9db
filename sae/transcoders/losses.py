"""Training loss of a transcoder: error of the estimate, price of activity, and work for latents
that are dead.

The error is `sum over features, mean over the batch`, as it is or divided by the variance of y
(then it is the FVU).
"""

import functools
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.app.errors import UserError
from jaxrl.nn.mlp import per_feature
from sae.transcoders import activations, model
from sae.transcoders.model import Params, TranscoderConfig

ABSENT = -1e9
"""Pre-activation of a latent that a member does not have: far from every threshold, so that nothing
sends it a gradient.
"""


@dataclass(frozen=True)
class LossConfig:
    """Weights and forms of the terms."""

    by_variance: bool = True
    """Divide the error by the variance of y over the batch."""
    l1: float = 0.0
    """Weight of `mean sum |z_i| |row_i|` (relu, and the openings of gated)."""
    l0: float = 0.0
    """Weight of the L0 price of JumpReLU."""
    l0_form: Literal["step", "tanh", "quadratic", "target"] = "step"
    """step: L0 itself; tanh: sum tanh(4 z |row|); quadratic: 2/t (L0 - t)^2; target: (L0/t - 1)^2
    of the batch's mean L0.
    """
    l0_target: float = 20.0
    """The t of quadratic and target."""
    aux: float = 1 / 32
    """Weight of the auxiliary error, in which dead latents explain what the others leave."""
    aux_k: int = 0
    """Sleeping latents that take part per example; 0: half of d_out."""
    aux_relu: bool = True
    """Only positive pre-activations of dead latents count (dictionary-learning, sparsify);
    False: the raw ones (SAELens).
    """
    aux_by: Literal["variance", "residual", "none"] = "variance"
    """Return what the auxiliary error is divided by: the variance of y, that of the residual, or
    nothing.
    """
    aux_scaled: bool = True
    """Multiply the auxiliary error by min(dead / aux_k, 1)."""
    wake: float = 0.0
    """Weight of `mean sum relu(threshold - pre) |row|` over dead latents (SAELens, JumpReLU).
    """
    multi_k: int = 0
    """Also reconstruct with this many times k latents, at an eighth of the weight (sparsify's
    multi-TopK); 0: do not.
    """
    prefix_weights: tuple[float, ...] = ()
    """Weights of the prefixes of a Matryoshka transcoder; empty: equal, adding up to 1."""


class Parts(NamedTuple):
    """The terms of a loss, scalars, and what training needs to know of the batch."""

    total: jax.Array
    error: jax.Array
    aux: jax.Array
    sparsity: jax.Array
    fvu: jax.Array
    """Fraction of the variance of y, over the batch, that the whole estimate leaves unexplained."""
    l0: jax.Array
    """Active latents per example."""
    fired: jax.Array
    """bool [F]: active for some example."""
    floor: jax.Array
    """The smallest activation that was kept (scalar), as latents are compared; what thresholds are
    learned from.
    """


def check(loss: LossConfig, config: TranscoderConfig) -> None:
    """Refuse a loss that does not fit the transcoder.

    Raises:
      UserError: naming the field.
    """
    if loss.prefix_weights and len(loss.prefix_weights) != max(len(config.prefixes), 1):
        raise UserError(
            f"prefix_weights has {len(loss.prefix_weights)} entries for {len(config.prefixes)} "
            "prefixes: give one for each, or none"
        )
    if loss.l0_form in ("quadratic", "target") and loss.l0_target <= 0:
        raise UserError(f"l0_target is {loss.l0_target:g}: it must be more than 0")


def squared_error(y: jax.Array, estimate: jax.Array) -> jax.Array:
    """`mean_b |y - estimate|^2` of `[B, E]`."""
    return jnp.square(y - estimate).sum(-1).mean()


def variance(y: jax.Array) -> jax.Array:
    """`mean_b |y - mean of the batch|^2` of `[B, E]`."""
    return jnp.square(y - per_feature(y.mean(0), y)).sum(-1).mean()


def auxiliary(
    params: Params,
    pre: jax.Array,
    residual: jax.Array,
    dead: jax.Array,
    config: TranscoderConfig,
    loss: LossConfig,
) -> jax.Array:
    """Auxiliary error: how badly the most eager dead latents explain the residual (arXiv
    2406.04093, appendix A.2), before its weight.

    Args:
      params: W_dec is used without b_dec.
      pre: pre-activations `[B, F]`.
      residual: `[B, E]`, y minus the estimate; no gradient reaches it.
      dead: bool `[F]`, which latents are dead. Nobody: the result is 0. Shapes do not depend on how
        many do.
      config, loss: see `LossConfig`; `aux_by="variance"` divides by the variance of y, so that is
        left to the caller.
    """
    count = dead.sum()
    found = functools.partial(_auxiliary, params, pre, residual, dead, count, config, loss)
    return jax.lax.cond(
        count > 0, found, lambda: jnp.zeros((), pre.dtype)
    )  # vmapped, both sides are computed


def _auxiliary(params, pre, residual, dead, count, config, loss):
    width = loss.aux_k or params["W_dec"].shape[-1] // 2
    score = jax.lax.stop_gradient(model.score(params, pre, config))
    if not loss.aux_relu:  # negative ones may be chosen, too: moved up, in the same order
        score = score - score.min(-1, where=dead[None], initial=jnp.inf)[:, None] + 1
    chosen = jax.vmap(activations.top_k_mask, (0, None))(jnp.where(dead[None], score, 0), width)
    kept = jnp.where(chosen, jax.nn.relu(pre) if loss.aux_relu else pre, 0)
    target = jax.lax.stop_gradient(residual)
    error = squared_error(target, kept @ params["W_dec"])
    if loss.aux_by == "residual":
        error = error / jnp.maximum(variance(target), 1e-12)
    scale = jnp.minimum(count / width, 1.0) if loss.aux_scaled else jnp.float32(1)
    return jnp.where(count > 0, scale * error, 0.0)


def sparsity(
    params: Params,
    pre: jax.Array,
    z: jax.Array,
    dead: jax.Array,
    config: TranscoderConfig,
    loss: LossConfig,
    l1,
):
    """The price of activity, with its weights; a scalar. `l1` overrides `loss.l1` and may be
    traced.
    """
    lengths = per_feature(model.row_norms(params), z)
    price = jnp.float32(0)
    active = jax.nn.relu(pre) if config.activation == "gated" else z
    price += l1 * (jnp.abs(active) * lengths).sum(-1).mean()
    if loss.l0 and config.activation == "jumprelu":
        price += loss.l0 * _l0_price(params, pre, z, lengths, config, loss)
    if loss.wake and config.activation == "jumprelu":
        below = jax.nn.relu(per_feature(params["threshold"], pre) - pre) * dead[None]
        price += loss.wake * (below * lengths).sum(-1).mean()
    return price


def _l0_price(params, pre, z, lengths, config, loss):
    if loss.l0_form == "tanh":
        return jnp.tanh(4 * z * lengths).sum(-1).mean()
    compared = (
        z if loss.l0_form == "target" else pre
    )  # dictionary-learning puts the step behind the jump
    count = activations.step(compared, params["threshold"], config.bandwidth, config.to_input).sum(
        -1
    )
    if loss.l0_form == "quadratic":
        return (2 / loss.l0_target * jnp.square(count - loss.l0_target)).mean()
    return (
        jnp.square(count.mean() / loss.l0_target - 1) if loss.l0_form == "target" else count.mean()
    )


def parts(
    params: Params,
    x: jax.Array,
    y: jax.Array,
    dead: jax.Array,
    config: TranscoderConfig,
    loss: LossConfig,
    k: jax.Array | float | None = None,
    l1: jax.Array | float | None = None,
    active: jax.Array | None = None,
) -> Parts:
    """All terms for a batch.

    Args:
      params: see transcoder.py.
      x: `[B, D]`, y: `[B, E]`.
      dead: bool `[F]` of latents that have not fired for long, or a function that makes it of
        `fired`.
      config, loss: static.
      k, l1: override the configurations' and may be traced.
      active: bool `[F]`, False for latents that this member of an ensemble does not have.

    Returns:
      `total` is what to differentiate.
    """
    pre = model.pre_activations(params, x, config)
    if active is not None:
        pre = jnp.where(active[None], pre, ABSENT)
    z = model.activate(params, pre, config, k)
    if active is not None:
        z = jnp.where(active[None], z, 0)
    fired = (z > 0).any(0)
    dead = dead(fired) if callable(dead) else dead
    estimates = model.nested(params, z, config, x)
    spread = jax.lax.stop_gradient(jnp.maximum(variance(y), 1e-12))
    weights = loss.prefix_weights or (1 / len(estimates),) * len(estimates)
    error = sum(w * squared_error(y, e) for w, e in zip(weights, estimates, strict=True))
    if config.activation == "gated":
        frozen = jax.lax.stop_gradient(params)
        error += squared_error(y, model.decode(frozen, jax.nn.relu(pre), x))
    if loss.multi_k:
        k_more = loss.multi_k * (config.k if k is None else k)
        error += (
            squared_error(y, model.decode(params, model.activate(params, pre, config, k_more), x))
            / 8
        )
    rest = jax.lax.stop_gradient(y - estimates[-1])
    aux = auxiliary(params, pre, rest, dead, config, loss) if loss.aux else jnp.float32(0)
    error = error / spread if loss.by_variance else error
    aux = aux / spread if loss.aux and loss.aux_by == "variance" else aux
    price = sparsity(params, pre, z, dead, config, loss, loss.l1 if l1 is None else l1)
    floor = _smallest_kept(params, z, config)
    fvu = jnp.square(rest).sum(-1).mean() / spread
    return Parts(
        error + loss.aux * aux + price,
        error,
        aux,
        price,
        fvu,
        (z > 0).sum(-1).mean(dtype=jnp.float32),
        fired,
        floor,
    )


def _smallest_kept(params, z, config):
    """Of the whole batch (batchtopk), or the mean over examples of each one's (topk); 0 where
    nothing is active.
    """
    score = jax.lax.stop_gradient(model.score(params, z, config))
    low = jnp.where(score > 0, score, jnp.inf)
    if config.activation == "batchtopk":
        lowest = low.min()
        return jnp.where(jnp.isfinite(lowest), lowest, 0.0)
    lowest = low.min(-1)
    some = jnp.isfinite(lowest)
    return jnp.where(some, lowest, 0.0).sum() / jnp.maximum(some.sum(), 1)
