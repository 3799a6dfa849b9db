"""Return value of every quantizer."""

from typing import Any

import jax
from flax import struct

Params = dict[str, Any]
"""Parameters of a quantizer, for the caller's optimizer."""


@struct.dataclass
class Quantized:
    """Result of a quantizer on `x`, `[..., D]`.

    Leading axes are those of `x`. With heads (or residual levels) the indices have one more axis at
    the end.
    """

    quantized: jax.Array
    """`[..., D]`, dtype of `x`; a gradient with respect to `x` flows as the quantizer's gradient
    wrapper says. Masked rows are `x`.
    """
    indices: jax.Array
    """int32 `[...]`, `[..., heads]` or `[..., levels]`, codes in 0..K-1; -1 where masked."""
    losses: dict[str, jax.Array]
    """float32 scalars, each already times its weight; the sum is to be added to the task's loss."""
    metrics: dict[str, jax.Array]
    """float32 scalars that no gradient flows through: "perplexity" (1..K) and "usage" (0..1) of
    this batch, "distance" and others.
    """

    @property
    def loss(self) -> jax.Array:
        """Sum of the losses, a float32 scalar."""
        return sum(self.losses.values(), start=jax.numpy.float32(0))
