"""Losses of reinforcement learning: group advantages, the clipped surrogate, KL and entropy.

Everywhere `logits[..., t, :]` and `logp[..., t]` belong to the token `ids[..., t]`: the caller
shifts by one. What reduces over a batch takes `axis_name`, the name of a device axis that holds
other rows.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.old_names import warn_once
from jaxrl.train.parallel import total
from reasoning.e2c.masks import Markers, has_boundary, phase_masks

Aggregate = Literal["token-mean", "sequence-mean-token-mean", "sequence-mean-token-sum"]
LARGEST_LOG_RATIO = 20.0


def check_rewards(rewards) -> None:
    """Refuse rewards `[P, G]` that are not finite.

    Raises:
      UserError: naming prompt and response of the first.
    """
    bad = np.argwhere(~np.isfinite(np.asarray(rewards)))
    if len(bad):
        prompt, response = bad[0].tolist()
        value = np.asarray(rewards)[prompt, response]
        raise UserError(
            f"the reward of prompt {prompt}, response {response} is {value}: fix the reward "
            "function or leave out the row"
        )


def group_advantages(
    rewards: jax.Array,
    eps: float = 1e-6,
    normalize: Literal["std", "none"] = "std",
    *,
    normalise: Literal["std", "none"] | None = None,  # old name
) -> jax.Array:
    """`(r - mean) / (std + eps)` within each group, `[P, G]`; the standard deviation has ddof 1
    (GRPO as in verl).

    "none" leaves out the division (Dr. GRPO). A group of equal rewards gives exact zeros.
    The old spelling of `normalize` works until 0.3.

    Raises:
      UserError: groups of one.
    """
    if normalise is not None:  # old name
        warn_once("group_advantages(normalise=)", "group_advantages(normalize=)")  # old name
        normalize = normalise  # old name
    if rewards.shape[-1] < 2:
        raise UserError(
            f"groups have {rewards.shape[-1]} response: an advantage compares responses, so the "
            "group size must be at least 2"
        )
    centered = rewards - rewards.mean(-1, keepdims=True)
    if normalize == "std":
        centered = centered / (rewards.std(-1, ddof=1, keepdims=True) + eps)
    equal = rewards.max(-1, keepdims=True) == rewards.min(-1, keepdims=True)
    return jnp.where(equal, 0.0, centered)


def clipped_token_loss(
    logp: jax.Array,
    logp_old: jax.Array,
    advantages: jax.Array,
    eps_low: float,
    eps_high: float,
    dual_clip: float | None,
) -> jax.Array:
    """The clipped surrogate per token, elementwise: `max(-A rho, -A clip(rho))`, and at most
    `-dual_clip A` where A < 0.

    Args:
      logp: log-probabilities of the tokens under the policy, float32 `[B, T]`.
      logp_old: the same at the time of sampling, `[B, T]`.
      advantages: one per token, `[B, T]`.
      eps_low: the ratio rho is clipped from below at 1 - eps_low.
      eps_high: the ratio rho is clipped from above at 1 + eps_high.
      dual_clip: bound of the loss for negative advantages, more than 1; None: none.

    Returns:
      Loss per token, float32 `[B, T]`.
    """
    ratio = jnp.exp(jnp.clip(logp - logp_old, -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO))
    loss = jnp.maximum(
        -advantages * ratio, -advantages * jnp.clip(ratio, 1 - eps_low, 1 + eps_high)
    )
    if dual_clip is None:
        return loss
    return jnp.where(advantages < 0, jnp.minimum(loss, -dual_clip * advantages), loss)


def clipped_policy_loss(
    logp: jax.Array,
    logp_old: jax.Array,
    advantages: jax.Array,
    mask: jax.Array,
    eps_low: float = 0.2,
    eps_high: float = 0.2,
    dual_clip: float | None = 3.0,
    aggregate: Aggregate = "token-mean",
    axis_name: str | None = None,
) -> jax.Array:
    """PPO's loss with GRPO's advantages and verl's dual clip, a scalar.

    Args:
      logp, logp_old: of the tokens, `[B, T]`.
      advantages: one per response `[B]`, or one per token `[B, T]` (times the weights of
        `phase_weights`).
      mask: response tokens, `[B, T]`.
      eps_low, eps_high: clipping of the ratio (.2/.2 in the paper's script, .2/.28 in its DAPO
        variant).
      dual_clip: bound of the loss for negative advantages, more than 1 (3, or 10 for DAPO); None:
        none.
      aggregate: see `aggregate_tokens`. The denominator holds no phase weights.
      axis_name: of devices.
    """
    advantages = advantages[:, None] if advantages.ndim == 1 else advantages
    loss = clipped_token_loss(
        logp, logp_old, jnp.broadcast_to(advantages, logp.shape), eps_low, eps_high, dual_clip
    )
    return aggregate_tokens(loss, mask, aggregate, axis_name)


def aggregate_tokens(
    values: jax.Array, mask: jax.Array, how: Aggregate = "token-mean", axis_name: str | None = None
) -> jax.Array:
    """Reduce `[B, T]` to one number: the mean over all tokens, or the mean over responses of their
    token mean or token sum.

    Args:
      values: float32 `[B, T]`.
      mask: bool `[B, T]`, tokens that count; responses without any do not count.
      how: the reduction, named as in verl.
      axis_name: device axis that holds other rows of the batch; None: one device.

    Returns:
      Scalar, float32.
    """
    mask = mask.astype(jnp.float32)
    if how == "token-mean":
        return total((values * mask).sum(), axis_name) / jnp.maximum(
            total(mask.sum(), axis_name), 1.0
        )
    rows = (values * mask).sum(-1)
    if how == "sequence-mean-token-mean":
        rows = rows / jnp.maximum(mask.sum(-1), 1.0)
    filled = (mask.sum(-1) > 0).astype(jnp.float32)
    return total((rows * filled).sum(), axis_name) / jnp.maximum(
        total(filled.sum(), axis_name), 1.0
    )


def k3_kl(logp: jax.Array, logp_ref: jax.Array) -> jax.Array:
    """Schulman's estimator of `KL(p || ref)` per token, `exp(d) - d - 1` with `d = logp_ref -
    logp`; never negative.
    """
    difference = jnp.clip(logp_ref - logp, -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO)
    return jnp.exp(difference) - difference - 1.0


def entropy(logits: jax.Array) -> jax.Array:
    """Entropy of the next token, nats: `[..., V]` gives float32 `[...]`."""
    logp = jax.nn.log_softmax(logits.astype(jnp.float32))
    return -(jnp.exp(logp) * logp).sum(-1)


def phase_entropy(
    logits: jax.Array, ids: jax.Array, mask: jax.Array, markers: Markers
) -> tuple[jax.Array, jax.Array]:
    """Mean entropy of plan tokens and of execution tokens, nats; rows without a tag are left out,
    as the authors do.

    Args:
      logits: `[B, T, V]`.
      ids: int32 `[B, T]`, tokens that the logits predict.
      mask: bool `[B, T]`, response tokens.
      markers: token ids that part plan and execution.

    Returns:
      `(plan, execution)`, scalars; 0 for a phase without tokens.
    """
    found = entropy(logits)
    marked = mask.astype(bool) & has_boundary(ids, markers, mask)[..., None]
    plan, execution = phase_masks(ids, marked, markers)
    return aggregate_tokens(found, plan), aggregate_tokens(found, execution)
