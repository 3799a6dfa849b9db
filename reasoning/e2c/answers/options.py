"""Letters of options in multiple choice, as models and data sets write them."""

import re

from reasoning.e2c.answers.normalize import clean

_LETTER = r"[A-Ja-j]"
_INTRODUCTION = re.compile(
    r"^(?:the\s+)?(?:(?:final|correct|best|right)\s+)?(?:answer|option|choice)(?:\s+is)?\s*[:=]?\s*"
    r"(?:option|choice)?\s*",
    re.IGNORECASE,
)
_SECOND_LETTER = re.compile(
    r"(?:\s*[,&/]?\s*(?:and|or|&|/)?\s*|[.)]?\s*(?:[,;&/+-]|and\b|or\b)\s*|\.)"
    rf"\(?{_LETTER}\)?\s*(?:[,.)&/]|and|or|$)"
)
"""Another letter behind the first: B and C, B) or C), B - C, B.C; but "B. C" is B, whose text is C.
"""
_SECOND_OPTION = re.compile(rf"(?:\band|\bor|[,;&/])\s*\(\s*{_LETTER}\s*\)")
"""Another option behind the text of the first: (B) 5 and (C) 6."""
_QUOTES = (("{", "}"), ("<", ">"), ('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"), ("_", "_"))
_OPTION = re.compile(
    r"\s*(?:(?:(?:the\s+)?(?:correct\s+)?(?:answer|option|choice)\s*(?:is\s*)?:?\s*)"
    r"\(?([A-J])\)?[.:]?|\(\s*([A-J])\s*\)(?:\s*[^\s+*/^=<>-].*)?|([A-J])(?:[.)]\s*|:\s+)"
    r"(?![+*/^=<>-]).*)\s*",
    re.IGNORECASE | re.DOTALL,
)
"""What is an option, and no formula: (C), (C) 12, A. 5, option B."""


def _plain(text: str) -> str:
    """A text without emphasis and quotes around it."""
    text = clean(text.replace("*", "")).strip()
    for _ in range(4):
        before = text
        for opened, closed in _QUOTES:
            if len(text) > 2 and text.startswith(opened) and text.endswith(closed):
                text = text[1:-1].strip()
        if text == before:
            break
    return text


def letter(text: str) -> str | None:
    """The letter of the one option that a text names; None if it names none, or two."""
    text = _INTRODUCTION.sub("", _plain(text))
    match = re.match(
        rf"(?:\(\s*({_LETTER})\s*\)|\[\s*({_LETTER})\s*\]|({_LETTER})(?=\s*(?:[.):,]|-\s|$)))(.*)$",
        text,
        re.S,
    )
    if match is None:
        return None
    found, rest = next(group for group in match.groups()[:3] if group), match[4]
    if _SECOND_LETTER.match(rest) or _SECOND_OPTION.search(rest):
        return None
    return found.upper()


def same_in_mathematics(candidate: str, answer: str) -> bool | None:
    """The verdict where an answer is the letter of an option; None for formulas, since a letter
    may be a variable. A text that stands behind the letter of the right answer may be given alone.
    """
    option, bare_letter = _OPTION.fullmatch(_plain(answer)), re.fullmatch("[A-J]", _plain(answer))
    if option is None and bare_letter is None:
        return None
    if option is not None and letter(answer) is None:
        return None
    if option is None:  # C may be a variable: only what is surely an option is compared with it
        if _OPTION.fullmatch(_plain(candidate)) is None and _plain(candidate) == clean(candidate):
            return None
        return letter(candidate) == letter(answer) if letter(candidate) else None
    if letter(candidate) is None and not re.fullmatch(r"\(?[A-Z]\)?", _plain(answer)):
        return None
    return letter(candidate) is not None and letter(candidate) == letter(answer)
