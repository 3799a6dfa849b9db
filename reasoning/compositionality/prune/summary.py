"""Sparsity of a tree of parameters, layer by layer."""

from typing import Any, NamedTuple

import numpy as np

from reasoning.compositionality.prune.kernels import Prunable, kernels, matrix, weights_only


class Sparsity(NamedTuple):
    """Counts of weights of one kernel, or of all."""

    weights: int
    kept: int
    density: float
    fan_in: tuple[int, float, int]
    """Least, mean and most inputs of a unit."""
    empty: int
    """Units without inputs."""


def summarize_sparsity(masks: Any, prunable: Prunable = weights_only) -> dict[str, Sparsity]:
    """Sparsity by path of the pruned kernels, and of all as "total"."""
    chosen = {name: np.asarray(matrix(mask)) > 0 for name, mask in kernels(masks, prunable).items()}
    found = {name: _of(mask) for name, mask in chosen.items()}
    counts = np.concatenate([mask.sum(0) for mask in chosen.values()])
    weights, kept = sum(m.size for m in chosen.values()), int(counts.sum())
    total = Sparsity(
        weights,
        kept,
        kept / weights,
        (int(counts.min()), float(counts.mean()), int(counts.max())),
        int((counts == 0).sum()),
    )
    return found | {"total": total}


def _of(mask: np.ndarray) -> Sparsity:
    counts = mask.sum(0)
    ends = (int(counts.min()), float(counts.mean()), int(counts.max()))
    return Sparsity(mask.size, int(mask.sum()), float(mask.mean()), ends, int((counts == 0).sum()))


def table(found: dict[str, Sparsity]) -> str:
    """Write as Markdown."""
    lines = [
        "| kernel | weights | kept | density | fan-in (least, mean, most) | empty units |",
        "|---|---|---|---|---|---|",
    ]
    for name, s in found.items():
        lines.append(
            f"| {name} | {s.weights} | {s.kept} | {s.density:.3g} | {s.fan_in[0]}, "
            f"{s.fan_in[1]:.3g}, {s.fan_in[2]} | {s.empty} |"
        )
    return "\n".join(lines)
