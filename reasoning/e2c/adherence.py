"""Does an execution follow its plan? The authors' score with its quirks, and a stricter one.
Host-side: these are strings.
"""

from collections.abc import Callable
from typing import Literal

from reasoning.e2c.format import titles, titles_official

Mode = Literal["strict", "official"]
THRESHOLD = 0.3


def adherence(
    plan: str, execution: str, mode: Mode = "strict", threshold: float = THRESHOLD
) -> float:
    """Share of the plan's steps that the execution has, in [0, 1].

    official: a title of the plan counts if it is part of a title of the execution, or if their
    longest common subsequence of words exceeds `threshold` times the length of the shorter one.
    Order does not matter. A plan without titles scores 0 (reward_score/e2c.py).

    strict: numbers count at the start of a line only. Titles are matched in order, each one used
    once. A match needs half of the words of the longer title in common, and two words at least
    where both have two. A plan whose steps are not numbered is read line by line. Our choice, all
    of it: one common word of a short title is no adherence.

    Args:
      plan: text of the plan, without tags.
      execution: text of the execution, without tags.
      mode: "strict" (our choice) or "official" (the authors' rule), as above.
      threshold: share of the shorter title's words, in [0, 1]; used in mode official only.
    """
    return official(plan, execution, threshold) if mode == "official" else strict(plan, execution)


def official(plan: str, execution: str, threshold: float = THRESHOLD) -> float:
    """See `adherence`."""
    planned, done = titles_official(plan), titles_official(execution)
    matched = sum(
        any(_alike_officially(one, other, threshold) for other in done) for one in planned
    )
    return matched / max(len(planned), 1)


def strict(plan: str, execution: str) -> float:
    """See `adherence`."""
    planned, done = titles(plan) or _lines(plan), titles(execution) or _lines(execution)
    if not planned:
        return 0.0
    return common_subsequence(planned, done, _alike_strictly) / len(planned)


def exact(plan: list[str], done: list[str]) -> float:
    """1.0 if the steps done are the planned ones in order, else 0.0."""
    return float(plan == done)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _alike_officially(one: str, other: str, threshold: float) -> bool:
    if one.lower() in other.lower():
        return True
    a, b = one.lower().split(), other.lower().split()
    return common_subsequence(a, b) / max(min(len(a), len(b)), 1) > threshold


def _alike_strictly(one: str, other: str) -> bool:
    a, b = _words(one), _words(other)
    needed = max(min(2, len(a), len(b)), 0.5 * max(len(a), len(b)))
    if a == b or min(len(a), len(b)) < needed:  # responses may repeat a line for ever
        return a == b
    return common_subsequence(a, b) >= needed


def _words(title: str) -> list[str]:
    return [
        word
        for word in ("".join(c for c in part if c.isalnum()) for part in title.lower().split())
        if word
    ]


def common_subsequence(
    a: list[str], b: list[str], same: Callable[[str, str], bool] = lambda x, y: x == y
) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for x in a:
        diagonal = 0
        for column, y in enumerate(b, 1):
            diagonal, row[column] = (
                row[column],
                diagonal + 1 if same(x, y) else max(row[column], row[column - 1]),
            )
    return row[-1]
