"""Rewards as the model of rewards and ends classifies them: by sign (DIAMOND), or by size.

With "sign" the classes are -1, 0 and +1, and 100 is 1. With "symlog-twohot" there are `BINS`
values, spaced evenly in symlog(x) = sign(x) ln(1 + |x|), and a reward is a share of the two values
next to it, so that the mean of the predicted values is the mean reward (DreamerV3, arXiv
2301.04104, section "Robust predictions").
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.rl import categorical

RewardValues = Literal["sign", "symlog-twohot"]
REWARD_CLASSES = 3
"""Classes -1, 0, +1, in this order."""
BINS = 255
"""Values of "symlog-twohot", from -`LARGEST` to `LARGEST`, zero in the middle (DreamerV3)."""
LARGEST = 20.0
"""Symlog of the largest value: rewards beyond 4.85e8 count as that."""
DECAY = 2.0
"""An untrained model gives a value v the weight exp(-`DECAY` |symlog v|). Without it, all values up
to 4.85e8 would be equally likely at first, and what is left of that after the few updates of a
short run would outweigh every reward. DreamerV3 begins uniform, with weights of zero. Our choice.
"""


def symexp(x):
    """Inverse of symlog."""
    return np.sign(x) * np.expm1(np.abs(x))


def bin_values() -> jax.Array:
    """Rewards of the classes of "symlog-twohot", ascending; float32 `[BINS]`."""
    return jnp.asarray(symexp(np.linspace(-LARGEST, LARGEST, BINS)), jnp.float32)


def num_outputs(values: RewardValues) -> int:
    """Number of logits for a reward."""
    return REWARD_CLASSES if values == "sign" else BINS


def two_hot(reward: jax.Array) -> jax.Array:
    """Shares `[..., BINS]` of the two values next to rewards `[...]`; their mean is the reward."""
    bins = bin_values()
    reward = jnp.clip(reward.astype(jnp.float32), bins[0], bins[-1])
    below = jnp.clip(jnp.searchsorted(bins, reward, side="right") - 1, 0, BINS - 2)
    upper = ((reward - bins[below]) / (bins[below + 1] - bins[below]))[..., None]
    return (1 - upper) * jax.nn.one_hot(below, BINS) + upper * jax.nn.one_hot(below + 1, BINS)


def reward_nats(values: RewardValues, logits: jax.Array, reward: jax.Array) -> jax.Array:
    """Cross-entropy of rewards `[...]` under `logits [..., num_outputs]`, in nats."""
    if values == "sign":
        return categorical.cross_entropy(logits, reward_class(reward))
    return -(two_hot(reward) * jax.nn.log_softmax(logits.astype(jnp.float32))).sum(-1)


def class_logits(values: RewardValues, logits: jax.Array) -> jax.Array:
    """Logits `[..., 3]` of a reward below, at and above zero."""
    if values == "sign":
        return logits
    middle = BINS // 2
    parts = (logits[..., :middle], logits[..., middle : middle + 1], logits[..., middle + 1 :])
    return jnp.stack([jax.nn.logsumexp(part, axis=-1) for part in parts], axis=-1)


def expected_reward(values: RewardValues, logits: jax.Array) -> jax.Array:
    """Mean of the predicted rewards; `[..., num_outputs] -> [...]`."""
    shares = jax.nn.softmax(logits.astype(jnp.float32))
    return shares @ (jnp.arange(-1.0, 2.0) if values == "sign" else bin_values())


def likely_sign(values: RewardValues, logits: jax.Array) -> jax.Array:
    """Most likely sign of a reward, -1, 0 or 1; `[..., num_outputs] -> [...]`."""
    return class_reward(jnp.argmax(class_logits(values, logits), -1))


def draw_reward(values: RewardValues, logits: jax.Array, gumbel: jax.Array) -> jax.Array:
    """Reward of an imagined step: a class drawn with Gumbel noise `[..., 3]` (DIAMOND), or the mean
    of "symlog-twohot" (DreamerV3).
    """
    if values == "sign":
        return class_reward(categorical.sample_gumbel(logits, gumbel))
    return expected_reward(values, logits)


def sign_probabilities(values: RewardValues, logits: jax.Array) -> jax.Array:
    """Probabilities `[..., 3]` of a reward below, at and above zero; float32."""
    return jax.nn.softmax(class_logits(values, logits).astype(jnp.float32))


def learned_reward(values: RewardValues, reward: jax.Array) -> jax.Array:
    """Reward of the game as behavior counts it: its sign, or itself."""
    return jnp.sign(reward) if values == "sign" else reward


def add_reward_prior(
    values: RewardValues, prior: tuple[float, ...], logits: jax.Array
) -> jax.Array:
    """Logits of a reward that are those of `prior` (shares of -1, 0, +1; empty: see `DECAY`) where
    the network says nothing.
    """
    if values == "sign":
        return add_log_prior(prior, logits)
    tail = jnp.asarray(-DECAY * np.abs(np.linspace(-LARGEST, LARGEST, BINS)), jnp.float32)
    if prior:
        own = np.sign(np.arange(BINS) - BINS // 2).astype(int) + 1
        tail = tail - class_logits(values, tail)[own] + jnp.log(jnp.asarray(prior))[own]
    return logits + jnp.broadcast_to(tail, logits.shape)


def add_log_prior(prior: tuple[float, ...], logits: jax.Array) -> jax.Array:
    """Logits `[..., K]` that are those of `prior` (K shares; empty: untouched) where the network
    says nothing.
    """
    return logits + jnp.broadcast_to(jnp.log(jnp.asarray(prior)), logits.shape) if prior else logits


def reward_class(reward: jax.Array) -> jax.Array:
    """Class 0, 1, 2 of a reward by its sign; int32."""
    return (jnp.sign(reward) + 1).astype(jnp.int32)


def class_reward(index: jax.Array) -> jax.Array:
    """Reward -1, 0, +1 of a class; float32."""
    return index.astype(jnp.float32) - 1.0
