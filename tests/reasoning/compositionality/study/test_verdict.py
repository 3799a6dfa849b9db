"""Answers on made-up sweeps, of which "no" is one."""

import dataclasses

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from reasoning.compositionality.study.config import SweepConfig, check, paper, tiny
from reasoning.compositionality.study.predictions import Predicted
from reasoning.compositionality.study.report import _best_row, _predicted, answer, moves
from reasoning.compositionality.study.verdict import (
    chosen_on_others,
    difference,
    grid,
    interval,
    move,
    over_depth,
    peak,
    sign,
)

DEPTHS = (1, 2, 3, 4)


def scores(means, noise=0.02, seeds=16, seed=0):
    return np.asarray(means)[:, None] + np.random.default_rng(seed).normal(
        0, noise, (len(means), seeds)
    )


@pytest.mark.parametrize(
    ("means", "wanted"),
    [
        ((0.2, 0.9, 0.8, 0.3), "yes"),
        ((0.2, 0.5, 0.8, 0.9), "no"),
        ((0.9, 0.9, 0.9, 0.9), "no"),
        ((0, 0, 0, 0), "nothing fits"),
    ],
)
def test_a_peak_inside_is_one_and_an_end_is_none(means, wanted):
    values = scores(means, 0 if wanted == "nothing fits" else 0.005)
    assert peak(values, DEPTHS).answer == wanted


def test_noise_alone_is_no_peak():
    """The best of many equal places looks better than the ends; chosen on other seeds it
    does not.
    """
    answers = [peak(scores([0.5] * 8, 0.3, seed=s), range(8)).answer for s in range(40)]
    assert answers.count("yes") <= 1


def test_a_peak_is_where_it_was_put_and_its_interval_holds_it():
    found = peak(scores((0.1, 0.6, 0.9, 0.7), 0.2), DEPTHS)
    assert found.place == 3 and found.low <= 3 <= found.high and found.over_first.low > 0


def test_the_choice_for_a_seed_does_not_see_it():
    values = np.zeros((2, 1, 3))
    values[0, 0] = [9, 0, 0]  # only the first seed likes the first setting
    values[1, 0] = [1, 1, 1]
    assert chosen_on_others(values)[0].tolist() == [1, 0, 0]


def test_the_bootstrap_covers_a_known_mean():
    random = np.random.default_rng(0)
    covered = [
        low <= 0 <= high for _, low, high in (interval(random.normal(0, 1, 16)) for _ in range(300))
    ]
    assert 0.86 <= np.mean(covered) <= 0.98
    assert (
        np.isnan(interval(np.array([np.nan])).mean)
        and interval(np.array([1.0, np.nan, 3.0])).mean == 2
    )


LATER, SAME, EARLIER = (0.1, 0.2, 0.9, 0.3), (0.2, 0.9, 0.3, 0.1), (0.9, 0.3, 0.2, 0.1)


@pytest.mark.parametrize(
    ("second", "wanted"),
    [(LATER, "yes"), (SAME, "no"), (EARLIER, "no"), ((0, 0, 0, 0), "nothing fits")],
)
def test_a_peak_moves_or_does_not(second, wanted):
    noise = 0 if not any(second) else 0.02
    found = move(scores((0.2, 0.9, 0.3, 0.1)), scores(second, noise, seed=1), DEPTHS, planted=1)
    assert found.answer == wanted
    assert ("changes by" in str(found)) is (wanted != "nothing fits")


def rows_of(config, score):
    base = {"fit": 1.0, "fits": True, "fan_in": 2.0}
    return [
        cell._asdict() | base | {"score": score(cell)}
        for name in config.targets
        for cell in config.cells(name)
    ]


def test_differences_are_paired_and_dense_stands_for_density_one():
    sizes = {"depths": (2, 3), "densities": (1.0, 0.5), "pruners": ("share", "random")}
    config = SweepConfig(targets=("tanh_tree:2",), seeds=4, **sizes)
    rows = rows_of(
        config, lambda c: 0.1 * c.seed + 0.2 * (c.pruner == "share") + 0.05 * (c.pruner == "dense")
    )
    found = difference(rows, config, "tanh_tree:2", "share", "random")
    assert (found.mean, found.low, found.high) == pytest.approx((0.2, 0.2, 0.2)) and sign(
        found
    ) == "yes"
    share = grid(rows, config, "tanh_tree:2", "share")
    assert share[0, 0] == pytest.approx([0.05, 0.15, 0.25, 0.35]) and share[1, 0] == pytest.approx(
        [0.2, 0.3, 0.4, 0.5]
    )
    assert over_depth(rows, config, "tanh_tree:2", "dense").shape == (2, 4)


def test_the_page_tells_of_every_pair_of_targets_with_other_depths():
    config = SweepConfig(
        targets=("tanh_tree:1", "chain:1", "tanh_tree:2"),
        depths=(1, 2, 3),
        densities=(1.0,),
        pruners=(),
        seeds=4,
    )
    best = {"tanh_tree:1": 1, "chain:1": 1, "tanh_tree:2": 2}
    stated = moves(config, rows_of(config, lambda c: 1.0 - 0.2 * abs(c.depth - best[c.target])))
    assert [line.split(",")[0] for line in stated] == [
        "tanh_tree:1 to tanh_tree:2",
        "chain:1 to tanh_tree:2",
    ]
    assert all(
        "yes: the best depth changes by 1 [1, 1], the planted one by 1" in line for line in stated
    )


def test_a_pruner_that_never_fits_has_no_best_place():
    config = SweepConfig(
        targets=("tanh_tree:2",), depths=(1, 2), densities=(1.0, 0.5), pruners=("share",), seeds=2
    )
    rows = rows_of(config, lambda cell: 0.0)
    rows = [row | {"fits": False, "fan_in": 4.0} for row in rows]
    assert _best_row(config, rows, "tanh_tree:2", "share") == (
        "share",
        "none fits",
        "0 %",
        "",
        "",
        "",
    )


def test_where_no_peak_is_clear_the_page_says_that_predictors_find_none():
    known = Predicted(2, 2, False, 2, 2, (), 0)
    flat, high = (
        peak(scores(means, 0.005), DEPTHS) for means in ((0.9, 0.9, 0.9, 0.9), (0.2, 0.9, 0.8, 0.3))
    )
    assert "there is none to find" in "\n".join(_predicted(known, {"share": flat}))
    assert "there is none to find" not in "\n".join(
        _predicted(known, {"share": flat, "random": high})
    )


@pytest.mark.parametrize(("best", "deep"), [(2, "yes"), (3, "no")])
def test_the_answer_comes_first_also_if_it_is_no(best, deep):
    name, depths = "tanh_tree:2", (1, 2, 3)
    config = SweepConfig(
        targets=(name,),
        depths=depths,
        densities=(1.0, 0.5, 0.1),
        pruners=("share", "magnitude", "random"),
        seeds=4,
    )

    def score(c):
        worse = 0.5 * (c.density != 0.5) + 0.1 * (c.pruner == "random")
        return max(0.0, 0.9 - 0.2 * abs(c.depth - best) - worse)

    rows = rows_of(config, score)
    peaks = {p: peak(over_depth(rows, config, name, p), list(depths)) for p in config.pruners}
    assert answer(config, rows, {name: peaks}) == (
        f"Sweet spot in depth with share: {deep}. In connectivity: yes. "
        "Share better than magnitude: no. Share better than random: yes."
    )


def test_cells_are_what_the_presets_promise():
    config = paper()
    assert len(config.cells("tanh_tree:3")) == 6 * 8 + 4 * 5 * 6 * 8
    oracle = [c for c in tiny().cells("tanh_tree:3") if c.pruner == "oracle"]
    assert {c.depth for c in oracle} == {3, 4, 5, 6} and len(oracle) == 4 * 16


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seeds": 1}, "seeds is 1: intervals are over seeds"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"scored": 0}, "scored is 0"),
        ({"depths": ()}, "depths is empty"),
        ({"depths": (0, 1)}, "at least 1 hidden layer"),
        ({"densities": (1.0, 0.0)}, "density 0.0 must"),
        ({"densities": (0.5, 0.5)}, "twice"),
        ({"pruners": ()}, "pruners is empty"),
        ({"targets": ("no",)}, "there is no target"),
        ({"densities": (0.001,)}, "would empty the first layer"),
        ({"pruners": ("oracle",), "width": 3, "densities": (1.0, 0.5)}, "needs 4 units"),
        ({"distribution": "best"}, "choose one of"),
    ],
)
def test_sweeps_that_cannot_be_run_are_refused(change, sentence):
    with pytest.raises(UserError, match=sentence):
        check(dataclasses.replace(SweepConfig(), **change))
