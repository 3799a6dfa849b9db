"""Writing the members of a run in the layout of another library."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError, writing
from jaxrl.app.files import write_atomic
from sae.interop import dictionary_learning, saelens, sparsify
from sae.transcoders import ensemble, model
from sae.transcoders.model import Params, TranscoderConfig

Format = Literal["saelens", "sparsify", "dictionary-learning"]
LAYOUTS = {"saelens": saelens, "sparsify": sparsify, "dictionary-learning": dictionary_learning}


def calibrated(
    params: Params, config: TranscoderConfig, x: np.ndarray
) -> tuple[Params, TranscoderConfig, dict[str, float]]:
    """A JumpReLU transcoder that comes near a top-k one: one threshold, such that as many latents
    are active on average on `x`.

    Returns:
      Parameters, configuration, and the measured mismatch on `x`: mean L0 of both, share of active
      latents that differ, and the relative error of the estimate.

    Raises:
      UserError: an activation for which this makes no sense.
    """
    if not _has_thresholds(config):
        raise UserError(
            f"a threshold cannot stand for the activation {config.activation} here: only for topk"
        )
    rows = jnp.asarray(x)
    exact = model.encode(params, rows, config)
    pre = jax.nn.relu(model.pre_activations(params, rows, config))
    active = int((exact > 0).sum())
    ordered = jnp.sort(pre.reshape(-1))
    level = (
        (ordered[-active] + ordered[-active - 1]) / 2 if active < ordered.size else ordered[0] / 2
    )
    level = jnp.maximum(level, 0.0)
    near = dict(params, threshold=jnp.full(config.latents, level))
    shape = replace(config, activation="jumprelu")
    z = model.encode(near, rows, shape)
    y, other = model.decode(params, exact, rows), model.decode(near, z, rows)
    mismatch = {
        "threshold": float(level),
        "mean_l0": float((z > 0).sum(-1).mean()),
        "mean_l0_exact": float((exact > 0).sum(-1).mean()),
        "share_of_active_that_differ": float(((z > 0) != (exact > 0)).sum() / max(active, 1)),
        "relative_error": float(
            jnp.linalg.norm(y - other) / jnp.maximum(jnp.linalg.norm(y), 1e-12)
        ),
        "cases": len(x),
    }
    return near, shape, mismatch


def _has_thresholds(config: TranscoderConfig) -> bool:
    """Return whether thresholds can stand for what the members compute."""
    return config.activation == "topk" and not config.block_ks and not config.rescale


@dataclass(frozen=True)
class ExportConfig:
    """Choice of layout and members."""

    format: Format = "saelens"
    """Library whose layout is written."""
    members: tuple[int, ...] = ()
    """Numbers of the members; none given: all."""
    approximate: bool = False
    """Write calibrated thresholds, with the measured mismatch, if the layout cannot say what the
    member computes.
    """
    together: bool = False
    """Write the mean of these members as one transcoder instead (saelens)."""


def export_run(
    members: Params, config: TranscoderConfig, x: np.ndarray, out: Path, how: ExportConfig
) -> list[str]:
    """One folder per member below `out` (or `ensemble`), and index.json; printable lines. Nothing
    is written if one must be refused.

    Args:
      members: parameters, `[M, ...]`; config: of each.
      x: `[N, D]`, on which thresholds are calibrated.
      out: the folder; how: what is written.

    Raises:
      UserError: the layout cannot say what members compute, and approximating was not allowed; or
        there is no such member.
    """
    layout, which = how.format, how.members
    count, module = len(members["W_enc"]), LAYOUTS[layout]
    which = which or tuple(range(count))
    if any(not 0 <= m < count for m in which):
        raise UserError(f"members {which}: this run has members 0 to {count - 1}")
    if how.together:
        if (
            config.activation not in ("relu", "jumprelu", "batchtopk")
            or config.centered
            or layout != "saelens"
        ):
            raise UserError(
                "the ensemble as one transcoder needs relu, jumprelu or batchtopk members and the "
                "format saelens"
            )
        jobs = [("ensemble", *_as_one(jax.tree.map(lambda a: a[np.array(which)], members), config))]
    else:
        alone = [(m, jax.tree.map(lambda a, m=m: a[m], members)) for m in which]
        jobs = [
            (f"member{m:03d}", one, replace(config, k=float(one.get("k", config.k))))
            for m, one in alone
        ]
    reason, records = module.reason_against(jobs[0][2]), []
    if reason and not how.approximate:
        way = (
            ", or --approximate True for calibrated thresholds with their mismatch"
            if layout != "sparsify" and _has_thresholds(config)
            else ""
        )
        raise UserError(f"{reason}: choose another --format{way}")
    with writing(out):
        for name, params, shape in jobs:
            mismatch = None
            if reason:
                params, shape, mismatch = calibrated(params, shape, x)
                if module.reason_against(shape):
                    raise UserError(f"{module.reason_against(shape)}: choose another --format")
            about = (
                {"written_by": "latentax", "approximation": mismatch}
                if mismatch
                else {"written_by": "latentax"}
            )
            module.write(params, shape, out / name, about)
            records.append({"folder": name, "approximation": mismatch})
        write_atomic(
            out / "index.json", json.dumps({"format": layout, "members": records}, indent=1) + "\n"
        )
    return [_best_label(len(jobs), out, layout, records)]


def _best_label(count, out, layout, records):
    worst = max(
        (r["approximation"]["relative_error"] for r in records if r["approximation"]), default=None
    )
    how = (
        "exactly"
        if worst is None
        else f"approximately: relative error up to {worst:.3f}, see index.json"
    )
    return f"{count} transcoders written to {out} as {layout}, {how}"


def _as_one(members, config):
    """The mean of members as one transcoder, and its configuration."""
    if (
        config.rescale
    ):  # lengths change when decoders are divided: thresholds must not depend on them any more
        members = jax.vmap(lambda one: model.fold_norms(one, rescale=True))(members)
    count = len(members["W_enc"])
    kind = "jumprelu" if config.activation == "batchtopk" else config.activation
    shape = replace(
        config, latents=config.latents * count, k=config.k * count, activation=kind, rescale=False
    )
    return ensemble.concatenated(members), shape
