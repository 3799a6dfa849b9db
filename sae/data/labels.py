"""Targets from labels that a report leaves uncertain or does not mention."""

from typing import Literal

import numpy as np

from jaxrl.app.errors import UserError

Policy = Literal["ignore", "zeros", "ones", "soft"]
SOFT_ONES, SOFT_ZEROS = (0.55, 0.85), (0.0, 0.3)
"""Ranges that soft targets are drawn from, for findings that are usually present where a report
hesitates, and for the others.
"""
USUALLY_PRESENT = ("Atelectasis", "Edema")
"""Findings for which an uncertain label is usually taken as present."""


def targets(
    labels: np.ndarray,
    uncertain: Policy = "ignore",
    unmentioned: Literal["ignore", "zeros"] = "ignore",
    findings=(),
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Targets in [0, 1] and a mask of those that count, both float32 `[N, C]`.

    Args:
      labels: 1, 0, -1 (uncertain) or NaN (not mentioned), `[N, C]`.
      uncertain: ignore (masked out), zeros, ones, or soft: drawn uniformly from `SOFT_ONES` for
        `USUALLY_PRESENT`, else `SOFT_ZEROS`.
      unmentioned: ignore, or zeros.
      findings: names of the columns; only soft needs them.
      seed: of the draws.

    Raises:
      UserError: another value among the labels.
    """
    labels = np.asarray(labels, np.float32)
    bad = np.argwhere(~(np.isnan(labels) | np.isin(labels, (-1, 0, 1))))
    if len(bad):
        row, column = bad[0]
        raise UserError(
            f"label {labels[row, column]:g} at row {row}, column {column}, is none of 1, 0, -1 and "
            "blank: fix the table"
        )
    doubtful, silent = labels == -1, np.isnan(labels)
    value = np.where(doubtful | silent, 0, labels).astype(np.float32)
    mask = np.ones_like(value)
    if uncertain == "ignore":
        mask[doubtful] = 0
    elif uncertain == "ones":
        value[doubtful] = 1
    elif uncertain == "soft":
        ranges = np.array(
            [SOFT_ONES if name in USUALLY_PRESENT else SOFT_ZEROS for name in findings]
            or [SOFT_ZEROS] * labels.shape[1]
        )
        drawn = np.random.default_rng(seed).uniform(
            ranges[:, 0][None], ranges[:, 1][None], labels.shape
        )
        value[doubtful] = drawn[doubtful]
    if unmentioned == "ignore":
        mask[silent] = 0
    return value, mask


def three_classes(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The policy "multiclass": int32 classes 0 absent, 1 present, 2 uncertain, and a float32 mask
    of what is mentioned, `[N, C]` each.
    """
    labels = np.asarray(labels, np.float32)
    known = ~np.isnan(labels)
    return np.where(known, np.where(labels == -1, 2, labels), 0).astype(np.int32), known.astype(
        np.float32
    )


def clear_when_normal(labels: np.ndarray, findings: tuple[str, ...]) -> np.ndarray:
    """Labels with everything not mentioned set to 0 where "No Finding" is 1, but for support
    devices.
    """
    if "No Finding" not in findings:
        return labels
    cleared, normal = labels.copy(), labels[:, findings.index("No Finding")] == 1
    for column, name in enumerate(findings):
        if name not in ("No Finding", "Support Devices"):
            cleared[normal & np.isnan(labels[:, column]), column] = 0
    return cleared
