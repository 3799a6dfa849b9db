"""Checkers: is a candidate the right answer? Functions `(candidate, answer) -> bool`.

Numbers are compared exactly and at once; what is left goes to math-verify (extra `llm`) in a
process with a deadline.
"""

import math
import re
from collections.abc import Callable
from fractions import Fraction

from jaxrl.app.errors import UserError
from reasoning.e2c.answers import deadline, options
from reasoning.e2c.answers.meaning import (
    may_be_the_number,
    opposite,
    other_derivative,
    other_equations,
)
from reasoning.e2c.answers.normalize import (
    bare,
    both_signs,
    clean,
    elements,
    intervals,
    letters,
    may_be_list,
    modulus,
    quantity,
    rational,
    same_quantity,
    time_of_day,
    unit_behind,
    variable,
    whole_form,
    words_of,
)
from reasoning.e2c.answers.units import different_units

Checker = Callable[[str, str], bool]
LONGEST = 1000
"""Characters of an answer that is read. Longer ones are equal only letter by letter: no right
answer is as long, and patterns would take minutes on a box full of blanks.
"""


def _folded(candidate: str, answer: str) -> tuple[str, str, bool]:
    """Both without superfluous blanks, and True if one is too long to be read."""
    one, other = " ".join(candidate.split()), " ".join(answer.split())
    return one, other, max(len(one), len(other)) > LONGEST


def as_number(text: str) -> Fraction | None:
    r"""The exact value of an integer, decimal, percentage, a/b or \frac{a}{b}, maybe with a unit;
    None for anything else.
    """
    found = quantity(text)
    return None if found is None else found.value / (100 if found.percent else 1)


def exact(candidate: str, answer: str) -> bool:
    """Equal numbers, or equal text without blanks. Needs no extra."""
    candidate, answer, long = _folded(candidate, answer)
    if long:
        return candidate == answer
    verdict = _by_numbers(candidate, answer)
    return bare(candidate) == bare(answer) != "" if verdict is None else verdict


def numeric(candidate: str, answer: str) -> bool:
    """Equal numbers, for benchmarks whose answers are numbers: plain ones at once, formulas such as
    `5!` by math-verify.

    Raises:
      UserError: a formula is compared, and math-verify is not installed.
    """
    candidate, answer, long = _folded(candidate, answer)
    if long:
        return candidate == answer
    verdict = _by_numbers(candidate, answer)
    if verdict is not None:
        return verdict
    if not re.search(r"\d|\\", candidate):
        return bare(candidate) == bare(answer) != ""  # words are no number
    return math_verify(candidate, answer)


def math_verify(candidate: str, answer: str) -> bool:
    """True if two answers have the same value: numbers, words, inequalities and lists by our rules,
    the rest by math-verify, for three seconds at most.

    Raises:
      UserError: math-verify is needed and not installed.
    """
    candidate, answer, long = _folded(candidate, answer)
    if long:
        return candidate == answer
    names = variable(candidate), variable(answer)
    if None not in names and names[0] != names[1]:
        return False
    candidate, answer = whole_form(candidate), whole_form(answer)
    if (moduli := {modulus(candidate), modulus(answer)} - {None}) and len(moduli) > 1:
        return False
    if different_units(unit_behind(candidate), unit_behind(answer)):
        return bool(_by_numbers(candidate, answer))  # 18 cents are $0.18
    if opposite(candidate, answer) or other_derivative(candidate, answer):
        return False
    verdict = _by_rules(candidate, answer)
    if verdict is not None:
        return verdict
    if not may_be_the_number(candidate) and quantity(answer) is not None:
        return False  # math-verify would read the right side alone
    one, other = clean(candidate), clean(answer)
    if other.startswith("(") != one.startswith("("):  # a tuple against x=1, y=2
        one, other = _assigned(one) or one, _assigned(other) or other
    spans = intervals(candidate), intervals(answer)
    if (spans[0] is None) != (spans[1] is None):  # an inequality against an interval
        one, other = spans[0] or _set_of(one), spans[1] or _set_of(other)
    pairs = both_signs(candidate), both_signs(answer)
    if (pairs[0] is None) != (pairs[1] is None):  # a pair of signs against a list
        one, other = pairs[0] or one, pairs[1] or other
    try:
        return deadline.WORKER.same(other, one)
    except deadline.Unavailable:
        raise UserError(
            f"comparing {candidate[:80]!r} with {answer[:80]!r} needs math-verify: pip install "
            "'latentax[llm]', or choose the checker exact"
        ) from None


def _by_numbers(candidate: str, answer: str) -> bool | None:
    """The verdict on two plain numbers; None if one is no number."""
    if may_be_list(answer) and re.sub(r"\s+", "", candidate) != re.sub(r"\s+", "", answer):
        return None
    one, other = quantity(candidate), quantity(answer)
    if one is None or other is None or other_equations(candidate, answer):
        return None
    if opposite(candidate, answer):
        return False
    pair = may_be_the_number(candidate), may_be_the_number(answer)
    if False in pair and bare(candidate) != bare(answer):
        return False
    return same_quantity(one, other)


def _by_rules(candidate: str, answer: str) -> bool | None:
    """The verdict where no computer algebra is needed; None if it is."""
    if not candidate.strip():
        return False
    verdict = _by_numbers(candidate, answer)
    if verdict is not None:
        return verdict
    if bare(candidate) == bare(answer):
        return True
    if (order := _same_points(bare(candidate), bare(answer))) is not None:
        return order
    labels, (candidate, answer) = options.apart(candidate, answer)
    if labels is not None:
        return labels
    if (verdict := _by_numbers(candidate, answer)) is not None:
        return verdict
    time, other_time = time_of_day(candidate), time_of_day(answer)
    if time is not None and other_time is not None:
        return _same_time(time, other_time)
    words = words_of(candidate), words_of(answer)
    if words[1] is not None:
        said = clean(candidate)
        return (words[0] or letters(said)) == words[1] and not re.search(r"[\d+*/=^-]", said)
    if words[0] is not None:  # a word is no formula, whatever its letters multiply to
        return bool(re.fullmatch("[A-Za-z]{2,}", bare(answer))) and words[0] == letters(answer)
    if (ratio := _same_ratio(bare(candidate), bare(answer))) is not None:
        return ratio
    based = _in_base(candidate), _in_base(answer)
    if based[0] is not None and based[1] is not None:
        return based[0] == based[1]
    plain = quantity(answer)
    if based[0] is not None and plain is not None and bare(candidate)[0].isdigit():
        return based[0] == plain.value  # 110_2 is 6
    return _by_lists(candidate, answer)


def _same_points(one: str, other: str) -> bool | None:
    """The verdict on words, Roman numerals, angles and other names of three points and more, whose
    order counts; None for all else, since AB may be a product.
    """
    word = r"[A-Z][a-z]+|[IVXLCDM]{2,}"  # Tom is not Mot, nor IV VI; xy may be yx
    if re.fullmatch(word, one) and re.fullmatch(word, other):
        return one.lower() == other.lower()
    pattern = r"(\\angle|\\triangle)?([A-Z]{3,})"
    a, b = re.fullmatch(pattern, one), re.fullmatch(pattern, other)
    if a is None or b is None:
        return None
    return a[2] == b[2] or (r"\angle" in (a[1], b[1]) and a[2] == b[2][::-1])


def _same_ratio(one: str, other: str) -> bool | None:
    """The verdict on ratios of three parts and more, such as 1:2:3; None for all else."""
    parts = [[rational(part) for part in text.split(":")] for text in (one, other)]
    if any(len(part) < 3 or None in part or not any(part) for part in parts):
        return None
    a, b = ([Fraction(value or 0) for value in part] for part in parts)
    return len(a) == len(b) and all(x * sum(b) == y * sum(a) for x, y in zip(a, b, strict=True))


def _same_numbers(one: str, other: str) -> bool | None:
    """The verdict on two lists of plain numbers, in which each counts as often as it stands; None
    for sets in braces and all else.
    """
    if one.startswith("\\{") or other.startswith("\\{") or "=" in one + other:
        return None
    lists = [[quantity(element) for element in elements(text)] for text in (one, other)]
    if any(len(found) < 2 or None in found for found in lists):
        return None
    if any(number.unit or number.percent for found in lists for number in found if number):
        return None
    a, b = (sorted(number.value for number in found if number) for found in lists)
    return a == b


def _assigned(text: str) -> str | None:
    """Values of `x=1, y=2` as a tuple in the order of the names; None for anything else."""
    parts = [re.fullmatch(r"([A-Za-z])\s*=\s*([^=]+)", part) for part in elements(text)]
    named = sorted((part[1], part[2].strip()) for part in parts if part)
    if len(named) < 2 or len(named) < len(parts) or len({name for name, _ in named}) < len(named):
        return None
    return f"({','.join(value for _, value in named)})"


def _same_time(one: tuple[int, int, str], other: tuple[int, int, str]) -> bool:
    """Equal times of day; 3:30 may be in the morning or not, 15:30 is 3:30 p.m."""
    if "" in (one[2], other[2]) and min(one[0], other[0]) > 0 and max(one[0], other[0]) <= 12:
        return one[:2] == other[:2]
    hours = [h % 12 + 12 * (half == "p") if half else h for h, _, half in (one, other)]
    return hours[0] == hours[1] and one[1] == other[1]


def _by_lists(candidate: str, answer: str) -> bool | None:
    """The verdict on lists of different lengths, and on series with dots."""
    pair = clean(candidate), clean(answer)
    if (listed := _same_numbers(*pair)) is not None and not may_be_list(candidate):
        return listed
    dots = [bool(re.search(r"\\[lcd]?dots|\.\.\.|…", text)) for text in pair]
    if any(dots):
        return False  # math-verify reads the last element only; equal texts were equal above
    if any(re.search(r"\\pm|\\mp|=|\\in(?![A-Za-z])|\\cup|\\begin", text) for text in pair):
        return None
    counts = [_count(text) for text in pair]
    if counts[0] != counts[1] and not may_be_list(candidate):
        thousands = [re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text) for text in pair]
        if may_be_list(answer) or len({len(elements(text)) for text in thousands}) > 1:
            return False
    return None


def _count(text: str) -> int:
    r"""Elements of a list; of a set in braces, \{1,1\}, those that differ."""
    found = [bare(element) for element in elements(text)]
    return len(set(found)) if text.startswith("\\{") else len(found)


def _in_base(text: str) -> int | None:
    """The value of digits with their base as a subscript, such as 2516_8."""
    match = re.fullmatch(r"\(?([0-9A-Za-z]+)\)?_\{?(\d+)\}?", bare(text))
    if match is None or not 2 <= int(match[2]) <= 36 or len(match[1]) > 100:
        return None
    try:
        return int(match[1], int(match[2]))
    except ValueError:
        return None


def _set_of(text: str) -> str:
    return re.sub(r"^\s*[A-Za-z]\s*(?:\\in(?![A-Za-z])|=)\s*", "", text)


def multiple_choice(candidate: str, answer: str) -> bool:
    """Letters of options, with or without brackets, a point, or the option's text behind: "(B)
    liver" is "B"; "A large mass" is no letter, and two letters are none.
    """
    candidate, answer, long = _folded(candidate, answer)
    if long:  # the option's text may be long, and stands behind the letter
        candidate, answer = candidate[:LONGEST], answer[:LONGEST]
    letters = options.letter(candidate), options.letter(answer)
    return letters[0] is not None and letters[0] == letters[1]


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
