"""Mean and confidence interval over seeds."""

from typing import NamedTuple

import numpy as np

LEVEL = 0.95
"""Of every interval."""


class Interval(NamedTuple):
    """Mean and its confidence interval by Student's t over seeds."""

    mean: float
    low: float
    high: float


def interval(values: np.ndarray) -> Interval:
    """Of numbers `[S]`, one per seed, S >= 2."""
    from scipy import stats

    values = np.asarray(values, np.float64)
    half = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return Interval(float(values.mean()), float(values.mean() - half), float(values.mean() + half))


def mean_and_interval(values: list[float]) -> str:
    """Mean, and the half-width of its interval if there are several seeds."""
    if len(values) < 2:
        return f"{np.mean(values):.3g}"
    found = interval(np.asarray(values))
    return f"{found.mean:.3g} ± {found.high - found.mean:.2g}"
