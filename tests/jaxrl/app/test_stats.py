import numpy as np
import pytest

from jaxrl.app.stats import (
    Interval,
    bootstrap,
    mean_and_half_width,
    paired,
    t_interval,
    t_interval_of,
    wilson,
)


def test_t_interval_by_hand():
    # mean 2, standard error 1/sqrt(3), t(0.975, 2) = 4.302653
    found = t_interval([1, 2, 3])
    np.testing.assert_allclose(
        found, (2, 2 - 4.302653 / np.sqrt(3), 2 + 4.302653 / np.sqrt(3)), 1e-6
    )
    assert mean_and_half_width([1, 2, 3]) == "2 ± 2.5"


def test_mean_and_spread_give_the_interval_of_the_values():
    values = np.array([1.0, 4.0, 4.5, 9.0])
    found = t_interval_of(values.mean(), values.std(), len(values), 0.9)
    np.testing.assert_allclose(found, t_interval(values, 0.9), rtol=1e-12)


def test_one_value_has_no_bounds_and_none_has_nothing():
    found = t_interval([4.0])
    assert found.mean == 4 and np.isnan(found.low) and np.isnan(found.high)
    assert mean_and_half_width([4.0]) == "4"
    assert np.isnan(t_interval([])).all() and np.isnan(bootstrap([])).all()
    assert bootstrap([4.0]) == (4, 4, 4)


def test_t_interval_covers_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(size=(2000, 5))
    held = [found.low <= 0 <= found.high for found in map(t_interval, draws)]
    assert abs(np.mean(held) - 0.95) < 0.015


def test_wilson_by_hand():
    # Brown, Cai & DasGupta's formula at 8 of 10
    z, p, n = 1.959963984540054, 0.8, 10
    middle, half = p + z * z / 2 / n, z * np.sqrt(p * (1 - p) / n + z * z / 4 / n / n)
    found = wilson(8, 10)
    np.testing.assert_allclose(
        found, (0.8, *((middle + np.array([-half, half])) / (1 + z * z / n)))
    )
    assert wilson(0, 0)[1:] == (0, 1)
    assert wilson(0, 5).low == 0 and wilson(5, 5).high == 1
    for wrong in ((6, 5), (-1, 5)):
        with pytest.raises(ValueError, match="successes of 5"):
            wilson(*wrong)


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("draws", [400, 2000])
def test_bootstrap_keeps_the_numbers_of_earlier_reports(seed, draws):
    """The resampling that the studies had: draw indices, take means, take quantiles."""
    values = np.random.default_rng(1).exponential(size=23)
    means = values[np.random.default_rng(seed).integers(0, 23, (draws, 23))].mean(1)
    expected = (values.mean(), *np.quantile(means, (0.025, 0.975)))
    np.testing.assert_allclose(bootstrap(values, draws=draws, seed=seed), expected, rtol=1e-12)


def test_bootstrap_of_other_statistics():
    values = np.random.default_rng(2).normal(size=30)
    found = bootstrap(values, np.median)
    assert found.mean == np.median(values) and found.low < found.mean < found.high
    assert bootstrap(np.ones(5)) == (1, 1, 1)


def test_paired_differences():
    one, other = np.array([1.0, 2, 3, 4]), np.array([0.0, 1, 2, 3])
    assert paired(one, other) == (1, 1, 1)
    with pytest.raises(ValueError, match="shapes"):
        paired([1, 2], [1])


def test_an_interval_reads_well():
    assert str(Interval(0.5, 0.25, 0.75)) == "0.500 [0.250, 0.750]"
    assert Interval(0.5, 0.25, 0.75).half_width == 0.25
