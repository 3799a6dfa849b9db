"""The search as one kernel: the scores of a block of rows with a block of codes never leave the
chip.
"""

import functools

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

ROWS = 128
"""Rows of one program (Our choice)."""


def nearest_fused(
    x: jax.Array,
    codebook: jax.Array,
    halves: jax.Array,
    codes_at_once: int = 256,
    rows_at_once: int = ROWS,
    interpret: bool | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Lowest index of the least `halves[k] - x.codebook[k]`, and that value.

    Args:
      x: float32 `[N, D]`.
      codebook: float32 `[K, D]`.
      halves: float32 `[K]`.
      codes_at_once: codes per step.
      rows_at_once: rows per program.
      interpret: run without a kernel compiler; by default on CPUs.

    Returns:
      int32 `[N]`, float32 `[N]`.
    """
    interpret = jax.default_backend() == "cpu" if interpret is None else interpret
    (rows, features), codes = x.shape, codebook.shape[0]
    # Triton wants blocks and features that are powers of two, the matrix units at least 16; padding
    # with zeros changes no score.
    more_features = max(16, 1 << (features - 1).bit_length()) - features
    more_rows, more_codes = -rows % rows_at_once, -codes % codes_at_once
    x = jnp.pad(x, ((0, more_rows), (0, more_features)))
    codebook = jnp.pad(codebook, ((0, more_codes), (0, more_features)))
    halves = jnp.pad(halves, (0, more_codes), constant_values=jnp.inf)
    features += more_features
    index, score = pl.pallas_call(
        functools.partial(_kernel, codes_at_once=codes_at_once),
        grid=(x.shape[0] // rows_at_once,),
        in_specs=[
            pl.BlockSpec((rows_at_once, features), lambda i: (i, 0)),
            pl.BlockSpec(codebook.shape, lambda i: (0, 0)),
            pl.BlockSpec(halves.shape, lambda i: (0,)),
        ],
        out_specs=[
            pl.BlockSpec((rows_at_once,), lambda i: (i,)),
            pl.BlockSpec((rows_at_once,), lambda i: (i,)),
        ],
        out_shape=[
            jax.ShapeDtypeStruct((x.shape[0],), jnp.int32),
            jax.ShapeDtypeStruct((x.shape[0],), jnp.float32),
        ],
        interpret=interpret,
    )(x, codebook, halves)
    return index[:rows], score[:rows]


def _kernel(x_ref, codes_ref, halves_ref, index_ref, score_ref, *, codes_at_once: int):
    """One block of rows against all codes, a block of codes at a time."""
    x = x_ref[...]

    def step(block, best):
        index, score = best
        here = pl.ds(block * codes_at_once, codes_at_once)
        codes, halves = codes_ref[here, :], halves_ref[here]
        scores = halves[None, :] - jnp.dot(
            x, codes.T, precision="highest", preferred_element_type=jnp.float32
        )
        own = jnp.argmin(scores, axis=1).astype(jnp.int32)
        least = jnp.min(scores, axis=1)
        better = least < score
        return jnp.where(better, own + block * codes_at_once, index), jnp.where(
            better, least, score
        )

    first = (jnp.zeros(x.shape[0], jnp.int32), jnp.full((x.shape[0],), jnp.inf, jnp.float32))
    index_ref[...], score_ref[...] = jax.lax.fori_loop(
        0, codes_ref.shape[0] // codes_at_once, step, first
    )
