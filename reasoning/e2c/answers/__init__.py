"""Finding the answer of a response and checking it against the right one.

`boxes` finds it, `normalize` gives numbers and texts one form, `checkers` compare (START HERE),
`deadline` and `worker` run math-verify in a process that may be ended.
"""

from reasoning.e2c.answers.boxes import OFFICIAL_TAIL, last_box, official_box
from reasoning.e2c.answers.checkers import (
    Checker,
    as_number,
    exact,
    math_verify,
    multiple_choice,
    numeric,
    official,
)
from reasoning.e2c.answers.normalize import clean as plain

__all__ = [
    "OFFICIAL_TAIL",
    "Checker",
    "as_number",
    "exact",
    "last_box",
    "math_verify",
    "multiple_choice",
    "numeric",
    "official",
    "official_box",
    "plain",
]
