"""Embeddings of scalars (Fourier features) and of integers (a table)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.nn import initializers


class FourierFeatures(nn.Module):
    """`concat(cos f, sin f)` with `f = 2 pi x w`; `[...] -> [..., features]`.

    w ~ N(0, 1), shape `[features // 2]`, is drawn once and never trained (no gradient, no weight
    decay), but is saved with the parameters because a model is useless without it.
    """

    features: int

    @nn.compact
    def __call__(self, x):
        frequencies = self.param("frequencies", initializers.normal, (self.features // 2,))
        angle = (
            2
            * jnp.pi
            * jnp.multiply.outer(x.astype(jnp.float32), jax.lax.stop_gradient(frequencies))
        )
        return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)


class Embedding(nn.Module):
    """Table of `num` vectors, N(0, 1) at the start. int `[...] -> [..., features]`; indices outside
    [0, num) are clamped.
    """

    num: int
    features: int

    @nn.compact
    def __call__(self, index):
        table = self.param("embedding", initializers.normal, (self.num, self.features))
        return jnp.take(table, index, axis=0, mode="clip")
