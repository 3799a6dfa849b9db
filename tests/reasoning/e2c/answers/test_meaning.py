"""Around a number: left sides of equations, capital letters, words that turn it round."""

import pytest

from reasoning.e2c.answers.checkers import math_verify, numeric
from reasoning.e2c.answers.meaning import is_name, may_be_the_number, opposite, sides
from reasoning.e2c.policies.votes import majority

UNEQUAL = [
    ("x+y=1", "x-y=1"),
    ("x+2y=4", "x+3y=4"),
    ("x^2-y^2=1", "x^2+y^2=1"),
    ("x^2+y^2=4", "x+y=4"),
    ("xy=1", "x+y=1"),
    ("x^2=4", "x=4"),
    ("2x = 7", "7"),
    ("x/2=7", "7"),
    ("x+1=7", "7"),
    (r"\theta+1=7", "7"),
    ("5 = 7", "7"),
    (r"\frac{R}{r}", r"\frac{r}{R}"),
    (r"\frac{R}{r}", "1"),
    ("R-r", "0"),
    ("R+r", "2r"),
    ("x^2+X", "x^2+x"),
    (r"\frac{M}{m+M}", r"\frac{m}{m+M}"),
    (r"\frac{M}{M+m}", r"\frac12"),
    ("5% increase", "5% decrease"),
    (r"5\%\text{ increase}", r"5\%\text{ decrease}"),
    (r"\$5\text{ profit}", r"\$5\text{ loss}"),
    ("12 feet above", "12 feet below"),
    (r"12\text{ more}", r"12\text{ fewer}"),
    (r"10\text{ north}", r"10\text{ south}"),
    ("ABC", "CBA"),
    (r"\langle 1, 2\rangle", "(2,1)"),
    ("7 = x", "8"),
    ("5 miles per hour", "5 km per hour"),
    (r"5\text{ m/s}", r"5\text{ km/s}"),
    ("5 kg/m", "5 g/m"),
    ("BAC", "ABC"),
    (r"\angle ABC", r"\angle ACB"),
]
EQUAL = [
    ("x = 5", "5"),
    ("7", "x=7"),
    ("m+n = 7", "7"),
    ("f(3)=7", "7"),
    ("x_1=4", "4"),
    ("2+3=5", "5"),
    (r"2 \times 4 = 8", "8"),
    ("x^2+y^2=25", "25"),
    (r"\text{Area}=12", "12"),
    ("5% increase", "5%"),
    (r"\angle ABC", r"\angle CBA"),
    (r"\frac{R}{r}", r"\frac{R}{r}"),
    ("2R+2r", "2(r+R)"),
    ("x+y=1", "y+x=1"),
    ("2x=7", "2x=7"),
    (r"\pi R^2", r"R^2\pi"),
    ("y=2x+1", "y = 1+2x"),
    ("Mm+1", "1+mM"),
    (r"\theta=30", "30"),
    ("AB = 5", "5"),
    ("7 = x", "7"),
    ("7 = x", "x = 7"),
    (r"\langle 1, 2\rangle", "(1,2)"),
    ("5 miles per hour", "5"),
    (r"5\text{ m/s}", "5 m/s"),
    ("P(A)=0.5", r"\frac12"),
]


@pytest.mark.parametrize("check", [math_verify, numeric])
@pytest.mark.parametrize(
    ("pair", "same"), [(pair, False) for pair in UNEQUAL] + [(pair, True) for pair in EQUAL]
)
def test_what_stands_around_a_number_counts(pair, same, check):
    pytest.importorskip("math_verify", reason="math-verify is in the extra llm")
    assert check(*pair) is same


def test_left_sides_that_name_what_was_asked_for():
    assert all(map(is_name, ("x", "x_1", "f(3)", "m+n", "x^2+y^2", "AB")))
    assert not any(map(is_name, ("2x", "x+1", "x/2", "5")))
    assert sides("x = 5") == ("x", "5") and sides("x \\le 5") is None and sides("a=b=c") is None
    assert may_be_the_number("2+3=5") and may_be_the_number("5=5") and may_be_the_number("7")
    assert not may_be_the_number("5=7") and not may_be_the_number("2x=7")


def test_words_are_opposite_only_where_one_stands_for_the_other():
    assert opposite("5% increase", "a decrease of 5%") and opposite("3 left", "3 right")
    assert not opposite("more or less 5", "5 more") and not opposite("5", "5 more")
    assert not opposite(r"\left(1,2)", r"(1,2\right)")  # brackets, though only half of them


def test_equal_numbers_vote_together():
    assert majority(["3", "0.5", r"\frac{1}{2}", "1/2", "3"]) == "0.5"
    assert majority(["3", "0.5", "3"]) == "3"
