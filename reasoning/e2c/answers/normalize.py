r"""One form for answers as models write them: signs, spaces, styles, money, units, numbers.

Nothing here may change a value: what is ambiguous stays as it is, and math-verify decides.
"""

import itertools
import re
import unicodedata
from fractions import Fraction
from typing import NamedTuple

from reasoning.e2c.answers.units import POWERS, UNITS, different_units, measure, same_size, unit_of

LONGEST_NUMBER = 300
"""Characters of a number that is read here; Python refuses integers of thousands of digits."""
LARGEST_EXPONENT = 400

_SIGNS = {ord(c): "-" for c in "\u2212\u2010\u2011\u2012\u2013\u2014\ufe63"}
_SIGNS |= {ord(c): " " for c in "\u00a0\u2009\u202f\u2007\u3000"}
_SIGNS |= {ord("\u200b"): "", ord("\ufeff"): ""}
_SIGNS |= {0xFF01 + n: chr(0x21 + n) for n in range(94)}  # full-width forms
_SIGNS |= {
    ord("×"): r"\times ",
    ord("·"): r"\cdot ",
    ord("÷"): r"\div ",
    ord("π"): r"\pi ",
    ord("∞"): r"\infty ",
    ord("≤"): r"\le ",
    ord("≥"): r"\ge ",
    ord("≠"): r"\ne ",
    ord("°"): r"^\circ ",
    ord("∪"): r"\cup ",
    ord("∈"): r"\in ",
    ord("±"): r"\pm ",
}  # fmt: skip (matrix of signs)

_STYLE = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt|bb|cal)|boldsymbol|bm|mbox|hbox"
    r"|underline|emph|boxed|fbox|operatorname)\s*\{([^{}]*)\}"
)
_UNIT_IN_TEXT = re.compile(
    r"(?:\\[,;:! ]|~|\s)*\\(?:text(?:rm|bf|it)?|mathrm|mbox|hbox|rm)\s*\{([^{}\d=<>+*]*"
    r"(?:\^\{?\d\}?)?)\}(\^\s*\{?[23]\}?)?\s*$"
)
_NEGATIVE_POWERS = re.compile(
    r"(?<=[\d}])(?:\\[,;:! ]|~|\s)*\\(?:text|mathrm)\s*\{(?=[^^]*\^\{?-)"
    r"[A-Za-z](?:[A-Za-z]|\\[,;: ]|\\cdot|[\s.]|\^\{-?\d\}|\^-?\d)*\}\s*$"
)
r"""A unit such as \mathrm{m\,s^{-2}} behind a number."""
_SPACES = re.compile(r"(?<!\\)\\(?:[,;: ]|quad|qquad|thinspace|enspace)(?![A-Za-z])")
_SIZES = re.compile(r"\\(?:left|right|[bB]igg?[lrm]?)(?=\W)\.?")

SCALES = {
    "hundred": 10**2,
    "thousand": 10**3,
    "lakh": 10**5,
    "million": 10**6,
    "crore": 10**7,
    "billion": 10**9,
    "trillion": 10**12,
}
_NO_UNITS = frozenset(
    [
        "million",
        "billion",
        "trillion",
        "thousand",
        "hundred",
        "dozen",
        "gross",
        "mil",
        "lakh",
        "crore",
        "score",
        "half",
        "halves",
        "third",
        "thirds",
        "quarter",
        "quarters",
        "fifth",
        "fifths",
        "sixth",
        "sixths",
        "eighth",
        "eighths",
        "tenth",
        "tenths",
        "hundredth",
        "hundredths",
        "thousandth",
        "thousandths",
        "squared",
        "cubed",
        "factorial",
        "times",
        "plus",
        "minus",
        "percent",
        "over",
        "mod",
        "a.m",
        "p.m",
        "choose",
        "sqrt",
        "sin",
        "cos",
        "tan",
        "cot",
        "csc",
        "log",
        "ln",
        "exp",
        "pi",
        "infinity",
        "max",
        "lim",
        "or",
        "and",
        "to",
        "not",
        "i",
        "e",
        "x",
        "y",
        "z",
        "n",
        "k",
    ]
)
"""Words behind a number that change its value, or may."""
_CURRENCY = {
    "$": "dollar",
    "€": "euro",
    "£": "pound sterling",
    "¥": "yen",
    "₹": "rupee",
    "¢": "cent",
    "USD": "dollar",
    "EUR": "euro",
    "GBP": "pound sterling",
    "INR": "rupee",
    "Rs": "rupee",
}
_DEGREES = re.compile(r"(?:\^\s*\{?\s*\\circ\s*\}?|°)[\s$]*$")
"""A sign for degrees at the end, which `clean` leaves out."""
_WORD_UNIT = r"[A-Za-z][A-Za-z./ -]*(?:\^\{?[23]\}?)?"


class Quantity(NamedTuple):
    """A number as it was written."""

    value: Fraction
    percent: bool = False
    unit: str = ""
    decimals: int | None = None
    """Digits behind the point, if it is a decimal."""


def clean(text: str) -> str:
    r"""The text without what changes no value: unusual signs for minus and blanks, `$`, `\left`,
    styles such as `\text{}` and `\displaystyle`, units in `\text{}`, a final point.
    """
    text = _without_characters(text).translate(_SIGNS).strip()
    text = strip_delimiters(text)
    text = re.sub(r"\\degrees?(?![A-Za-z])", r"^\\circ", _MODULUS.sub("", text))
    text = _ANGLE.sub(_in_radians, text)
    text = re.sub(r"\\(?:displaystyle|textstyle|scriptstyle|limits|rm|bf|it)(?![A-Za-z])", "", text)
    text = re.sub(r"\\(?:[dtc]|nice|s|x)frac(?![A-Za-z])", r"\\frac", text)
    text = re.sub(r"\{\s*([^{}]*?)\s*\\over(?![A-Za-z])\s*([^{}]*?)\s*\}", r"\\frac{\1}{\2}", text)
    text = _SIZES.sub("", _ORDINAL.sub("", text))
    text = text.replace("{,}", ",").replace(r"\!", "")
    text = _without_unit(text)
    for _ in range(4):  # styles may be nested
        new = _STYLE.sub(lambda match: match[1] if len(match[1]) < 2 else f" {match[1]} ", text)
        if new == text:
            break
        text = new
    text = _SPACES.sub(" ", text).replace("~", " ")
    text = re.sub(r"\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![A-Za-z]))\s*", r"^\\circ ", text)
    text = re.sub(r"\^\\circ\s*$", "", text)
    text = re.sub(r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}", text)
    text = _SENTENCE.sub("", re.sub(r"\s+", " ", text).strip())
    return re.sub(r"(?<![.])[.;,]$", "", strip_delimiters(text)).strip()


def _in_radians(match: re.Match) -> str:
    r"""A function of an angle in radians instead of degrees, which math-verify does not read."""
    return (
        re.sub(rf"{_PLAIN_NUMBER}\s*{_DEGREE_SIGN}", r"\\frac{\1\\pi}{180}", match[0])
        .replace("\\left", "")
        .replace("\\right", "")
    )


def modulus(text: str) -> str | None:
    r"""The modulus behind a residue, `3 \pmod{7}`; None if there is none."""
    found = _MODULUS.search(text)
    return re.sub(r"\D", "", found[0]) if found else None


_PLAIN_NUMBER = r"(\d+(?:\.\d+)?)"
_DEGREE_SIGN = r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![A-Za-z]))"
_ANGLE = re.compile(
    r"\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])(?:\s*\^\s*(?:\{\d\}|\d))?\s*"
    rf"(?:(?:\\left)?\([^()]*{_DEGREE_SIGN}[^()]*\)|\{{\s*{_PLAIN_NUMBER}\s*{_DEGREE_SIGN}\s*\}}"
    rf"|{_PLAIN_NUMBER}\s*{_DEGREE_SIGN})"
)
"""A function of an angle in degrees, \\cos 60^\\circ."""
_SENTENCE = re.compile(
    r"^(?:the\s+)?(?:final\s+)?answer\s*(?:is|[:=])\s*:?\s*(?=\S)", re.IGNORECASE
)
"""The beginning of a sentence before the answer itself."""
_ORDINAL = re.compile(
    r"(?<=\d)\s*(?:\^\s*\{?\s*)?\\(?:text|textrm|mathrm)\s*\{\s*(?:st|nd|rd|th)\s*\}\s*\}?\s*$"
)
"""The ending of 21^{\\text{st}}."""
_MODULUS = re.compile(
    r"\s*(?:\\pmod\s*(?:\{\s*\d+\s*\}|\d)|\(\s*(?:\\bmod|\\mod|mod)\s*\d+\s*\))\s*$"
)
"""A modulus behind a residue: the residue is the answer."""

_DELIMITERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"))


_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+", strict=True))
_PARTS = re.compile("[¼½¾⅐-⅞]")


def _without_characters(text: str) -> str:
    """Raised digits, fractions and roots of one character as LaTeX: ², ½, √2."""
    text = re.sub(
        f"[{''.join(_RAISED)}]+",
        lambda match: "^{" + "".join(_RAISED[sign] for sign in match[0]) + "}",
        text,
    )
    text = _PARTS.sub(
        lambda match: r"\frac{{{}}}{{{}}}".format(
            *unicodedata.normalize("NFKC", match[0]).split("\u2044")
        ),
        text,
    )
    text = re.sub(r"√\s*(\d+(?:\.\d+)?|[A-Za-z])", r"\\sqrt{\1}", text)
    return text.replace("√", r"\sqrt ")


def whole_form(text: str) -> str:
    r"""The real line, the empty set, ]a, b[, \langle a, b\rangle and 7 = x in the forms that
    math-verify reads; other texts as they are.
    """
    plain = strip_delimiters(text.strip())
    if vector := re.fullmatch(
        r"(?:\\left)?\s*\\langle([^<>]*,[^<>]*?)(?:\\right)?\s*\\rangle", plain
    ):
        return f"({vector[1]})"
    if turned := re.fullmatch(r"([^=<>A-Za-z]*\d[^=<>A-Za-z]*)=\s*([A-Za-z])", plain):
        return f"{turned[2]}={turned[1]}"
    if re.fullmatch(r"\\mathbb\s*\{?R\}?|ℝ|(?:\\text\{)?all real numbers\}?\.?", plain):
        return r"(-\infty,\infty)"
    if re.fullmatch(r"\\(?:varnothing|emptyset)|∅|Ø|\\\{\s*\\\}|\\text\{empty set\}", plain):
        return r"\emptyset"
    if re.fullmatch(r"\{[^{}]*,[^{}]*\}", plain):
        return rf"\{plain[:-1]}\}}"
    if without := _WITHOUT_POINTS.fullmatch(plain):
        points = without[1] or without[2] or without[4]
        return _all_but(points, without[3] or "") or text
    ends = re.fullmatch(
        r"(?:\\left)?\s*([\[\]])([^\[\]]*[,;][^\[\]]*?)(?:\\right)?\s*([\[\]])", plain
    )
    if ends and (ends[1], ends[3]) != ("[", "]"):
        low = "[" if ends[1] == "[" else "("
        return f"{low}{ends[2]}{']' if ends[3] == ']' else ')'}"
    return text


_REALS = r"(?:\\mathbb\s*(?:\{R\}|R)|ℝ|\\R(?![A-Za-z]))"
_WITHOUT_POINTS = re.compile(
    rf"(?:[a-z]\s*(?:\\in|∈)\s*)?{_REALS}\s*"
    r"(?:\\setminus|\\backslash|\\smallsetminus|∖|-|−|\\)\s*"
    r"(?:\\left)?\\?\{((?:[^{}]|\{[^{}]*\})*?)(?:\\right)?\\?\}"
    r"|(?:\\text\s*\{\s*)?[Aa]ll real(?: number)?s?,? "
    r"(?:except(?: for)?|but|other than)\s*\}?([^{}]*)"
    r"|([a-z])\s*(?:\\neq?(?![A-Za-z])|≠|!=)\s*([^<>=]*)"
)
"""The real line without some points, in the forms in which it is written."""


def _all_but(points: str, letter: str = "") -> str | None:
    r"""The union of intervals between points, `0, \frac12`; None if one is no plain number, or
    another variable than `letter` is not equal to it.
    """
    named = re.findall(r"([A-Za-z])\s*(?:\\neq?(?![A-Za-z])|≠|!=)", points)
    if any(other != letter for other in named):
        return None
    listed = re.sub(r"(?:[a-z]\s*)?(?:\\neq?(?![A-Za-z])|≠|!=)|[$]", "", points)
    listed = re.sub(r"\\text\s*\{\s*(?:,|and|or)\s*\}", ",", listed)
    parts = [part for part in re.split(r",|\band\b|\bor\b", listed) if part.strip()]
    values = [rational(part.strip()) for part in parts]
    if not parts or (None in values and len(parts) > 1):
        return None
    order = sorted(range(len(parts)), key=lambda place: values[place] or 0)
    ends = [r"-\infty", *(parts[place].strip() for place in order), r"\infty"]
    return r"\cup ".join(f"({low},{high})" for low, high in itertools.pairwise(ends))


def strip_delimiters(text: str) -> str:
    r"""Remove `$...$`, `\(...\)`, `\[...\]` and `**...**` around all of a text."""
    for _ in range(4):
        before = text
        for opened, closed in _DELIMITERS:
            if text.startswith(opened) and text.endswith(closed) and len(text) > 2 * len(opened):
                text = text[len(opened) : -len(closed)].strip()
        if text == before:
            break
    return text


def _without_unit(text: str) -> str:
    r"""Without a last `\text{ cm}^2` behind something: units in words that hold no mathematics."""
    text = _NEGATIVE_POWERS.sub("", text)
    match = _UNIT_IN_TEXT.search(text)
    if match is None or not text[: match.start()].strip():
        return text
    words = re.sub(r"\^\{?\d\}?", "", match[1]).strip()
    lowered = words.lower().split()
    if not words or any(word in _NO_UNITS for word in lowered) or not re.search("[A-Za-z]", words):
        return text
    spaced = (
        match[0] != match[0].lstrip()
        or match[1][:1] == " "
        or (match[0][:1] in "\\~" and (match[0].startswith(("\\,", "\\;", "\\ ", "\\:", "~"))))
    )
    if len(words) == 1 and not (spaced and words in UNITS):
        return text  # \mathrm{e} is a number, x\mathrm{m} may be a product
    return (
        text[: match.start()] + " " + match[1].strip() + re.sub(r"\s", "", match[2] or "")
        if re.match(r"^\s*[^A-Za-z\\]*$", text[: match.start()])
        else text[: match.start()]
    )


def quantity(text: str) -> Quantity | None:
    r"""The exact value of an integer, decimal, fraction, mixed number, power of ten, amount of
    money or percentage, maybe with a unit, maybe behind `x =`; None for anything else.
    """
    unit, percent = "degree" if _DEGREES.search(text) else unit_behind(text), False
    text = clean(text)
    if len(text) > LONGEST_NUMBER:
        return None
    if match := re.fullmatch(r"[A-Za-z][A-Za-z0-9_{}+*()\\ ^-]*=\s*([^=]+)", text):
        text = match[1].strip()
    if (total := _in_two_units(text)) is not None:
        return total
    if match := re.fullmatch(r"(.*?[\d}.])\s*\^\\circ\s*([CFK])", text):
        text, unit = match[1], {"C": "celsius", "F": "fahrenheit", "K": "kelvin"}[match[2]]
    elif match := re.fullmatch(r"([^'\"′″]*\d)\s*(['′]|\"|″|'')", text):
        text, unit = match[1], "ft" if match[2] in "'′" else "in"
    currency = ""
    if match := re.fullmatch(
        r"([+-]?)\s*(?:(?:US|CA|AU|NZ|HK|A|C|S)?\s?\\?([$€£¥₹¢])|(USD|EUR|GBP|INR|Rs)\b\.?)\s*(.*)",
        text,
    ):
        unit = currency = _CURRENCY[match[2] or match[3]]
        text = match[1] + match[4]
    if match := re.fullmatch(r"(.*?[\d}.])\s*(?:\\?%|\\?percent|per cent)", text):
        text, percent = match[1], True
    elif match := re.fullmatch(r"(.*?[\d}.])\s*\\?([$€£¥₹¢])", text):
        text, unit = match[1], _CURRENCY[match[2]]
    elif match := re.fullmatch(
        rf"(.*?[\d}}.])\s+({'|'.join(SCALES)})(?:\s+([A-Za-z]{{3,}}))?", text
    ):
        value, found = rational(match[1]), _unit(match[3], True) if match[3] else unit
        if value is None or found is None:
            return None
        return Quantity(value * SCALES[match[2]], percent, found)
    elif match := re.fullmatch(rf"(.*?[\d}}.])(\s*)({_WORD_UNIT})", text):
        found = _unit(match[3], bool(match[2]))
        if found is None:
            return None
        priced = currency and currency not in found  # $24 per hour
        text, unit = match[1], f"{currency} {found}" if priced else found
    value = rational(text)
    if value is None:
        return None
    point = re.fullmatch(r"[+-]?[\d,]*\.(\d*)", re.sub(r"\s+", "", text))
    return Quantity(value, percent, unit, len(point[1]) if point else None)


def _unit(words: str, spaced: bool) -> str | None:
    """The unit that stands behind a number, in one form; None if it may be mathematics."""
    plain = re.sub(r"\^\{?[23]\}?", "", words).strip(" .")
    given = [word.strip(".,") for word in re.split(r"[\s-]+", plain) if word.strip(".,")]
    if given == [plain] and plain in UNITS and plain.isupper():
        return plain if spaced else None
    lowered = [word.lower() for word in given]
    if not lowered or any(word in _NO_UNITS for word in lowered):
        return None
    kept = [word if word in UNITS else word.lower() for word in given]  # mW is not MW
    short = [word for word in kept if len(word) < 3 and not unit_of(word) and "/" not in word]
    if any(word not in POWERS and word not in ("a", "an") for word in short):
        return None  # short words are variables as likely as units
    if len(plain) == 1 and not spaced:
        return None
    power = re.search(r"\^.*", words)
    return " ".join(kept) + (re.sub(r"[\^{}]", "", power[0]) if power else "")


_TWO_UNITS = re.compile(
    r"(\d+(?:\.\d+)?)\s*([A-Za-z]+\.?|')(?:,|\s+and)?\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+|\"|'')\.?"
)


def _in_two_units(text: str) -> Quantity | None:
    """The value of `1 hour 30 minutes`, in the second unit; None for anything else."""
    match = _TWO_UNITS.fullmatch(text)
    if match is None:
        return None
    marks = {"'": "ft", "''": "in", '"': "in"}
    large, small = (marks.get(word, word.strip(".")) for word in (match[2], match[4]))
    if not unit_of(large) or not unit_of(small):
        return None
    a, b = measure(large), measure(small)
    if a.size is None or b.size is None or a.dimensions != b.dimensions or a.size <= b.size:
        return None
    return Quantity(Fraction(match[1]) * a.size / b.size + Fraction(match[3]), unit=small)


def rational(text: str) -> Fraction | None:
    r"""The exact value of a plain number in digits: 7, 1,234, .5, 3/4, \frac{3}{4}, 2\frac{1}{2},
    1.8e1, 3.5\times 10^{4}, 2^{10}, 0.\overline{3}; None for anything else.
    """
    text = text.strip()
    if len(text) > LONGEST_NUMBER or not text:
        return None
    if match := re.fullmatch(
        r"([+-]?)\s*(\d+)\s*"
        r"(?:\\frac\s*(?:\{(\d+)\}\s*\{(\d+)\}|(\d)(\d))|\s(\d+)/(\d+))",
        text,
    ):
        over, under = (int(next(filter(None, match.groups()[k::2]))) for k in (2, 3))
        if 0 < over < under:  # a mixed number
            return (int(match[2]) + Fraction(over, under)) * (-1 if match[1] == "-" else 1)
        return None
    if re.search(r"\d\s+\d", text) and "\\" not in text and not _SPACED.fullmatch(text):
        return None  # 3 4 is not 34
    if not re.search(r",\s", text) and (match := _EUROPEAN.fullmatch(re.sub(r"\s+", "", text))):
        return Fraction(match[0].replace(".", "").replace(",", "."))
    text = re.sub(r"\s+", "", text)
    if re.fullmatch(r"\([+-]?\d+(?:\.\d+)?\)", text):
        text = text[1:-1]
    while match := re.fullmatch(r"([+-]?)\{([^{}]*)\}", text):
        text = match[1] + match[2]
    if match := re.fullmatch(r"([+-]?)\\frac(.*)", text):
        pair = _fraction_parts(match[2])
        if pair is None or pair[1] == 0:
            return None
        return pair[0] / pair[1] * (-1 if match[1] == "-" else 1)
    if match := re.fullmatch(r"(.+)/(.+)", text):
        over, under = _decimal(match[1]), _decimal(match[2])
        return None if over is None or not under else over / under
    if match := re.fullmatch(
        r"(.+?)(?:(?:\\times|\\cdot|\*|x)10\^(?:\{([+-]?\d+)\}|([+-]?\d+))|[eE]([+-]?\d+))", text
    ):
        digits, power = (
            _decimal(match[1]),
            int(next(p for p in match.groups()[1:] if p is not None)),
        )
        if digits is None or abs(power) > LARGEST_EXPONENT:
            return None
        return digits * Fraction(10) ** power
    if match := re.fullmatch(r"([+-]?)(\d{1,6})\^(?:\{([+-]?\d{1,3})\}|(\d))", text):
        root, power = int(match[2]), int(match[3] or match[4])
        if abs(power) > LARGEST_EXPONENT or root == 0:
            return None
        return Fraction(root) ** power * (-1 if match[1] == "-" else 1)
    return _decimal(text)


def _fraction_parts(text: str) -> tuple[Fraction, Fraction] | None:
    if match := re.fullmatch(r"\{([^{}]+)\}\{([^{}]+)\}", text):
        over, under = _decimal(match[1]), _decimal(match[2])
    elif match := re.fullmatch(r"(\d)(\d)|\{([^{}]+)\}(\d)|(\d)\{([^{}]+)\}", text):
        one, other = [part for part in match.groups() if part is not None]
        over, under = _decimal(one), _decimal(other)
    else:
        return None
    return None if over is None or under is None else (over, under)


_SPACED = re.compile(r"[+-]?\d{1,3}(?:\s\d{3})+(?:[.,]\d+)?")
"""Groups of three digits between blanks."""
_EUROPEAN = re.compile(r"[+-]?\d{1,3}(?:(?:\.\d{3})+,(?:\d\d?|\d{4,})|(?:\.\d{3}){2,}(?:,\d+)?)")
"""1.234,50 and 1.234.567: points between groups, a comma before decimals. 1.234 and 3,5 may be
other numbers, or two of them, and are left alone; so is 1.234,567.
"""
_GROUPED = re.compile(
    r"[+-]?(?:\d{1,3}(?:(?:,\d{3})+|(?:['\u2019]\d{3})+|(?:_\d{3})+)|\d{1,2}(?:,\d\d)+,\d{3})(?:\.\d*)?"
)
"""Thousands between commas, apostrophes or underscores; and lakhs, as in 12,34,567."""


def _decimal(text: str) -> Fraction | None:
    if match := re.fullmatch(r"([+-]?)(\d*)\.(\d*)\\(?:overline|bar)\{(\d+)\}", text):
        whole, plain, again = match[2] or "0", match[3], match[4]
        value = Fraction(int(whole + plain + again) - int(whole + plain)) / (
            10 ** len(plain) * (10 ** len(again) - 1)
        )
        return -value if match[1] == "-" else value
    if _GROUPED.fullmatch(text):
        text = re.sub("[,'_\u2019]", "", text)
    if re.fullmatch(r"[+-]?(?:\d+\.?\d*|\.\d+)", text):
        return Fraction(text)
    return None


def may_be_list(text: str) -> bool:
    """True for `100,200`, which is two numbers as likely as one; `1,234` and `250,000` are one."""
    bare = re.sub(r"\s+", "", strip_delimiters(text.strip()))
    return bool(re.fullmatch(r"\d{3}(?:,\d{3})+", bare)) and not bare.endswith("000")


def same_quantity(one: Quantity, other: Quantity) -> bool:
    """Equal values without units that differ, or equal sizes, such as 18 cents and $0.18. 50 %
    equals 50 as well as .5; a decimal of six digits and more equals what it was rounded from.
    """
    if different_units(one.unit, other.unit):
        if one.percent or other.percent:
            return False
        return same_size((one.value, one.unit), (other.value, other.unit))
    if one.value == other.value and one.percent == other.percent:
        return True
    if one.percent != other.percent:
        plain, percent = (other, one) if one.percent else (one, other)
        if measure(plain.unit).over:
            return False
        return plain.value in (percent.value, percent.value / 100)
    for decimal, exact in ((one, other), (other, one)):
        places = decimal.decimals
        if places is not None and places >= 6 and exact.decimals is None:
            return abs(decimal.value - exact.value) <= Fraction(1, 2 * 10**places)
    return False


def unit_behind(text: str) -> str:
    r"""The words of a unit in `\text{}` behind anything, as `different_units` reads them; with
    negative powers, m\,s^{-2}, as a quotient.
    """
    plain = strip_delimiters(text.translate(_SIGNS).strip())
    if match := _NEGATIVE_POWERS.search(plain):
        words = re.sub(r"\\(?:text|mathrm)\s*|\\[,;: ]|\\cdot|[{}]|\^(?=\d)", " ", match[0])
        over, under = [], []
        for word in re.findall(r"([A-Za-z]+)\s*(\^?\s*-?\d?)", words):
            power = re.sub(r"[\s^]", "", word[1])
            (under if "-" in power else over).append(word[0] + power.strip("-").replace("1", ""))
        return " ".join(over) + " per " + " ".join(under)
    match = _UNIT_IN_TEXT.search(plain)
    if match is None:
        return ""
    words = [word if word in UNITS else word.lower() for word in match[1].replace(".", "").split()]
    return re.sub(r"[\^{}]", "", " ".join(words) + re.sub(r"\s", "", match[2] or ""))


def bare(text: str) -> str:
    """Cleaned text without blanks, for comparing letter by letter; 1 2 is not 12."""
    return re.sub(r"(?<!\d)\s+|\s+(?!\d)", "", clean(text))


def variable(text: str) -> str | None:
    r"""The letter of `x = 5`, `x \ne 5` or `x < 5`; None for anything else, such as y = x."""
    match = re.fullmatch(
        r"([A-Za-z])\s*(?:=|!=|<=?|>=?|\\(?:neq?|[lg]eq?|[lg]t)(?![A-Za-z]))([^=<>]+)", clean(text)
    )
    if match is None or re.search("[A-Za-z]", re.sub(r"\\[A-Za-z]+", "", match[2])):
        return None
    return match[1]


def both_signs(text: str) -> str | None:
    r"""`a \pm b` as two elements, the upper sign first; None without exactly one such sign."""
    plain = clean(text)
    if (
        len(re.findall(r"\\pm(?![A-Za-z])|\\mp(?![A-Za-z])", plain)) != 1
        or len(elements(plain)) > 1
    ):
        return None
    plain = re.sub(r"^[A-Za-z]\s*=\s*", "", plain)
    upper, lower = (re.sub(r"\\(?:pm|mp)(?![A-Za-z])\s*", sign, plain) for sign in ("+", "-"))
    return f"{upper.removeprefix('+')}, {lower}"


def time_of_day(text: str) -> tuple[int, int, str] | None:
    """Hour, minute, and "a" or "p" if it says so; None for anything else, such as a bare hour."""
    match = re.fullmatch(r"(\d{1,2})(?::(\d{2}))?(?:\s*([ap])\.?\s*m\.?)?", clean(text), re.I)
    if match is None or not (match[2] or match[3]):
        return None
    return int(match[1]), int(match[2] or 0), (match[3] or "").lower()


def words_of(text: str) -> str | None:
    r"""The words of an answer that is a word or a sentence, in lower case; None for mathematics.

    Text is what stands in `\text{}`, or holds a word of four letters and no digit or sign.
    """
    marked = bool(
        re.fullmatch(
            r"\s*\$?\s*\\(?:text(?:bf|it|rm)?|mathrm|mbox)\s*\{[^{}]*\}\s*\$?\s*\.?\s*", text
        )
    )
    plain = clean(text)
    if not re.fullmatch(r"[A-Za-z(][A-Za-z .,'()-]*", plain):
        return None
    if not marked and not re.search(r"[A-Za-z]{4,}", plain):
        return None
    return letters(plain)


def letters(text: str) -> str:
    """Words in lower case; "and" is no more than a comma."""
    return " ".join(word for word in re.split("[^a-z]+", text.lower()) if word and word != "and")


def intervals(text: str) -> str | None:
    r"""`-2 \le x < 7` as `[-2,7)`, `x \ge 3` as `[3,\infty)`, joined by \cup at "or"; None if the
    text is no such inequality.
    """
    plain = clean(text)
    if match := re.fullmatch(r"\\\{\s*[a-z]\s*(?::|\\mid|\|)\s*(.*)\\\}", plain):
        plain = match[1]  # a set of all x with ...
    parts = [part.strip() for part in re.split(r"\s+or\s+|\\lor", plain) if part.strip()]
    found = [_interval(part) for part in parts]
    return r"\cup ".join(part for part in found if part) if parts and all(found) else None


_ORDER = (
    r"(\\leq?(?:slant)?(?![A-Za-z])|\\geq?(?:slant)?(?![A-Za-z])"
    r"|\\lt(?![A-Za-z])|\\gt(?![A-Za-z])|<=|>=|<|>)"
)


def _interval(text: str) -> str | None:
    pieces = [piece.strip() for piece in re.split(_ORDER, text)]
    signs = [_sign(piece) for piece in pieces[1::2]]
    if len(pieces) == 5 and re.fullmatch(r"[a-z]", pieces[2]) and signs[0][0] == signs[1][0]:
        (way, first), (_, second) = signs
        low, high = (pieces[0], pieces[4]) if way == "<" else (pieces[4], pieces[0])
        first, second = (first, second) if way == "<" else (second, first)
        return f"{'[' if first else '('}{low},{high}{']' if second else ')'}"
    if match := re.fullmatch(r"([a-z])\s*(?:\\neq?(?![A-Za-z])|!=)\s*([^,;]+)", text):
        return rf"(-\infty,{match[2]})\cup({match[2]},\infty)"
    if len(pieces) == 3:
        (way, closed), (one, other) = signs[0], (pieces[0], pieces[2])
        if re.fullmatch(r"\|\s*[a-z]\s*\|", one) and (rational(other) or 0) > 0:
            left, right = ("[", "]") if closed else ("(", ")")
            if way == "<":
                return f"{left}-{other},{other}{right}"
            return rf"(-\infty,-{other}{right}\cup {left}{other},\infty)"
        if re.fullmatch(r"[a-z]", other):
            one, other, way = other, one, "<" if way == ">" else ">"
        if not re.fullmatch(r"[a-z]", one) or not other:
            return None
        if way == "<":
            return rf"(-\infty,{other}{']' if closed else ')'}"
        return rf"{'[' if closed else '('}{other},\infty)"
    return None


def _sign(text: str) -> tuple[str, bool]:
    return ("<" if text.startswith(("<", r"\l")) else ">"), text not in ("<", ">", r"\lt", r"\gt")


def elements(text: str) -> list[str]:
    """Parts between commas outside of brackets; "and" counts as a comma."""
    text = re.sub(r",?\s+(?:and|or)\s+", ",", clean(text))
    if re.fullmatch(r"\\\{.*\\\}", text):
        text = text[2:-2]
    depth, parts, start = 0, [], 0
    for place, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if sign in ",;" and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]
