"""Context of a number that changes its meaning: the left side of an equation, and words that turn
the answer round.
"""

import re
from fractions import Fraction

from reasoning.e2c.answers.normalize import bare, clean, rational

OPPOSITES = """
above below
after before
clockwise counterclockwise
decrease increase
decreased increased
decreasing increasing
down up
east west
faster slower
fewer more
gain loss
inside outside
larger smaller
left right
less more
longer shorter
loss profit
lost won
maximum minimum
negative positive
north south
older younger
"""
"""Words of which one cannot stand where the other is meant."""
_PAIRS = [tuple(line.split()) for line in OPPOSITES.strip().splitlines()]


def opposite(one: str, other: str) -> bool:
    """True if one answer has a word, and the other its opposite instead: 5 % increase, 5 %
    decrease.
    """
    plain = (re.sub(r"\\(?:left|right)(?![A-Za-z])", "", text).lower() for text in (one, other))
    a, b = (set(re.findall("[a-z]+", text)) for text in plain)
    return any(
        (x in a and y in b and not (y in a or x in b))
        or (y in a and x in b and not (x in a or y in b))
        for x, y in _PAIRS
    )


def sides(text: str) -> tuple[str, str] | None:
    """Left and right side of an equation with one sign, without blanks; None for all else."""
    match = re.fullmatch(r"([^=<>]+)=([^=<>]+)", clean(text))
    if match is None or re.search(r"\\(?:neq?|leq?|geq?|l|g)\s*$|[!:]$", match[1]):
        return None
    return bare(match[1]), bare(match[2])


def is_name(left: str) -> bool:
    r"""True if the left side of an equation names the quantity that was asked for: x, x_1, f(3),
    m+n, \text{area}, x^2+y^2; false for 2x, x+1 or x/2, of which the right side is not the answer.
    """
    plain = re.sub(r"_\{?\w+\}?|\^\{?\w+\}?|\\[A-Za-z]+", "", left)
    plain = re.sub(r"(?<=[A-Za-z])(?:'|\\prime)*\([^()]*\)", "", plain)
    return bool(re.search(r"[A-Za-z\\]", left)) and not re.search(r"\d|/", plain)


def may_be_the_number(text: str) -> bool:
    """False for an equation whose right side is not its value: 2x = 7, or 5 = 7."""
    found = sides(text)
    if found is None or is_name(found[0]):
        return True
    left: Fraction | None = rational(found[0])
    if left is None:
        operators = r"\\(?:times|cdot|div|[dt]?frac|sqrt|left|right|pi)(?![A-Za-z])"
        return not re.search(r"[A-Za-z]", re.sub(operators, "", found[0]))  # 2+3 = 5
    return left == rational(found[1])


def other_equations(one: str, other: str) -> bool:
    """True if both are equations with other left sides, so that equal right sides say nothing."""
    a, b = sides(one), sides(other)
    return a is not None and b is not None and a[0] != b[0]


def other_derivative(one: str, other: str) -> bool:
    """True if functions stand in one answer with other primes than in the other: f', f or f''."""
    if "=" in one + other:
        return False
    counts = []
    for text in (one, other):
        marks = re.findall(r"(?<=[A-Za-z)}])((?:\s*\^?\s*\{?\s*(?:'|\\prime)+\s*\}?)+)", text)
        counts.append(sum(len(re.findall(r"'|\\prime", mark)) for mark in marks))
    return counts[0] != counts[1]
