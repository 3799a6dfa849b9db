"""A stack of linear layers with ReLU between them."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.nn.mlp import Dense


class Stack(nn.Module):
    """`[..., in] -> [..., widths[-1]]`; ReLU after every layer but the last."""

    widths: Sequence[int]

    @nn.compact
    def __call__(self, x):
        for level, width in enumerate(self.widths):
            x = Dense(width, name=f"layers_{level}")(x if level == 0 else nn.relu(x))
        return x


def binary_cross_entropy(logits: jax.Array, target: jax.Array) -> jax.Array:
    """-sum of target ln s + (1 - target) ln(1 - s), s = sigmoid(logits), over the last axis: nats,
    `[..., D] -> [...]`.
    """
    return (jnp.maximum(logits, 0) - logits * target + jnp.log1p(jnp.exp(-jnp.abs(logits)))).sum(-1)
