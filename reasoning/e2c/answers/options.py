"""Letters of options in multiple choice, as models and data sets write them."""

import re

from reasoning.e2c.answers.normalize import clean

_LETTER = r"[A-Ja-j]"
_INTRODUCTION = re.compile(
    r"^(?:(?:so|thus|hence|therefore|i think),?\s+)?(?:the\s+|my\s+)?"
    r"(?:(?:final|correct|best|right)\s+)?(?:answer|option|choice)(?:\s+is)?\s*[:=]?\s*"
    r"(?:option|choice)?\s*",
    re.IGNORECASE,
)
_SECOND_LETTER = re.compile(
    r"(?:\s*[,&/]?\s*(?:and|or|&|/)?\s*|[.)]?\s*(?:[,;&/+-]|and\b|or\b)\s*|\.)"
    rf"\(?{_LETTER}\)?\s*(?:[,.)&/]|and|or|$)"
)
"""Another letter behind the first: B and C, B) or C), B - C, B.C; but "B. C" is B, whose text is C.
"""
_SECOND_OPTION = re.compile(r"(?:\band|\bor|[,;&/])\s*(?:\(\s*[A-J]\s*\)|[A-J]\))")
"""Another option behind the text of the first: (B) 5 and (C) 6; but (D) Both (A) and (B) is D."""
_OF_OTHERS = re.compile(r"[\s.):,]*(?:both|neither|either|all|none|only)\b", re.IGNORECASE)
_QUOTES = (("{", "}"), ("<", ">"), ('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"), ("_", "_"))
_LABEL = re.compile(
    r"(?:(?i:(?:the\s+)?(?:correct\s+)?(?:answer|option|choice)\s*(?:is\s*)?:?\s*\(?([A-J])\)?[.:]?)"
    r"|\(([A-J])\)|([A-J])[.:)])(?:\s+(?=[\w$-]|\\(?:frac|sqrt|pi|\$))(.*))?",
    re.DOTALL,
)
"""An option among formulas: a capital letter in brackets or before a point, alone or before a blank
and its text; (A)\\cup B and A - 5 are formulas.
"""
_OTHER_LABEL = re.compile(r"\([A-Ja-jivx]+\)|(?<![A-Za-z\\])[A-Ja-j][.:)](?=\s|$)")


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
    if _SECOND_LETTER.match(rest):
        return None
    if _SECOND_OPTION.search(rest) and not _OF_OTHERS.match(rest):
        return None
    return found.upper()


def _labeled(text: str) -> tuple[str, str] | None:
    """Letter and text of an option among formulas; None for all else, such as parts (a) and (b)."""
    match = _LABEL.fullmatch(_plain(text))
    if match is None:
        return None
    rest = (match[4] or "").strip()
    if _OTHER_LABEL.search(rest):
        return None
    return next(group for group in match.groups()[:3] if group).upper(), rest


def apart(candidate: str, answer: str) -> tuple[bool | None, tuple[str, str]]:
    """The verdict on options where formulas may stand as well, and the texts left to compare where
    there is none. C alone may be a variable, so it is an option only next to a text that surely is.

    Returns:
      True or False if the letters decide; else None, and both texts without letters of options.
    """
    one, other = _labeled(candidate), _labeled(answer)
    if one is None and other is None:
        dressed = [text for text in (candidate, answer) if _plain(text) != clean(text)]
        letters = [re.fullmatch("[A-J]", _plain(text)) for text in (candidate, answer)]
        if dressed and all(letters):
            return _plain(candidate) == _plain(answer), (candidate, answer)
        return None, (candidate, answer)
    if one is None or other is None:
        (letter_of, rest), text = (one or other), _plain(answer if one else candidate)
        if re.fullmatch("[A-J]", text):
            return text == letter_of, (candidate, answer)
        if not rest:
            return None, (candidate, answer)
        return None, ((rest, answer) if one else (candidate, rest))
    if one[0] != other[0] or not (one[1] and other[1]):
        return one[0] == other[0], (candidate, answer)
    return None, (one[1], other[1])
