"""Boxes and equality of answers, and the authors' quirks."""

import pytest

from jaxrl.app.errors import UserError
from reasoning.e2c import answers
from reasoning.e2c.answers import deadline
from tests.tables import rows


@pytest.mark.parametrize(
    "text, box",
    [
        ("so \\boxed{3}", "3"),
        ("\\boxed{1} no, \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("\\boxed{4} and \\boxed{5", "4"),  # the last one is cut off
        ("\\boxed {7}", "7"),
        ("no box", None),
        ("\\boxed{", None),
    ],
)
def test_the_last_complete_box(text, box):
    assert answers.last_box(text) == box


def test_only_the_authors_mind_how_far_from_the_end_a_box_is():
    text = "\\boxed{3}" + "." * 300
    assert answers.last_box(text) == "3" and answers.official_box(text) is None
    assert answers.official_box("\\boxed{3}" + "." * 291) == "3"


EQUAL = [
    ("1/2", "0.5"),
    ("33", "033"),
    ("10\\%", "0.1"),
    ("\\frac{1}{2}", "\\dfrac12"),
    ("1,234", "1234"),
    ("$7$", "7."),
    ("-\\frac{3}{4}", "-0.75"),
    ("\\text{yes}", "yes"),
    ("+3", "3"),
]
UNEQUAL = [
    ("12", "1/2"),
    ("\\frac{12}{1}", "\\frac{1}{21}"),
    ("1,2", "12"),
    ("3", "4"),
    ("x", "y"),
    ("1/0", "0"),
]


@pytest.mark.parametrize("one, other", EQUAL)
def test_equal_numbers_are_equal_at_once(one, other):
    assert answers.exact(one, other) and answers.exact(other, one)


@pytest.mark.parametrize("one, other", UNEQUAL)
def test_different_ones_are_not(one, other):
    assert not answers.exact(one, other)


def test_the_authors_digits_of_fractions():
    assert answers.official("\\frac{12}{1}", "\\frac{1}{21}")  # both are 121
    assert not answers.math_verify("\\frac{12}{1}", "\\frac{1}{21}")
    assert answers.official("1/2", "0.5") and not answers.official("3", "4")
    assert not answers.official("33", "x")


def test_letters_of_options():
    for text in ("B", "(B)", "b.", "B. liver", "(b) liver"):
        assert answers.multiple_choice(text, "B")
    assert not answers.multiple_choice("C", "B") and not answers.multiple_choice("Both", "B")


def test_without_math_verify_numbers_are_compared_and_the_rest_names_the_extra(
    monkeypatch, tmp_path
):
    (tmp_path / "math_verify.py").write_text("raise ImportError('absent')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(deadline, "WORKER", deadline.Worker())
    assert answers.math_verify("0.5", "1/2") and answers.math_verify("x + 1", "x+1")
    with pytest.raises(UserError, match=r"latentax\[llm\]"):
        answers.math_verify("\\sqrt{8}", "2\\sqrt{2}")


@pytest.mark.parametrize("one, other, same", rows(__file__, "math_verify"))
def test_math_verify(one, other, same):
    pytest.importorskip("math_verify", reason="math-verify is in the extra llm")
    assert answers.math_verify(one, other) is same
