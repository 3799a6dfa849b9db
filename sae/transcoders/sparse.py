"""The step of TopK and BatchTopK on active latents alone: no product with a mask of all latents.

With TopK each example has its list of k latents. With BatchTopK the numbers differ, so the active
latents of a batch are one list, each with its example. Decoding and all gradients gather rows of
W_dec and add to rows of the weights: k B (D + 3 E) multiplications instead of B F (D + 3 E).
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sae.transcoders import activations, model
from sae.transcoders.model import Params, TranscoderConfig

LEAST_RATIO = 16
"""Latents per active latent from which TopK takes the sparse step on a CPU. Our choice: it was
measured to be quicker at 64 and 256 latents per active one (docs/lab/sae.md), not in between.
"""
SPARE = 4
"""With BatchTopK, candidates of each example, as a multiple of the mean number of active latents.
"""


class Active(NamedTuple):
    """Active latents of a batch, as numbers without gradients; of each example `[B, k]`, or of all
    `[n, B]`.
    """

    latents: jax.Array
    """int32: numbers of latents; those of one example differ."""
    values: jax.Array
    """Their activations; 0 in entries that hold nothing."""
    examples: jax.Array | None
    """int32: whose they are; None: row b of the list is of example b."""


def worthwhile(config: TranscoderConfig) -> bool:
    """Return True where this step is the quicker one: TopK with many latents on a CPU.

    Matrix units multiply zeros faster than they gather, so other devices keep the dense step, and
    so does BatchTopK, whose one list of a batch was measured to cost more than it saves.
    """
    many = config.latents >= LEAST_RATIO * config.k
    return config.activation == "topk" and many and jax.default_backend() == "cpu"


def possible(config: TranscoderConfig) -> bool:
    """Return True for activations that choose the largest latents of one decoder."""
    plain = not (config.prefixes or config.block_ks or config.separate)
    return config.activation in ("topk", "batchtopk") and plain


def choose(params: Params, x: jax.Array, config: TranscoderConfig) -> tuple[Active, jax.Array]:
    """Active latents of a batch `[B, D]`.

    Returns:
      The list, and False where it is incomplete: then some example of a BatchTopK transcoder has
      more than `SPARE` times the mean, or latents equal the last one, and only the dense step is
      right.
    """
    pre = model.pre_activations(params, x, config)
    scores = jax.nn.relu(model.score(params, pre, config))
    if config.activation == "topk":
        found, places = activations.largest_of_rows(scores, int(config.k + 1e-4))
        values = jnp.take_along_axis(pre, places, -1) if config.rescale else found
        return Active(places, jnp.where(found > 0, values, 0), None), jnp.bool_(True)
    return _choose_among_all(pre, scores, config)


def _choose_among_all(pre, scores, config):
    """BatchTopK: candidates of every example first, so that the threshold is searched among few."""
    batch, latents = scores.shape
    cap = min(latents, SPARE * math.ceil(config.k))
    found, places = activations.largest_of_rows(scores, cap)
    wanted = jnp.asarray(config.k, jnp.float32) * batch
    least = activations.kth_largest(found, wanted)
    kept = (found >= least) & (found > 0)
    columns = math.ceil(config.k)
    # An example whose last candidate is kept may have more of them.
    complete = kept.sum() <= columns * batch
    if cap < latents:
        complete &= ~kept[:, -1].any()
    (at,) = jnp.nonzero(kept.reshape(-1), size=columns * batch, fill_value=-1)
    examples, chosen = jnp.maximum(at, 0) // cap, places.reshape(-1)[at]
    values = pre[examples, chosen] if config.rescale else found.reshape(-1)[at]
    values = jnp.where(at >= 0, values, 0)
    shape = (columns, batch)
    return Active(chosen.reshape(shape), values.reshape(shape), examples.reshape(shape)), complete


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def reconstruct(centered: bool, params: Params, x: jax.Array, active: Active) -> jax.Array:
    """Estimate of y from active latents, `[B, E]`, without an affine path.

    Args:
      centered: see `TranscoderConfig`.
      params: W_enc, b_enc, W_dec and b_dec; gradients reach all of them.
      x: `[B, D]`.
      active: what `choose` gave for the same parameters and x.
    """
    start = jnp.broadcast_to(params["b_dec"][None], (x.shape[0], params["b_dec"].size))
    return _sum_rows(active, active.values, params["W_dec"], start)


def _sum_rows(active, weights, rows, total):
    """Add `weights * rows[latents]` to the examples that the latents belong to."""
    if active.examples is None:
        # Column by column: every step is one gather and one multiplication of whole arrays.
        def add(column, total):
            return total + weights[:, column, None] * rows[active.latents[:, column]]

        return jax.lax.fori_loop(0, active.latents.shape[1], add, total)

    def add_listed(line, total):
        part = weights[line][:, None] * rows[active.latents[line]]
        return total.at[active.examples[line]].add(part)

    return jax.lax.fori_loop(0, len(active.latents), add_listed, total)


def _forward(centered, params, x, active):
    return reconstruct(centered, params, x, active), (params, x, active)


def _backward(centered, kept, g):
    params, x, active = kept
    h = x - params["b_dec"][None] if centered else x
    latents, values, examples = active
    rows = params["W_dec"]
    # Line by line: an example with its k latents, or B entries of the list.
    if examples is None:
        pulls = jax.lax.map(lambda line: rows[line[1]] @ line[0], (g, latents))
    else:
        pulls = jax.lax.map(lambda line: (g[line[0]] * rows[line[1]]).sum(-1), (examples, latents))
    pulls = jnp.where(values > 0, pulls, 0)

    def add(line, sums):
        decoder, encoder = sums
        at, one = latents[line], line[None] if examples is None else examples[line]
        options = {"unique_indices": examples is None}  # as an example has a latent once
        return (
            decoder.at[at].add(values[line][:, None] * g[one], **options),
            encoder.at[at].add(pulls[line][:, None] * h[one], **options),
        )

    sums = jnp.zeros_like(rows), jnp.zeros(params["W_enc"].shape[::-1], x.dtype)
    decoder, encoder = jax.lax.fori_loop(0, len(latents), add, sums)
    b_enc = jnp.zeros_like(params["b_enc"]).at[latents].add(pulls)
    b_dec = g.sum(0) - (params["W_enc"] @ b_enc if centered else 0)
    # A loop of its own, which is left out of the program where nobody asks for this gradient.
    to_x = _sum_rows(active, pulls, params["W_enc"].T, jnp.zeros_like(x))
    return {"W_enc": encoder.T, "b_enc": b_enc, "W_dec": decoder, "b_dec": b_dec}, to_x, None


reconstruct.defvjp(_forward, _backward)
