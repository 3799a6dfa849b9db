"""The model of rewards and ends: convolutions on a pair of maps, an LSTM over time (DIAMOND,
rew_end_model.py).
"""

from dataclasses import dataclass
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.jedi.nets.reward_values import RewardValues, add_log_prior, add_reward_prior, num_outputs
from jaxrl.nn import initializers
from jaxrl.nn.activations import silu
from jaxrl.nn.conv import Conv, Downsample
from jaxrl.nn.embed import Embedding
from jaxrl.nn.mlp import MLP, Dense
from jaxrl.nn.recurrent import LSTM, LSTMState
from jaxrl.nn.residual import ResBlocks

END_CLASSES = 2
"""Classes "continues" and "ends", in this order."""


@dataclass(frozen=True)
class RewardEndConfig:
    """Sizes of the reward and end model."""

    depths: tuple[int, ...] = (2,)
    """Residual blocks per level; a stride-2 convolution lies between levels."""
    widths: tuple[int, ...] = (32,)
    """Channels per level; two attending blocks of the last width follow."""
    attention: tuple[bool, ...] = ()
    """Levels that attend. Empty: none but the final two blocks."""
    cond_width: int = 128
    """Width of the action embedding that modulates the blocks."""
    lstm_width: int = 512
    """LSTM units, and hidden width of the head."""
    values: RewardValues = "sign"
    """Form in which rewards are learned: by sign, as in DIAMOND, or by size, with DreamerV3's
    symlog and two-hot classes, for games where 100 is not 1; see nets/reward_values.py. Behavior
    then learns from the sizes, with normalized advantages.
    """
    reward_prior: tuple[float, ...] = ()
    """Expected shares of the reward classes -1, 0, +1, all above 0, sum 1: an untrained model then
    says about so much. Empty: one third each. Where rewards are rare, the base rate need not be
    learned first then; RetinaNet (arXiv 1708.02002, section 4.1) begins at the prior too. Our
    choice.
    """
    end_prior: tuple[float, ...] = ()
    """The same for "continues" and "ends". Empty: one half each."""
    change_width: int = 0
    """Features of a second reading of the step, from what changes on the map; see `ChangeReader`.
    0: none, as in DIAMOND. Our choice.
    """
    kind: Literal["conv", "dense", "pooled"] = "conv"
    """Convolutions; two layers on flattened latents (nets/dense.py); or local events that count the
    same wherever they happen (`PooledRewardEnd`). The last two take the first of `widths`.
    """


class PairEncoder(nn.Module):
    """Features of the step from one map to the next. `2 x [..., H, W, C], cond [..., E] -> [..., h,
    w, D]`.
    """

    config: RewardEndConfig
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, z, z_next, cond):
        config = self.config
        attention = config.attention or (False,) * len(config.depths)
        x = Conv(config.widths[0], dtype=self.dtype, name="conv_in")(
            jnp.concatenate([z, z_next], axis=-1)
        )
        for level, (depth, width) in enumerate(zip(config.depths, config.widths, strict=True)):
            if level > 0:
                x = Downsample(self.dtype, name=f"downsamples_{level}")(x)
            x = ResBlocks((width,) * depth, attention[level], self.dtype, name=f"blocks_{level}")(
                x, cond
            )[-1]
        final = ResBlocks(
            (config.widths[-1],) * 2, True, self.dtype, name=f"blocks_{len(config.depths)}"
        )
        return final(x, cond)[-1]


class ChangeReader(nn.Module):
    """Logits of what a step changes somewhere on the map. `2 x [..., H, W, C] -> [..., classes]`,
    float32.

    Two 3x3 convolutions see the map and its change; the largest value and the mean of each of their
    features are read linearly, from weights that begin at zero. A brick that goes is so the same
    event wherever it goes. The pair of maps itself is nearly the same before and after any step,
    and what is common hides what is not (figures: docs/jedi.md, "Rare rewards"). Our choice.
    """

    features: int
    classes: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, z, z_next, cond=None):
        """Read a step; `cond [..., E]`, of its action, shifts the features of the first layer."""
        x = jnp.concatenate([z, z_next - z], axis=-1)
        x = Conv(self.features, dtype=self.dtype, name="conv_0")(x)
        if cond is not None:
            shift = Dense(self.features, dtype=self.dtype, name="shift")(cond)
            x = x + shift[..., None, None, :]
        x = silu(Conv(self.features, dtype=self.dtype, name="conv_1")(silu(x)))
        x, over_space = x.astype(jnp.float32), (-3, -2)
        read = jnp.concatenate([x.max(over_space), x.mean(over_space)], axis=-1)
        return Dense(
            self.classes,
            kernel_init=initializers.zeros,
            bias_init=initializers.zeros,
            name="readout",
        )(read)


class RewardEnd(nn.Module):
    """Logits of the reward class and of the end for every step of a sequence."""

    config: RewardEndConfig
    num_actions: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, state: LSTMState, z, z_next, action, live=None):
        """Unroll over T steps.

        Args:
          state: LSTM state `[..., D]` before the first step.
          z, z_next: `[..., T, H, W, C]`, the maps before and after each step.
          action: int `[..., T]`.
          live: bool `[..., T]`, False at padded steps, after which the state is zero (our choice;
            DIAMOND runs through padding).

        Returns:
          `(state after the last step, reward logits [..., T, K], end logits [..., T, 2])`, logits
          float32; K is 3 for signs.
        """
        cond = Embedding(self.num_actions, self.config.cond_width, name="act_emb")(action)
        features = flatten_chw(
            PairEncoder(self.config, self.dtype, name="encoder")(z, z_next, cond)
        )
        starts_fresh = None if live is None else preceded_by_padding(live)
        lstm = LSTM(self.config.lstm_width, self.dtype, name="lstm")
        state, states = lstm(state, features, reset=starts_fresh)
        rewards = num_outputs(self.config.values)
        classes = rewards + END_CLASSES
        head = MLP(
            self.config.lstm_width, classes, use_final_bias=False, name="head"
        )  # in float32, like the LSTM's state
        logits = head(states.hidden).astype(jnp.float32)
        if self.config.change_width > 0:
            logits = logits + ChangeReader(
                self.config.change_width, classes, self.dtype, name="changes"
            )(z, z_next)
        reward, end = logits[..., :rewards], logits[..., rewards:]
        return (
            state,
            add_reward_prior(self.config.values, self.config.reward_prior, reward),
            add_log_prior(self.config.end_prior, end),
        )


class PooledRewardEnd(RewardEnd):
    """`RewardEnd` that sees nothing but local events and remembers nothing: two 3x3 convolutions of
    `widths[0]` features on a map and its change, the first shifted by the action; the largest value
    and the mean of each feature over the map are read linearly.

    So it is translation-invariant: a flattened map has to meet an event everywhere. It needs fewer
    events than `RewardEnd`, not few (figures: docs/lab/jedi.md, "MinAtar"), and suits games of
    cells; `lstm_width` must be 0. Our choice.
    """

    @nn.compact
    def __call__(self, state: LSTMState, z, z_next, action, live=None):
        """Unroll over T steps, with the arguments and results of `RewardEnd`; `state` is returned
        as it is.
        """
        config = self.config
        cond = Embedding(self.num_actions, config.cond_width, name="act_emb")(action)
        rewards = num_outputs(config.values)
        logits = ChangeReader(config.widths[0], rewards + END_CLASSES, self.dtype, name="changes")(
            z, z_next, cond
        )
        return (
            state,
            add_reward_prior(config.values, config.reward_prior, logits[..., :rewards]),
            add_log_prior(config.end_prior, logits[..., rewards:]),
        )


def flatten_chw(x: jax.Array) -> jax.Array:
    """`[..., H, W, C] -> [..., C*H*W]` in the order of the torch references, so that their weights
    load unchanged.
    """
    return jnp.moveaxis(x, -1, -3).reshape(*x.shape[:-3], -1)


def preceded_by_padding(live: jax.Array) -> jax.Array:
    """bool `[..., T]`: the step before lies in padding (False at the first step)."""
    return jnp.concatenate([jnp.zeros_like(live[..., :1]), ~live[..., :-1]], axis=-1)
