"""Beam search over the levels of residual VQ: several partial sums are kept, so that a worse first
code may win by what later levels make of it.
"""

from typing import Any

import jax
import jax.numpy as jnp

from quant.errors import require
from quant.quantizers import vq
from quant.quantizers.inputs import check_input
from quant.quantizers.rvq import ResidualConfig
from quant.quantizers.vq import VQState


def encode_beam(
    params: dict[str, Any], state: VQState, x: jax.Array, config: ResidualConfig, beam: int
) -> jax.Array:
    """Indices of the best of the sums that a beam search finds.

    Args:
      params: of `rvq.init`.
      state: the same.
      x: float `[..., D]`.
      config: of `rvq`.
      beam: partial sums that are kept, each extended by its `beam` nearest codes; 1 is
        `rvq.encode`.

    Returns:
      int32 `[..., levels]`.

    Raises:
      QuantError: another number of features; a beam that is not in 1..K.
    """
    check_input(x, config.dim)
    require(
        1 <= beam <= config.num_codes,
        f"beam is {beam}: there are {config.num_codes} codes, so from 1 to {config.num_codes}",
    )
    rows = x.reshape(-1, config.dim).astype(jnp.float32)
    rest = rows[:, None]  # [N, B, D], what each partial sum leaves
    path = jnp.zeros((rows.shape[0], 1, 0), jnp.int32)
    for number in range(config.levels):
        own, book = (_of_level(tree, config, number) for tree in (params, state))
        index = vq.encode_top_k(own, book, rest, config.level, beam)  # [N, B, beam]
        left = rest[:, :, None] - vq.decode(own, book, index, config.level)
        count = left.shape[1] * beam
        left = left.reshape(-1, count, config.dim)
        longer = jnp.concatenate([jnp.repeat(path, beam, 1), index.reshape(-1, count, 1)], -1)
        best = jax.lax.top_k(-(left**2).sum(-1), beam)[1]
        rest = jnp.take_along_axis(left, best[..., None], 1)
        path = jnp.take_along_axis(longer, best[..., None], 1)
    return path[:, 0].reshape(*x.shape[:-1], config.levels)


def _of_level(tree, config: ResidualConfig, number: int):
    return jax.tree.map(lambda a: a[0 if config.share else number], tree)
