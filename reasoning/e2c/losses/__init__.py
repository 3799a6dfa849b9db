"""Losses as pure functions of logits or log-probabilities.

`supervised`: masked NLL, phase weights, EF-SFT. `policy_gradient`: GRPO advantages, the clipped
surrogate, KL and entropy by phase.
"""

from reasoning.e2c.losses.policy_gradient import (
    Aggregate,
    aggregate_tokens,
    check_rewards,
    clipped_policy_loss,
    clipped_token_loss,
    entropy,
    group_advantages,
    k3_kl,
    phase_entropy,
)
from reasoning.e2c.losses.supervised import (
    e2c_sft_loss,
    ef_sft_loss,
    ef_sft_mask,
    masked_nll,
    reference_kl,
    token_logprobs,
)

__all__ = [
    "Aggregate",
    "aggregate_tokens",
    "check_rewards",
    "clipped_policy_loss",
    "clipped_token_loss",
    "e2c_sft_loss",
    "ef_sft_loss",
    "ef_sft_mask",
    "entropy",
    "group_advantages",
    "k3_kl",
    "masked_nll",
    "phase_entropy",
    "reference_kl",
    "token_logprobs",
]
