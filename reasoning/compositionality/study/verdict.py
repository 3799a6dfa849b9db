"""Answers of a sweep, with intervals over seeds: where the peak is, whether it is one, and who
finds it. "No" is an answer.
"""

from typing import Literal, NamedTuple

import numpy as np

from jaxrl.app.stats import Interval, bootstrap
from reasoning.compositionality.study.config import DENSE, SweepConfig

RESAMPLES = 2000
MARGIN = 0.02
"""Our choice: a score higher by less than this is no higher."""
Answer = Literal["yes", "no", "undecided", "nothing fits"]


def average(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Mean over an axis without NaN; NaN where nothing else is, and no warning."""
    there = np.isfinite(values)
    count = there.sum(axis)
    return np.where(
        count > 0, np.where(there, values, 0.0).sum(axis) / np.maximum(count, 1), np.nan
    )


class Peak(NamedTuple):
    """The best place on an axis (depth or density)."""

    place: float
    """Place of the highest mean."""
    low: float
    """The 95 % bootstrap interval of the best place."""
    high: float
    over_first: Interval
    """Score at the peak minus that at the first place of the axis; the peak is chosen on the other
    seeds.
    """
    over_last: Interval
    answer: Answer
    """yes: higher than at both ends; no: at some end it is as high."""

    def __str__(self) -> str:
        ends = f"; gain over one end {self.over_first}, over the other {self.over_last}"
        return f"{self.answer}: best at {self.place:g} [{self.low:g}, {self.high:g}]" + (
            "" if self.answer == "nothing fits" else ends
        )


def resample(seeds: int) -> np.ndarray:
    """Seeds drawn with replacement, int `[RESAMPLES, S]`, always the same."""
    return np.random.default_rng(0).integers(seeds, size=(RESAMPLES, seeds))


def interval(values: np.ndarray) -> Interval:
    """Interval of the mean of one number per seed; seeds where it is NaN are left out, and NaN
    without any.
    """
    values = np.asarray(values, np.float64)
    return bootstrap(values[np.isfinite(values)], draws=RESAMPLES)


def grid(
    rows: list[dict], config: SweepConfig, target: str, pruner: str, name: str = "score"
) -> np.ndarray:
    """Table of a measure over densities, depths and seeds. The dense networks stand in for density
    1 of every pruner.

    Args:
      rows: measures of networks, as dictionaries.
      config: settings of the sweep; its order of densities and depths is kept.
      target: name of the target.
      pruner: name of the pruner.
      name: name of the measure.

    Returns:
      float64 `[densities, depths, seeds]`, NaN where there is no network.
    """
    found = np.full((len(config.densities), len(config.depths), config.seeds), np.nan)
    for row in rows:
        if row["target"] == target and row["pruner"] in (pruner, DENSE):
            where = (
                config.densities.index(row["density"]),
                config.depths.index(row["depth"]),
                row["seed"] - config.seed,
            )
            found[where] = np.nan if row[name] is None else row[name]
    return found


def chosen_on_others(values: np.ndarray) -> np.ndarray:
    """Best of the first axis for every place and seed, chosen by the mean over all other seeds:
    `[Q, P, S] -> [P, S]`.

    Without this the best of many noisy settings would look better than it is.
    """
    values = np.where(np.isfinite(values), values, 0.0)
    others = (values.sum(-1, keepdims=True) - values) / max(values.shape[-1] - 1, 1)
    return np.take_along_axis(values, others.argmax(0)[None], 0)[0]


def peak(values: np.ndarray, axis: list[float]) -> Peak:
    """Judge scores `[P, S]` over the places of an axis, S >= 2."""
    values = np.where(np.isfinite(values), values, 0.0)
    best = values[:, resample(values.shape[1])].mean(-1).argmax(0)
    places = np.sort(np.asarray(axis, float)[best])
    low, high = (
        places[int(0.025 * len(places))],
        places[min(int(0.975 * len(places)), len(places) - 1)],
    )
    others = (values.sum(-1, keepdims=True) - values) / max(values.shape[1] - 1, 1)
    mine = np.take_along_axis(values, others.argmax(0)[None], 0)[0]
    first, last = interval(mine - values[0]), interval(mine - values[-1])
    place = float(axis[int(values.mean(1).argmax())])
    return Peak(place, float(low), float(high), first, last, _answer(values, first, last))


def _answer(values, first: Interval, last: Interval) -> Answer:
    if values.max() == 0:
        return "nothing fits"
    if first.low > MARGIN and last.low > MARGIN:
        return "yes"
    return "no" if min(first.high, last.high) <= MARGIN else "undecided"


def over_depth(
    rows, config: SweepConfig, target: str, pruner: str, name: str = "score"
) -> np.ndarray:
    """A pruner's score `[depths, S]` at its best density (for "dense", at density 1).

    Args:
      rows: measures of networks, as dictionaries.
      config: settings of the sweep.
      target: name of the target.
      pruner: name of the pruner.
      name: name of the measure.
    """
    found = grid(rows, config, target, pruner, name)
    sparse = [i for i, rho in enumerate(config.densities) if (rho == 1) == (pruner == DENSE)]
    return chosen_on_others(found[sparse])


def over_density(rows, config: SweepConfig, target: str, pruner: str) -> np.ndarray:
    """A pruner's score `[densities, S]` at its best depth; density 1 is the dense network.

    Args:
      rows: measures of networks, as dictionaries.
      config: settings of the sweep.
      target: name of the target.
      pruner: name of the pruner.
    """
    return chosen_on_others(np.swapaxes(grid(rows, config, target, pruner), 0, 1))


def difference(
    rows, config: SweepConfig, target: str, one: str, other: str, name: str = "score"
) -> Interval:
    """Mean difference of a measure between two pruners over all sparse settings that both have, per
    seed.

    Args:
      rows: measures of networks, as dictionaries.
      config: settings of the sweep.
      target: name of the target.
      one: name of the first pruner.
      other: name of the pruner that is subtracted.
      name: name of the measure.

    Returns:
      Mean with an interval over seeds; NaN if the pruners share no setting.
    """
    sparse = [i for i, rho in enumerate(config.densities) if rho < 1]
    apart = (
        grid(rows, config, target, one, name)[sparse]
        - grid(rows, config, target, other, name)[sparse]
    )
    apart = apart.reshape(-1, apart.shape[-1])
    kept = apart[np.isfinite(apart).all(1)]
    return interval(kept.mean(0) if len(kept) else np.array([]))


class Move(NamedTuple):
    """Change of the best depth between two targets."""

    change: float
    low: float
    high: float
    planted: int
    """Change of the planted depth in layers."""
    answer: Answer

    def __str__(self) -> str:
        if self.answer == "nothing fits":
            return "no network fits on one of the two, so there is no best depth"
        return (
            f"{self.answer}: the best depth changes by {self.change:g} [{self.low:g}, "
            f"{self.high:g}], the planted one by {self.planted}"
        )


def move(one: np.ndarray, other: np.ndarray, depths: tuple[int, ...], planted: int) -> Move:
    """Compare the best depths of two targets whose planted depths differ.

    Args:
      one: scores of the first target, `[depths, S]`.
      other: scores of the second target, `[depths, S]`.
      depths: depths of the rows.
      planted: layers by which the second target is planted deeper; not 0.
    """

    def best(v, order):
        return np.asarray(depths)[np.nan_to_num(v)[:, order].mean(-1).argmax(0)]

    seeds = one.shape[1]
    order, shuffled = (
        resample(seeds),
        np.random.default_rng(1).integers(seeds, size=(RESAMPLES, seeds)),
    )
    changes = best(other, shuffled) - best(one, order)
    low, high = np.quantile(changes, [0.025, 0.975])
    everyone = np.arange(seeds)[None]
    change = float((best(other, everyone) - best(one, everyone))[0])
    nearest, furthest = sorted((low * np.sign(planted), high * np.sign(planted)))
    answer: Answer = "yes" if nearest > 0 else "no" if furthest <= 0 else "undecided"
    if not np.nan_to_num(one).max() or not np.nan_to_num(other).max():
        answer = "nothing fits"
    return Move(change, float(low), float(high), planted, answer)


def sign(found: Interval) -> Answer:
    """Say if an interval lies above zero ("yes"), not ("no"), or on both sides."""
    return "yes" if found.low > 0 else "no" if found.high <= 0 else "undecided"
