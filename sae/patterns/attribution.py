"""Why a logit is what it is: an exact sum over patterns, a base, what is in no pattern, and what
the transcoders miss.

Behind the hidden layer h of the head everything is linear, and every member m says `h = sum_i z_mi
d_mi + b_m (+ W_skip x) + e_m`. So, for the mean over members and a grouping of all latents (m, i)
into patterns p,

    logit_c = base_c + sum_p A_pc + rest_c + error_c,
    A_pc = 1/M sum of z_mi (d_mi . w_c) over (m, i) in p.

This is an identity, not an approximation; `attribute_cases` checks it on every call.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.old_names import attributes
from sae.classifier.head import Head, hidden, readout
from sae.transcoders import model
from sae.transcoders.model import Params, TranscoderConfig

TOLERANCE = 1e-5
"""Largest gap of the sum in float32, relative to the logit (to 1 where that is smaller). In float64
it is 1e-10.
"""


class Incomplete(ArithmeticError):
    """The parts do not add up to the logit: something is not as the identity needs it."""


class Attribution(NamedTuple):
    """Attribution of one case, or of cases with a leading axis B. All parts add up to `logit`."""

    logit: jax.Array
    """`[C]`."""
    base: jax.Array
    """`[C]`: bias of the head and of the decoders."""
    patterns: jax.Array
    """`[P, C]`."""
    uncatalogued: jax.Array
    """`[C]`: latents in no pattern."""
    skip: jax.Array
    """`[C]`: the affine path of skip transcoders, else 0."""
    error: jax.Array
    """`[C]`: what the members miss of h."""
    strength: jax.Array
    """`[P]`: mean activation of each pattern's latents, for showing."""
    image_share: jax.Array
    """`[P]`: share of the patterns' pre-activations that comes from the image (1 without text), in
    [0, 1].
    """


class Groups(NamedTuple):
    """Latents grouped into patterns."""

    assignment: jax.Array
    """int `[M, F]`: the pattern of every latent, -1 for none."""
    patterns: int
    """Number P of patterns; static."""


def attribute(
    head: Head,
    params: Params,
    groups: Groups,
    x: jax.Array,
    config: TranscoderConfig,
    image_width: int | None = None,
) -> Attribution:
    """The parts of one case.

    Args:
      head: see classifier.py.
      params: of all members for raw embeddings, `[M, ...]` (see `ensemble.finish`).
      groups: which latents make which pattern.
      x: the embedding, `[D]`.
      config: of the members; static.
      image_width: how many of the D features are the image's; None: all.
    """
    assignment, patterns = groups
    z = jax.vmap(lambda member: model.encode(member, x, config))(params)  # [M, F]
    members = z.shape[0]
    effect = z[..., None] * (params["W_dec"] @ head.w2) / members  # [M, F, C]
    h = hidden(head, x)
    through = (
        jnp.zeros((members, h.size))
        if "W_skip" not in params
        else jnp.einsum("d,mde->me", x, params["W_skip"])
    )
    estimate = jnp.einsum("mf,mfe->me", z, params["W_dec"]) + params["b_dec"] + through
    where = jnp.where(assignment < 0, patterns, assignment).reshape(-1)
    sums = jax.ops.segment_sum(effect.reshape(-1, effect.shape[-1]), where, patterns + 1)
    counts = jnp.maximum(jax.ops.segment_sum(jnp.ones(where.size), where, patterns + 1), 1)
    strength = jax.ops.segment_sum(z.reshape(-1), where, patterns + 1) / counts
    return Attribution(
        readout(head, h),
        head.b2 + params["b_dec"].mean(0) @ head.w2,
        sums[:-1],
        sums[-1],
        through.mean(0) @ head.w2,
        (h[None] - estimate).mean(0) @ head.w2,
        strength[:-1],
        _image_share(params, z, where, patterns, x, image_width),
    )


def _image_share(params, z, where, patterns, x, width):
    """|image part| / (|image part| + |text part|) of the encoder's sums, weighted by activation; 1
    where nothing is active.
    """
    if width is None or width >= x.size:
        return jnp.ones(patterns)
    image = jnp.abs(jnp.einsum("d,mdf->mf", x[:width], params["W_enc"][:, :width]))
    text = jnp.abs(jnp.einsum("d,mdf->mf", x[width:], params["W_enc"][:, width:]))

    def add(a):
        return jax.ops.segment_sum((z * a).reshape(-1), where, patterns + 1)[:-1]

    mine, both = add(image), add(image + text)
    return jnp.where(both > 0, mine / jnp.where(both > 0, both, 1), 1.0)


def gap(found: Attribution) -> jax.Array:
    """`|sum of all parts - logit| / max(1, |logit|)`, the largest over findings, `[...]`."""
    parts = found.base + found.patterns.sum(-2) + found.uncatalogued + found.skip + found.error
    return (jnp.abs(parts - found.logit) / jnp.maximum(jnp.abs(found.logit), 1)).max(-1)


@functools.cache
def _program(patterns: int, config: TranscoderConfig, image_width: int | None):
    """The compiled `attribute` for cases `[B, D]`, one after another."""

    @jax.jit
    def run(head, params, assignment, x):
        def one(row):
            return attribute(head, params, Groups(assignment, patterns), row, config, image_width)

        return jax.lax.map(one, x)

    return run


def attribute_cases(
    head: Head,
    params: Params,
    assignment,
    patterns: int,
    x,
    config: TranscoderConfig,
    image_width=None,
) -> Attribution:
    """Do `attribute` for cases `[B, D]`, and check the identity.

    Args:
      head: the classifier.
      params: of all members, arrays `[M, ...]`.
      assignment: int `[M, F]`, the pattern of every latent, -1 for none.
      patterns: P.
      x: float `[B, D]`, inputs of the head.
      config: shape of the members.
      image_width: number of features of x that are the image's; None: all.

    Returns:
      Arrays of NumPy with a leading axis B.

    Raises:
      Incomplete: the parts of some case do not add up (see `TOLERANCE`).
    """
    run = _program(patterns, config, image_width)
    found = run(head, params, jnp.asarray(assignment), jnp.asarray(x))
    apart = np.asarray(gap(found))
    allowed = 1e-10 if apart.dtype == np.float64 else TOLERANCE
    if not apart.max(initial=0) <= allowed:
        worst = int(np.argmax(np.where(np.isfinite(apart), apart, np.inf)))
        raise Incomplete(
            f"case {worst}: the parts miss the logit by {apart[worst]:.2g} of its size, more than "
            f"{allowed:.0e}"
        )
    return jax.device_get(found)


class Shown(NamedTuple):
    """The smallest set of patterns that carries most of a logit."""

    patterns: np.ndarray
    """int: pattern numbers, strongest contribution first."""
    amounts: np.ndarray
    """Contributions of these patterns."""
    needed: int
    """Number of patterns that reach the share; the set is clipped to a readable size."""
    covered: float
    """Share of the patterns' total |contribution| that the set carries."""
    remaining: float
    """Sum of the contributions of all other patterns."""


def strongest(amounts: np.ndarray, share: float = 0.9, least: int = 20, most: int = 50) -> Shown:
    """Select patterns in the order of |contribution| until they carry `share` of its total.

    Args:
      amounts: `[P]`, contributions to one logit.
      share: of the sum of all |contribution|, in [0, 1].
      least: smallest number of patterns, if as many contribute anything.
      most: largest number of patterns.
    """
    amounts = np.asarray(amounts, np.float64)
    order = np.argsort(-np.abs(amounts), kind="stable")
    carried = np.cumsum(np.abs(amounts[order]))
    total = carried[-1] if len(carried) else 0.0
    needed = int(np.searchsorted(carried, share * total * (1 - 1e-12)) + 1) if total else 0
    kept = order[: min(np.clip(needed, least, most), int((amounts != 0).sum()))]
    covered = float(np.abs(amounts[kept]).sum() / total) if total else 1.0
    return Shown(kept, amounts[kept], needed, covered, float(amounts.sum() - amounts[kept].sum()))


def faithfulness(found: Attribution) -> np.ndarray:
    """`1 - |error| / sum of |all parts|` per finding, `[..., C]`: 1 where the transcoders miss
    nothing, 0 where they say nothing.

    Our choice: base, uncatalogued part and error belong to that sum, so that it lies in [0, 1].
    """
    parts = (
        np.abs(found.patterns).sum(-2)
        + np.abs(found.uncatalogued)
        + np.abs(found.skip)
        + np.abs(found.base)
    )
    return 1 - np.abs(found.error) / np.maximum(parts + np.abs(found.error), 1e-12)


def replaced(found: Attribution) -> np.ndarray:
    """Logits `[..., C]` of the transcoders in place of the hidden layer: the sum without
    the error.
    """
    return np.asarray(found.logit) - np.asarray(found.error)


def without(found: Attribution, patterns) -> np.ndarray:
    """Logits `[..., C]` after the named patterns are taken out of the sum."""
    return np.asarray(found.logit) - np.asarray(found.patterns)[
        ..., np.asarray(patterns, int), :
    ].sum(-2)


def deletion_curve(
    found: Attribution, finding: int, insert: bool = False, steps: int = 50
) -> np.ndarray:
    """The logit of one finding while patterns are taken out one by one, strongest first: `[B,
    min(steps, P) + 1]`.

    Args:
      found: attributions of cases, with a leading axis B.
      finding: column of the logits.
      insert: put patterns in instead, from the sum without any pattern.
      steps: largest number of patterns that are moved.
    """
    amounts = np.asarray(found.patterns)[..., finding]
    ordered = np.take_along_axis(amounts, np.argsort(-np.abs(amounts), -1, kind="stable"), -1)[
        :, :steps
    ]
    moved = np.concatenate([np.zeros((len(ordered), 1)), np.cumsum(ordered, -1)], 1)
    logit = np.asarray(found.logit)[:, finding, None]
    return logit - amounts.sum(-1, keepdims=True) + moved if insert else logit - moved


def ablate(params: Params, assignment, pattern: int) -> Params:
    """The members without a pattern: its latents decode to nothing."""
    keep = (jnp.asarray(assignment) != pattern).astype(jnp.float32)
    return dict(params, W_dec=params["W_dec"] * keep[..., None])


class Linearised(NamedTuple):
    """For targets that are not followed by an affine map: gradient times parts, with the remainder
    written down.
    """

    parts: jax.Array
    """`[K, C]`."""
    remainder: jax.Array
    """`[C]`: what the straight line misses; the sum of all parts, the value at the start and this
    is the output.
    """
    start: jax.Array
    """`[C]`: the output at the reference."""


def linearise(function, reference: jax.Array, parts: jax.Array) -> Linearised:
    """Spread `function(reference + sum of parts)` over the parts by the gradient there; exact with
    its remainder.

    Args:
      function: `[E] -> [C]`.
      reference: `[E]`, for instance the decoder's bias.
      parts: `[K, E]`.
    """
    at = reference + parts.sum(0)
    amounts = jax.vmap(lambda part: jax.jvp(function, (at,), (part,))[1])(parts)
    start = function(reference)
    return Linearised(amounts, function(at) - start - amounts.sum(0), start)


__getattr__ = attributes(__name__, {"explain": f"{__name__}:attribute_cases"})  # old name
