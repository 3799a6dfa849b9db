"""Sparse transcoders: x -> latents -> an estimate of y. A sparse autoencoder is one whose y is its
x.

    pre = x W_enc + b_enc
    latents z = activation(pre)
    estimate = z W_dec + b_dec (+ x W_skip)

Parameters are a dictionary of arrays: W_enc [D, F], b_enc [F], W_dec [F, E], b_dec [E], and where
the configuration asks for them
W_skip [D, E], threshold [F], gate_scale and gate_bias [F], and `levels`, the further decoders of a
Matryoshka transcoder. Training adds the threshold of batchtopk (a scalar) and k.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp

from jaxrl.app.errors import UserError
from jaxrl.app.old_names import fields
from jaxrl.nn.mlp import per_feature
from sae.transcoders import activations

Activation = Literal[
    "relu", "topk", "batchtopk", "jumprelu", "gated", "groupmax", "step", "pursuit"
]
Params = dict[str, Any]


@fields
@dataclass(frozen=True)
class TranscoderConfig:
    """Shape and activation of one transcoder."""

    d_in: int = 512
    """Width D of what goes in."""
    d_out: int = 256
    """Width E of what is predicted."""
    latents: int = 2048
    """Number F of latents."""
    activation: Activation = "batchtopk"
    """Rule that keeps the latents sparse."""
    k: float = 32.0
    """Latents that are active, per example (topk, groupmax, step; at most: pursuit) or on average
    (batchtopk).
    """
    skip: bool = False
    """Add an affine path from x to the estimate."""
    centered: bool = False
    """Subtract b_dec from x first, as autoencoders do; needs d_in = d_out."""
    rescale: bool = False
    """Compare latents by `pre * |row of W_dec|` when choosing the largest (SAELens)."""
    bandwidth: float = 0.05
    """Window of the straight-through gradients of JumpReLU, in units of pre-activations."""
    to_input: bool = False
    """Let those gradients reach the pre-activations, too."""
    first_threshold: float = 0.01
    """Initial thresholds of JumpReLU."""
    decoder_norm: float = 0.1
    """Length of the rows of W_dec at the start. Our choice: 0.1, as SAELens; sparsify starts
    transcoders at 0.
    """
    prefixes: tuple[int, ...] = ()
    """Nested widths of a Matryoshka transcoder, growing, the last one F; empty: none."""
    block_ks: tuple[int, ...] = ()
    """Number of latents that stay within each block between two prefixes, with activation topk."""
    separate: bool = False
    """Every prefix has a decoder of its own (Matryoshka transcoders, arXiv 2511.10094) instead of
    sharing the rows of one.
    """
    encoder_norm: float = 0.1
    """Length of the columns of W_enc at the start. Our choice: 0.1, as SAELens; with 1, as
    dictionary-learning has it, more variance is left unexplained (see docs/lab/sae.md).
    """

    OLD_NAMES: ClassVar[dict[str, str]] = {"centred": "centered"}  # old name


def check(config: TranscoderConfig) -> None:
    """Refuse a shape that cannot work.

    Raises:
      UserError: naming the field.
    """
    if min(config.d_in, config.d_out, config.latents) < 1:
        raise UserError(
            f"a transcoder of {config.d_in} -> {config.latents} -> {config.d_out}: every width "
            "must be at least 1"
        )
    if not 0 < config.k <= config.latents:
        raise UserError(
            f"k is {config.k:g}, but there are {config.latents} latents: choose k between 1 and "
            "that, or more latents"
        )
    if config.k < 1 and config.activation in ("topk", "groupmax", "step"):
        raise UserError(
            f"k is {config.k:g}, but {config.activation} keeps whole latents of each example: "
            "choose k of at least 1"
        )
    if config.activation == "pursuit":
        raise UserError(
            "pursuit is read from files of SAELens and not trained here: choose another activation"
        )
    if config.centered and config.d_in != config.d_out:
        raise UserError(
            f"centered needs d_in = d_out, not {config.d_in} and {config.d_out}: only autoencoders "
            "subtract b_dec"
        )
    if config.rescale and (config.activation not in ("topk", "batchtopk") or config.block_ks):
        raise UserError(
            "rescale is about choosing the largest latents: only for topk without block_ks, and "
            "for batchtopk"
        )
    if config.activation == "groupmax" and config.latents % config.k:
        raise UserError(
            f"groupmax needs equal groups, but {config.latents} latents are no multiple of k = "
            f"{config.k:g}"
        )
    growing = list(config.prefixes) == sorted({*config.prefixes} - {0})
    if config.prefixes and (not growing or config.prefixes[-1] != config.latents):
        raise UserError(
            f"prefixes {config.prefixes} must grow from at least 1 and end with the number of "
            f"latents, {config.latents}"
        )
    if config.separate and not config.prefixes:
        raise UserError("separate decoders belong to prefixes: name these, too")
    if config.block_ks and (
        config.activation != "topk"
        or len(config.block_ks) != len(config.prefixes)
        or min(config.block_ks) < 1
    ):
        raise UserError(
            f"block_ks {config.block_ks} need activation topk and a k of at least 1 for each of "
            f"the prefixes {config.prefixes}"
        )


def init(key: jax.Array, config: TranscoderConfig, mean_y: jax.Array | None = None) -> Params:
    """Fresh parameters.

    Columns of W_enc are random of length `encoder_norm`; rows of W_dec have length `decoder_norm`,
    and the same directions for autoencoders, else random ones.
    b_dec is `mean_y` [E] or 0, everything else 0.

    Raises:
      UserError: see `check`.
    """
    check(config)
    to_latents, to_rows = jax.random.split(key)
    rows = unit(jax.random.normal(to_latents, (config.latents, config.d_in)))
    other = (
        rows
        if config.d_in == config.d_out
        else unit(jax.random.normal(to_rows, (config.latents, config.d_out)))
    )
    params = {
        "W_enc": config.encoder_norm * rows.T,
        "b_enc": jnp.zeros(config.latents),
        "W_dec": config.decoder_norm * other,
        "b_dec": jnp.zeros(config.d_out) if mean_y is None else jnp.asarray(mean_y, jnp.float32),
    }
    if config.skip:
        params["W_skip"] = jnp.zeros((config.d_in, config.d_out))
    if config.activation == "jumprelu":
        params["threshold"] = jnp.full(config.latents, config.first_threshold)
    if config.activation == "gated":
        params |= {"gate_scale": jnp.zeros(config.latents), "gate_bias": jnp.zeros(config.latents)}
    if config.separate:
        params["levels"] = {
            str(width): {"W_dec": params["W_dec"][:width], "b_dec": params["b_dec"]}
            for width in config.prefixes[:-1]
        }
    return params


def unit(rows: jax.Array) -> jax.Array:
    """Rows `[..., F, D]` of length 1; a row of zeros stays."""
    return rows / jnp.maximum(jnp.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def row_norms(params: Params) -> jax.Array:
    """Lengths of the rows of W_dec, `[F]`."""
    return jnp.linalg.norm(params["W_dec"], axis=-1)


def pre_activations(params: Params, x: jax.Array, config: TranscoderConfig) -> jax.Array:
    """`x W_enc + b_enc`, `[..., D] -> [..., F]`."""
    offset = params["b_enc"]
    if config.centered:
        # The gradient for b_dec as a product with a vector instead of with a batch.
        b_dec = params["b_dec"]
        still = jax.lax.stop_gradient(b_dec)
        x = x - per_feature(still, x)
        offset = offset - (b_dec - still).astype(x.dtype) @ params["W_enc"]
    pre = x @ params["W_enc"]
    return pre + per_feature(offset, pre)


def gates(params: Params, pre: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Gates of a gated transcoder (arXiv 2404.16014, section 3.2), as pre-activations that are
    above 0 where open, and strengths of its latents.

    The magnitudes share the encoder's directions: `relu((pre - b_enc) exp(gate_scale) +
    gate_bias)`.
    """
    bare = pre - per_feature(params["b_enc"], pre)
    strength = bare * per_feature(jnp.exp(params["gate_scale"]), pre) + per_feature(
        params["gate_bias"], pre
    )
    return pre, jax.nn.relu(strength)


def score(params: Params, pre: jax.Array, config: TranscoderConfig) -> jax.Array:
    """Scores by which the largest latents are chosen, `[..., F]`; no gradient reaches the lengths
    of rows.
    """
    return (
        pre * per_feature(jax.lax.stop_gradient(row_norms(params)), pre) if config.rescale else pre
    )


def activate(
    params: Params, pre: jax.Array, config: TranscoderConfig, k: jax.Array | float | None = None
) -> jax.Array:
    """Latents `[B, F]` of a batch in training; batchtopk chooses among all of the batch.

    Args:
      params: of one transcoder.
      pre: pre-activations `[B, F]`.
      config: its shape.
      k: latents per example instead of the configuration's; may be traced.

    Raises:
      UserError: there is no such activation.
    """
    k = config.k if k is None else k
    match config.activation:
        case "relu":
            return activations.relu(pre)
        case "batchtopk":
            chosen_by = score(params, pre, config)
            return jnp.where(activations.batch_top_k(chosen_by, k) > 0, pre, 0)
        case "topk" if config.block_ks:
            return _by_blocks(pre, config)
        case "topk":
            chosen_by = score(params, pre, config)
            return jnp.where(activations.top_k(chosen_by, k) > 0, pre, 0)
        case "jumprelu":
            return activations.jump_relu(
                pre, params["threshold"], config.bandwidth, config.to_input
            )
        case "gated":
            opening, strength = gates(params, pre)
            return jnp.where(opening > 0, strength, 0)
        case "groupmax":
            return activations.group_max(pre, int(config.k))
        case "step":
            return activations.step_plus_relu(pre, k)
    raise UserError(f"there is no activation {config.activation!r}")


def _by_blocks(pre, config):
    starts = (0, *config.prefixes[:-1])
    blocks = zip(starts, config.prefixes, config.block_ks, strict=True)
    return jnp.concatenate(
        [activations.top_k(pre[..., low:high], k) for low, high, k in blocks], -1
    )


def encode(params: Params, x: jax.Array, config: TranscoderConfig) -> jax.Array:
    """Latents of a trained transcoder, `[..., D] -> [..., F]`, every example by itself.

    A batchtopk transcoder compares with `params["threshold"]`, a scalar that its training kept (see
    learn.py). topk and step keep `params["k"]` latents where training left it there, as members of
    an ensemble may differ in it; else the configuration's. pursuit chooses at most k, one after
    another, by W_dec alone.
    """
    if config.activation == "pursuit":
        rows = x - per_feature(params["b_dec"], x) if config.centered else x
        limits = params["residual"], params["until_stable"]
        return activations.matching_pursuit(rows, params["W_dec"], int(config.k), *limits)
    pre = pre_activations(params, x, config)
    if config.activation == "batchtopk":
        chosen_by = score(params, pre, config)
        return jnp.where(activations.above(chosen_by, params["threshold"]) > 0, pre, 0)
    if config.activation == "jumprelu":
        return activations.above(pre, params["threshold"])
    return activate(params, pre, config, params.get("k"))


def decode(params: Params, z: jax.Array, x: jax.Array | None = None) -> jax.Array:
    """`z W_dec + b_dec`, plus `x W_skip` where there is one; `[..., F] -> [..., E]`."""
    estimate = z @ params["W_dec"]
    estimate = estimate + per_feature(params["b_dec"], estimate)
    return estimate + x @ params["W_skip"] if "W_skip" in params else estimate


def reconstruct(params: Params, x: jax.Array, config: TranscoderConfig) -> jax.Array:
    """The estimate of y of a trained transcoder, `[..., D] -> [..., E]`."""
    return decode(params, encode(params, x, config), x)


def nested(
    params: Params, z: jax.Array, config: TranscoderConfig, x: jax.Array | None = None
) -> list[jax.Array]:
    """The estimates of every prefix of a Matryoshka transcoder, `[B, E]` each; without prefixes
    only the whole one.

    Args:
      params: of one transcoder.
      z: latents `[B, F]`.
      config: its shape; `prefixes` are widths, the last one F.
      x: `[B, D]`, for a skip path; None without one.
    """
    if not config.prefixes:
        return [decode(params, z, x)]
    if config.separate:
        smaller = [
            decode(params["levels"][str(width)], z[..., :width]) for width in config.prefixes[:-1]
        ]
        return [*smaller, decode(params, z, x)]
    found, whole = [], decode(params, jnp.zeros_like(z), x)
    for low, high in zip((0, *config.prefixes[:-1]), config.prefixes, strict=True):
        whole = whole + z[..., low:high] @ params["W_dec"][low:high]
        found.append(whole)
    return found


def fold_norms(params: Params, rescale: bool = False) -> Params:
    """The same function with rows of W_dec of length 1: latents, encoder and thresholds take over
    their lengths.

    Valid where scaling a latent commutes with the activation: all but `step`, and those that choose
    the largest only with `rescale`, as in the configuration. Without it a scalar threshold becomes
    one per latent; with it, it is in these units already.
    """
    lengths = row_norms(params)
    safe = jnp.where(lengths > 0, lengths, 1)
    folded = dict(
        params,
        W_enc=params["W_enc"] * safe[None],
        b_enc=params["b_enc"] * safe,
        W_dec=params["W_dec"] / safe[:, None],
    )
    if "threshold" in params and not rescale:
        folded["threshold"] = params["threshold"] * safe
    if "gate_bias" in params:
        folded["gate_bias"] = params["gate_bias"] * safe
    if "levels" in params:

        def shorter(level):
            return dict(level, W_dec=level["W_dec"] / safe[: len(level["W_dec"]), None])

        folded["levels"] = {width: shorter(level) for width, level in params["levels"].items()}
    return folded
