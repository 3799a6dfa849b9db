"""Quantities in other units, and angles: equal sizes are equal answers."""

from fractions import Fraction

import pytest

from reasoning.e2c.answers.checkers import exact, math_verify, numeric
from reasoning.e2c.answers.units import different_units, measure, same_size
from tests.tables import rows


@pytest.mark.parametrize("case", rows(__file__, "quantities"))
def test_quantities_are_equal_if_they_are_as_large(case):
    one, other, same = case
    for check in (numeric, exact):
        assert check(one, other) is same and check(other, one) is same


@pytest.mark.parametrize("case", rows(__file__, "values"))
def test_values_in_other_forms_are_equal(case):
    pytest.importorskip("math_verify", reason="math-verify is in the extra llm")
    one, other, same = case
    assert math_verify(one, other) is same and math_verify(other, one) is same


def test_sizes_are_exact():
    assert same_size((Fraction(1), "mile"), (Fraction(5280), "feet"))
    assert not same_size((Fraction(1), "mile"), (Fraction(1609344, 1001), "m"))
    assert different_units("m", "min") and not different_units("", "min")


def test_units_are_read_word_by_word():
    assert measure("square feet") == measure("ft^2") and measure("mph") == measure("miles per hour")
    assert measure("mW").size == Fraction(1, 1000) and measure("MW").size == 10**6
    assert measure("light years").size is None and measure("apples").over == ()
    assert not different_units("dollars per day", "dollar") and different_units("km/h", "km")
