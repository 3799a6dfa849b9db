"""Policy and value on latents (or frames): convolutions, an LSTM, two linear heads (DIAMOND,
actor_critic.py).
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.jedi.nets.reward_end import flatten_chw
from jaxrl.nn.activations import silu
from jaxrl.nn.conv import Conv, max_pool2
from jaxrl.nn.initializers import zeros
from jaxrl.nn.mlp import Dense
from jaxrl.nn.recurrent import LSTM, LSTMState
from jaxrl.nn.residual import SmallResBlock


@dataclass(frozen=True)
class ActorCriticConfig:
    """Sizes of the policy and value network."""

    widths: tuple[int, ...] = (64, 64)
    """Channels of the residual blocks."""
    pool: tuple[bool, ...] = (True, False)
    """For each block, True if a 2x2 max-pool follows it."""
    lstm_width: int = 512
    """LSTM units."""
    kind: Literal["conv", "dense", "pooled"] = "conv"
    """Convolutions; two layers on flattened latents (nets/dense.py), which take the first of
    `widths`; or convolutions whose features count the same wherever on the map they are
    (`PooledActorCritic`).
    """
    heads_read_features: bool = False
    """The two heads read the features next to the LSTM's output, so that these are learned sooner.
    Those of kind "pooled" always do. Our choice.
    """


class PolicyOutput(NamedTuple):
    """Outputs of the two heads; float32."""

    logits: jax.Array
    """`[..., A]`; zero at initialization, so the first policy is uniform."""
    value: jax.Array
    """`[...]`, discounted return in reward units."""


class ActorCritic(nn.Module):
    """Methods: `features` on maps, `unroll` over time from features, `step` for one map, `__call__`
    = both over a sequence.
    """

    config: ActorCriticConfig
    num_actions: int
    dtype: jnp.dtype = jnp.float32

    def setup(self):
        config = self.config
        self.conv_in = Conv(config.widths[0], dtype=self.dtype)
        self.blocks = [SmallResBlock(width, self.dtype) for width in config.widths]
        self.lstm = LSTM(config.lstm_width, self.dtype)
        self.actor_linear = Dense(self.num_actions, kernel_init=zeros, bias_init=zeros)
        self.critic_linear = Dense(1, kernel_init=zeros, bias_init=zeros)

    def features(self, z):
        """`[..., H, W, C] -> [..., F]`; no time in it, so all steps go through at once."""
        return flatten_chw(self.local_features(z))

    def local_features(self, z):
        """`[..., H, W, C] -> [..., h, w, D]`."""
        x = self.conv_in(z)
        for block, pool in zip(self.blocks, self.config.pool, strict=True):
            x = block(x)
            x = max_pool2(x) if pool else x
        return x

    def unroll(self, state: LSTMState, features, reset=None, restart=None):
        """Run `features [..., T, F]` from `state`; where `reset [..., T]` the state becomes
        `restart[t]` before step t.

        Args:
          state: LSTM state `[..., D]` before the first step.
          features: `[..., T, F]`, from `features`.
          reset: bool `[..., T]`; None: nowhere.
          restart: LSTM states `[..., T, D]`; None: zeros.

        Returns:
          `(state after the last step, PolicyOutput with axis T, states after every step)`.
        """
        state, states = self.lstm(state, features, reset, restart)
        known = self.known(states.hidden, features)
        logits = self.actor_linear(known).astype(jnp.float32)
        value = self.critic_linear(known).astype(jnp.float32)[..., 0]
        return state, PolicyOutput(logits, value), states

    def known(self, hidden, features):
        """Choose what the heads read: of the LSTM's output `[..., D]` and features `[..., F]`."""
        if self.config.kind != "pooled" and not self.config.heads_read_features:
            return hidden
        return jnp.concatenate([hidden, features], axis=-1).astype(jnp.float32)

    def step(self, state: LSTMState, z):
        """One map `[..., H, W, C]`: `(next state, PolicyOutput)`."""
        state, out, _ = self.unroll(state, self.features(z)[..., None, :])
        return state, PolicyOutput(out.logits[..., 0, :], out.value[..., 0])

    def __call__(self, state: LSTMState, z, reset=None, restart=None):
        """`features` then `unroll` of a sequence `[..., T, H, W, C]`.

        Args:
          state: LSTM state `[..., D]` before the first step.
          z: maps `[..., T, H, W, C]`.
          reset, restart: as for `unroll`.

        Returns:
          As `unroll`.
        """
        return self.unroll(state, self.features(z), reset, restart)


class PooledActorCritic(ActorCritic):
    """`ActorCritic` whose LSTM reads the largest value and the mean of each feature over the map,
    not the flattened map.

    "Something to take lies left of the player" is then one feature, learned wherever it was met; a
    flattened map has to meet it everywhere. Suits games of cells, like `PooledRewardEnd`. Positions
    are known only as far as the padding of the convolutions shows the walls. The heads read the
    features next to the LSTM's output: through the LSTM alone they are learned so slowly that some
    seeds learn nothing. Our choice.
    """

    def features(self, z):
        """`[..., H, W, C] -> [..., 2 D]`, D the last of `widths`; float32."""
        x = silu(self.local_features(z)).astype(jnp.float32)
        return jnp.concatenate([x.max((-3, -2)), x.mean((-3, -2))], axis=-1)
