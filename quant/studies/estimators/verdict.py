"""Statements over seeds: intervals, the best setting chosen fairly, and whether equal temperatures
are best.
"""

from typing import NamedTuple

import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.stats import Interval, t_interval


def finite(losses: np.ndarray) -> np.ndarray:
    """Losses with those that are not finite (the training diverged) replaced by the worst of the
    others.

    Raises:
      UserError: there are no others.
    """
    good = np.isfinite(losses)
    if not good.any():
        raise UserError("every training diverged: lower the learning rate")
    return np.where(good, losses, np.asarray(losses)[good].max())


def chosen_on_others(losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every seed, the setting with the least mean loss on all other seeds, and its loss on this
    one.

    Without this the best of many noisy settings would look better than it is, the more so the more
    there are.

    Args:
      losses: `[S, R]`, S >= 2.

    Returns:
      losses `[S]` and settings int `[S]`.
    """
    losses = finite(losses)
    others = [np.delete(losses, seed, axis=0).mean(0) for seed in range(len(losses))]
    best = np.array([row.argmin() for row in others])
    return losses[np.arange(len(losses)), best], best


class Verdict(NamedTuple):
    """Verdict on whether the best pair of temperatures has equal ones."""

    gain: Interval
    """Loss of the best equal pair minus that of the best unequal one, both chosen on other seeds;
    above 0: unequal is better.
    """
    equal: float
    """Temperature of the best equal pair over all seeds."""
    unequal: tuple[float, float]
    """(tau_f, tau_b) of the best unequal pair over all seeds."""
    answer: str
    """"off the diagonal", "on the diagonal" or "undecided"."""

    def sentence(self) -> str:
        """Return the verdict as a sentence for the report."""
        f, b = self.unequal
        side = "tau_f < tau_b" if f < b else "tau_f > tau_b"
        return (
            f"{self.answer}: unequal temperatures gain {self.gain.mean:.3g} [{self.gain.low:.3g}, "
            f"{self.gain.high:.3g}]; the best "
            f"unequal pair is tau_f {f:g}, tau_b {b:g} ({side}), the best equal one {self.equal:g}"
        )


def diagonal_verdict(losses: np.ndarray, taus: np.ndarray) -> Verdict:
    """Judge a grid of losses `[S, F, B]` with the temperatures `taus` on both axes, F = B >= 2, S
    >= 3.

    The interval treats seeds as independent; that they share each other's choices makes it a little
    too narrow.
    """
    count, losses = len(taus), finite(losses)
    equal = np.eye(count, dtype=bool)
    on, off = losses[:, equal], losses[:, ~equal]
    gain = t_interval(chosen_on_others(on)[0] - chosen_on_others(off)[0])
    pairs = np.argwhere(~equal)
    f, b = pairs[off.mean(0).argmin()]
    answer = (
        "off the diagonal" if gain.low > 0 else "on the diagonal" if gain.high < 0 else "undecided"
    )
    return Verdict(gain, float(taus[on.mean(0).argmin()]), (float(taus[f]), float(taus[b])), answer)
