"""Finding the answer of a response: the content of its last box."""

import re

OFFICIAL_TAIL = 300
"""Characters from the end within which the authors look for a box."""
_BRACES = re.compile(r"\\(?:boxed|fbox)\s*\{|\\[\\{}]|[{}]")


def last_box(text: str) -> str | None:
    r"""Content of the last complete \boxed{...}, braces matched; None if there is none.

    One pass with a stack, so that a response of thousands of open boxes takes no longer than
    another. Escaped braces (\{ and \}) are text.
    """
    open_braces: list[int | None] = []
    found: tuple[int, int] | None = None
    for match in _BRACES.finditer(text):
        token = match[0]
        if token == "}":
            start = open_braces.pop() if open_braces else None
            if start is not None and (found is None or start > found[0]):
                found = (start, match.start())
        elif token == "{":
            open_braces.append(None)
        elif token.endswith("{") and len(token) > 2:
            open_braces.append(match.end())
    return None if found is None else text[found[0] : found[1]].strip()


def official_box(text: str) -> str | None:
    """The last box, if it begins within the last 300 characters; else None (the authors' rule: long
    conclusions score 0).
    """
    return last_box(text[-OFFICIAL_TAIL:])
