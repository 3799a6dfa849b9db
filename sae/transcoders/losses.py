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
from sae.transcoders import activations, model, sparse
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
    """Target t of the forms quadratic and target."""
    aux: float = 1 / 32
    """Weight of the auxiliary error, in which dead latents explain what the others leave."""
    aux_k: int = 0
    """Dead latents that take part per example; 0: half of d_out."""
    aux_relu: bool = True
    """Only positive pre-activations of dead latents count (dictionary-learning, sparsify);
    False: the raw ones (SAELens).
    """
    aux_by: Literal["variance", "residual", "none"] = "variance"
    """Divisor of the auxiliary error: the variance of y, that of the residual, or
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
    found = functools.partial(_auxiliary, params, pre, residual, dead, config, loss)
    # vmapped, both sides are computed
    return jax.lax.cond(dead.any(), found, lambda: jnp.zeros((), pre.dtype))


def _auxiliary(params, pre, residual, dead, config, loss):
    count = dead.sum()
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


class Setting(NamedTuple):
    """Settings that are known when the step is compiled."""

    transcoder: TranscoderConfig
    loss: LossConfig
    step: Literal["auto", "sparse", "dense"] = "auto"
    """Way of the step, see `LearnConfig.step`."""


class Given(NamedTuple):
    """Values that a member of an ensemble has instead of the configurations'; all may be traced."""

    k: jax.Array | float | None = None
    """Active latents per example, see `TranscoderConfig.k`."""
    l1: jax.Array | float | None = None
    """Weight of L1, see `LossConfig.l1`."""
    active: jax.Array | None = None
    """bool `[F]`, False for latents that this member does not have."""


def activity(params: Params, pre: jax.Array, z: jax.Array, config: TranscoderConfig) -> jax.Array:
    """`mean sum |z_i| |row_i|`, the price of activity before its weight; a scalar.

    Args:
      params: of one transcoder.
      pre: pre-activations `[B, F]`.
      z: latents `[B, F]`.
      config: its shape.
    """
    lengths = per_feature(model.row_norms(params), z)
    active = jax.nn.relu(pre) if config.activation == "gated" else z
    return (jnp.abs(active) * lengths).sum(-1).mean()


def jump_price(
    params: Params,
    pre: jax.Array,
    z: jax.Array,
    dead: jax.Array,
    config: TranscoderConfig,
    loss: LossConfig,
) -> jax.Array:
    """Prices of JumpReLU with their weights: of L0, and of dead latents below their thresholds.

    Args:
      params: of one transcoder, with "threshold".
      pre: pre-activations `[B, F]`.
      z: latents `[B, F]`.
      dead: bool `[F]`, latents without an activation for long.
      config: its shape.
      loss: weights `l0` and `wake`; those of 0 cost nothing.

    Returns:
      A float32 scalar.
    """
    lengths, price = per_feature(model.row_norms(params), z), jnp.float32(0)
    if loss.l0:
        price += loss.l0 * _l0_price(params, pre, z, lengths, config, loss)
    if loss.wake:
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
    """All terms for a batch, by dense products.

    Args:
      params: see transcoder.py.
      x: `[B, D]`, y: `[B, E]`.
      dead: bool `[F]` of latents that have not fired for long, or a function that makes it of
        `fired`.
      config, loss: static.
      k, l1, active: see `Given`.

    Returns:
      `total` is what to differentiate.
    """
    setting = Setting(config, loss)
    pre, rest, found = _terms(params, (x, y), dead, setting, Given(k, l1, active))
    if not loss.aux:
        return found
    dead = dead(found.fired) if callable(dead) else dead
    aux = auxiliary(params, pre, rest, dead, config, loss)
    aux = aux / _spread(y) if loss.aux_by == "variance" else aux
    return found._replace(aux=aux, total=found.total + loss.aux * aux)


def _spread(y):
    """Variance of y to divide by; no gradient reaches it."""
    return jax.lax.stop_gradient(jnp.maximum(variance(y), 1e-12))


def _terms(params, batch, dead, setting, given):
    """Pre-activations, residual, and all terms but the auxiliary one."""
    (x, y), (config, loss, *_) = batch, setting
    pre = model.pre_activations(params, x, config)
    if given.active is not None:
        pre = jnp.where(given.active[None], pre, ABSENT)
    z = model.activate(params, pre, config, given.k)
    if given.active is not None:
        z = jnp.where(given.active[None], z, 0)
    fired = (z > 0).any(0)
    dead = dead(fired) if callable(dead) else dead
    estimates = model.nested(params, z, config, x)
    spread = _spread(y)
    weights = loss.prefix_weights or (1 / len(estimates),) * len(estimates)
    error = sum(w * squared_error(y, e) for w, e in zip(weights, estimates, strict=True))
    if config.activation == "gated":
        frozen = jax.lax.stop_gradient(params)
        error += squared_error(y, model.decode(frozen, jax.nn.relu(pre), x))
    if loss.multi_k:
        more = model.activate(
            params, pre, config, loss.multi_k * (config.k if given.k is None else given.k)
        )
        error += squared_error(y, model.decode(params, more, x)) / 8
    rest = jax.lax.stop_gradient(y - estimates[-1])
    error = error / spread if loss.by_variance else error
    price, l1 = jnp.float32(0), loss.l1 if given.l1 is None else given.l1
    if given.l1 is not None or loss.l1:
        price += l1 * activity(params, pre, z, config)
    if config.activation == "jumprelu":
        price += jump_price(params, pre, z, dead, config, loss)
    found = Parts(
        error + price,
        error,
        jnp.float32(0),
        price,
        jnp.square(rest).sum(-1).mean() / spread,
        (z > 0).sum(-1).mean(dtype=jnp.float32),
        fired,
        _smallest_kept(model.score(params, z, config), config),
    )
    return pre, rest, found


def _sparse_terms(params, batch, active, setting):
    """Residual and terms of the same loss, on active latents alone; see `sparse`."""
    (x, y), (config, loss, *_) = batch, setting
    own = {name: params[name] for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
    estimate = sparse.reconstruct(config.centered, own, x, active)
    if config.skip:
        estimate = estimate + x @ params["W_skip"]
    spread, rest = _spread(y), jax.lax.stop_gradient(y - estimate)
    error = squared_error(y, estimate)
    error = error / spread if loss.by_variance else error
    here = active.values > 0
    fired = jnp.zeros(config.latents, bool).at[active.latents].max(here)
    score = active.values
    if config.rescale:
        score = score * jax.lax.stop_gradient(model.row_norms(params))[active.latents]
    found = Parts(
        error,
        error,
        jnp.float32(0),
        jnp.float32(0),
        jnp.square(rest).sum(-1).mean() / spread,
        here.sum(dtype=jnp.float32) / x.shape[0],
        fired,
        _smallest_kept(score, config),
    )
    return rest, found


def is_sparse(config: TranscoderConfig, loss: LossConfig, given: Given, step: str = "auto") -> bool:
    """Return True where training takes the sparse step: it is possible, and worthwhile or asked
    for.

    Args:
      config: shape of the transcoder.
      loss: `multi_k` and `l1` need the dense step.
      given: values of an ensemble's member; any of them needs the dense step.
      step: "auto", "sparse" or "dense", see `LearnConfig.step`.
    """
    able = sparse.possible(config) and not loss.multi_k and not loss.l1
    able = able and all(value is None for value in given)
    return able and (step == "sparse" or (step == "auto" and sparse.worthwhile(config)))


def gradients(
    params: Params,
    batch: tuple[jax.Array, jax.Array],
    dead,
    setting: Setting,
    given: Given = Given(),  # noqa: B008 (a tuple)
) -> tuple[Params, Parts]:
    """The gradient of `parts(...).total`, and the terms, by the step that suits the transcoder.

    The auxiliary term has a branch of its own for its gradient, so that it costs nothing while no
    latent is dead.

    Args:
      params, dead: see `parts`; batch: x `[B, D]` and y `[B, E]`.
      setting: static; its field `step` chooses.
      given: see the class.
    """
    (x, y), (config, loss, step) = batch, setting

    def dense():
        def objective(params):
            _, rest, found = _terms(params, batch, dead, setting, given)
            return found.total, (rest, found)

        return jax.grad(objective, has_aux=True)(params)

    def on_active(active):
        def objective(params):
            rest, found = _sparse_terms(params, batch, active, setting)
            return found.total, (rest, found)

        return jax.grad(objective, has_aux=True)(params)

    if is_sparse(config, loss, given, step):
        active, complete = sparse.choose(params, x, config)
        if config.activation == "topk":
            grads, (rest, found) = on_active(active)
        else:
            grads, (rest, found) = jax.lax.cond(complete, on_active, lambda _: dense(), active)
    else:
        grads, (rest, found) = dense()
    if not loss.aux:
        return grads, found
    silent_long = dead(found.fired) if callable(dead) else dead

    def more(grads):
        def objective(params):
            pre = model.pre_activations(params, x, config)
            if given.active is not None:
                pre = jnp.where(given.active[None], pre, ABSENT)
            aux = _auxiliary(params, pre, rest, silent_long, config, loss)
            return aux / _spread(y) if loss.aux_by == "variance" else aux

        aux, extra = jax.value_and_grad(objective)(params)
        return jax.tree.map(lambda g, e: g + loss.aux * e, grads, extra), aux

    grads, aux = jax.lax.cond(silent_long.any(), more, lambda grads: (grads, jnp.float32(0)), grads)
    return grads, found._replace(aux=aux, total=found.total + loss.aux * aux)


def _smallest_kept(score, config):
    """Smallest score of scores `[B, n]` of latents, 0 where inactive: of the whole batch
    (batchtopk), or the mean over examples of each one's (topk); 0 where nothing is active.
    """
    low = jnp.where(score > 0, jax.lax.stop_gradient(score), jnp.inf)
    if config.activation == "batchtopk":
        lowest = low.min()
        return jnp.where(jnp.isfinite(lowest), lowest, 0.0)
    lowest = low.min(-1)
    some = jnp.isfinite(lowest)
    return jnp.where(some, lowest, 0.0).sum() / jnp.maximum(some.sum(), 1)
