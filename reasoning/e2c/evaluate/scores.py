"""Accuracy over problems and samples: pass@1, pass@k, maj@k, tokens, and intervals over
problems.
"""

import warnings
from collections.abc import Sequence
from math import comb
from typing import Any

import numpy as np

from jaxrl.app import stats
from jaxrl.app.stats import Interval, bootstrap

_MOVED = {"paired": "paired", "over_seeds": "t_interval"}
"""Functions that `jaxrl.app.stats` has now, by their old name here."""


def __getattr__(name: str) -> Any:
    """Give a moved function with a warning, until version 0.3."""
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        f"{__name__}.{name} is jaxrl.app.stats.{_MOVED[name]} now", DeprecationWarning, stacklevel=2
    )
    return getattr(stats, _MOVED[name])


def crossed(values: Any, draws: int = 2000, seed: int = 0) -> Interval:
    """95 % interval of a mean over training seeds and problems at once.

    Seeds and problems are both drawn anew (Owen's pigeonhole bootstrap), since every model of a
    seed answers the same problems. With few seeds their part of the width is too small: by about
    a fifth with three; one seed adds nothing, so the interval is one over problems alone.

    Args:
      values: `[S, P]`, or `[P]` for one seed.
      draws: number of resamples.
      seed: of the resampling.

    Returns:
      The mean of all, with its interval.
    """
    table = np.atleast_2d(np.asarray(values, np.float64))
    if len(table) == 1:
        return bootstrap(table[0], draws=draws, seed=seed)
    rng = np.random.default_rng(seed)
    seeds, problems = table.shape
    means = np.empty(draws)
    for number in range(draws):
        rows = table[rng.integers(0, seeds, seeds)]
        means[number] = rows[:, rng.integers(0, problems, problems)].mean()
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(table.mean()), float(low), float(high))


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
    """Entropy of the empirical distribution of answers, nats; no answer is an answer of its own.

    It is biased low by about (kinds - 1) / 2n, which `corrected` adds (Miller and Madow).
    """
    _, counts = np.unique([str(answer) for answer in answers], return_counts=True)
    shares = counts / counts.sum()
    return float(
        -(shares * np.log(shares)).sum() + corrected * (len(counts) - 1) / (2 * len(answers))
    )
