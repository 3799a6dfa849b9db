"""Accuracy over problems and samples: pass@1, pass@k, maj@k, tokens, and intervals over
problems.
"""

from collections.abc import Sequence
from math import comb
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self):
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(values, draws: int = 2000, seed: int = 0) -> Interval:
    """Of the mean of `[P]`, by drawing problems anew; one problem gives an interval of no width,
    none gives NaN.
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    means = values[rng.integers(0, len(values), (draws, len(values)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(values.mean()), float(low), float(high))


def paired(one, other, draws: int = 2000, seed: int = 0) -> Interval:
    """Of the mean difference of two policies on the same problems."""
    return bootstrap(np.asarray(one, np.float64) - np.asarray(other, np.float64), draws, seed)


def over_seeds(values) -> Interval:
    """Of a mean over seeds, by Student's t; a single seed gives an interval of no width."""
    from scipy import stats

    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return Interval(float(values.mean()), float(values.mean()), float(values.mean()))
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return Interval(float(values.mean()), float(values.mean() - half), float(values.mean() + half))


def pass_at_k(right: int, samples: int, k: int) -> float:
    """Probability that one of k samples, drawn without replacement from `samples`, is right: `1 -
    C(n - c, k) / C(n, k)`.

    Raises:
      ValueError: k exceeds the samples.
    """
    if not 1 <= k <= samples:
        raise ValueError(f"k is {k}, but there are {samples} samples")
    return 1.0 - comb(samples - right, k) / comb(samples, k)


def mean_pass_at_k(correct: Sequence[Sequence[bool]], k: int) -> Interval:
    """Over problems with n samples each."""
    return bootstrap([pass_at_k(sum(map(bool, row)), len(row), k) for row in correct])


def pass_at_1(correct: Sequence[Sequence[bool]]) -> Interval:
    """Mean accuracy of a sample, with an interval over problems."""
    return bootstrap([np.mean(row) for row in correct])


def entropy_of(answers: Sequence[str | None], corrected: bool = False) -> float:
    """Of the empirical distribution of answers, nats; no answer is an answer of its own.

    It is biased low by about (kinds - 1) / 2n, which `corrected` adds (Miller and Madow).
    """
    _, counts = np.unique([str(answer) for answer in answers], return_counts=True)
    shares = counts / counts.sum()
    return float(
        -(shares * np.log(shares)).sum() + corrected * (len(counts) - 1) / (2 * len(answers))
    )
