"""The vision tower: a ViT with pre-norm blocks (timm's vit_base_patch16_224) and a linear
projection of its first token.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from sae.biomedclip.config import VisionConfig
from sae.biomedclip.layers import attention, gelu, norm, split_heads

EPSILON = 1e-6


class Block(nn.Module):
    """`x += proj(attention(norm1(x)))`, `x += fc2(gelu(fc1(norm2(x))))`; `[..., tokens, W]`."""

    heads: int
    hidden: int

    @nn.compact
    def __call__(self, x):
        width = x.shape[-1]
        qkv = nn.Dense(3 * width, name="qkv")(norm(EPSILON, "norm1")(x))
        q, k, v = (split_heads(part, self.heads) for part in jnp.split(qkv, 3, axis=-1))
        x = x + nn.Dense(width, name="proj")(attention(q, k, v).reshape(x.shape))
        return x + nn.Dense(width, name="fc2")(
            gelu(nn.Dense(self.hidden, name="fc1")(norm(EPSILON, "norm2")(x)))
        )


class VisionTower(nn.Module):
    """Normalized pixels `[..., H, W, 3] -> [..., features]`, not of length 1."""

    config: VisionConfig

    @nn.compact
    def __call__(self, pixels):
        c = self.config
        x = nn.Dense(c.width, name="patch_embed")(patches(pixels, c.patch))
        first = self.param("cls_token", nn.initializers.normal(0.02), (c.width,))
        places = self.param(
            "pos_embed", nn.initializers.normal(0.02), ((c.size // c.patch) ** 2 + 1, c.width)
        )
        x = jnp.concatenate([jnp.broadcast_to(first, (*x.shape[:-2], 1, c.width)), x], -2)
        x = x + places.reshape((1,) * (x.ndim - 2) + places.shape)
        for layer in range(c.layers):
            x = Block(c.heads, c.hidden, name=f"block_{layer}")(x)
        x = norm(EPSILON, "norm")(x)
        return nn.Dense(c.features, use_bias=False, name="head")(x[..., 0, :])


def patches(pixels: jax.Array, size: int) -> jax.Array:
    """Squares of `size` pixels as rows, `[..., H, W, 3] -> [..., N, size * size * 3]`,
    row by row.
    """
    *leading, height, width, channels = pixels.shape
    grid = pixels.reshape(*leading, height // size, size, width // size, size, channels)
    return jnp.swapaxes(grid, -4, -3).reshape(*leading, -1, size * size * channels)
