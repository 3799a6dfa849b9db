"""Finding the answer of a response and checking it against the right one.

A checker is a function `(candidate, answer) -> bool`.
"""

from reasoning.e2c.answers.check import (
    OFFICIAL_TAIL,
    Checker,
    as_number,
    exact,
    last_box,
    math_verify,
    multiple_choice,
    official,
    official_box,
    plain,
)

__all__ = [
    "OFFICIAL_TAIL",
    "Checker",
    "as_number",
    "exact",
    "last_box",
    "math_verify",
    "multiple_choice",
    "official",
    "official_box",
    "plain",
]
