"""Finding the answer of a response and checking it against the right one.

A checker is a function `(candidate, answer) -> bool`. Integers and plain fractions are compared
exactly and at once; what is left goes to math-verify (extra `llm`), which loads sympy.
"""

import math
import re
from collections.abc import Callable
from fractions import Fraction

from jaxrl.train.errors import Refusal

Checker = Callable[[str, str], bool]
OFFICIAL_TAIL = 300
"""Characters from the end within which the authors look for a box."""


def last_box(text: str) -> str | None:
    r"""Content of the last complete \boxed{...}, braces matched; None if there is none."""
    for start in reversed([match.end() for match in re.finditer(r"\\(?:boxed|fbox)\s*\{", text)]):
        depth = 1
        for place in range(start, len(text)):
            depth += {"{": 1, "}": -1}.get(text[place], 0)
            if depth == 0:
                return text[start:place].strip()
    return None


def official_box(text: str) -> str | None:
    """The last box, if it begins within the last 300 characters; else None (the authors' rule: long
    conclusions score 0).
    """
    return last_box(text[-OFFICIAL_TAIL:])


def plain(text: str) -> str:
    r"""Without what changes no value: blanks, $, \left, \right, \text{}, units of degrees, a final
    point, thousands' commas.
    """
    text = re.sub(
        r"\\(?:text|mathrm|textbf|mathbf)\s*\{([^{}]*)\}", r"\1", text.strip().strip("$").strip()
    )
    text = (
        re.sub(r"\\(?:left|right|,|!|;|:|\s)", "", text)
        .replace("^\\circ", "")
        .replace("^{\\circ}", "")
        .replace("dfrac", "frac")
    )
    text = text.replace("tfrac", "frac").rstrip(".").strip()
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)


def as_number(text: str) -> Fraction | None:
    r"""The exact value of an integer, decimal, percentage, a/b or \frac{a}{b}; None for anything
    else.
    """
    text = re.sub(r"\s+", "", plain(text))
    if match := re.fullmatch(r"(-?)\\frac\{?(-?\d+)\}?\{?(-?\d+)\}?", text):
        sign, over, under = match[1], int(match[2]), int(match[3])
        if "{" not in text and len(match[2].lstrip("-")) + len(match[3]) != 2:
            return None
        return None if under == 0 else Fraction(over, under) * (-1 if sign else 1)
    if match := re.fullmatch(r"([+-]?\d+)/(-?\d+)", text):
        return None if int(match[2]) == 0 else Fraction(int(match[1]), int(match[2]))
    if match := re.fullmatch(r"([+-]?(?:\d+\.?\d*|\.\d+))(\\?%)?", text):
        return Fraction(match[1]) / (100 if match[2] else 1)
    return None


def exact(candidate: str, answer: str) -> bool:
    """Equal numbers, or equal text without blanks. Needs no extra."""
    one, other = as_number(candidate), as_number(answer)
    if one is not None and other is not None:
        return one == other

    def bare(text):
        return re.sub(r"\s+", "", plain(text))

    return bare(candidate) == bare(answer)


def math_verify(candidate: str, answer: str) -> bool:
    """Whether two expressions have the same value: the exact path first, math-verify for the rest.

    Raises:
      Refusal: math-verify is needed and not installed.
    """
    one, other = as_number(candidate), as_number(answer)
    if one is not None and other is not None:
        return one == other
    if exact(candidate, answer):
        return True
    try:
        from math_verify import parse, verify
    except ImportError:
        raise Refusal(
            f"comparing {candidate!r} with {answer!r} needs math-verify: pip install "
            "'latentax[llm]', or choose the checker exact"
        ) from None
    try:  # no time limits: they are signals, which threads cannot have

        def read(text):
            return parse(f"${plain(text)}$", parsing_timeout=None)

        return bool(verify(read(answer), read(candidate), timeout_seconds=None))
    except Exception:  # sympy raises anything on malformed input: such an answer is not right
        return False


def multiple_choice(candidate: str, answer: str) -> bool:
    """Letters of options, with or without brackets, a point, or the option's text behind: "(B)
    liver" is "B".
    """

    def letter(text):
        return (
            match[1].upper()
            if (match := re.match(r"\s*\(?([A-Za-z])\)?(?:[\s.:,)]|$)", plain(text)))
            else None
        )

    return letter(candidate) is not None and letter(candidate) == letter(answer)


def official(candidate: str, answer: str) -> bool:
    r"""The authors' comparison: anything with `frac` keeps its digits only, so \frac{12}{1} equals
    \frac{1}{21}.

    Otherwise strings without blanks are compared, or a/b as floats.
    """
    one, other = _official_form(candidate), _official_form(answer)
    if one == other:
        return True
    try:
        return math.isclose(_quotient(one), _quotient(other), rel_tol=1e-6)
    except (ValueError, ZeroDivisionError):
        return False


def _official_form(text: str) -> str:
    text = re.sub(r"\s+", "", text)
    return "".join(re.findall(r"\d", text)) if "frac" in text else text


def _quotient(text: str) -> float:
    over, _, under = text.partition("/")
    return float(over) / float(under or 1)
