"""Measures of a trained cell, for one seed."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from quant.codebooks.updates import count_rows
from quant.diagnostics import (
    effective_rank,
    mean_cosine_distance,
    perplexity,
    singular_values,
    token_modes,
)
from quant.quantizers import vq
from quant.quantizers.deferred import Trained, reconstruct
from quant.quantizers.vq import VQConfig


def measure(
    trained: Trained, x: jax.Array, module: nn.Module, config: VQConfig, modes: jax.Array | None
) -> dict[str, jax.Array]:
    """Scalars on held-out examples `[N, ...]`.

    Args:
      trained: one seed.
      x: examples.
      module: the autoencoder.
      config: the quantizer.
      modes: `[M, D]`, true modes of a mixture; without, "mode_entropy" and "modes_covered" are left
        out.

    Returns:
      "mse", "perplexity" (over all examples), "usage", "code_cosine" and "embedding_cosine" (mean
      pairwise cosine distance), "effective_rank" and "std" of the embeddings, "std_at_start" (of
      those that the codes were put on).
    """
    z, back, out = reconstruct(trained, x, module, config)
    count = count_rows(out.indices.reshape(-1), config.num_codes)
    codes = vq.effective_codes(*trained.quantizer, config)[0]
    rows = z.reshape(-1, z.shape[-1])
    found = {
        "mse": ((back - x) ** 2).mean(),
        "perplexity": perplexity(count),
        "usage": (count > 0).mean(),
        "code_cosine": mean_cosine_distance(codes),
        "embedding_cosine": mean_cosine_distance(rows),
        "effective_rank": effective_rank(singular_values(rows)),
        "std": rows.std(0).mean(),
        "std_at_start": trained.at_start.std(0).mean(),
    }
    if modes is not None:
        seen = token_modes(module.apply({"params": trained.params}, codes, method="decode"), modes)
        found |= {"mode_entropy": seen.entropy, "modes_covered": seen.covered.astype(jnp.float32)}
    return found
