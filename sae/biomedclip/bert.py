"""The text tower: BERT with post-norm layers (PubMedBERT), its first token through a two-layer
projection.
"""

import flax.linen as nn

from jaxrl.app.errors import UserError
from sae.biomedclip.config import TextConfig
from sae.biomedclip.layers import attention, gelu, norm, split_heads

EPSILON = 1e-12


class Layer(nn.Module):
    """`x = norm(x + out(attention(x)))`, `x = norm(x + fc2(gelu(fc1(x))))`; `[..., tokens, W]`."""

    heads: int
    hidden: int

    @nn.compact
    def __call__(self, x, mask):
        width = x.shape[-1]
        q, k, v = (
            split_heads(nn.Dense(width, name=name)(x), self.heads)
            for name in ("query", "key", "value")
        )
        x = norm(EPSILON, "norm_attention")(
            x + nn.Dense(width, name="out")(attention(q, k, v, mask).reshape(x.shape))
        )
        return norm(EPSILON, "norm_output")(
            x + nn.Dense(width, name="fc2")(gelu(nn.Dense(self.hidden, name="fc1")(x)))
        )


class TextTower(nn.Module):
    """Token numbers `[..., T]` (0 pads) `-> [..., features]`, not of length 1. Padded places are
    masked; positions are not moved.
    """

    config: TextConfig

    @nn.compact
    def __call__(self, tokens):
        c = self.config

        def table(name, rows):
            return self.param(name, nn.initializers.normal(0.02), (rows, c.width))

        places = table("positions", c.positions)[: tokens.shape[-1]] + table("types", c.types)[:1]
        x = table("words", c.vocabulary)[tokens]
        x = norm(EPSILON, "norm")(x + places.reshape((1,) * (x.ndim - 2) + places.shape))
        for layer in range(c.layers):
            x = Layer(c.heads, c.hidden, name=f"layer_{layer}")(x, tokens != 0)
        x = gelu(nn.Dense(c.bottleneck, use_bias=False, name="project_0")(x[..., 0, :]))
        return nn.Dense(c.features, use_bias=False, name="project_1")(x)


def check_tokens(tokens, config: TextConfig) -> None:
    """Refuse token numbers that the table of words does not have.

    Raises:
      UserError: naming the largest one; JAX would silently read the last row.
    """
    if tokens.size and (int(tokens.max()) >= config.vocabulary or int(tokens.min()) < 0):
        raise UserError(
            f"token {int(tokens.max())} is not among the {config.vocabulary} words of this model: "
            "its tokenizer.json belongs to another"
        )
