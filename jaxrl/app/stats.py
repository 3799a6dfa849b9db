"""Confidence intervals: Student's t over seeds, Wilson for shares, percentile bootstrap for the
rest.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

LEVEL = 0.95
"""Confidence level of every interval unless another is given."""


class Interval(NamedTuple):
    """An estimate with its confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Distance from the estimate to the upper bound."""
        return self.high - self.mean

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


EMPTY = Interval(float("nan"), float("nan"), float("nan"))
"""The interval of no values."""


def t_interval(values: Any, level: float = LEVEL) -> Interval:
    """Confidence interval of a mean by Student's t, for few independent values (one per seed).

    Args:
      values: `[S]` numbers; NaN is not left out.
      level: confidence level.

    Returns:
      Mean and bounds. One value says nothing about the spread, so its bounds are NaN; no values
      give NaN throughout.
    """
    values = np.asarray(values, np.float64).ravel()
    if not len(values):
        return EMPTY
    return t_interval_of(float(values.mean()), float(values.std()), len(values), level)


def t_interval_of(mean: float, std: float, count: int, level: float = LEVEL) -> Interval:
    """`t_interval` of values of which only mean and spread are known.

    Args:
      mean: of the values.
      std: their standard deviation, over `count` (not over `count - 1`).
      count: number of values, at least 1.
      level: confidence level.
    """
    if count < 2:
        return Interval(mean, float("nan"), float("nan"))
    from scipy import stats

    half = stats.t.ppf((1 + level) / 2, count - 1) * std / np.sqrt(count - 1)
    return Interval(mean, float(mean - half), float(mean + half))


def mean_and_half_width(values: Any) -> str:
    """Format a mean with the half-width of its t interval, which one value alone does not have."""
    found = t_interval(values)
    if np.isnan(found.low):
        return f"{found.mean:.3g}"
    return f"{found.mean:.3g} ± {found.half_width:.2g}"


def wilson(successes: int, total: int, level: float = LEVEL) -> Interval:
    """Share of successes with Wilson's score interval (1927); bounds 0 and 1 if `total` is 0.

    Raises:
      ValueError: `successes` is not between 0 and `total`.
    """
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} successes of {total}")
    if not total:
        return Interval(float("nan"), 0.0, 1.0)
    from scipy import stats

    # The bounds are asked of the result object; its p-value belongs to another question.
    found = stats.binomtest(int(successes), int(total)).proportion_ci(level, method="wilson")
    return Interval(successes / total, float(found.low), float(found.high))


def bootstrap(
    values: Any,
    statistic: Callable[..., Any] = np.mean,
    draws: int = 2000,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval:
    """Percentile bootstrap over independent units (problems, seeds, games).

    Args:
      values: `[P]`, one number per unit; units are resampled with replacement.
      statistic: called as `statistic(x, axis=...)`, for example np.mean or np.median.
      draws: number of resamples.
      seed: of the resampling; the same seed gives the same interval.
      level: confidence level.

    Returns:
      The statistic of all units and the bounds; a single unit has an interval of no width, none
      gives NaN.
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        return EMPTY
    center = float(statistic(values, axis=0))
    if len(values) < 2:
        return Interval(center, center, center)
    from scipy import stats

    found = stats.bootstrap(
        (values,),
        statistic,
        n_resamples=draws,
        method="percentile",
        confidence_level=level,
        rng=np.random.default_rng(seed),
        axis=0,
        vectorized=True,
    ).confidence_interval
    return Interval(center, float(found.low), float(found.high))


def paired(one: Any, other: Any, draws: int = 2000, seed: int = 0) -> Interval:
    """Bootstrap interval of the mean difference of two methods on the same units.

    Args:
      one, other: `[P]` each, entry i of both from the same unit (seed, case or question).
      draws: number of resamples of the units.
      seed: seed of the resampling; the same seed gives the same interval.

    Returns:
      The mean of `one - other`, and its 95 % bounds.

    Raises:
      ValueError: the two do not have the same number of units.
    """
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if one.shape != other.shape:
        raise ValueError(f"paired values have shapes {one.shape} and {other.shape}")
    return bootstrap(one - other, draws=draws, seed=seed)
