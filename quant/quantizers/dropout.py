"""Dropout of residual levels: rows keep their first levels only, so that a coarse code alone
decodes well (SoundStream; DAC's form draws per example).
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from quant.errors import require
from quant.quantizers.interface import Batch


@dataclass(frozen=True)
class DepthDropout:
    """Number of levels that a row keeps."""

    share: float = 1.0
    """Share of the rows that lose levels at all (DAC: 0.5); the others keep all."""
    cutoff: int = 1
    """Fewest levels that are kept."""
    multiple: int = 1
    """Depths are multiples of it (EnCodec: 4), or all levels."""

    def __post_init__(self):
        require(0 <= self.share <= 1, f"share is {self.share}: it must be from 0 to 1")
        require(
            self.cutoff >= 1 and self.multiple >= 1,
            f"cutoff is {self.cutoff}, multiple {self.multiple}: at least one each",
        )


def draw_depths(batch: Batch, rule: DepthDropout, levels: int) -> jax.Array:
    """Levels that each row keeps, int32 `[N]` in 1..levels; the same on any number of devices.

    Raises:
      QuantError: the cutoff exceeds the levels.
    """
    require(rule.cutoff <= levels, f"cutoff is {rule.cutoff}, but there are {levels} levels")

    def draw(key):
        key_keep, key_depth = jax.random.split(key)
        depth = jax.random.randint(key_depth, (), rule.cutoff, levels + 1)
        depth = jnp.minimum(-(-depth // rule.multiple) * rule.multiple, levels)
        return jnp.where(jax.random.uniform(key_keep) < rule.share, depth, levels)

    return jax.vmap(draw)(batch.row_keys())
