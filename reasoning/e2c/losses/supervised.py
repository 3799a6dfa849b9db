"""Losses of supervised training: masked NLL, by phase, and EF-SFT.

Everywhere `logits[..., t, :]` and `logp[..., t]` belong to the token `ids[..., t]`: the caller
shifts by one. What reduces over a batch takes `axis_name`, the name of a device axis that holds
other rows.
"""

import jax
import jax.numpy as jnp

from jaxrl.train.parallel import total
from reasoning.e2c.masks import Markers, phase_masks


def token_logprobs(logits: jax.Array, ids: jax.Array) -> jax.Array:
    """Log-probability of every token: `[..., T, V]` and int `[..., T]` give float32 `[..., T]`."""
    logits = logits.astype(jnp.float32)
    chosen = jnp.take_along_axis(logits, ids[..., None], -1)[..., 0]
    return chosen - jax.nn.logsumexp(logits, -1)


def masked_nll(
    logits: jax.Array,
    ids: jax.Array,
    mask: jax.Array,
    weights: jax.Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """`sum(weights mask nll) / sum(mask)` over the whole batch, a scalar; 0 if nothing is masked
    in.

    The denominator holds no weights, so a weight scales the gradient of its tokens.

    Args:
      logits: `[..., T, V]`.
      ids: int32 `[..., T]`, tokens that the logits predict.
      mask: bool `[..., T]`, tokens that are trained.
      weights: float32 `[..., T]`; all 1, if left out.
      axis_name: device axis that holds other rows of the batch; None: one device.
    """
    mask = mask.astype(jnp.float32)
    weighted = mask if weights is None else mask * weights
    return total((-token_logprobs(logits, ids) * weighted).sum(), axis_name) / jnp.maximum(
        total(mask.sum(), axis_name), 1.0
    )


def e2c_sft_loss(
    logits: jax.Array,
    ids: jax.Array,
    mask: jax.Array,
    markers: Markers,
    plan_weight: float = 1.0,
    execution_weight: float = 1.0,
    axis_name: str | None = None,
) -> jax.Array:
    """Token NLL with one weight per phase. With both 1 it is `masked_nll`: the authors weigh no
    phase in SFT.

    Args:
      logits: `[..., T, V]`.
      ids: int32 `[..., T]`, tokens that the logits predict.
      mask: bool `[..., T]`, tokens that are trained.
      markers: token ids that part plan and execution.
      plan_weight: weight of the plan and its closing tag.
      execution_weight: weight of all tokens after it.
      axis_name: device axis that holds other rows of the batch; None: one device.

    Returns:
      Scalar, float32.
    """
    plan, execution = phase_masks(ids, mask, markers, include_close=True)
    weights = plan_weight * plan.astype(jnp.float32) + execution_weight * execution.astype(
        jnp.float32
    )
    return masked_nll(logits, ids, mask, weights, axis_name)


def ef_sft_mask(
    ids: jax.Array, mask: jax.Array, markers: Markers, whole_rows: jax.Array | None = None
) -> jax.Array:
    """Tokens that exploration-focused SFT trains on: the plan and its closing tag.

    Args:
      ids: int32 `[..., T]`.
      mask: bool `[..., T]`, response tokens.
      markers: token ids that part plan and execution.
      whole_rows: bool `[...]`, rows that keep their whole mask: the share of the base domain's rows
        mixed in against forgetting. None: no row.

    Returns:
      bool `[..., T]`.
    """
    plan, _ = phase_masks(ids, mask, markers, include_close=True)
    return plan if whole_rows is None else jnp.where(whole_rows[..., None], mask.astype(bool), plan)


def ef_sft_loss(
    logits: jax.Array,
    ids: jax.Array,
    mask: jax.Array,
    markers: Markers,
    whole_rows: jax.Array | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """EF-SFT (the paper's abstract): mean NLL of the tokens of `ef_sft_mask`. The execution gets no
    gradient.

    Args:
      logits: `[..., T, V]`.
      ids: int32 `[..., T]`, tokens that the logits predict.
      mask: bool `[..., T]`, response tokens.
      markers: token ids that part plan and execution.
      whole_rows: bool `[...]`, rows that are trained whole; None: no row.
      axis_name: device axis that holds other rows of the batch; None: one device.

    Returns:
      Scalar, float32.
    """
    return masked_nll(logits, ids, ef_sft_mask(ids, mask, markers, whole_rows), axis_name=axis_name)


def reference_kl(logits: jax.Array, reference: jax.Array, mask: jax.Array) -> jax.Array:
    """`KL(reference || model)` per masked token, a scalar; both `[..., T, V]`. The optional term on
    plan-free SFT rows.
    """
    log_ref, log_p = (
        jax.nn.log_softmax(reference.astype(jnp.float32)),
        jax.nn.log_softmax(logits.astype(jnp.float32)),
    )
    kl = (jnp.exp(log_ref) * (log_ref - log_p)).sum(-1)
    return (kl * mask).sum() / jnp.maximum(mask.astype(jnp.float32).sum(), 1.0)
