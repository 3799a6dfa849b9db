"""Measures of transcoders, classifiers and patterns are: explained variance, density, recovery of
known features, AUC with intervals.
"""

from typing import NamedTuple

import numpy as np

from jaxrl.app import stats


def fvu(y: np.ndarray, estimate: np.ndarray) -> float:
    """Fraction of the variance of y `[N, E]` that an estimate leaves unexplained; 1 minus this is
    the explained variance.
    """
    return float(np.square(y - estimate).sum() / max(np.square(y - y.mean(0)).sum(), 1e-12))


def density(z: np.ndarray) -> np.ndarray:
    """Share of examples on which each latent is active: `[..., N, F] -> [..., F]`."""
    return (np.asarray(z) > 0).mean(-2)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


class Recovery(NamedTuple):
    """Recovery of known directions."""

    mcc: float
    """Mean of the cosines of the best one-to-one matching (Hungarian), over the known directions.
    """
    share: float
    """Share of known directions whose match has a cosine above 0.9."""
    matches: np.ndarray
    """int `[K]`: the latent that each known direction was matched with."""
    cosines: np.ndarray
    """`[K]`."""


def recovery(found: np.ndarray, known: np.ndarray) -> Recovery:
    """Match rows `[F, E]` with known directions `[K, E]`, K <= F, by absolute cosine."""
    from scipy.optimize import linear_sum_assignment

    cosine = np.abs(
        unit_rows(np.asarray(known, np.float64)) @ unit_rows(np.asarray(found, np.float64)).T
    )
    rows, columns = linear_sum_assignment(-cosine)
    best = cosine[rows, columns]
    return Recovery(float(best.mean()), float((best > 0.9).mean()), columns, best)


class Auc(NamedTuple):
    """Area under the ROC curve with a 95 % interval."""

    value: float
    low: float
    high: float


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, ties get their mean; along the last axis."""
    from scipy.stats import rankdata

    return rankdata(values, axis=-1)


def auc(score: np.ndarray, label: np.ndarray, mask: np.ndarray | None = None) -> Auc:
    """AUC of scores `[N]` against labels `[N]` of 0 and 1, where `mask` is true; NaN if a class is
    missing.

    A tie counts half. The interval is DeLong's (Biometrics 1988), cut to [0, 1].
    """
    keep = np.ones(len(score), bool) if mask is None else np.asarray(mask, bool)
    score, label = np.asarray(score, np.float64)[keep], np.asarray(label)[keep] > 0.5
    with_it, without = score[label], score[~label]
    m, n = len(with_it), len(without)
    if not m or not n:
        return Auc(float("nan"), float("nan"), float("nan"))
    together = ranks(np.concatenate([with_it, without]))
    above = (
        together[:m] - ranks(with_it)
    ) / n  # share of cases without that each case with exceeds
    below = 1 - (together[m:] - ranks(without)) / m
    value = above.mean()
    spread = (above.var(ddof=1) / m if m > 1 else 0) + (below.var(ddof=1) / n if n > 1 else 0)
    half = 1.959964 * np.sqrt(spread)
    return Auc(float(value), float(max(value - half, 0)), float(min(value + half, 1)))


def aucs(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Area under the curve of every score against every label: `[N, F], [N, C] -> [F, C]`; 0.5
    where a class is missing.
    """
    order = ranks(np.ascontiguousarray(np.asarray(scores, np.float32).T))  # [F, N]
    with_it = (np.asarray(labels) > 0.5).astype(np.float64)
    m, n = with_it.sum(0), (1 - with_it).sum(0)
    wins = order @ with_it - (m * (m + 1) / 2)[None]
    return np.where((m * n)[None] > 0, wins / np.maximum(m * n, 1)[None], 0.5)


def average_precision(score: np.ndarray, label: np.ndarray) -> float:
    """Area under the precision-recall curve as a sum of steps; ties are taken together. NaN without
    positives.
    """
    label = np.asarray(label) > 0.5
    if not label.any():
        return float("nan")
    order = np.argsort(-np.asarray(score), kind="stable")
    hits = np.cumsum(label[order])
    last = np.append(np.flatnonzero(np.diff(np.asarray(score)[order])), len(order) - 1)
    precision, recall = hits[last] / (last + 1), hits[last] / label.sum()
    return float(np.sum(precision * np.diff(np.concatenate([[0.0], recall]))))


def wilson(right: int, total: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); (0, 1) of nothing."""
    found = stats.wilson(right, total)
    return found.low, found.high


class Calibration(NamedTuple):
    """Calibration of probabilities."""

    error: float
    """Mean distance of confidence and frequency over bins, weighted by their sizes (ECE)."""
    brier: float
    """Mean squared distance of probability and label."""
    bins: list[tuple[float, float, int]]
    """(mean probability, frequency, count) of the bins that hold anything."""


def calibration(
    probability: np.ndarray, label: np.ndarray, mask: np.ndarray | None = None, bins: int = 10
) -> Calibration:
    """Calibration of probabilities against labels.

    Args:
      probability: `[N]`, in [0, 1].
      label: `[N]`, 0 or 1.
      mask: bool `[N]`, cases that count; None: all.
      bins: equal parts of [0, 1].

    Returns:
      Error 0 and Brier score NaN if no case counts.
    """
    keep = np.ones(len(probability), bool) if mask is None else np.asarray(mask, bool)
    p, y = np.asarray(probability, np.float64)[keep], np.asarray(label, np.float64)[keep]
    which = np.clip((p * bins).astype(int), 0, bins - 1)
    found = [
        (float(p[which == b].mean()), float(y[which == b].mean()), int((which == b).sum()))
        for b in range(bins)
        if (which == b).any()
    ]
    error = sum(abs(a - b) * n for a, b, n in found) / max(len(p), 1)
    return Calibration(
        float(error), float(np.square(p - y).mean()) if len(p) else float("nan"), found
    )
