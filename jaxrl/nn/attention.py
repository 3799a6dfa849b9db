"""Self-attention over the positions of a feature map."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.nn import initializers
from jaxrl.nn.conv import Conv
from jaxrl.nn.modulate import GroupNorm

HEAD_DIM = 8


class SelfAttention2d(nn.Module):
    """Multi-head attention over the H*W tokens of `[..., H, W, C]` with `max(1, C // 8)` heads.

    As in DIAMOND, the residual is the NORMALIZED input: `n + out_proj(attention(n))`, `n =
      GroupNorm(x)`. The projection to
    3C channels is ordered [all q heads | all k heads | all v heads]; the output projection starts
    at zero. The softmax is taken in float32.
    """

    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x):
        *leading, height, width, channels = x.shape
        heads = max(1, channels // HEAD_DIM)
        normalized = GroupNorm(name="norm")(x)
        qkv = Conv(3 * channels, size=1, dtype=self.dtype, name="qkv_proj")(normalized)
        qkv = qkv.reshape(*leading, height * width, 3, heads, channels // heads)
        q, k, v = (qkv[..., i, :, :] for i in range(3))
        y = dot_product_attention(q, k, v).reshape(x.shape)
        zeros = initializers.zeros
        out = Conv(
            channels, size=1, dtype=self.dtype, kernel_init=zeros, bias_init=zeros, name="out_proj"
        )(y)
        return normalized + out


def dot_product_attention(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    """`softmax(q k^T / sqrt(d)) v`, softmax in float32; all `[..., tokens, heads, d]`, result alike
    in v's dtype.
    """
    logits = jnp.einsum("...qhd,...khd->...hqk", q, k).astype(jnp.float32) / jnp.sqrt(q.shape[-1])
    weights = jax.nn.softmax(logits, axis=-1).astype(v.dtype)
    return jnp.einsum("...hqk,...khd->...qhd", weights, v)
