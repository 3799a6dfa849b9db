"""Letters of options, in multiple choice and where a formula may stand as well."""

import pytest

from reasoning.e2c.answers.checkers import math_verify, multiple_choice
from reasoning.e2c.answers.options import letter
from tests.tables import rows

NAMED = rows(__file__, "options")


@pytest.mark.parametrize("text, named", NAMED)
def test_an_option_is_read_in_any_dress(text, named):
    assert letter(text) == named
    assert multiple_choice(text, named) and multiple_choice(named, text)


@pytest.mark.parametrize("text, named", NAMED)
def test_an_option_equals_its_letter_among_formulas_too(text, named):
    pytest.importorskip("math_verify", reason="math-verify is in the extra llm")
    assert math_verify(text, named)


@pytest.mark.parametrize("text", ["(B) 5 and (C) 6", "A and B", r"\textbf{(C)}, 12 or (D)", "B}"])
def test_two_options_are_none(text):
    assert letter(text) is None


@pytest.mark.parametrize(
    "text, named",
    [
        ("D. Both (A) and (B)", "D"),
        ("(D) Both (A) and (B)", "D"),
        ("C. (a) and (b)", "C"),
        ("A. Increase in O2, (b) decrease", "A"),
    ],
)
def test_an_options_text_may_name_others(text, named):
    assert letter(text) == named


@pytest.mark.parametrize(
    "pair", [("A - 5", "A"), ("A+B", "A"), ("A, B", "A"), ("13", "(A) 12"), ("5", "A"), ("AB", "A")]
)
def test_formulas_are_no_options(pair):
    pytest.importorskip("math_verify", reason="math-verify is in the extra llm")
    assert not math_verify(*pair)
