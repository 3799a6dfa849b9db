"""Categorical distributions given by logits on the last axis; natural logarithms, float32."""

import jax
import jax.numpy as jnp


def log_prob(logits: jax.Array, index: jax.Array) -> jax.Array:
    """`ln p(index)`; logits `[..., K]`, index int `[...]`, result `[...]`."""
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    return jnp.take_along_axis(log_p, index[..., None], axis=-1)[..., 0]


def entropy(logits: jax.Array) -> jax.Array:
    """Entropy in nats, in [0, ln K]; logits `[..., K]`, result `[...]`."""
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    return -(jnp.exp(log_p) * log_p).sum(-1)


def cross_entropy(logits: jax.Array, label: jax.Array) -> jax.Array:
    """`-ln p(label)`, in nats; logits `[..., K]`, label int `[...]`, result `[...]`."""
    return -log_prob(logits, label)


def sample(key: jax.Array, logits: jax.Array) -> jax.Array:
    """One draw, int32 scalar, from `logits [K]`."""
    return jax.random.categorical(key, logits.astype(jnp.float32)).astype(jnp.int32)


def epsilon_sample(key: jax.Array, logits: jax.Array, epsilon: float) -> jax.Array:
    """A draw from `logits [K]`, replaced by a uniform one with probability `epsilon` in [0, 1]."""
    draw, coin, uniform = jax.random.split(key, 3)
    explore = jax.random.bernoulli(coin, epsilon)
    return jnp.where(
        explore, jax.random.randint(uniform, (), 0, logits.shape[-1]), sample(draw, logits)
    )


def sample_gumbel(logits: jax.Array, gumbel: jax.Array) -> jax.Array:
    """A draw by the Gumbel-max trick with the noise given; logits and standard Gumbel noise `[...,
    K]`, result int32 `[...]`.
    """
    return jnp.argmax(logits.astype(jnp.float32) + gumbel, axis=-1).astype(jnp.int32)
