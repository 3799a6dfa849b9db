"""Quantities in other units, and angles: equal sizes are equal answers."""

from fractions import Fraction

import pytest

from reasoning.e2c.answers.checkers import exact, math_verify, numeric
from reasoning.e2c.answers.units import different_units, measure, same_size

EQUAL = [
    ("18 cents", r"\$0.18"),
    ("18¢", "18 cents"),
    (r"18\text{¢}", r"\$0.18"),
    (r"18\text{ cents}", r"0.18\text{ dollars}"),
    ("8 hours", "480 minutes"),
    ("10 minutes", "10 min"),
    ("1 km", "1000 m"),
    ("12 inches", "1 ft"),
    (r"10000\text{ cm}^2", r"1\text{ m}^2"),
    ("2 years", "24 months"),
    ("36 km/h", "10 m/s"),
    ("60 mph", "88 ft/s"),
    ("60 mph", "1 mile per minute"),
    ("£7", "7 pounds"),
]
UNEQUAL = [
    ("18 cents", r"\$18"),
    ("18¢", "$18"),
    ("8 hours", "8 minutes"),
    ("5 m", "5 min"),
    (r"100\text{ cm}^2", r"1\text{ m}^2"),
    ("1 year", "365 days"),
    ("1 month", "30 days"),
    ("1 ton", "2000 lb"),
    ("60 mph", "60 ft/s"),
    ("100 cents", "1 euro"),
    ("50%", "50 cents"),
]


@pytest.mark.parametrize("pair", EQUAL)
def test_equal_sizes_are_equal(pair):
    assert all(check(*pair) and check(*pair[::-1]) for check in (numeric, exact))


@pytest.mark.parametrize("pair", UNEQUAL)
def test_other_sizes_are_not(pair):
    assert not any(check(*pair) or check(*pair[::-1]) for check in (numeric, exact))


def test_sizes_are_exact():
    assert same_size((Fraction(1), "mile"), (Fraction(5280), "feet"))
    assert not same_size((Fraction(1), "mile"), (Fraction(1609344, 1001), "m"))
    assert different_units("m", "min") and not different_units("", "min")


def test_units_are_read_word_by_word():
    assert measure("square feet") == measure("ft^2") and measure("mph") == measure("miles per hour")
    assert measure("mW").size == Fraction(1, 1000) and measure("MW").size == 10**6
    assert measure("light years").size is None and measure("apples").over == ()
    assert not different_units("dollars per day", "dollar") and different_units("km/h", "km")


@pytest.mark.parametrize(
    "pair",
    [
        (r"\cos 60^\circ", r"\frac12"),
        (r"4\sin\left(30^\circ\right)", "2"),
        (r"\sin^2 30^\circ", "1/4"),
        (r"\cos{60^\circ}", "0.5"),
        (r"\cos(180^\circ-60^\circ)", "-1/2"),
        (r"e^{i\pi}", "-1"),
        ("i", r"e^{i\pi/2}"),
        ("(1+i)^2", "2i"),
        ("1 000 000", "10^6"),
        (r"\mathbb{R}\setminus\{0\}", r"(-\infty,0)\cup(0,\infty)"),
        (r"\mathbb R - \{0\}", r"x\neq 0"),
        (r"(-\infty,1)\cup(1,2)\cup(2,\infty)", r"\mathbb{R}\setminus\{2,1\}"),
        (r"\text{all real numbers except } 0", r"\mathbb{R}\setminus\{0\}"),
    ],
)
def test_values_in_other_forms_are_equal(pair):
    pytest.importorskip("math_verify", reason="math-verify is in the extra llm")
    assert math_verify(*pair) and math_verify(*pair[::-1])


@pytest.mark.parametrize(
    "pair",
    [
        (r"\cos 60^\circ", r"\frac{\sqrt3}{2}"),
        (r"\sin 30^\circ", r"\sin 30"),
        (r"e^{i\pi}", "1"),
        ("2i", "-2"),
        ("x+i", "x-1"),
        ("-2^2", "4"),
        (r"\mathbb{R}\setminus\{0\}", r"\mathbb{R}"),
        (r"\mathbb{R}\setminus\{0\}", "0"),
        (r"\mathbb{R}\setminus\{1\}", r"(-\infty,0)\cup(0,\infty)"),
        ("G", "G'"),
    ],
)
def test_other_values_are_not(pair):
    pytest.importorskip("math_verify", reason="math-verify is in the extra llm")
    assert not math_verify(*pair) and not math_verify(*pair[::-1])
