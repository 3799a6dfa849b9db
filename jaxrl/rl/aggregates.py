"""Scores of many runs on many games as one number, in plain NumPy. A score is human-normalized: 0
random play, 1 a human tester.
"""

import numpy as np


def mean(scores: np.ndarray) -> float:
    """Mean over runs and games. `scores`: float `[runs, games]`."""
    return float(np.mean(scores))


def median(scores: np.ndarray) -> float:
    """Median over the games of the mean over the runs. `scores`: float `[runs, games]`."""
    return float(np.median(np.mean(scores, axis=0)))


def iqm(scores: np.ndarray) -> float:
    """Interquartile mean (arXiv 2108.13264): the mean of what lies in the middle half of all runs
    of all games.

    Of N values the int(N / 4) smallest and as many of the largest are left out. `scores`: float
    `[runs, games]`.
    """
    ordered = np.sort(np.ravel(scores))
    cut = len(ordered) // 4
    return float(np.mean(ordered[cut : len(ordered) - cut]))


def optimality_gap(scores: np.ndarray, goal: float = 1.0) -> float:
    """Mean over runs and games of `max(0, goal - score)` (arXiv 2108.13264); less is better.
    `scores`: float `[runs, games]`.
    """
    return float(np.mean(np.maximum(0.0, goal - np.asarray(scores))))


def games_at_human(scores: np.ndarray) -> int:
    """Number of games whose mean over the runs is at least 1. `scores`: float `[runs, games]`."""
    return int(np.sum(np.mean(scores, axis=0) >= 1.0))


def symmetric(score: np.ndarray) -> np.ndarray:
    """0 to 2: `h` up to the human score, `2 - 1 / h` beyond it, 0 below random play; any shape,
    elementwise.

    "k times a human" and "a k-th of a human" are then equally far from 1, so that no single game
    rules a mean.

    Our choice: the paper names a symmetric human-normalized score (2605.13013); its formula was not
      at hand.
    """
    clipped = np.maximum(np.asarray(score, np.float64), 0.0)
    return np.where(clipped <= 1.0, clipped, 2.0 - 1.0 / np.maximum(clipped, 1.0))


def sym_hns(scores: np.ndarray) -> float:
    """Mean over the games of `symmetric` of the mean over the runs, 0 to 2. `scores`: float `[runs,
    games]`.

    Our choice: of the game's mean, not of each run, so that methods compare of which only the means
      are published.
    """
    return float(np.mean(symmetric(np.mean(scores, axis=0))))


def aggregates(scores: np.ndarray, agent_optimal: np.ndarray | None = None) -> dict[str, float]:
    """All of them by name.

    Args:
      scores: float `[runs, games]`, at least one of each.
      agent_optimal: bool `[games]`, the games on which agents do well; adds the means of these
        ("ao_mean") and of the other, human-optimal, games ("ho_mean"), and `sym_hns` of both.
        Absent: they are not known. A group without a game gives nothing.

    Raises:
      ValueError: for another shape, or a score that is not finite.
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or not scores.size or not np.isfinite(scores).all():
        raise ValueError(
            "scores must be finite numbers [runs, games], at least one of each; the shape is "
            f"{scores.shape}"
        )
    found = {
        "mean": mean(scores),
        "median": median(scores),
        "iqm": iqm(scores),
        "optimality_gap": optimality_gap(scores),
        "games_at_human": games_at_human(scores),
        "sym_hns": sym_hns(scores),
    }
    if agent_optimal is not None:
        for name, group in (("ao", agent_optimal), ("ho", ~agent_optimal)):
            if group.any():
                found |= {
                    f"{name}_mean": mean(scores[:, group]),
                    f"{name}_sym_hns": sym_hns(scores[:, group]),
                }
    return found
