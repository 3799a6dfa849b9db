"""The three networks on flattened latents: matrix products only, for CPUs.

On a 6 x 6 map they cost half of the convolutional ones and, after equal processor time, their
imagination keeps more of the real game (docs/lab/jedi.md). They know nothing of the map's geometry,
so they suit small frames and fixed cameras. Our choice throughout; the paper's networks are not
known.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.jedi.nets.actor_critic import ActorCritic
from jaxrl.jedi.nets.denoiser import DenoiserConfig
from jaxrl.jedi.nets.reward_end import END_CLASSES, RewardEnd, preceded_by_padding
from jaxrl.jedi.nets.reward_values import add_log_prior, add_reward_prior, num_outputs
from jaxrl.nn.activations import silu
from jaxrl.nn.embed import Embedding, FourierFeatures
from jaxrl.nn.initializers import zeros
from jaxrl.nn.mlp import MLP, Dense
from jaxrl.nn.recurrent import LSTM, LSTMState


def flat(z: jax.Array) -> jax.Array:
    """`[..., h, w, C] -> [..., h w C]`."""
    return z.reshape(*z.shape[:-3], -1)


def standardize(x: jax.Array) -> jax.Array:
    """Zero mean and unit variance over the features, in float32, without parameters."""
    x = x.astype(jnp.float32)
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-5)


def modulate(x: jax.Array, cond: jax.Array, name: str) -> jax.Array:
    """Standardized features, scaled and shifted by a linear function of `cond`; call it inside a
    compact module.
    """
    scale, shift = jnp.split(Dense(2 * x.shape[-1], name=name)(cond), 2, axis=-1)
    return standardize(x) * (1 + scale) + shift


class DenseDenoiser(nn.Module):
    """`Denoiser` with residual layers of `widths[0]` units, `depths[0]` of them.

    Its output adds the last latent and the noisy one, each times a gain that depends on the noise
    level and the actions: most of a game stands still, and need not pass the hidden layers.
    """

    config: DenoiserConfig
    num_actions: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, noisy, c_noise, context, action, action_mask=None):
        """Predict, with the arguments and result of `Denoiser`."""
        width, cond_width, n = self.config.widths[0], self.config.cond_width, context.shape[-4]
        noise = FourierFeatures(cond_width, name="noise_emb")(c_noise)
        embedded = Embedding(self.num_actions, cond_width // n, name="act_emb")(action)
        if action_mask is not None:
            embedded = jnp.where(action_mask[..., None], embedded, 0.0)
        past = embedded.reshape(*embedded.shape[:-2], -1)
        cond = MLP(cond_width, cond_width, dtype=self.dtype, name="cond_proj")(noise + past)

        last, current = flat(context[..., -1, :, :, :]), flat(noisy)
        maps = context.reshape(*context.shape[:-4], -1)
        x = Dense(width, dtype=self.dtype, name="dense_in")(jnp.concatenate([maps, current], -1))
        for block in range(self.config.depths[0]):
            h = silu(modulate(x, cond, f"modulate_{block}"))
            h = silu(Dense(width, dtype=self.dtype, name=f"dense_{block}")(h))
            x = x + Dense(width, dtype=self.dtype, kernel_init=zeros, name=f"out_{block}")(h)
        size = current.shape[-1]
        start = {"kernel_init": zeros, "bias_init": zeros}
        y = Dense(size, dtype=self.dtype, **start, name="dense_out")(silu(standardize(x)))
        gains = Dense(2 * size, **start, name="gains")(silu(cond))
        of_last, of_noisy = jnp.split(gains, 2, axis=-1)
        return (y + of_last * last + of_noisy * current).reshape(noisy.shape)


class DenseRewardEnd(RewardEnd):
    """`RewardEnd` with two layers of `widths[0]` units on a latent and its change; with
    `lstm_width` 0 it remembers nothing.
    """

    @nn.compact
    def __call__(self, state: LSTMState, z, z_next, action, live=None):
        """Unroll over T steps, with the arguments and results of `RewardEnd`.

        Args:
          state: LSTM state `[..., D]` before the first step; returned as it is if `lstm_width` is
            0.
          z, z_next: `[..., T, H, W, C]`, the maps before and after each step.
          action: int `[..., T]`.
          live: bool `[..., T]`, False at padded steps, after which the state is zero.

        Returns:
          `(state after the last step, reward logits [..., T, K], end logits [..., T, 2])`, logits
          float32; K is 3 for signs.
        """
        width, config = self.config.widths[0], self.config
        cond = Embedding(self.num_actions, config.cond_width, name="act_emb")(action)
        x = jnp.concatenate([flat(z), flat(z_next - z)], axis=-1)
        x = Dense(width, dtype=self.dtype, name="dense_in")(x)
        x = silu(modulate(x, cond, "modulate_in"))
        x = silu(Dense(width, dtype=self.dtype, name="dense_mid")(x))
        if config.lstm_width:
            starts_fresh = None if live is None else preceded_by_padding(live)
            state, states = LSTM(config.lstm_width, self.dtype, name="lstm")(
                state, x, reset=starts_fresh
            )
            x = jnp.concatenate([states.hidden, x], axis=-1)
        rewards = num_outputs(config.values)
        logits = Dense(rewards + END_CLASSES, kernel_init=zeros, name="head")(x)
        logits = logits.astype(jnp.float32)
        return (
            state,
            add_reward_prior(config.values, config.reward_prior, logits[..., :rewards]),
            add_log_prior(config.end_prior, logits[..., rewards:]),
        )


class DenseActorCritic(ActorCritic):
    """`ActorCritic` with two layers of `widths[0]` units in place of the convolutions."""

    def setup(self):
        config = self.config
        self.dense = [Dense(config.widths[0], dtype=self.dtype) for _ in range(2)]
        self.lstm = LSTM(config.lstm_width, self.dtype)
        self.actor_linear = Dense(self.num_actions, kernel_init=zeros, bias_init=zeros)
        self.critic_linear = Dense(1, kernel_init=zeros, bias_init=zeros)

    def features(self, z):
        """`[..., H, W, C] -> [..., F]`; no time in it."""
        x = flat(z)
        for layer in self.dense:
            x = silu(standardize(layer(x)))
        return x
