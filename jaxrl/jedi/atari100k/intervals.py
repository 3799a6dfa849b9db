"""95 % intervals by stratified bootstrap over the runs of each game, from rliable (arXiv
2108.13264).
"""

import contextlib
from collections.abc import Callable

import numpy as np

from jaxrl.app.errors import UserError


def _library():
    try:
        import rliable.library
    except ImportError:
        raise UserError(
            'intervals need rliable: pip install "latentax[eval]", or do without them by '
            "--repetitions 0"
        ) from None
    return rliable.library


@contextlib.contextmanager
def _fixed(seed: int):
    """rliable draws from NumPy's global generator whatever it is given: fix it within, and put it
    back.
    """
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def intervals(
    scores: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    repetitions: int,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of the central 95 % of a statistic over resampled runs, each float
    `[n]`.

    Args:
      scores: float `[runs, games]`; with a single run both ends are the estimate itself and say
        nothing.
      statistic: from `[runs, games]` to `[n]`.
      repetitions: resamplings (rliable's own default is 50 000).
      seed: fixes them.

    Raises:
      UserError: rliable is not installed.
    """
    with _fixed(seed):
        _, found = _library().get_interval_estimates({"": scores}, statistic, reps=repetitions)
    low, high = found[""]
    return low, high


def profile(
    scores: np.ndarray, thresholds: np.ndarray, repetitions: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The share of all runs of all games above every threshold, with 95 % intervals: estimate, low,
    high, each as `thresholds`.

    Args:
      scores: float `[runs, games]`, human-normalized.
      thresholds: float `[n]`, increasing, in the same units.
      repetitions: resamplings of the bootstrap.
      seed: seed of the resampling.

    Returns:
      Three float `[n]`, shares from 0 to 1.

    Raises:
      UserError: rliable is not installed.
    """
    with _fixed(seed):
        estimate, found = _library().create_performance_profile(
            {"": scores}, thresholds, reps=repetitions
        )
    low, high = found[""]
    return estimate[""], low, high
